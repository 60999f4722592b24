"""Updates by many writers to a real server that is killed: what was written is all of it or nothing, and once."""

import contextlib
import random
import threading
import tracemalloc
from collections import Counter
from pathlib import Path

import pytest

from pyelevator import MISSING, CheckFailed, ConnectFailed, Elevator, KeyNotFound, Retry, TransportError
from pyelevator.testing.servers import ServerProcess
from support.connections import close_connections_of
from support.optional import unwrap

WRITERS = 8
ACCOUNTS = [f"account/{i}" for i in range(4)]
START = 1000


class Writer(threading.Thread):
    """Moves money between accounts, counts, claims names and takes jobs, until it is told to stop."""

    def __init__(self, number, url, over, acknowledged):
        super().__init__()
        self.number, self.over, self.acknowledged = number, over, acknowledged
        self.client = Elevator.from_url(url, timeout=2, connect_timeout=30)
        self.moved, self.refused, self.doubtful = {}, {}, {}
        self.counted = self.doubtful_counts = 0
        self.claimed, self.taken = [], []
        self.random = random.Random(number)

    def run(self):
        number = 0
        with self.client:
            while not self.over.is_set():
                number += 1
                self.transfer(f"log/{self.number}/{number}")
                self.count()
                self.claim(f"name/{number}")
                self.take(f"job/{self.random.randrange(2000)}")
                self.acknowledged.release()

    def transfer(self, log):
        source, target = self.random.sample(ACCOUNTS, 2)
        amount = self.random.randrange(1, 9)
        batch = self.client.WriteBatch(timeout=2)
        try:
            before = self.client.MGet([source, target])
            for account, value, change in zip((source, target), before, (-amount, amount), strict=True):
                batch.Check(account, unwrap(value))
                batch.Put(account, str(int(unwrap(value)) + change))
            batch.Check(log, MISSING)
            batch.Put(log, f"{source} {target} {amount}")
        except TransportError:
            batch.Clear()
            return
        self.write(batch, log)

    def write(self, batch, log):
        try:
            batch.Write()
            self.moved[log] = True
        except CheckFailed as error:
            self.refused[log] = error.keys
        except ConnectFailed:
            self.refused[log] = ()
        except TransportError:
            self.doubtful[log] = True
        finally:
            batch.Clear()

    def count(self):
        try:
            self.client.Increment("count")
            self.counted += 1
        except ConnectFailed:
            pass
        except TransportError:
            self.doubtful_counts += 1

    def claim(self, name):
        try:
            if self.client.PutIfAbsent(name, str(self.number)):
                self.claimed.append(name)
        except TransportError:
            pass

    def take(self, job):
        with contextlib.suppress(KeyNotFound, TransportError):
            self.taken.append(self.client.GetAndDelete(job))


def test_updates_of_eight_writers_survive_kills_whole_and_once(tmp_path):
    over, acknowledged = threading.Event(), threading.Semaphore(0)
    with ServerProcess(tmp_path / "data") as server:
        with Elevator.from_url(server.urls[0], timeout=30) as E:
            with E.WriteBatch() as batch:
                for account in ACCOUNTS:
                    batch.Put(account, str(START))
                for i in range(2000):
                    batch.Put(f"job/{i}", str(i))
        writers = [Writer(i, server.urls[0], over, acknowledged) for i in range(WRITERS)]
        for writer in writers:
            writer.start()
        for kill in range(4):
            for _ in range(100 + 37 * kill):
                assert acknowledged.acquire(timeout=60)
            if kill < 3:
                server.restart()
        over.set()
        for writer in writers:
            writer.join()
        with Elevator.from_url(server.urls[0], timeout=30) as E:
            there = dict(E.Range())
    check_transfers(writers, there)
    counted, doubtful = sum(w.counted for w in writers), sum(w.doubtful_counts for w in writers)
    assert counted <= int(there["count"]) <= counted + doubtful
    for writer in writers:
        assert all(there[name] == str(writer.number) for name in writer.claimed)
    assert max(Counter(job for writer in writers for job in writer.taken).values()) == 1
    assert not any(f"job/{job}" in there for writer in writers for job in writer.taken)


