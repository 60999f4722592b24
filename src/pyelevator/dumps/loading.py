"""Loading a dump into databases, in batches, from where an interrupted load has come to."""

from collections.abc import Sequence
from typing import Final

from attrs import define, evolve, field, frozen

from pyelevator.client import Elevator
from pyelevator.codec import UnsupportedByDialect
from pyelevator.dumps.dumping import OnProgress
from pyelevator.dumps.positions import Position, PositionFiles
from pyelevator.dumps.records import (
    DatabaseEnd,
    DatabaseStart,
    DumpError,
    DumpReader,
    DumpStart,
    DumpTotals,
    Pair,
    Pairs,
)
from pyelevator.errors import DatabaseError, MessageTooLarge, PermissionDenied

SEVERAL: Final = (
    "the dump has several databases, and --to-db takes one: say which, as in `elevator load FILE shop --to-db NAME`"
)

_POSITION_BYTES: Final = 32 << 20
"""Bytes after which the position is recorded: waiting for the server's disk takes time."""

_BUFFER_BYTES: Final = 8 << 20
"""Bytes after which the server is to write its buffer to a table: all of it would take much more memory."""


@frozen
class LoadOptions:
    """Options of a load: what is loaded, and where to.

    Attributes:
        databases: the names of those to load; all if there are none.
        to_db: the name of the database to load the only one into; its own if None.
        prefix: only keys that start with it.
        merge: load into databases that hold pairs already, and overwrite those of the same key.
        timeout: seconds for each batch.
    """

    databases: tuple[str, ...] = ()
    to_db: str | None = None
    prefix: bytes = b""
    merge: bool = False
    timeout: float | None = None


@define
class _Target:
    """The database that is being loaded.

    Attributes:
        position: up to the last record that was read.
        resume: where an interrupted load has come to.
        held: the pairs of that record, which are written when the next record shows whether the disk is to be waited
            for.
        loaded, nbytes: pairs that were written, and their bytes.
        unrecorded: bytes since the last position that was recorded.
    """

    position: Position
    resume: Position | None
    held: Sequence[Pair] = ()
    loaded: int = 0
    nbytes: int = 0
    unrecorded: int = 0


def load(
    client: Elevator[bytes],
    reader: DumpReader,
    options: LoadOptions | None = None,
    *,
    positions: PositionFiles | None = None,
    on_progress: OnProgress = lambda *_: None,
) -> DumpTotals:
    """Load a dump; missing databases are created, and memory is needed for a few records.

    Each record is one batch. What was loaded when an error is raised stays; with ``positions``, the next load goes on
    from there.

    Args:
        client: with ``encoding=None``; it is connected to one database after the other.
        reader: of the dump.
        options: what to load, and where to.
        positions: keep how far it has come.
        on_progress: called from time to time.

    Returns:
        What was written.

    Raises:
        DumpError: the dump is damaged or incomplete, has no such database, or a database holds pairs already.
    """
    loader = _Loader(client, reader, options or LoadOptions(), positions, on_progress)
    for record in reader:
        match record:
            case DumpStart():
                loader.dump = record.id
            case DatabaseStart():
                loader.start_database(record.name)
            case Pairs():
                loader.write(record)
            case DatabaseEnd():
                loader.end_database()
    loader.finish()
    return loader.totals


