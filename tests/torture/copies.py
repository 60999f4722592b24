"""SIGKILL during backups, dumps and loads: a copy is whole, of one moment and no older than what was acknowledged."""

import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from attrs import define, field

from pyelevator import Elevator, ElevatorError
from pyelevator.testing.servers import ServerProcess
from torture.report import Findings, count

KEYS: Final = [f"{number:05}" for number in range(2_000)]
TIMEOUT: Final = 30.0
SOURCE: Final = "copied"


@define
class Copies:
    """A server whose database is written to, one version of all keys after the other, and copies of it.

    Attributes:
        acknowledged: the version that is known to be there.
        tried: the version that was sent last.
        killed: kills by what was killed.
        whole: copies that were compared, by kind.
    """

    server: ServerProcess
    folder: Path
    random: random.Random
    acknowledged: int = 0
    tried: int = 0
    killed: Counter[str] = field(factory=Counter)
    compared: Counter[str] = field(factory=Counter)
    violations: list[str] = field(factory=list)

    def client(self, database: str | None = SOURCE) -> Elevator[str]:
        return Elevator.from_url(self.server.url, db_name=database, timeout=TIMEOUT, create=True)

    def write(self, stop: threading.Event) -> None:
        """Writes version after version, each in one batch, until it is stopped or the server is gone."""
        with self.client() as client:
            while not stop.is_set():
                self.tried += 1
                try:
                    with client.WriteBatch(timeout=TIMEOUT) as batch:
                        for key in KEYS:
                            batch.Put(key, f"{self.tried}".ljust(100, "x"))
                except ElevatorError:
                    return
                self.acknowledged = self.tried

    def check(self, what: str, pairs: Mapping[str, str], since: int) -> None:
        """Compares a copy with the history: all keys, in one version that was there during the copy."""
        versions = sorted({int(value.rstrip("x")) for value in pairs.values()})
        self.compared[what] += 1
        if sorted(pairs) != KEYS or len(versions) != 1 or not since <= versions[0] <= self.tried:
            self.violations.append(f"a {what} of version {since} to {self.tried}: {len(pairs)} keys of {versions[:5]}")

    def elevator(self, *args: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "pyelevator", *args, "--url", self.server.url, "--quiet"]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill_soon(self, process: subprocess.Popen[bytes], longest: float) -> None:
        time.sleep(self.random.uniform(0, longest))
        self.killed["client"] += process.poll() is None
        process.kill()
        process.wait()

    def load(self, path: Path, name: str, *, kills: int) -> None:
        """Loads a dump, whose loads are killed some times and run again, until one has come to its end."""
        for _ in range(kills):
            self.kill_soon(self.elevator("load", str(path), "--to-db", name), 0.8)
            if self.is_loaded(path, name):
                return
        if self.elevator("load", str(path), "--to-db", name).wait():
            self.violations.append(f"the load of {path.name} fails")

    def backup(self, number: int) -> None:
        """A backup, whose server is killed."""
        path, since = self.folder / f"backup-{number}", self.acknowledged

        def call() -> None:
            try:
                with self.client() as client:
                    client.backup(SOURCE, str(path))
            except ElevatorError:
                pass

        thread = threading.Thread(target=call)
        thread.start()
        time.sleep(self.random.uniform(0, 0.2))
        self.server.kill()
        self.killed["server"] += 1
        thread.join()
        self.server.restart()
        if path.exists():
            with self.client(str(path)) as client:
                self.check("backup", dict(client.Range(timeout=TIMEOUT)), since)
                client.forgetdb(str(path))

    def is_loaded(self, path: Path, name: str) -> bool:
        """True if a load has ended: there are pairs, and no position from which another load would go on."""
        if any(self.folder.glob(f"{path.name}.*.loading")):
            return False
        with self.client() as client:
            if name not in client.listdb():
                return False
        with self.client(name) as client:
            return bool(client.Count(timeout=TIMEOUT))

    def dump(self, number: int) -> None:
        """A dump that is killed; if it is complete, or else another one, is loaded, and the load is killed as well."""
        path, since = self.folder / f"dump-{number}", self.acknowledged
        self.kill_soon(self.elevator("dump", SOURCE, "--output", str(path)), 1.2)
        if not path.exists():
            since = self.acknowledged
            self.elevator("dump", SOURCE, "--output", str(path)).wait()
        name = f"loaded-{number}"
        self.load(path, name, kills=2)
        with self.client(name) as client:
            self.check("dump and load", dict(client.Range(timeout=TIMEOUT)), since)
        with self.client() as client:
            client.dropdb(name)

    def round(self, copy: Callable[[int], None], number: int) -> None:
        """One copy while the database is written to."""
        stop = threading.Event()
        before = self.tried
        thread = threading.Thread(target=self.write, args=(stop,))
        thread.start()
        while self.acknowledged <= before and thread.is_alive():
            time.sleep(0.001)
        copy(number)
        stop.set()
        thread.join()


def run(folder: Path, *, kills: int, seed: int = 1) -> Findings:
    """Kills servers during backups, and the commands that dump and load, while the database is written to.

    Args:
        folder: for the data and the copies; empty.
        kills: how many rounds of each kind.
        seed: of when they are killed.
    """
    copies = folder / "copies"
    copies.mkdir()
    with ServerProcess(folder / "data", args=["--allow-path", str(copies)]) as server:
        attempt = Copies(server, copies, random.Random(seed))
        for number in range(kills):
            attempt.round(attempt.backup, number)
            attempt.round(attempt.dump, number)
    return Findings(
        "Killed during backups, dumps and loads",
        f"A writer gives {count(len(KEYS))} keys one version after the other, each in one batch. Meanwhile a server is "
        "killed during a backup, or `elevator dump` and then `elevator load` are, at random moments, and run again. "
        "What has its name afterwards must hold all keys in one version, not older than the one that was acknowledged "
        "before the copy began.",
        {
            "servers killed during a backup": count(attempt.killed["server"]),
            "dumps and loads killed": count(attempt.killed["client"]),
            "complete backups compared": count(attempt.compared["backup"]),
            "dumps that were loaded and compared": count(attempt.compared["dump and load"]),
            "versions written meanwhile": count(attempt.tried),
            "copies torn, of two moments, or too old": count(len(attempt.violations)),
        },
        attempt.violations,
    )
