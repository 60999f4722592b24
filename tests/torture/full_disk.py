"""A full disk: nothing acknowledged is lost, the errors say what it is, other databases go on, and it ends by itself."""

import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from attrs import define, field

from pyelevator import Elevator, ElevatorError
from pyelevator.errors import DatabaseError, ServerError, ServerOSError
from pyelevator.testing.servers import ServerProcess
from torture.disks import Disk, OpenDisk
from torture.report import Findings, count, ms

MOST: Final = 4000
"""Writes of ``SIZE`` bytes after which every disk here is full."""

SIZE: Final = 8000
RECOVERY: Final = 10.0
EXPECTED: Final = (ServerOSError, DatabaseError)
"""What a client is told of a database that cannot write."""


@define
class Ledger:
    """What was acknowledged and what was refused, of the writes to one database."""

    client: Elevator[bytes]
    random: random.Random
    pairs: dict[bytes, bytes] = field(factory=dict)
    refused: dict[bytes, bytes] = field(factory=dict)
    errors: Counter[str] = field(factory=Counter)
    unclear: list[str] = field(factory=list)

    def put(self, key: bytes) -> bool:
        """Writes a new value; whether it was acknowledged."""
        value = self.random.randbytes(SIZE)
        try:
            self.client.Put(key, value, timeout=RECOVERY)
        except ElevatorError as error:
            self.refused[key] = value
            self._note(error)
            return False
        self.pairs[key] = value
        self.refused.pop(key, None)
        return True

    def _note(self, error: ElevatorError) -> None:
        if isinstance(error, EXPECTED):
            self.errors[f"code {int(error.code)}, {type(error).__name__}"] += 1
        else:
            self.unclear.append(f"an unclear error: {type(error).__name__}: {error}")

    def missing(self) -> list[str]:
        """What is not as it was acknowledged; a refused write may be there or not, but only with its own value."""
        there = dict(self.client.RangeIter(timeout=RECOVERY))
        wrong = [k for k, value in self.pairs.items() if there.get(k) not in {value, self.refused.get(k, value)}]
        strange = there.keys() - self.pairs.keys() - self.refused.keys()
        return [
            f"{len(keys)} pairs {what}, among them {min(keys).decode()}"
            for keys, what in ((wrong, "were acknowledged and are not there"), (strange, "were never written"))
            if keys
        ]


@define
class FullDisk:
    """One disk, one server, a database on that disk and one elsewhere."""

    disk: Disk
    server: ServerProcess
    seed: int
    small: Ledger = field(init=False)
    other: Ledger = field(init=False)
    violations: list[str] = field(factory=list)
    recoveries: list[float] = field(factory=list)
    full: int = 0

    def prepare(self) -> None:
        """Creates the two databases."""
        with self._client("default") as client:
            client.createdb(str(self.disk.path / "small"))
        self.small = Ledger(self._client(str(self.disk.path / "small")), random.Random(self.seed))
        self.other = Ledger(self._client("default"), random.Random(self.seed + 1))

    def _client(self, database: str) -> Elevator[bytes]:
        address = self.server.urls[0].partition("://")[2]
        return Elevator(database, endpoint=address, encoding=None, timeout=RECOVERY)

    def fill(self, name: str) -> None:
        """Writes until the disk is full, and then on: to this database, and to the other one."""
        self.disk.shrink(self.server.pid)
        if all(self.small.put(b"%s/%06d" % (name.encode(), i)) for i in range(MOST)):
            self.violations.append(f"{name}: the disk was never full")
        for i in range(20):
            self.full += not self.small.put(b"%s/full/%d" % (name.encode(), i))
            self.write_elsewhere(f"{name}/{i}")

    def write_elsewhere(self, key: str) -> None:
        """The other database must not notice."""
        if not self.other.put(key.encode()) or self.other.client.Get(key) != self.other.pairs[key.encode()]:
            self.violations.append(f"{key}: another database failed meanwhile")

    def space_returns(self, name: str) -> None:
        """The database must work again, and what it acknowledges from now on must stay as well."""
        self.disk.grow(self.server.pid)
        start = time.monotonic()
        if not any(self.small.put(b"%s/again/%04d" % (name.encode(), i)) for i in _patiently()):
            self.violations.append(f"{name}: the database did not work again within {RECOVERY:.0f} s")
            return
        self.recoveries.append(time.monotonic() - start)
        for i in range(50):
            if not self.small.put(b"%s/after/%d" % (name.encode(), i)):
                self.violations.append(f"{name}: a write failed after the first one had worked again")

    def killed(self) -> None:
        """Kills the server and starts it again; on a disk that is still full it starts as well."""
        self.server.kill()
        self.server.restart()
        self.write_elsewhere("after a kill")

    def check(self, name: str) -> None:
        """Compares both databases with what was acknowledged."""
        for ledger in (self.small, self.other):
            try:
                self.violations += [f"{name}: {wrong}" for wrong in ledger.missing()]
            except ServerError as error:
                self.violations.append(f"{name}: it cannot be read: {error}")

    def run(self) -> None:
        """Full and free again while it runs, then full at a kill and free again."""
        self.fill("running")
        self.space_returns("running")
        self.check("running")
        self.killed()
        self.check("running, then killed")
        self.fill("killed")
        self.killed()
        self.space_returns("killed")
        self.check("killed")
        self.violations += dict.fromkeys([*self.small.unclear, *self.other.unclear])

    def close(self) -> None:
        self.small.client.disconnect()
        self.other.client.disconnect()


