"""The engine seam: one open database of ordered bytes keys, and the storage that opens, repairs and destroys them."""

import enum
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, ClassVar, Final, Self, TypeAlias

from attrs import frozen

from pyelevator.arguments import behind
from pyelevator.commands import Op, RepairReport
from pyelevator.engines.chunks import ChunkedScan
from pyelevator.errors import ErrorCode


class Capability(enum.Enum):
    """What an engine can do beyond the seam's minimum; conformance suites ask for these, never for names."""

    DURABLE = "durable"
    """What was written is there after close and open, and in another process."""
    REPAIRABLE = "repairable"
    """``Storage.repair`` brings back what can be brought back of damaged files."""
    SNAPSHOT = "snapshot"
    """A snapshot covers the whole key space at one moment."""
    BACKUP = "backup"
    """``backup`` writes a copy that opens as a database of its own."""


class EngineError(Exception):
    """The engine failed; the only exception that engines raise on their own (its cause is the library's).

    Args:
        message: for the log; it may name files.
        path: of the database, if the message holds it.

    Attributes:
        code: the wire's failure code.
    """

    code = ErrorCode.DATABASE

    def __init__(self, message: str = "", path: str = "") -> None:
        super().__init__(message)
        self.path = path

    @property
    def told(self) -> str:
        """The message for clients, who know the database by its name and need not know where it lies."""
        text = str(self)
        return text.replace(f"{self.path}/", "").replace(self.path, "the database") if self.path else text


class EngineFileError(EngineError):
    """The file system refused: no directory, no permission, no space."""

    code = ErrorCode.OS


class EngineDamaged(EngineError):
    """The files are damaged; what can be brought back of them, ``Storage.repair`` brings back."""


class EngineForeign(EngineError):
    """The files are another program's, sound or not; this engine would lose or delete what is in them."""


class EngineBusy(EngineError):
    """A write that was not to wait would have had to; nothing was written."""


class OptionTypeError(EngineError):
    """A database option has the wrong type."""

    code = ErrorCode.TYPE


class OptionValueError(EngineError):
    """A database option is out of range."""

    code = ErrorCode.VALUE


@frozen
class Bounds:
    """Which pairs a scan gives.

    Attributes:
        start: first key, inclusive; None for the beginning.
        stop: last key, inclusive unless ``include_stop`` says otherwise; None for the end.
        prefix: only keys that start with it, within start and stop.
        include_key, include_value: which parts; both give ``(key, value)``, one gives that part alone, none gives None.
        reverse: from stop down to start.
        fill_cache: whether the blocks read stay in the engine's cache.
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
        """``start``, ``stop`` with the prefix worked in, and whether ``stop`` itself belongs to the interval.

        >>> Bounds(b"a", b"z", b"k").interval()
        (b'k', b'l', False)
        >>> Bounds(b"a", b"ka", b"k").interval()
        (b'k', b'ka', True)
        """
        if not self.prefix:
            return self.start, self.stop, self.include_stop
        start, end = max(self.start or b"", self.prefix), behind(self.prefix)
        if end is None or (self.stop is not None and self.stop < end):
            return start, self.stop, self.include_stop
        return start, end, False


PICKED_AT_ONCE: Final = 64
"""Keys that are read before their values are counted; few, since values may be large."""


Seen: TypeAlias = Callable[[Sequence[bytes | None]], None]
"""Looks at values that were just read, and may raise."""


def some_at_once(keys: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """The keys in pieces of ``PICKED_AT_ONCE``."""
    return (keys[first : first + PICKED_AT_ONCE] for first in range(0, len(keys), PICKED_AT_ONCE))


class Reader(ABC):
    """Reads: of an engine as it is now, or of a snapshot."""

    @abstractmethod
    def get(self, key: bytes) -> bytes | None:
        """The value, or None."""

    @abstractmethod
    def multi_get(self, keys: Sequence[bytes], *, fill_cache: bool = False) -> list[bytes | None]:
        """The values in the order of the keys, all as of one moment; duplicates are fine."""

    def pick(self, keys: Sequence[bytes], *, fill_cache: bool = False) -> Generator[list[bytes | None], None, None]:
        """The values of ``keys``, which are in order and none twice, in lists of a few, read as they are taken."""
        for some in some_at_once(keys):
            yield self.multi_get(some, fill_cache=fill_cache)

    @abstractmethod
    def scan(self, bounds: Bounds) -> Iterator[Any]:
        """The pairs in key order, as of the moment of the call; see :class:`Bounds` for what each item is."""

    def pieces(self, bounds: Bounds) -> ChunkedScan:
        """What ``scan`` gives, to be taken some at a time; to be closed. For an engine that is quicker so."""
        return ChunkedScan(self.scan(bounds), bounds.parts)

    @abstractmethod
    def close(self) -> None:
        """Releases what it holds; twice is fine. Reading afterwards raises EngineError."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Engine(Reader):
    """One open database.

    Every method may be called from any thread, but for ``close``, which must wait until the others have returned
    and the scans are done (the application's leases see to that).
    """

    broken: bool = False
    """True once a write has failed. Reads go on; writes are refused until the database was closed and opened again."""

    def gather(
        self, keys: Sequence[bytes], seen: Seen = lambda _: None, *, fill_cache: bool = False
    ) -> Sequence[bytes | None]:
        """The values in the order of the keys, all as of one moment; duplicates are fine.

        Args:
            keys: in any order.
            seen: gets the values as they are read, some at a time; what it raises ends the reading.
            fill_cache: whether what is read stays in the engine's caches.
        """
        with self.snapshot() as snapshot:
            found = found_by(snapshot, sorted(set(keys)), seen, fill_cache=fill_cache)
        return list(map(found.__getitem__, keys))

    @abstractmethod
    def write(self, ops: Sequence[Op], *, sync: bool = False, wait: bool = True) -> None:
        """Executes the operations in order, all of them or none; returns when they are written.

        Args:
            ops: the operations.
            sync: return only when they survive a crash of the machine, not only of the process.
            wait: False raises where another write is going on, rather than to wait for its end.

        Raises:
            EngineBusy: only without ``wait``.
            EngineError: they may be written or not, whole or not at all; see ``broken``.
        """

    @abstractmethod
    def snapshot(self) -> Reader:
        """The database as it is now, unmoved by later writes; to be closed."""

    @abstractmethod
    def compact(self) -> None:
        """Gives back the space of what was deleted and overwritten."""

    @abstractmethod
    def approximate_size(self) -> int:
        """Bytes that the database takes, about."""

    @abstractmethod
    def backup(self, path: str) -> None:
        """Writes a consistent copy into the new directory ``path``, and makes those above it that are missing.

        Raises:
            EngineError: also where the engine lacks the capability.
        """


