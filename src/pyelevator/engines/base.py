"""The engine seam: an open database of ordered bytes keys, and the storage that opens, repairs and destroys it."""

import enum
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from typing import Any, ClassVar, Final, Self, TypeAlias, TypeVar

from attrs import evolve, frozen

from pyelevator.arguments import CheckedSequence, prefix_successor
from pyelevator.commands import BatchOp, RepairReport
from pyelevator.engines.catalog_store import CatalogStore
from pyelevator.engines.chunks import ChunkedScan
from pyelevator.errors import CursorExpired, DatabaseUnavailable, ErrorCode, OutcomeUnknown, WriteConflict
from pyelevator.messages import PackedRows, RowLayout
from pyelevator.monitoring import EngineStats
from pyelevator.reports import BackupReport

R = TypeVar("R")


class Capability(enum.Enum):
    """What an engine can do beyond the minimum of the seam; conformance suites ask for these, never for names."""

    DURABLE = "durable"
    """Written data is there after close and open, and in another process."""
    REPAIRABLE = "repairable"
    """``Storage.repair`` recovers what can be recovered of damaged files."""
    SNAPSHOT = "snapshot"
    """A snapshot covers the whole key space at one moment."""
    BACKUP = "backup"
    """``backup`` writes a copy that opens as a database of its own."""
    OPTIONS = "options"
    """The options of the old protocol are known; without it they are refused, like all that do not exist."""
    REMOTE = "remote"
    """Every call may wait for a network, so that a server's own loop makes none."""


class EngineError(Exception):
    """The engine failed; the only exception that engines raise on their own (its cause is the library's).

    Args:
        message: for the log; it may name files.
        path: of the database, if the message holds it.

    Attributes:
        code: the wire's failure code.
        prefix: of the message for clients, by which they tell this error from others with its code.
    """

    code = ErrorCode.DATABASE
    prefix = ""

    def __init__(self, message: str = "", path: str = "") -> None:
        super().__init__(message)
        self.path = path

    @property
    def client_message(self) -> str:
        """The message for clients, which know the database by its name: without the path."""
        text = f"{self.prefix}{self}"
        return text.replace(f"{self.path}/", "").replace(self.path, "the database") if self.path else text


class EngineFileError(EngineError):
    """The file system refused: no directory, no permission, no space."""

    code = ErrorCode.OS


class EngineDamaged(EngineError):
    """The files are damaged; ``Storage.repair`` recovers what can be recovered."""


class EngineForeign(EngineError):
    """The files are another program's, sound or not; this engine would lose or delete their contents."""


class EngineBusy(EngineError):
    """A write that must not wait would have had to wait; nothing was written."""


class EngineUnavailable(EngineError):
    """What keeps the data could not be reached in time; nothing was done."""

    prefix = DatabaseUnavailable.MESSAGE_PREFIX


class EngineConflict(EngineError):
    """Others held what was to be written for too long; nothing was done."""

    prefix = WriteConflict.MESSAGE_PREFIX


class EngineOutcomeUnknown(EngineError):
    """A write was sent, and it could not be found out in time whether it was executed."""

    prefix = OutcomeUnknown.MESSAGE_PREFIX


class EngineTooLarge(EngineError):
    """A key, a value or a batch is larger than the engine can store; nothing was done."""

    code = ErrorCode.VALUE


class EngineGone(EngineError):
    """Another server has dropped the database; nothing was done."""

    code = ErrorCode.RUNTIME


class SnapshotLost(EngineError):
    """The engine has lost a snapshot, and with it the moment that it showed."""

    code = ErrorCode.RUNTIME
    prefix = CursorExpired.MESSAGE_PREFIX


class OptionTypeError(EngineError):
    """A database option has the wrong type."""

    code = ErrorCode.TYPE


class OptionValueError(EngineError):
    """A database option is out of range."""

    code = ErrorCode.VALUE


@frozen
class Bounds:
    """The pairs that a scan returns.

    Attributes:
        start: first key, inclusive; None for the beginning.
        stop: last key, inclusive unless ``include_stop`` says otherwise; None for the end.
        prefix: only keys that start with it, within start and stop.
        include_key, include_value: the parts of each item. Both give ``(key, value)``, one gives that part alone, none
            gives None.
        reverse: from stop down to start.
        fill_cache: keep the blocks that are read in the engine's cache.
    """

    start: bytes | None = None
    stop: bytes | None = None
    prefix: bytes | None = None
    include_key: bool = True
    include_value: bool = True
    reverse: bool = False
    fill_cache: bool = True
    include_stop: bool = True

    @property
    def parts(self) -> tuple[bool, bool]:
        """``include_key`` and ``include_value``, to look up in a table."""
        return self.include_key, self.include_value

    def interval(self) -> tuple[bytes | None, bytes | None, bool]:
        """Return ``start`` and ``stop`` narrowed to the prefix, and whether ``stop`` itself belongs to the interval.

        >>> Bounds(b"a", b"z", b"k").interval()
        (b'k', b'l', False)
        >>> Bounds(b"a", b"ka", b"k").interval()
        (b'k', b'ka', True)
        """
        if not self.prefix:
            return self.start, self.stop, self.include_stop
        start, end = max(self.start or b"", self.prefix), prefix_successor(self.prefix)
        if end is None or (self.stop is not None and self.stop < end):
            return start, self.stop, self.include_stop
        return start, end, False