def _patiently() -> Iterator[int]:
    """Counts tries, a tenth of a second apart, until the recovery takes too long."""
    end = time.monotonic() + RECOVERY
    i = 0
    while time.monotonic() < end:
        yield i
        i += 1
        time.sleep(0.1)


def attempt(open_disk: OpenDisk, folder: Path, seed: int) -> FullDisk:
    """One round on a new disk with a new server."""
    with ExitStack() as stack:
        disk = stack.enter_context(open_disk(folder / "disk"))
        server = stack.enter_context(ServerProcess(folder / "data", args=["--allow-path", str(disk.path)]))
        full = FullDisk(disk, server, seed)
        full.prepare()
        stack.callback(full.close)
        full.run()
        return full


def run(folder: Path, disks: Sequence[OpenDisk], *, rounds: int, seed: int = 1) -> Findings:
    """Fills each kind of disk so many times.

    Args:
        folder: for the data; empty.
        disks: which kinds.
        rounds: how many times each.
        seed: of what is written.
    """
    attempts = [
        attempt(open_disk, _made(folder / f"{open_disk.__name__}{i}"), seed + i)
        for open_disk in disks
        for i in range(rounds)
    ]
    errors = sum((one.small.errors for one in attempts), Counter())
    recoveries = [seconds for one in attempts for seconds in one.recoveries]
    violations = [f"{one.disk.kind}: {violation}" for one in attempts for violation in one.violations]
    return Findings(
        "A full disk",
        "Values of 8,000 random bytes are put until the disk of their database is full, and on; beside it another "
        "database on another disk is written and read. Then there is space again; writes must work within 10 s and "
        "without a restart. Then the server is killed with SIGKILL and everything acknowledged, before and after, is "
        "compared. The same once more with the kill while the disk is full.",
        {
            "disks": ", ".join(sorted({one.disk.kind for one in attempts})),
            "times a disk was full": count(2 * len(attempts)),
            "writes acknowledged on the small disk": count(sum(len(one.small.pairs) for one in attempts)),
            "writes refused there": ", ".join(f"{number} with {error}" for error, number in errors.most_common()),
            "writes and reads of the other database meanwhile": count(sum(len(one.other.pairs) for one in attempts)),
            "space again until the first write works, longest": ms(max(recoveries, default=0)),
            "violations": count(len(violations)),
        },
        violations,
    )


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder
