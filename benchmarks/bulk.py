"""Rows about much at once: with plyvel's defaults, under sustained load, several scans, memory, a busy thread beside."""

import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

from benchmarks import memory, peers
from benchmarks.bed import PAIRS, Bed
from benchmarks.measure import Goal, Row, compare, rate
from pyelevator import Elevator
from pyelevator.codec import ClassicCodec
from pyelevator.commands import Range
from pyelevator.engines.leveldb.binding.library import load_binding
from pyelevator.loadtest.processes import merge
from pyelevator.loadtest.workloads import connect, key
from pyelevator.messages import Request
from pyelevator.testing.servers import ServerProcess

BATCH: Final = 100_000
_POOL: Final = random.Random(7).randbytes(1 << 20)


# As users would use both: defaults everywhere, repeated values, and str from our client.


def plain(bed: Bed) -> Iterator[Row]:
    path = bed.folder / "plain"
    pairs = [(key(number), b"v" * 100) for number in range(PAIRS)]
    with load_binding().DB(str(path), create_if_missing=True) as database:
        with database.write_batch() as batch:
            for pair in pairs:
                batch.put(*pair)
        database.compact_range(start=b"", stop=b"\xff" * 64)
    shutil.copytree(path, bed.folder / "plain-peer")
    client = Elevator.from_url(bed.server.urls[0], timeout=60)
    client.createdb(str(path))
    client.connect(str(path))
    with client, load_binding().DB(str(bed.folder / "plain-peer")) as peer:
        theirs = partial(rate, lambda: list(peer), PAIRS)
        for name, work, goal in (
            ("Range of 100,000", client.Range, Goal(1.0, 2.0)),
            ("RangeIter over 100,000", lambda: list(client.RangeIter()), Goal(0.8, 1.2)),
        ):
            yield compare(
                f"{name}, plain: str, repeated values",
                "plyvel in process, defaults",
                partial(rate, work, PAIRS),
                theirs,
                goal,
                bed.plan.rounds,
            )


# Sustained load


def sustained(bed: Bed) -> Iterator[Row]:
    """The same random pairs into both, with default options, one after the other, each into an empty database."""
    count = bed.plan.streamed
    ours = _load_elevator(bed, count)
    theirs = _load_plyvel(bed, count)
    name = f"sustained load: {count:,} random pairs in batches of {BATCH:,}"
    rates = [f"{count / sum(times):,.0f}/s" for times in (ours, theirs)]
    yield Row(name, "plyvel in process, defaults", *rates, [sum(theirs) / sum(ours)], Goal(1.8, 2.2))
    longest = [f"{max(times):.2f} s" for times in (ours, theirs)]
    yield Row("the same: longest batch", "", *longest, [max(ours)], Goal(1.0, 0.7, smaller=True, unit=" s"))


def _timed(count: int, write: Callable[[list[tuple[bytes, bytes]]], None]) -> list[float]:
    """Seconds of each batch; making the pairs is not counted."""
    source, times = random.Random(1), []
    for _ in range(0, count, BATCH):
        pairs = [(source.randbytes(16), _value(source)) for _ in range(BATCH)]
        begin = time.perf_counter()
        write(pairs)
        times.append(time.perf_counter() - begin)
    return times


def _value(source: random.Random) -> bytes:
    start = source.randrange(len(_POOL) - 50)
    return _POOL[start : start + 50] * 2


def _load_elevator(bed: Bed, count: int) -> list[float]:
    with ServerProcess(data=bed.folder / "sustained") as server, connect(server.urls[0], "default") as client:

        def write(pairs: list[tuple[bytes, bytes]]) -> None:
            with client.WriteBatch(timeout=120) as batch:
                for pair in pairs:
                    batch.Put(*pair)

        times = _timed(count, write)
    shutil.rmtree(bed.folder / "sustained")
    return times


def _load_plyvel(bed: Bed, count: int) -> list[float]:
    path = bed.folder / "sustained-peer"
    with load_binding().DB(str(path), create_if_missing=True) as database:

        def write(pairs: list[tuple[bytes, bytes]]) -> None:
            with database.write_batch() as batch:
                for pair in pairs:
                    batch.put(*pair)

        times = _timed(count, write)
    shutil.rmtree(path)
    return times


# Several scans, and their memory


def _scan_frames(bed: Bed) -> list[bytes]:
    """A whole range in one answer, as clients without pages ask for it."""
    return ClassicCodec().encode_request(Request(Range(), bed.reader.db_uid, 1))