READ_BATCH: Final = 64
"""Keys that are read before their values are counted; few, since values may be large."""


OnValues: TypeAlias = Callable[[Sequence[bytes | None]], None]
"""Called with values that were just read; it may raise to end the reading."""


def batched(keys: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Split the keys into batches of ``READ_BATCH``."""
    return (keys[first : first + READ_BATCH] for first in range(0, len(keys), READ_BATCH))


_CHUNK: Final = 1 << 14
"""Keys of a request that are unpacked, sorted and read before the next."""


_ANY_SIZE: Final = 1 << 62
"""More bytes than any chunk has."""


def chunks_of(keys: Sequence[bytes]) -> Iterable[Sequence[bytes]]:
    """Return the keys in chunks that are read one after the other; in one, if they are in memory already."""
    return keys.chunks(_CHUNK) if isinstance(keys, CheckedSequence) else (keys,)


@frozen
class PackedValues:
    """The values of many keys, packed.

    Attributes:
        rows: the values, nil for those that are missing; None if they are more bytes than was allowed.
        missing: how many are missing.
    """

    rows: PackedRows | None
    missing: int


class ReadView(ABC):
    """Reads of an engine as it is now, or of a snapshot.

    Attributes:
        packs_values: whether ``pack_values`` may return something.
    """

    packs_values: ClassVar[bool] = False

    @abstractmethod
    def get(self, key: bytes) -> bytes | None:
        """Return the value of ``key``, None if it is missing.

        Raises:
            EngineError: it could not be read.
        """

    @abstractmethod
    def multi_get(self, keys: Sequence[bytes], *, fill_cache: bool = False) -> list[bytes | None]:
        """Return the values in the order of the keys, all as of one moment.

        Args:
            keys: in any order; duplicates are fine.
            fill_cache: keep what is read in the engine's caches.

        Raises:
            EngineError: one of them could not be read.
        """

    def iter_values(
        self, keys: Sequence[bytes], *, fill_cache: bool = False
    ) -> Generator[list[bytes | None], None, None]:
        """Yield the values in short lists, each read when it is asked for.

        Args:
            keys: in order, without duplicates.
            fill_cache: as of ``multi_get``.
        """
        for batch in batched(keys):
            yield self.multi_get(batch, fill_cache=fill_cache)

    def pack_values(
        self,
        keys: Sequence[bytes],  # noqa: ARG002
        layout: RowLayout,  # noqa: ARG002
        max_bytes: int,  # noqa: ARG002
        *,
        fill_cache: bool = False,  # noqa: ARG002
    ) -> PackedValues | None:
        """Return the values packed, in the order of the keys and all as of one moment; None if it cannot, as here.

        Args:
            keys: in any order; duplicates are fine.
            layout: how strings are packed.
            max_bytes: of all values.
            fill_cache: as of ``multi_get``.

        Raises:
            EngineError: one of them could not be read.
        """
        return None

    @abstractmethod
    def scan(self, bounds: Bounds) -> Iterator[Any]:
        """Return the items in key order, as of the moment of the call.

        Args:
            bounds: which pairs, and which parts of them an item has.

        Raises:
            EngineError: now or while iterating: what cannot be read is never left out.
        """

    def is_large(self, bounds: Bounds) -> bool:  # noqa: ARG002
        """Return True if what is between the bounds would take the place of everything else in the engine's caches."""
        return False

    def chunks(self, bounds: Bounds) -> ChunkedScan:
        """Return the items of ``scan``, to be read in chunks; the caller closes it.

        Engines may override this with a faster scan.
        """
        return ChunkedScan(self.scan(bounds), bounds.parts)

    def count(self, bounds: Bounds, checkpoint: Callable[[], None] = lambda: None) -> int:
        """Return how many pairs ``scan`` would return; engines that need not read them for that override it.

        Args:
            bounds: which pairs.
            checkpoint: called every so many pairs.

        Raises:
            EngineError: as of ``scan``.
        """
        total = 0
        with self.chunks(evolve(bounds, include_key=False, include_value=False)) as chunks:
            while found := len(chunks.read(_CHUNK, _ANY_SIZE)[0]):
                total += found
                checkpoint()
        return total

    @abstractmethod
    def close(self) -> None:
        """Release what it holds; closing twice is fine. Reading afterwards raises EngineError."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


Decision: TypeAlias = tuple[Sequence[BatchOp], R]
"""What is decided in an update: the operations to write, and the result of the update."""


class Engine(ReadView):
    """One open database.

    Every method may be called from any thread, except ``close``, which must wait until the other calls have returned
    and the scans have ended (the application's leases ensure that).
    """

    write_failed: bool = False
    """True once a write has failed. Reads go on; writes are refused until the database was closed and opened again."""

    def collect(
        self, keys: Sequence[bytes], on_values: OnValues = lambda _: None, *, fill_cache: bool = False
    ) -> Sequence[bytes | None]:
        """Return the values as ``multi_get`` does, and show them to the caller while they are read.

        Args:
            keys: in any order; duplicates are fine.
            on_values: called with each batch of values; what it raises ends the reading.
            fill_cache: keep what is read in the engine's caches.

        Raises:
            EngineError: one of them could not be read.
        """
        values: list[bytes | None] = []
        with self.snapshot() as snapshot:
            for chunk in chunks_of(keys):
                found = collect_values(snapshot, sorted(set(chunk)), on_values, fill_cache=fill_cache)
                values += map(found.__getitem__, chunk)
        return values

    @abstractmethod
    def write(self, ops: Sequence[BatchOp], *, sync: bool = False, wait: bool = True) -> None:
        """Execute the operations in order, all of them or none, and return when they are written.

        Args:
            ops: the operations.
            sync: return only when they survive a crash of the machine, not only of the process.
            wait: False raises instead of waiting for another write to end.

        Raises:
            EngineBusy: only without ``wait``.
            EngineError: all operations or none may have been written; see ``write_failed``.
        """

    def update(
        self,
        decide: Callable[[ReadView], Decision[R]],  # noqa: ARG002
        *,
        sync: bool = False,  # noqa: ARG002
        wait: bool = True,  # noqa: ARG002
    ) -> R:
        """Read, decide and write in one step: no other writer comes between the reads and the operations.

        A local engine holds the lock of its writes meanwhile; one that is reached over a network has a transaction.

        Args:
            decide: reads from the view that it is given, and returns the operations and the result. What it raises ends
                the update, and nothing is written. It may be called again where another writer came between.
            sync, wait: as of ``write``.

        Returns:
            The result.

        Raises:
            EngineBusy, EngineError: as of ``write``; EngineError also if the engine does not override this.
        """
        raise EngineError(f"{type(self).__name__} has no Engine.update, so it only writes unconditionally")

    def snapshots_with(self, others: Sequence["Engine"]) -> "Sequence[ReadView] | None":  # noqa: ARG002
        """Return snapshots of this engine and of others, all of one moment; None if that takes ``holding_writes``.

        Args:
            others: further engines of the same storage.

        Raises:
            EngineError: as of ``snapshot``.
        """
        return None

    def holding_writes(self) -> AbstractContextManager[None]:
        """Return a block within which no write begins, so that snapshots of several databases are of one moment.

        Its thread may call ``snapshot`` within the block.

        Raises:
            EngineError: the engine does not override this.
        """
        raise EngineError(
            f"{type(self).__name__} cannot hold writes up, so there is no one moment of several databases"
        )

    @abstractmethod
    def snapshot(self) -> ReadView:
        """Return the database as it is now, unaffected by later writes; the caller closes it.

        Raises:
            EngineError: the database is closed.
        """

    @abstractmethod
    def compact(self) -> None:
        """Reclaim the space of deleted and overwritten pairs.

        Raises:
            EngineError: it failed; the data is as it was.
        """

    def compact_range(self, start: bytes | None, stop: bytes | None) -> None:  # noqa: ARG002
        """Reclaim the space of deleted and overwritten pairs of a range.

        Engines may override this, which compacts everything.

        Args:
            start, stop: the first and the last key; None for an open end.

        Raises:
            EngineError: as ``compact``.
        """
        self.compact()

    @abstractmethod
    def approximate_size(self) -> int:
        """Return about how many bytes the database takes."""

    def stats(self) -> EngineStats:
        """Return figures for an operator, without holding up reads and writes for long.

        Raises:
            EngineError: they could not be read.
        """
        return EngineStats(size=self.approximate_size())

    def range_size(self, start: bytes | None, stop: bytes | None) -> int:
        """Return about how many bytes the pairs of a range take.

        Engines may override this, which reads them all.

        Args:
            start, stop: the first key, and the first one behind the range; None for an open end.
        """
        return sum([len(key) + len(value) for key, value in self.scan(Bounds(start, stop, include_stop=False))])

    @abstractmethod
    def backup(self, path: str) -> BackupReport | None:
        """Write a consistent copy into a new directory, and create its missing parents.

        It appears there when it is complete and on the disk. Writes go on meanwhile.

        Args:
            path: of the directory; it must not exist.

        Returns:
            What was written, if the engine tells.

        Raises:
            EngineError: it failed, or the engine lacks the capability.
        """


def is_complete(values: Sequence[bytes | None]) -> bool:
    """Return True if none of the values is None. ``in`` compares one by one, so it is used only if some are empty."""
    return all(values) or None not in values


def collect_values(
    view: ReadView, keys: Sequence[bytes], on_values: OnValues, *, fill_cache: bool
) -> dict[bytes, bytes | None]:
    """Return what ``iter_values`` yields for the keys."""
    values: list[bytes | None] = []
    with closing(view.iter_values(keys, fill_cache=fill_cache)) as batches:
        for batch in batches:
            on_values(batch)
            values += batch
    return dict(zip(keys, values, strict=True))


class Storage(ABC):
    """Opens, repairs and destroys databases by path; every path has gone through :meth:`resolve`.

    Attributes:
        capabilities: what this storage and its engines can do, see :class:`Capability`.
        option_names: every name that an option may have, including older ones; None if that is not known, and so none
            is refused.
        files_per_database: about how many file descriptors an open database holds; 0 for none.
        call_timeout: seconds that a call takes at most, if that is known; see :mod:`pyelevator.engines.call_deadline`.
    """

    capabilities: ClassVar[frozenset[Capability]] = frozenset()
    option_names: ClassVar[frozenset[str] | None] = None
    files_per_database: ClassVar[int] = 0
    call_timeout: float | None = None

    @abstractmethod
    def resolve(self, path: str) -> str:
        """Return the one spelling of ``path``, so that no database is open under two."""

    def confine(self, directories: Iterable[str]) -> None:  # noqa: B027 - a storage without files has no directories
        """Refuse to open, inspect, repair or destroy anything outside of these directories from now on."""

    @abstractmethod
    def check_options(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options under their present names, ready for JSON; unknown ones are left out.

        Raises:
            OptionTypeError, OptionValueError: a known option with a wrong value.
        """

    @abstractmethod
    def open(self, path: str, options: Mapping[str, Any]) -> Engine:
        """Open the database at ``path``, or create it if there is none.

        Args:
            path: resolved.
            options: as ``check_options`` returns them.

        Raises:
            EngineDamaged: it is damaged; the files are left as they are.
            EngineError: it is open already, here or in another process; the file system refused.
        """

    def detect_options(self, path: str) -> dict[str, Any]:  # noqa: ARG002
        """Return the options that the files of another program's database show, and that have to be kept for it.

        Raises:
            EngineError: the file system refused.
        """
        return {}

    def check_free_space(self, path: str) -> None:  # noqa: B027 - a storage without files always has space
        """Check that a database of which a write failed could be opened again if it were closed.

        Raises:
            EngineFileError: there is no space to open it.
        """

    @abstractmethod
    def exists(self, path: str) -> bool:
        """Return True if there is a database at ``path``, sound or damaged.

        Raises:
            EngineError: the file system refused.
        """

    def prepare(self, path: str) -> Callable[[], None]:
        """Check that a database may be created at ``path``, or that the one there may be opened; change nothing.

        Returns:
            A function that undoes, on a closed database, what opening it has created since, and keeps what was there.

        Raises:
            EngineError: there are files that are not a database of this kind, and that it would overwrite or delete.
        """
        return (lambda: None) if self.exists(path) else (lambda: self.destroy(path))

    @abstractmethod
    def repair(self, path: str, options: Mapping[str, Any], *, force: bool = False) -> RepairReport:
        """Recover what can be recovered; afterwards all reads agree on the newest version that survived.

        Args:
            path: of the closed database.
            options: as for ``open``.
            force: go on even if most of the data could not be read, and would be set aside.

        Raises:
            EngineForeign: the files are not of this kind.
            EngineError: there is no database, or it is open; or nothing was changed, because ``force`` is needed.
        """

    def catalog_store(self) -> CatalogStore | None:
        """Return what keeps the catalog, if that is where the databases are; None for a file of the server's."""
        return None

    def empty(self, path: str, *, set_aside: bool = False) -> None:
        """Remove all pairs of a closed database, which the next opening may create anew.

        Args:
            path, set_aside: as of ``destroy``.
        """
        self.destroy(path, set_aside=set_aside)

    def close(self) -> None:  # noqa: B027 - most have nothing
        """Release what the storage itself holds, when none of its databases is open any more."""

    @abstractmethod
    def destroy(self, path: str, *, set_aside: bool = False) -> None:
        """Remove the database's own files and nothing else; the directory only if that leaves it empty.

        Args:
            path: of the closed database. It is no error if there is none.
            set_aside: also remove what repairs have set aside.

        Raises:
            EngineForeign: the files are not of this kind.
            EngineError: the database is open.
        """
