"""Writing databases to a dump, all as of one moment."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from secrets import token_hex
from time import monotonic
from typing import Final, TypeAlias

from attrs import define, field

from pyelevator.client import Elevator
from pyelevator.client.handles import SnapshotHandle
from pyelevator.codec import UnsupportedByDialect
from pyelevator.commands import Data, Snapshot
from pyelevator.dumps.records import (
    DatabaseEnd,
    DatabaseStart,
    DumpEnd,
    DumpError,
    DumpStart,
    DumpTotals,
    DumpWriter,
    Pair,
    Pairs,
)
from pyelevator.errors import ServerError

OnProgress: TypeAlias = Callable[[str, int, int], object]
"""Called with the name of a database, and how many pairs and bytes of it have been read or written so far."""

_RECORD_BYTES: Final = 1 << 20
"""About how many bytes of keys and values a record has: what a load writes in one batch."""

_RECORD_PAIRS: Final = 10_000

_TOUCH_INTERVAL: Final = 15.0
"""Seconds between two reads of the databases whose turn has not come: a server closes what is not used."""


def dump(
    client: Elevator[bytes],
    writer: DumpWriter,
    databases: Sequence[str],
    *,
    prefix: Data | None = None,
    snapshot: bool = True,
    together: bool = True,
    timeout: float | None = None,
    on_progress: OnProgress = lambda *_: None,
) -> DumpTotals:
    """Write databases to a dump; memory is needed for a few pages.

    Args:
        client: with ``encoding=None``; it is connected to one database after the other.
        writer: of the dump.
        databases: their names; one that is named twice is written once.
        prefix: only keys that start with it.
        snapshot: write what the databases were at one moment, which takes a server with cursors; False writes each page
            as of its own.
        together: write all databases as of the same moment, which takes a server with snapshots (on others it changes
            nothing); False writes each as of its own.
        timeout: seconds for each page; the client's if None.
        on_progress: called from time to time.

    Returns:
        What was written.

    Raises:
        DumpError: the server keeps no snapshots, or none of several databases, and one was asked for.
        DatabaseError: there is no such database.
    """
    names = list(dict.fromkeys(databases))
    with _sources(client, names, snapshot and together, timeout) as sources:
        dumping = _Dumping(writer, dict(sources), prefix, snapshot, timeout, on_progress)
        writer.write(DumpStart(token_hex(16)))
        for name in names:
            dumping.write(name)
        writer.write(DumpEnd(len(names)))
    return dumping.totals


Sources: TypeAlias = Mapping[str, Callable[[], Elevator[bytes]]]
"""Name of a database -> what returns a client of it, whose keys are read."""


@contextmanager
def _sources(client: Elevator[bytes], names: Sequence[str], together: bool, timeout: float | None) -> Iterator[Sources]:
    """Yield clients of the databases, all at one moment if the server can do that and they are to be."""

    def connect(name: str) -> Elevator[bytes]:
        client.connect(name, timeout=timeout)
        return client

    for name in names if together else ():
        connect(name)  # before anything is written: a missing one is an error
    if not together or len(names) < 2 or Snapshot.feature not in client._handle.features:
        yield {name: partial(connect, name) for name in names}
        return
    try:
        taken = client.snapshot(*names, timeout=timeout)
    except ServerError as error:
        raise DumpError(f"{error}; --each dumps every database as of a moment of its own") from error
    with taken:
        yield {name: partial(taken.database, name) for name in names}


@define
class _Dumping:
    """One run of :func:`dump`, which has the arguments; sources are those whose turn has not come."""

    writer: DumpWriter
    sources: dict[str, Callable[[], Elevator[bytes]]]
    prefix: Data | None
    snapshot: bool
    timeout: float | None
    on_progress: OnProgress
    touched_at: float = field(factory=monotonic)
    totals: DumpTotals = field(factory=DumpTotals)

    def write(self, name: str) -> None:
        client = self.sources.pop(name)()
        self.writer.write(DatabaseStart(name))
        is_moment = isinstance(client._handle, SnapshotHandle)
        consistent = self.snapshot and not is_moment
        rows = client.RangeIter(prefix=self.prefix, consistent=consistent, timeout=self.timeout)
        try:
            with rows:
                count, size = _write_rows(rows, self.writer, partial(self._report, name, is_moment))
        except UnsupportedByDialect as error:
            if not self.snapshot:
                raise
            raise DumpError(
                f"{error}; --no-snapshot dumps the pages as they are when they are read, which is the same while "
                "nothing is written"
            ) from error
        self.writer.write(DatabaseEnd(count))
        self.totals = self.totals.with_database(count, size)

    def _report(self, name: str, is_moment: bool, pairs: int, nbytes: int) -> None:
        self.on_progress(name, pairs, nbytes)
        if is_moment and monotonic() - self.touched_at >= _TOUCH_INTERVAL:
            self.touched_at = monotonic()
            for source in self.sources.values():
                source().Exists(b"", timeout=self.timeout)


def _write_rows(rows: Iterable[Pair], writer: DumpWriter, on_progress: Callable[[int, int], object]) -> tuple[int, int]:
    """Write rows in records; return how many there were, and their bytes."""
    pairs: list[Pair] = []
    count = nbytes = size = 0
    for pair in rows:
        pairs.append(pair)
        size += len(pair[0]) + len(pair[1])
        if size >= _RECORD_BYTES or len(pairs) >= _RECORD_PAIRS:
            count, nbytes = count + len(pairs), nbytes + size
            writer.write(Pairs.of(pairs))
            on_progress(count, nbytes)
            pairs, size = [], 0
    if pairs:
        writer.write(Pairs.of(pairs))
    return count + len(pairs), nbytes + size
