"""One open database."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TypeAlias, TypeVar

from pyelevator.commands import BatchOp
from pyelevator.engines.base.errors import EngineError
from pyelevator.engines.base.views import Bounds, OnValues, ReadView, chunks_of, collect_values
from pyelevator.monitoring import EngineStats
from pyelevator.reports import BackupReport

R = TypeVar("R")

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

    def compact_range(self, start: bytes | None, stop: bytes | None) -> None:
        """Reclaim the space of deleted and overwritten pairs of a range.

        Engines may override this, which compacts everything, or nothing if the range holds no keys. LevelDB also writes
        its buffer to a table, whatever the range.

        Args:
            start, stop: the first and the last key; None for an open end.

        Raises:
            EngineError: as ``compact``.
        """
        with self.chunks(Bounds(start, stop, include_value=False, fill_cache=False)) as keys:
            found, _ = keys.read(1, 1)
        if found:
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