@define
class _Loader:
    client: Elevator[bytes]
    reader: DumpReader
    options: LoadOptions
    positions: PositionFiles | None
    on_progress: OnProgress
    dump: str = ""
    target: _Target | None = None
    loaded: list[str] = field(factory=list)
    buffered: int = 0
    bounds_buffers: bool = True
    totals: DumpTotals = field(factory=DumpTotals)

    def start_database(self, source: str) -> None:
        if self.options.databases and source not in self.options.databases:
            return
        if self.loaded and self.options.to_db is not None:
            raise DumpError(SEVERAL)
        self.loaded.append(source)
        name = self.options.to_db or source
        self._connect(name)
        position = Position(
            self.dump,
            source,
            self.client._handle.uid or "",
            self.options.prefix.hex(),
            0,
            self.reader.checksum,
        )
        resume = self.positions.read(position) if self.positions and self.dump else None
        if resume is None and not self.options.merge:
            self._check_empty(name)
        self.target = _Target(position, resume)
        if resume is None:
            self._record(self.target)

    def _connect(self, name: str) -> None:
        timeout = self.options.timeout
        try:
            self.client.connect(name, timeout=timeout)
        except DatabaseError:
            self.client.createdb(name, timeout=timeout)
            self.client.connect(name, timeout=timeout)

    def _check_empty(self, name: str) -> None:
        if self.client.Slice(None, 1, timeout=self.options.timeout):
            raise DumpError(
                f"the database {name} holds pairs already; --to-db NAME loads into another one, --merge among them, "
                "overwriting those of the same keys"
            )

    def write(self, record: Pairs) -> None:
        target = self.target
        if target is None:
            return
        self._flush(target, is_due=target.unrecorded >= _POSITION_BYTES)
        pairs = target.position.pairs + record.count
        target.position = evolve(target.position, pairs=pairs, checksum=self.reader.checksum)
        if target.resume is not None and pairs <= target.resume.pairs:
            self._check_same(target.position, target.resume)
        else:
            prefix = self.options.prefix
            target.held = [pair for pair in record.read() if pair[0].startswith(prefix)] if prefix else record.read()

    def _flush(self, target: _Target, *, is_due: bool) -> None:
        """Write the pairs that are held, and record the position if that is due."""
        pairs, target.held = target.held, ()
        if pairs:
            size = sum([len(key) + len(value) for key, value in pairs])
            self._write_batch(pairs, sync=is_due and "sync" in self.client._handle.features)
            target.loaded, target.nbytes = target.loaded + len(pairs), target.nbytes + size
            target.unrecorded += size
            self._bound_buffer(size)
            self.on_progress(target.position.database, target.loaded, target.nbytes)
        if is_due:
            self._record(target)

    def _bound_buffer(self, size: int) -> None:
        """Have the server write the buffer of the database to a table, if it has become large.

        A compaction begins with that, and there is nothing else to compact before the first key. The pairs of a dump
        are in order, so their tables do not overlap and need not be merged, however small they are.
        """
        self.buffered += size
        if self.buffered < _BUFFER_BYTES or not self.bounds_buffers:
            return
        self.buffered = 0
        try:
            self.client.compact(b"", b"", timeout=self.options.timeout)
        except (PermissionDenied, UnsupportedByDialect):  # it may only write, or the server is an old one
            self.bounds_buffers = False

    def _check_same(self, position: Position, resume: Position) -> None:
        if position.pairs == resume.pairs and position.checksum != resume.checksum:
            path = self.positions.path(resume.uid) if self.positions else ""
            raise DumpError(
                f"the dump has changed since it was loaded in part; remove {path} to load it from its beginning"
            )

    def _write_batch(self, pairs: Sequence[Pair], *, sync: bool) -> None:
        """Write pairs in one batch, or in as few as the server's limit lets them be."""
        batch = self.client.WriteBatch(timeout=self.options.timeout)
        try:
            for key, value in pairs:
                batch.Put(key, value)
            batch.Write(sync=sync)
        except MessageTooLarge:
            if len(pairs) < 2:
                raise
            batch.Clear()
            middle = len(pairs) // 2
            self._write_batch(pairs[:middle], sync=False)
            self._write_batch(pairs[middle:], sync=sync)
        finally:
            batch.Clear()

    def _record(self, target: _Target) -> None:
        target.unrecorded = 0
        if self.positions is not None and self.dump:
            self.positions.write(target.position)

    def end_database(self) -> None:
        target, self.target = self.target, None
        if target is not None:
            self._flush(target, is_due=True)
            self.totals = self.totals.with_database(target.loaded, target.nbytes)

    def finish(self) -> None:
        """Check that every database that was named was there, and forget the positions."""
        missing = [name for name in self.options.databases if name not in self.loaded]
        if missing:
            raise DumpError(f"the dump has no database {', '.join(missing)}")
        if self.positions is not None:
            self.positions.remove()