def scans(bed: Bed) -> Iterator[Row]:
    """The clients throw the answers away unread, so that the processors are the server's as far as can be."""
    frames = _scan_frames(bed)
    measure = partial(
        bed.processes.measure, peers.echo_workload, bed.server.urls[0], frames, seconds=bed.plan.seconds * 2
    )
    yield compare(
        "4 scans of 100,000 at once",
        "one scan",
        lambda: merge(measure(size=4)).rate,
        lambda: merge(measure(size=1)).rate,
        Goal(1.7, 2.0),
        bed.plan.rounds,
        settle=bed.settle,
        show="{:,.1f}/s",
    )


def answer_memory(bed: Bed) -> Iterator[Row]:
    """By how much the server's own memory grows, in a fresh process each time, by the bytes of the answer."""
    goal = Goal(1.5, 1.1, smaller=True, unit="x")
    name = "memory of a Range of 100,000 at the server"
    for how, ask in (("in pages, as our clients ask", _in_pages), ("in one answer", _in_one_answer)):
        values = [_growth(bed, ask) for _ in range(max(bed.plan.rounds // 2, 1))]
        grown, size = [statistics.median(column) for column in zip(*values, strict=True)]
        shown = [f"{bytes_ / 1e6:,.1f} MB" for bytes_ in (grown, size)]
        yield Row(f"{name}, {how}", "the answer's bytes", *shown, [one / of for one, of in values], goal)


def _growth(bed: Bed, ask: Callable[[Elevator[bytes]], int]) -> tuple[float, float]:
    path = bed.copy(PAIRS)
    with ServerProcess(data=bed.folder / f"memory-{path.name}") as server, connect(server.urls[0], "default") as client:
        client.createdb(str(path))
        client.connect(str(path))
        client.Slice(None, 100)
        before = memory.resident(server.pid, "RssAnon")
        with memory.peak(server.pid, "RssAnon", every=0.001) as samples:
            size = ask(client)
        return max(samples) - before, size


def _in_pages(client: Elevator[bytes]) -> int:
    return sum(len(name) + len(value) + 4 for name, value in client.Range())


def _in_one_answer(client: Elevator[bytes]) -> int:
    frames = ClassicCodec().encode_request(Request(Range(), client.db_uid, 1))
    with peers.dealer(f"tcp://{client.endpoint}") as socket:
        socket.send_multipart(frames)
        return sum(map(len, socket.recv_multipart()))


# Beside a busy thread

_BUSY: Final = """
import json, sys, threading, time
from pyelevator import Elevator
from pyelevator.application import Application
from pyelevator.transports import FakeTransport

def keep_busy():
    while not done:
        sum(range(1000))

def milliseconds():
    begin = time.perf_counter()
    client.Range()
    return (time.perf_counter() - begin) * 1e3

application = Application.on_leveldb(sys.argv[1])
client = Elevator(transport=FakeTransport(application), encoding=None, timeout=120)
client.createdb(sys.argv[2])
client.connect(sys.argv[2])
milliseconds()
alone = sorted(milliseconds() for _ in range(3))[1]
done = False
thread = threading.Thread(target=keep_busy)
thread.start()
beside = sorted(milliseconds() for _ in range(3))[1]
done = True
thread.join()
application.close()
print(json.dumps([beside, alone]))
"""


def busy(bed: Bed) -> Iterator[Row]:
    """A Range of 100,000 from a server in the program's process, beside a thread of it that never waits."""
    taken = [_beside_busy(bed) for _ in range(max(bed.plan.rounds // 2, 1))]
    beside, alone = [statistics.median(column) for column in zip(*taken, strict=True)]
    values = [one / other for one, other in taken]
    name = "Range of 100,000 in an embedded server beside a busy thread"
    yield Row(name, "alone", f"{beside:,.0f} ms", f"{alone:,.0f} ms", values, Goal(20, 5, smaller=True, unit="x"))


def _beside_busy(bed: Bed) -> tuple[float, float]:
    path = bed.copy(PAIRS)
    command = [sys.executable, "-c", _BUSY, str(bed.folder / f"busy-{path.name}"), str(path)]
    ran = subprocess.run(command, capture_output=True, check=True, text=True, env=os.environ)
    beside, alone = json.loads(ran.stdout)
    return beside, alone


ROWS: Final[dict[str, Callable[[Bed], Iterator[Any]]]] = {
    "plain": plain,
    "sustained": sustained,
    "scans": scans,
    "answer": answer_memory,
    "busy": busy,
}
"""Name on the command line -> what measures the row."""
