"""Elements: the many small values of a large request, which stay packed and are unpacked some at a time.

An operation of a batch is four bytes on the wire and a hundred in memory, or more. So a large batch, and an MGET of
many keys, keep the bytes that came: they are checked once when they are read, in chunks, and unpacked again in chunks
whenever they are taken. That needs little memory, and is quicker than to make all of them at once.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from io import BytesIO
from itertools import chain, islice, repeat
from typing import Final, TypeVar, overload

import msgpack

from pyelevator.arguments.batches import CheckedList, CheckedSequence, are_checks, are_ops
from pyelevator.codec.gc_pause import gc_paused
from pyelevator.codec.packing import RAW
from pyelevator.codec.weight import FLOOR, LIGHT, check_weight
from pyelevator.native import load_native

T = TypeVar("T")

_CHUNK: Final = 512
"""Elements that are unpacked at once when they are taken, so that they stay within the processor's caches."""

_READ: Final = 16 << 10
"""Bytes that are looked through at once, about."""

_HEAVIEST: Final = 216
"""Bytes of memory that a sound element takes beside its own: an operation, with its key and value."""

_STEP: Final = 32
"""Elements that are passed over between two looks at how many bytes they have."""


def reader_at(frame: bytes, at: int = 0) -> msgpack.Unpacker:
    """Read values of a frame one after the other, from a place on, without a copy of the frame."""
    source = BytesIO(frame)
    source.seek(at)
    return msgpack.Unpacker(source, read_size=_READ, raw=True, max_buffer_size=len(frame) + _READ)


class PackedElements(CheckedSequence[T]):
    """Elements of an array in a frame, made each time they are taken."""

    def __init__(self, frame: bytes, start: int, stop: int, count: int) -> None:
        self._frame, self._start, self._stop, self._count = frame, start, stop, count

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[T]:
        return chain.from_iterable(self.chunks(_CHUNK))

    def chunks(self, max_items: int) -> Iterator[Sequence[T]]:
        reader, left = reader_at(self._frame, self._start), self._count
        while left > 0:
            yield list(islice(reader, min(max_items, left)))
            left -= max_items

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...
    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        places = range(self._count)[index]
        if isinstance(places, int):
            return next(islice(self, places, None))
        first, behind = min(places, default=0), max(places, default=-1) + 1
        found = list(islice(self, first, behind))
        return found[places.start - first :: places.step] if places.step > 0 else [found[at - first] for at in places]

    def __repr__(self) -> str:
        return f"<{self._count:,} elements>"

    def packed_items(self) -> memoryview:
        return memoryview(self._frame)[self._start : self._stop]

    def packed(self) -> bytes:
        """Return the array as it travels."""
        return b"".join((_HEADERS.pack_array_header(self._count), self.packed_items()))


_HEADERS: Final = msgpack.Packer()


def packed_args(args: Sequence[object]) -> bytes:
    """Pack arguments, of which some are packed already."""
    each = [arg.packed() if isinstance(arg, PackedElements) else RAW.pack_passed_on(arg) for arg in args]
    return b"".join((_HEADERS.pack_array_header(len(args)), *each))


def elements_at(
    frame: bytes, start: int, stop: int, count: int, are_sound: Callable[[Sequence[object]], bool]
) -> Sequence[object]:
    """Check elements that lie in a frame; no more of them are unpacked at once than fit into little memory.

    They are next to one another, and returned as they are packed if all of them are much.

    Raises:
        ValueError, OverflowError, LimitExceeded: some are not sound.
    """
    few = count * _HEAVIEST + len(frame) <= FLOOR
    are_all_sound = None if few else _native_checks().get(are_sound)
    if are_all_sound is not None and are_all_sound(memoryview(frame)[start:stop], count):
        return PackedElements(frame, start, stop, count)
    with gc_paused(stop - start):
        found = _found(_even_chunks(frame, start, stop), are_sound, few)
        if found is None:
            found = _found(_chunks_by_element(frame, start, stop, count), are_sound, few)
    if found is None or found[0] != count:
        raise ValueError("not as many as there have to be")
    return CheckedList(found[1]) if few else PackedElements(frame, start, stop, count)


_END: Final = b"\xc0"
"""What makes a value of its own behind the last one, if that is complete."""


def _found(
    chunks: Iterable[memoryview], are_sound: Callable[[Sequence[object]], bool], few: bool
) -> tuple[int, list[object]] | None:
    """Count the elements in the chunks, and return them, too, if they are few; None if one fills a whole chunk."""
    unpacker = msgpack.Unpacker(raw=True, max_buffer_size=0)
    count, found = 0, []
    for chunk in chunks:
        unpacker.feed(chunk)
        some = list(unpacker)
        if not some:
            return None
        if not are_sound(some):
            raise ValueError("not what it has to be")
        count += len(some)
        if few:
            found += some
    unpacker.feed(_END)
    return (count, found) if list(unpacker) == [None] else None


def _even_chunks(frame: bytes, start: int, stop: int) -> Iterator[memoryview]:
    """Cut the elements into chunks so short that, whatever is in them, it takes little memory."""
    content = memoryview(frame)
    return (content[at : min(at + _READ, stop)] for at in range(start, stop, _READ))


def _chunks_by_element(frame: bytes, start: int, stop: int, count: int) -> Iterator[memoryview]:
    """Cut between elements, some of which are large, and refuse those that take more memory than for their bytes."""
    reader, content = reader_at(frame, start), memoryview(frame)
    left, begin = count, start
    while left:
        size, end = 0, begin
        while size < left and end - begin < _READ:
            step = min(_STEP, left - size)
            for _ in repeat(None, step):
                reader.skip()
            before, end = end, start + reader.tell()
            if end - before > _READ:
                check_weight(content[before:end], end - before + _STEP * LIGHT, step)
            size += step
        yield content[begin:end]
        begin, left = end, left - size
    if begin != stop:
        raise ValueError("something follows behind them")


def are_keys(items: Sequence[object]) -> bool:
    """Tell whether all items are keys."""
    return set(map(type, items)) <= {bytes}


@cache
def _native_checks() -> Mapping[Callable[[Sequence[object]], bool], Callable[[object, int], bool]]:
    """Return what checks packed elements as they are, by what checks unpacked ones, where it is installed."""
    pages = load_native("pages")
    return {} if pages is None else {are_ops: pages.are_operations, are_keys: pages.are_strings}


ARGUMENT_CHECKS: Final[Mapping[bytes, Sequence[Callable[[Sequence[object]], bool]]]] = {
    b"BATCH": (are_ops,),
    b"CONDITIONALBATCH": (are_ops, are_checks),
    b"MGET": (are_keys,),
}
"""Verb -> for each of its arrays, what tells of some elements whether they are sound."""


def packed_elements(items: Iterable[object]) -> PackedElements[object]:
    """Pack items one after the other, as they are taken."""
    packer = msgpack.Packer(use_bin_type=False, autoreset=False)
    count = sum(1 for _ in map(packer.pack, items))
    frame = packer.bytes()
    return PackedElements(frame, 0, len(frame), count)
