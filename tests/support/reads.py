"""Each way to read a database, tried on one that is hurt or whose process is starved: the rows, an error, or fewer rows.

As a program, it starves itself first: ``reads.py TO_READ TO_REPAIR HOW COUNT TENS`` prints what came of each way to read
the first directory, and of a repair of the second, as lines of JSON.
"""

import json
import os
import resource
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from operator import methodcaller
from pathlib import Path
from typing import Any

import pyelevator.client.sync.pipeline
import pyelevator.client.sync.ranges  # noqa: F401 - which clients load on use: here while there are descriptors
from pyelevator import Elevator
from pyelevator.application import Application
from pyelevator.commands import PUT
from pyelevator.engines.base import Bounds, EngineError
from pyelevator.engines.leveldb import LevelDbStorage
from pyelevator.errors import ElevatorError
from pyelevator.transports import FakeTransport

OPTIONS = {"compression": False, "bloom_filter_bits": 10, "max_file_size": 64 << 20, "write_buffer_size": 64 << 20}


class Rows:
    """The pairs of a database: so many, with values of so many times ten bytes."""

    def __init__(self, count: int, tens: int = 10) -> None:
        self.sizes = [str(count), str(tens)]
        self.pairs = [[f"{i:05}", f"value{i:05}" * tens] for i in range(count)]
        self.keys = [key for key, _ in self.pairs]
        self.values = [value for _, value in self.pairs]

    def fill(self, path: str, *, log: int = 0) -> None:
        """Writes them into a new database, the last ``log`` of them into its log."""
        ops = [(PUT, key.encode(), value.encode()) for key, value in self.pairs]
        with LevelDbStorage().open(path, OPTIONS) as engine:
            engine.write(ops[: len(ops) - log])
            engine.compact()
            for op in ops[len(ops) - log :]:
                engine.write([op])


Call = tuple[Callable[[Any], Any], Any]
"""What is asked of a client, and the right answer."""