def check_transfers(writers, there):
    """Each transfer that was acknowledged is there, no refused one is, and the accounts have what all of them moved."""
    accounts = dict.fromkeys(ACCOUNTS, START)
    logs = {key for key in there if key.startswith("log/")}
    for log in logs:
        source, target, amount = there[log].split()
        accounts[source] -= int(amount)
        accounts[target] += int(amount)
    assert {account: int(there[account]) for account in ACCOUNTS} == accounts
    moved, refused, doubtful = (
        {log for w in writers for log in getattr(w, kind)} for kind in ("moved", "refused", "doubtful")
    )
    assert moved <= logs
    assert not refused & logs
    assert logs <= moved | doubtful
    assert moved
    failed = {key for writer in writers for keys in writer.refused.values() for key in keys}
    assert failed
    assert failed <= set(ACCOUNTS)


def fill(E, count, prefix=""):
    for first in range(0, count, 50_000):
        with E.WriteBatch(timeout=60) as batch:
            for i in range(first, min(first + 50_000, count)):
                batch.Put(f"{prefix}{i:07}", "v")


def test_a_deletion_whose_server_was_killed_goes_on_where_it_was(tmp_path):
    total = 150_000
    with ServerProcess(tmp_path / "data") as server, Elevator.from_url(server.urls[0], timeout=30) as E:
        fill(E, total)
        caught = []

        def delete():
            with pytest.raises(TransportError) as error:
                E.DeleteRange(None, "0149998")
            caught.append(error.value)

        thread = threading.Thread(target=delete)
        thread.start()
        with Elevator.from_url(server.urls[0], timeout=30) as other:
            while other.Count() > total - 20_000:
                pass
        server.kill()
        thread.join()
        server.restart()
        (error,) = caught
        left = E.Count() - 1
        assert 20_000 <= error.deleted <= total - 1 - left <= error.deleted + 4096
        assert f"{error.deleted:,} keys were deleted before" in error.__notes__[-1]
        assert E.DeleteRange(None, "0149998") == left
        assert E.Range() == [["0149999", "v"]]


def test_a_deletion_with_retries_goes_on_after_a_restart_between_chunks(tmp_path):
    with ServerProcess(tmp_path / "data") as server:
        with Elevator.from_url(server.urls[0], timeout=30, retry=Retry(attempts=20)) as E:
            fill(E, 20_000)
            seen = []
            execute = E._execute

            def restarting(flow, timeout):
                seen.append(1)
                if len(seen) == 3:
                    server.restart()
                    close_connections_of(E)  # so that it finds out when it connects, before anything is sent
                return execute(flow, timeout)

            E._execute = restarting  # type: ignore[method-assign]
            assert E.DeleteRange() == 20_000
            assert len(seen) == 5
            assert E.Count() == 0


def high_water(pid):
    """Bytes that a process has had at most since ``clear_refs``."""
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) << 10


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="this system does not tell peaks of memory")
def test_a_million_keys_are_counted_and_deleted_in_little_memory(tmp_path):
    with ServerProcess(tmp_path / "data") as server, Elevator.from_url(server.urls[0], timeout=60) as E:
        E.createdb("many", {"write_buffer_size": 1 << 20})
        E.connect("many")
        fill(E, 1_000_000, "k")
        E.Put("j", "before")
        E.Put("l", "behind")
        Path(f"/proc/{server.pid}/clear_refs").write_text("5")
        before = high_water(server.pid)
        tracemalloc.start()
        try:
            assert E.Count(prefix="k") == 1_000_000
            assert E.DeleteRange(prefix="k") == 1_000_000
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 1 << 20
        assert high_water(server.pid) - before < 48 << 20
        assert E.Range(include_value=False) == ["j", "l"]
