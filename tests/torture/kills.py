"""SIGKILL under load: what was acknowledged is there afterwards, and a batch is there whole or not at all."""

import random
import statistics
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from attrs import define, field

from pyelevator import ConnectFailed, Elevator, TransportError
from pyelevator.testing.servers import ServerProcess
from torture.report import Findings, count, ms

DATABASE = "killed"
SLOTS = 12
BATCH = 300
WAIT = 20.0


@define
class Slot:
    """Keys that one writer always writes together: one key by a put, or many by a batch, in versions 1, 2, 3...

    Attributes:
        name: the first part of its keys.
        size: how many keys.
        acknowledged: the version that is known to be there; 0 for nothing.
        latest: the version tried last.
        doubtful: the version that was given up on, if any: it is there, or the acknowledged one still is.
    """

    name: str
    size: int
    acknowledged: int = 0
    latest: int = 0
    doubtful: int | None = None

    @property
    def keys(self) -> list[str]:
        return [f"{self.name}/{i:03}" for i in range(self.size)]

    def content(self, version: int) -> Mapping[str, str]:
        """What a version leaves; every third batch deletes half of its keys."""
        keys = self.keys
        kept = keys[: self.size // 2] if version % 3 == 0 and self.size > 1 else keys
        return {key: f"{key} {version} ".ljust(80 + 40 * (version % 5), "x") for key in kept} if version else {}

    def write(self, client: Elevator[str]) -> None:
        """Writes the next version."""
        self.latest += 1
        content = self.content(self.latest)
        if self.size == 1:
            client.Put(*next(iter(content.items())))
        else:
            with client.WriteBatch(timeout=client.timeout) as batch:
                for key in self.keys:
                    batch.Put(key, content[key]) if key in content else batch.Delete(key)
        self.acknowledged = self.latest

    def check(self, there: Mapping[str, str]) -> str | None:
        """Compares with what is there after a restart, and takes it as acknowledged; what is wrong, or None."""
        allowed = {self.acknowledged} | ({self.doubtful} if self.doubtful is not None else set())
        self.doubtful = None
        for version in sorted(allowed):
            if there == self.content(version):
                self.acknowledged = version
                return None
        versions = sorted({value.split(" ")[1] for value in there.values()})
        return f"{self.name}: {len(there)} of {self.size} keys are there, in versions {versions}, not {sorted(allowed)}"


@define
class Writer:
    """One client that writes until a write fails; what it was told is in its slots.

    Attributes:
        puts, batches: acknowledged.
        doubts: slots whose last write may have been executed or not.
        refused: writes of which nothing was sent.
    """

    number: int
    client: Elevator[str]
    acknowledgements: threading.Semaphore
    slots: list[Slot] = field(init=False)
    puts: int = 0
    batches: int = 0
    refused: int = 0

    @slots.default
    def _slots(self) -> list[Slot]:
        return [Slot(f"{self.number}/{i}", BATCH if i % 2 else 1) for i in range(SLOTS)]

    def run(self, seed: int) -> None:
        """Writes at random until the server is gone."""
        choose = random.Random(seed)
        while True:
            slot = choose.choice(self.slots)
            try:
                slot.write(self.client)
            except ConnectFailed:
                self.refused += 1
                return
            except TransportError:
                slot.doubtful = slot.latest
                return
            self._acknowledged(slot)

    def _acknowledged(self, slot: Slot) -> None:
        self.puts += slot.size == 1
        self.batches += slot.size > 1
        self.acknowledgements.release()


@define
class Kills:
    """One server, its writers, and what was found after each of its deaths."""

    server: ServerProcess
    timeout: float
    seed: int
    acknowledgements: threading.Semaphore = field(factory=lambda: threading.Semaphore(0))
    writers: list[Writer] = field(factory=list)
    restarts: list[float] = field(factory=list)
    violations: list[str] = field(factory=list)
    loaded: int = 0
    checked: int = 0
    executed: int = 0
    doubts: int = 0

    def prepare(self, writers: int) -> None:
        """Opens a database that flushes and compacts all the time, and its clients."""
        with self._client() as client:
            client.createdb(DATABASE, {"write_buffer_size": 1 << 16})
        self.writers = [Writer(i, self._client(DATABASE), self.acknowledgements) for i in range(writers)]

    def _client(self, database: str | None = None) -> Elevator[str]:
        return Elevator(database, endpoint=self.server.urls[0].partition("://")[2], timeout=self.timeout)

    def run(self, kills: int) -> None:
        """As many rounds as it takes until all writers wrote at so many kills; at most twice as many."""
        for number in range(1, 2 * kills + 1):
            if self.loaded < kills:
                self.round(number)
        if self.loaded < kills:
            self.violations.append(f"all of the writers wrote at only {self.loaded} of {2 * kills} kills")

    def round(self, number: int) -> None:
        """Load, a kill within it, a restart, and the check."""
        threads = [
            threading.Thread(target=writer.run, args=(self.seed + 100 * number + writer.number,))
            for writer in self.writers
        ]
        for thread in threads:
            thread.start()
        self._await_load(number)
        writing = all(thread.is_alive() for thread in threads)
        self.server.kill()
        self.loaded += writing
        for thread in threads:
            thread.join()
        self._restart()
        self._check(number)

    def _await_load(self, number: int) -> None:
        """Returns at some moment after some number of acknowledgements; the moment itself must be anywhere."""
        moment = random.Random(self.seed + number)
        for _ in range(moment.randrange(20, 300)):
            if not self.acknowledgements.acquire(timeout=WAIT):
                return  # they have given up, on a machine that is too busy; this kill does not count
        time.sleep(moment.uniform(0, 0.01))

    def _restart(self) -> None:
        start = time.monotonic()
        self.server.restart()
        with self._client(DATABASE) as client:
            client.Exists("0")
        self.restarts.append(time.monotonic() - start)

    def _check(self, number: int) -> None:
        with self._client(DATABASE) as client:
            there = dict(client.Range(timeout=WAIT))
        self.checked += len(there)
        for slot in [slot for writer in self.writers for slot in writer.slots]:
            before, doubtful = slot.acknowledged, slot.doubtful
            wrong = slot.check({key: there.pop(key) for key in slot.keys if key in there})
            self.violations += [f"kill {number}: {wrong}"] if wrong else []
            self.doubts += doubtful is not None
            self.executed += slot.acknowledged != before
        if there:
            self.violations.append(f"kill {number}: {len(there)} keys that no client wrote")

    def close(self) -> None:
        for writer in self.writers:
            writer.client.disconnect()

    def figures(self) -> dict[str, str]:
        return {
            "SIGKILLs while all of them write; others": f"{self.loaded}; {len(self.restarts) - self.loaded}",
            "writers at the same time": count(len(self.writers)),
            "puts acknowledged": count(sum(writer.puts for writer in self.writers)),
            f"batches of {BATCH} operations acknowledged": count(sum(writer.batches for writer in self.writers)),
            "writes in doubt (sent, no answer)": f"{self.doubts}; {self.executed} of them were executed, as a whole",
            "writes refused by the client (nothing sent)": count(sum(writer.refused for writer in self.writers)),
            "pairs compared after the restarts": count(self.checked),
            "acknowledged writes lost, batches torn, strange keys": count(len(self.violations)),
            "restart until the first answer, median / longest": (
                f"{ms(statistics.median(self.restarts))} / {ms(max(self.restarts))}"
            ),
        }


def run(folder: Path, *, kills: int, writers: int = 4, timeout: float = 1.0, seed: int = 1) -> Findings:
    """Kills a server so many times while it is written to.

    Args:
        folder: for the data; empty.
        kills: how many times.
        writers: clients that write, each with its own connection.
        timeout: seconds after which a writer gives up; each round takes at least so long.
        seed: of what is written, and of when it is killed.
    """
    with ServerProcess(folder / "data") as server:
        attempt = Kills(server, timeout, seed)
        attempt.prepare(writers)
        try:
            attempt.run(kills)
        finally:
            attempt.close()
    return Findings(
        "Killed under load",
        "A server process on LevelDB is killed with SIGKILL while several clients write single pairs and batches (half "
        "of some batches deletes) with known content. After each restart everything is read: every slot must hold the "
        "version that was acknowledged last or, where a write was in doubt at the kill, that one; a batch whole.",
        attempt.figures(),
        attempt.violations,
    )