def complete(values: Sequence[bytes | None]) -> bool:
    """Whether none is None; ``in`` compares one after the other, so that is asked only where some are empty."""
    return all(values) or None not in values


def found_by(reader: Reader, keys: Sequence[bytes], seen: Seen, *, fill_cache: bool) -> dict[bytes, bytes | None]:
    """What ``pick`` gives for the keys."""
    read: list[bytes | None] = []
    with closing(reader.pick(keys, fill_cache=fill_cache)) as pieces:
        for some in pieces:
            seen(some)
            read += some
    return dict(zip(keys, read, strict=True))


class Storage(ABC):
    """Opens, repairs and destroys databases by path; every path has gone through :meth:`resolve`.

    Attributes:
        capabilities: what this storage and its engines can do, see :class:`Capability`.
        option_names: every name that an option may have, older ones included; None where that is not known, and so
            none is refused.
        files: file descriptors that an open database holds, about; 0 where it holds none.
    """

    capabilities: ClassVar[frozenset[Capability]] = frozenset()
    option_names: ClassVar[frozenset[str] | None] = None
    files: ClassVar[int] = 0

    @abstractmethod
    def resolve(self, path: str) -> str:
        """The one spelling of ``path``, so that no database is open under two."""

    def confine(self, directories: Iterable[str]) -> None:  # noqa: B027 - a storage without files lies nowhere
        """Has nothing outside of these directories opened, looked at, repaired or destroyed from now on."""

    @abstractmethod
    def check_options(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The options under their present names, ready for JSON; what this storage does not know is left out.

        Raises:
            OptionTypeError, OptionValueError: a known option with a wrong value.
        """

    @abstractmethod
    def open(self, path: str, options: Mapping[str, Any]) -> Engine:
        """Opens the database at ``path``, and creates it where there is none.

        Raises:
            EngineDamaged: it is damaged; the files are left as they are.
            EngineError: it is open already, here or in another process; the file system refused.
        """

    def observed_options(self, path: str) -> dict[str, Any]:  # noqa: ARG002
        """The options that the files of a database show, which another program has made; for it, they hold on.

        Raises:
            EngineError: the file system refused.
        """
        return {}

    def check_room(self, path: str) -> None:  # noqa: B027 - a storage without files always has room
        """Says whether a database that is ``broken`` may be closed, because it could be opened again.

        Raises:
            EngineFileError: there is no space to open it.
        """

    @abstractmethod
    def exists(self, path: str) -> bool:
        """Whether there is a database at ``path``, sound or damaged."""

    def prepare(self, path: str) -> Callable[[], None]:
        """Check that a database may be created at ``path``, or that the one there may be opened; nothing is touched.

        Returns:
            What takes back, on a closed database, what opening it has created since; and nothing that was there.

        Raises:
            EngineError: there are files that are not a database of this kind, and that it would overwrite or delete.
        """
        return (lambda: None) if self.exists(path) else (lambda: self.destroy(path))

    @abstractmethod
    def repair(self, path: str, options: Mapping[str, Any], *, force: bool = False) -> RepairReport:
        """Brings back what can be brought back; afterwards all reads agree on the newest version that survived.

        Args:
            path: of the closed database.
            options: as for ``open``.
            force: go on even where most of the data could not be read, and would be set aside.

        Raises:
            EngineForeign: these are no files of this kind.
            EngineError: there is no database, or it is open; or nothing was changed, as ``force`` is needed.
        """

    @abstractmethod
    def destroy(self, path: str, *, set_aside: bool = False) -> None:
        """Removes the database's own files and nothing else; the directory only if that leaves it empty.

        Args:
            path: of the closed database.
            set_aside: remove what repairs have set aside as well.

        Raises:
            EngineForeign: these are no files of this kind.
            EngineError: the database is open. That there is none is no error.
        """