def _gets(rows: Rows) -> Sequence[Call]:
    places = (0, len(rows.keys) // 2, len(rows.keys) - 1)
    return [(methodcaller("Get", rows.keys[i]), rows.values[i]) for i in places]


def _exists(rows: Rows) -> Sequence[Call]:
    places = (0, len(rows.keys) // 2, len(rows.keys) - 1)
    return [(methodcaller("Exists", rows.keys[i]), True) for i in places]


def _near(rows: Rows) -> Sequence[Call]:
    middle, last = len(rows.keys) // 2, len(rows.keys)
    parts = (slice(0, 5), slice(middle, middle + 5), slice(last - 5, last))
    missing = (lambda E: E.MGet([*rows.keys[-2:], "99999"]), [*rows.values[-2:], None])
    return [*((lambda E, some=some: E.MGet(rows.keys[some]), rows.values[some]) for some in parts), missing]


def _far(rows: Rows) -> Sequence[Call]:
    apart = [*range(0, len(rows.keys), len(rows.keys) // 20), len(rows.keys) - 1]
    return [(lambda E: E.MGet([rows.keys[i] for i in apart]), [rows.values[i] for i in apart])]


def _range(rows: Rows) -> Sequence[Call]:
    return [
        (lambda E: E.Range(), rows.pairs),
        (lambda E: E.Range(rows.keys[0], rows.keys[9]), rows.pairs[:10]),
        (lambda E: E.Range(rows.keys[-10], rows.keys[-1]), rows.pairs[-10:]),
        (lambda E: E.Range(rows.keys[-1], None, reverse=True), rows.pairs[-1:]),
        (lambda E: E.Range(prefix=rows.keys[-1]), rows.pairs[-1:]),
        (lambda E: E.Range("99999", None), []),
    ]


def _slice(rows: Rows) -> Sequence[Call]:
    middle = len(rows.keys) // 2
    return [
        (lambda E: E.Slice(rows.keys[0], 10), rows.pairs[:10]),
        (lambda E: E.Slice(rows.keys[middle], 10), rows.pairs[middle : middle + 10]),
        (lambda E: E.Slice(rows.keys[-2], 10), rows.pairs[-2:]),
        (lambda E: E.Slice(rows.keys[-1], 2, reverse=True), rows.pairs[:-3:-1]),
    ]


def _keys_only(rows: Rows) -> Sequence[Call]:
    return [
        (lambda E: E.Range(include_value=False), rows.keys),
        (lambda E: list(E.RangeIter(include_value=False)), rows.keys),
        (lambda E: list(E.RangeIter(include_value=False, reverse=True)), rows.keys[::-1]),
        (lambda E: E.Slice(rows.keys[-2], 10, include_value=False), rows.keys[-2:]),
    ]


def _pipeline(rows: Rows) -> Sequence[Call]:
    def call(E: Any) -> Any:
        with E.pipeline() as pipeline:
            pipeline.Get(rows.keys[0])
            pipeline.MGet(rows.keys[-2:])
            pipeline.Range()
            pipeline.Slice(rows.keys[-2], 10)
        return pipeline.results

    return [(call, [rows.values[0], rows.values[-2:], rows.pairs, rows.pairs[-2:]])]


READS: dict[str, Callable[[Rows], Sequence[Call]]] = {
    "Get": _gets,
    "Exists": _exists,
    "MGet near": _near,
    "MGet far": _far,
    "Range": _range,
    "Slice": _slice,
    "RangeIter": lambda rows: [(lambda E: list(E.RangeIter()), rows.pairs)],
    "backwards": lambda rows: [(lambda E: list(E.RangeIter(reverse=True)), rows.pairs[::-1])],
    "keys only": _keys_only,
    "consistent": lambda rows: [(lambda E: list(E.RangeIter(consistent=True)), rows.pairs)],
    "pipeline": _pipeline,
}
"""Way to read -> calls that read the beginning, the middle and the end of a database so."""


def outcome(E: Any, calls: Sequence[Call]) -> str:
    """``rows`` if all of them gave what is right, ``error`` if the others raised; otherwise ``wrong``."""
    failed = False
    for call, right in calls:
        try:
            if call(E) != right:
                return "wrong"
        except ElevatorError:
            failed = True
    return "error" if failed else "rows"


def outcomes(
    folder: str, rows: Rows, before: Callable[[], None] = lambda: None, after: Callable[[], None] = lambda: None
) -> dict[str, str]:
    """What comes of each way to read the database of a data directory, and of a backup.

    Args:
        folder: the data directory.
        rows: what the database should have.
        before: called before the database is opened.
        after: called when it is open, or could not be opened.
    """
    application = Application.on_leveldb(folder, default_options=OPTIONS)
    with Elevator(transport=FakeTransport(application), auto_connect=False) as E:
        before()
        with suppress(ElevatorError):
            E.connect("default")
        after()
        found = {name: outcome(E, calls(rows)) for name, calls in READS.items()}
        return {**found, "backup": _backup(application, f"{folder}/backup", rows)}


def _backup(application: Application, target: str, rows: Rows) -> str:
    """The same of a backup, which must leave nothing where it is an error."""
    storage = LevelDbStorage()
    try:
        with application.catalog.get_database(application.catalog.uid_of("default")) as engine:
            engine.backup(target)
    except EngineError:
        return "wrong" if os.path.lexists(target) else "error"
    with storage.open(target, {}) as copy:
        pairs = [[key.decode(), value.decode()] for key, value in copy.scan(Bounds())]
    return "rows" if pairs == rows.pairs else "wrong"


def without_descriptors() -> None:
    """From now on this process gets no further file descriptor."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    with suppress(OSError):
        while True:
            os.open(os.devnull, os.O_RDONLY)


def without_maps() -> None:
    """From now on this process has little address space left, not enough to map a large file."""
    (size,) = (int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if "VmSize" in line)
    resource.setrlimit(resource.RLIMIT_AS, ((size << 10) + (16 << 20),) * 2)


def without_tables(folder: str) -> None:
    """Removes the tables of the database of a data directory."""
    for table in Path(folder, "default").glob("*.ldb"):
        table.unlink()


STARVED: dict[str, Callable[[str], dict[str, Callable[[], None]]]] = {
    "no": lambda _: {},
    "descriptors before": lambda _: {"before": without_descriptors},
    "descriptors after": lambda _: {"after": without_descriptors},
    "maps": lambda _: {"after": without_maps},
    "tables": lambda folder: {"after": lambda: without_tables(folder)},
}
"""What a process is short of -> the arguments that make it so, for a data directory."""


def repaired(folder: str, before: Callable[[], None] = lambda: None, after: Callable[[], None] = lambda: None) -> str:
    """Repairs the database of a data directory: the error's text, or nothing."""
    application = Application.on_leveldb(folder, default_options=OPTIONS)
    with Elevator(transport=FakeTransport(application), auto_connect=False) as E:
        with suppress(ElevatorError):
            E.connect("default")
            E.unmount("default")
        before()
        after()
        try:
            E.repairdb()
        except ElevatorError as error:
            return str(error)
    return ""


def left(folder: str, rows: Rows) -> str:
    """What is there of the rows."""
    application = Application.on_leveldb(folder, default_options=OPTIONS)
    with closing(application), Elevator(transport=FakeTransport(application)) as E:
        pairs = E.Range()
    missing = len(rows.pairs) - len(pairs)
    right = set(map(tuple, pairs)) <= set(map(tuple, rows.pairs))
    return ("all" if not missing else f"all but {missing}") if right else "wrong"


def _starve(work: Callable[[], object]) -> None:
    """Print what comes of it as a line of JSON, from a process that is starved and need not tidy up."""
    if pid := os.fork():
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        assert status == 0, f"the process ended with {status}"
        return
    status = 1
    try:
        print(json.dumps(work()), flush=True)
        status = 0
    except BaseException:  # noqa: BLE001 - the parent fails
        traceback.print_exc()
    finally:
        os._exit(status)


if __name__ == "__main__":
    to_read, to_repair, how, count, tens = sys.argv[1:]
    _starve(lambda: outcomes(to_read, Rows(int(count), int(tens)), **STARVED[how](to_read)))
    _starve(lambda: repaired(to_repair, **STARVED[how](to_repair)))
