"""Views to read from: an engine as it is now, or a snapshot."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from typing import Any, ClassVar, Final, TypeAlias

from attrs import evolve, frozen

from pyelevator._closing import Closing
from pyelevator.arguments.batches import CheckedSequence
from pyelevator.arguments.data import prefix_successor
from pyelevator.engines.base.chunks import ChunkedScan
from pyelevator.messages import PackedRows, RowLayout


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


_FIRST_BATCH: Final = 4
_READ_BATCH: Final = 64
"""Keys that are read before their values are counted; few, since values may be large."""


OnValues: TypeAlias = Callable[[Sequence[bytes | None]], None]
"""Called with values that were just read; it may raise to end the reading."""


def batched(keys: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Split the keys into batches of ``_READ_BATCH``; the first is smaller, and shows whether the values are large."""
    if keys:
        yield keys[:_FIRST_BATCH]
    for first in range(_FIRST_BATCH, len(keys), _READ_BATCH):
        yield keys[first : first + _READ_BATCH]


_CHUNK: Final = 1 << 14
"""Keys of a request that are unpacked, sorted and read before the next."""


ANY_SIZE: Final = 1 << 62
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


class ReadView(Closing, ABC):
    """Reads of an engine as it is now, or of a snapshot.

    Attributes:
        packs_values: whether ``pack_values`` may return something.
    """

    packs_values: ClassVar[bool] = False

    @abstractmethod
    def get(self, key: bytes) -> bytes | None:
        """Return the value of ``key``, None if it is missing.

        Args:
            key: any bytes.

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
        """Return True if what is between the bounds would take the place of everything else in the engine's caches.

        Args:
            bounds: as of ``scan``.
        """
        return False

    def chunks(self, bounds: Bounds) -> ChunkedScan:
        """Return the items of ``scan``, to be read in chunks; the caller closes it.

        Engines may override this with a faster scan.

        Args:
            bounds: as of ``scan``.
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
            while found := len(chunks.read(_CHUNK, ANY_SIZE)[0]):
                total += found
                checkpoint()
        return total

    @abstractmethod
    def close(self) -> None:
        """Release what it holds; closing twice is fine. Reading afterwards raises EngineError."""


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
