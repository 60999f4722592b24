"""Reads of one LevelDB, by the objects of the binding, such that what could not be read is never taken for missing.

The binding's iterators look at LevelDB's status only while they stand at a pair. Where everything from a failure to
the end of the keys cannot be read, an iterator is simply at its end. So ends are checked here:

- A failure stays with its iterator. One that has given rows is put at the first of them again, and then tells it.
- Backwards they look at the status after every step, also at the end.
- Where there was no row at all, a raw iterator, which always looks, goes to where the first one would be.

Point reads tell every failure but one: that a table is gone (see ``leveldb_tables``).

That costs about a microsecond for each scan that meets the end of the keys, or no key.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from itertools import chain, takewhile
from operator import itemgetter
from typing import Any, Final

from pyelevator.engines.base import Bounds, EngineFileError, Reader, some_at_once
from pyelevator.engines.chunks import ChunkedScan, Piece
from pyelevator.engines.leveldb.errors import Mapped, is_foreign

_FAR: Final = 4096
"""Bytes of files from key to key from which on point reads are cheaper (measured: benchmarks/spread.py)."""

_ATTEMPTS: Final = 8
"""How often a scan is begun that finds nothing where there is something, because it was just written or because the
iterator could not read."""

_NOTHING: Final = object()
"""Beside all rows: those of a scan without keys and values are None."""

_KEY: Final[Callable[[Any], bytes]] = itemgetter(0)
_VALUE: Final[Callable[[Any], bytes]] = itemgetter(1)

_BACKWARDS: Final[Mapping[tuple[bool, bool], tuple[Callable[[Any], bytes], Callable[[Any], Any]]]] = {
    (True, True): (_KEY, tuple),
    (True, False): (bytes, bytes),
    (False, True): (_KEY, _VALUE),
    (False, False): (bytes, lambda _: None),
}
"""``Bounds.parts`` -> the key, and the item, of what an iterator gives that always has the keys."""


class LevelDbReader(Reader):
    """What a database and a snapshot share.

    Args:
        source: the binding's object.
        mapped: maps what the binding raises.
        verify: whether to check the checksum of each block.
        spread: tells how many bytes of files lie between two keys, about.
        check: raises if a table is gone; called where point reads find nothing.
    """

    def __init__(
        self,
        source: Any,
        mapped: Mapped,
        verify: bool,
        spread: Callable[[bytes, bytes], int],
        check: Callable[[], None],
    ) -> None:
        self._source = source
        self._mapped = mapped
        self._spread = spread
        self._check = check
        self._verify = verify
        self._get: Final = source.get

    def get(self, key: bytes) -> bytes | None:
        try:  # the hot path: a try costs nothing, a context does
            value: bytes | None = self._get(key, verify_checksums=self._verify)
            if value is None:
                self._check()
        except Exception as error:
            if is_foreign(error):
                raise self._mapped.translated(error) from error
            raise
        return value

    def multi_get(self, keys: Sequence[bytes], *, fill_cache: bool = False) -> list[bytes | None]:
        with self._mapped:
            return self._got(keys, fill_cache)

    def _got(self, keys: Iterable[bytes], fill_cache: bool) -> list[bytes | None]:
        """The values by point reads."""
        get, verify = self._get, self._verify
        values = [get(key, verify_checksums=verify, fill_cache=fill_cache) for key in keys]
        if None in values:
            self._check()
        return values

    def pick(self, keys: Sequence[bytes], *, fill_cache: bool = False) -> Generator[list[bytes | None], None, None]:
        """By one iterator that goes from key to key, if they are near one another; else by point reads.

        Keys of one block cost an iterator one look at the block, and point reads one each; where each key has blocks
        of its own, the iterator reads one on every level, and a point read ends where it finds the key.
        """
        if not keys:
            return
        with self._mapped:
            if self._spread(keys[0], keys[-1]) > _FAR * len(keys):
                for some in some_at_once(keys):
                    yield self._got(some, fill_cache)
            else:
                with self._source.iterator(fill_cache=fill_cache, verify_checksums=self._verify) as pairs:
                    for some in some_at_once(keys):
                        yield self._sought(pairs, some)

    def _sought(self, pairs: Any, keys: Sequence[bytes]) -> list[bytes | None]:
        """The values of keys in order. Whatever pair an iterator stands at after a seek is a true one, so nobody needs
        to compare keys; and where it is at its end, all the other keys are missing, or cannot be read."""
        found = list(map(itemgetter(1), zip(map(pairs.seek, keys), pairs, strict=False)))
        if len(found) < len(keys):
            if found:
                _check_end(pairs, found[-1][0], self._mapped)
            elif not self._is_empty(Bounds(start=keys[0], fill_cache=False)):
                return self.multi_get(keys)
        return list(map(dict(found).get, keys))

    def scan(self, bounds: Bounds) -> Iterator[Any]:
        return self._pieces(bounds).each()

    def pieces(self, bounds: Bounds) -> ChunkedScan:
        return self._pieces(bounds)

    def _pieces(self, bounds: Bounds) -> "_LevelDbChunks":
        """Reads the first row at once, so that what there is to read, if anything, is what there is at the call."""
        with self._mapped:
            for _ in range(_ATTEMPTS):
                source, rows = self._iterate(bounds)
                first = next(rows, _NOTHING)
                if first is not _NOTHING or self._is_empty(bounds):
                    return _LevelDbChunks(source, first, rows, bounds, self._mapped)
                source.close()
        raise _unreadable(self._mapped)

    def _is_empty(self, bounds: Bounds) -> bool:
        """Whether no key is within the bounds, for certain."""
        start, stop, include_stop = bounds.interval()
        with self._source.raw_iterator(fill_cache=bounds.fill_cache, verify_checksums=self._verify) as raw:
            raw.seek(start or b"")
            if not raw.valid():
                return True
            key: bytes = raw.key()
        return stop is not None and (key > stop if include_stop else key >= stop)

    def _iterate(self, bounds: Bounds) -> tuple[Any, Iterator[Any]]:
        """The binding's iterator, which is to be closed, and the rows that come from it.

        Backwards it never gets a start, because plyvel 1.5.1 does not find a first key that is also the last; and an
        empty start is none.
        """
        start, stop, include_stop = bounds.interval()
        if bounds.reverse and start:
            source = self._iterator(bounds, None, stop, include_stop, include_key=True)
            key, item = _BACKWARDS[bounds.parts]
            return source, map(item, takewhile(lambda row: key(row) >= start, source))
        source = self._iterator(bounds, start or None, stop, include_stop, include_key=bounds.include_key)
        return source, source

    def _iterator(
        self, bounds: Bounds, start: bytes | None, stop: bytes | None, include_stop: bool, *, include_key: bool
    ) -> Any:
        return self._source.iterator(
            start=start,
            stop=stop,
            include_stop=include_stop,
            include_key=include_key,
            include_value=bounds.include_value,
            reverse=bounds.reverse,
            fill_cache=bounds.fill_cache,
            verify_checksums=self._verify,
        )

    def close(self) -> None:
        with self._mapped:
            self._source.close()


class _LevelDbChunks(ChunkedScan):
    """Rows that come from the iterator ``source``, which is closed with them; ``first`` has come already."""

    def __init__(self, source: Any, first: Any, rest: Iterator[Any], bounds: Bounds, mapped: Mapped) -> None:
        empty = first is _NOTHING
        super().__init__(iter(()) if empty else chain((first,), rest), bounds.parts)
        self._rest = iter(()) if empty else rest
        self._source = source
        self._mapped = mapped
        self._unchecked = not empty and not bounds.reverse

    def take(self, most: int, enough: int) -> Piece:
        with self._mapped:
            rows, size = super().take(most, enough)
            if rows:
                self._rows = self._rest  # without the chain, which costs a little for each row
            if len(rows) < most and size < enough:
                self._end()
        return rows, size

    def each(self) -> Iterator[Any]:
        """The rows one by one."""
        with self, self._mapped:
            yield from self._rows
            self._end()

    def _end(self) -> None:
        if self._unchecked:
            self._unchecked = False
            self._rows = self._rest = iter(())
            _check_end(self._source, b"", self._mapped)

    def close(self) -> None:
        super().close()
        self._unchecked = False
        self._rest = iter(())
        self._source.close()


def _check_end(iterator: Any, key: bytes, mapped: Mapped) -> None:
    """Raises what has failed in an iterator that is at its end; it has been at ``key``, or behind it, before."""
    iterator.seek(key)  # tells a failure, if there is still something that can be read
    if next(iterator, _NOTHING) is _NOTHING:
        raise _unreadable(mapped)


def _unreadable(mapped: Mapped) -> EngineFileError:
    return EngineFileError(
        f"{mapped.path} could not be read to its end; the process may be short of file descriptors or memory: try again"
    )
