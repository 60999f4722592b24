"""The engine seam: one open database of ordered bytes keys, and the storage that opens, repairs and destroys them."""

import enum
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self

from attrs import frozen

from pyelevator.commands import Op


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
    """The engine failed; the only exception that engines raise on their own (its cause is the library's)."""


@frozen
class Bounds:
    """Which pairs a scan gives.

    Attributes:
        start: first key, inclusive; None for the beginning.
        stop: last key, inclusive; None for the end.
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


class Reader(ABC):
    """Reads: of an engine as it is now, or of a snapshot."""

    @abstractmethod
    def get(self, key: bytes) -> bytes | None:
        """The value, or None."""

    @abstractmethod
    def multi_get(self, keys: Sequence[bytes], *, fill_cache: bool = False) -> list[bytes | None]:
        """The values in the order of the keys, all as of one moment; duplicates are fine."""

    @abstractmethod
    def scan(self, bounds: Bounds) -> Iterator[Any]:
        """The pairs in key order, as of the moment of the call; see :class:`Bounds` for what each item is."""

    @abstractmethod
    def close(self) -> None:
        """Releases what it holds; twice is fine. Reading afterwards raises EngineError."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Engine(Reader):
    """One open database. Every method may be called from any thread.

    Attributes:
        capabilities: see :class:`Capability`.
    """

    capabilities: ClassVar[frozenset[Capability]] = frozenset()

    @abstractmethod
    def write(self, ops: Sequence[Op], *, sync: bool = False) -> None:
        """Executes the operations in order, all of them or none; returns when they are written.

        ``sync`` waits until they survive a crash of the machine, not only of the process.
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
        """Writes a consistent copy into the new directory ``path``.

        Raises:
            EngineError: also where the engine lacks the capability.
        """


class Storage(ABC):
    """Opens, repairs and destroys databases by path. Paths are absolute and resolved."""

    capabilities: ClassVar[frozenset[Capability]] = frozenset()

    @abstractmethod
    def open(self, path: str, options: Mapping[str, Any]) -> Engine:
        """Opens the database at ``path``, and creates it where there is none."""

    @abstractmethod
    def exists(self, path: str) -> bool:
        """Whether there is a database at ``path``."""

    @abstractmethod
    def repair(self, path: str, options: Mapping[str, Any]) -> None:
        """Brings back what can be brought back; the database must not be open."""

    @abstractmethod
    def destroy(self, path: str) -> None:
        """Removes the database's own files and nothing else; the directory only if that leaves it empty."""
