"""Msgpack values to bytes and back, within limits."""

from collections.abc import Callable, Sequence
from functools import partial
from sys import maxsize
from typing import Any, Final

import msgpack
from attrs import evolve, frozen
from msgpack import unpackb

from pyelevator.arguments.batches import CheckedSequence
from pyelevator.arguments.data import kind_of
from pyelevator.codec.gc_pause import gc_paused
from pyelevator.codec.limits import SMALL, Limits
from pyelevator.codec.weight import FLOOR, LIGHT, PAGE, STRING, TOKENS, Tally, check_weight
from pyelevator.commands import Command, MGet, PayloadKind, Pipeline, Slice
from pyelevator.errors import LimitExceeded, MalformedMessage, ProtocolError


@frozen
class Extension:
    """A msgpack extension value of a peer. Neither dialect has any, so this is of no type that a command takes."""

    code: int
    data: bytes

    def __repr__(self) -> str:
        return f"<extension type {self.code}>"


@frozen(eq=False)
class MapKey:
    """A key of a peer's map that is no string. Each is another key than every other, as none of them means anything."""

    key: object

    def __repr__(self) -> str:
        return repr(self.key)


@kind_of.register(Extension)
@kind_of.register(msgpack.Timestamp)
def _kind_of_extension(_: object) -> str:
    return "a msgpack extension type"


@kind_of.register
def _kind_of_key(key: MapKey) -> str:
    return kind_of(key.key)


def _packable(value: object) -> object:
    """Return what stands in a message for a value that msgpack does not know."""
    if type(value) is MapKey:
        return value.key
    if isinstance(value, CheckedSequence):
        return list(value)
    raise TypeError(f"{kind_of(value)} cannot be written down")


LARGE_STRING: Final = 64 << 10
"""Bytes of a string that is not copied once more than needed."""


class Packing:
    """The string format: bytes as text in msgpack's old raw family, or as its bin.

    Args:
        use_bin_type: write bin, and text of 32 bytes and more as str8.

    Attributes:
        pack: writes a value. It is shared by all threads, and so must never call anything in Python.
        pack_map_pairs: writes a map of the pairs; as ``pack``.
    """

    def __init__(self, *, use_bin_type: bool) -> None:
        self._new: Callable[..., msgpack.Packer] = partial(
            msgpack.Packer, use_bin_type=use_bin_type, unicode_errors="surrogateescape"
        )
        packer = self._new()
        self.pack: Callable[[object], bytes] = packer.pack
        self.pack_map_pairs: Callable[[Sequence[object]], bytes] = packer.pack_map_pairs
        self._large_prefix = b"\xc6" if use_bin_type else b"\xdb"

    def large_head(self, size: int) -> bytes:
        """Return what a string of so many bytes begins with, of ``LARGE_STRING`` at least."""
        return self._large_prefix + size.to_bytes(4, "big")

    def pack_passed_on(self, value: object) -> bytes:
        """Write a value of a peer's that was not looked into, whose maps may have any keys."""
        return self._new(default=_packable).pack(value)  # type: ignore[no-any-return]

    def pack_array(self, items: Sequence[Any], name: str | None = None) -> bytes:
        """Pack the array of ``items``, alone or as the only value of a map, under ``name``; item by item.

        For what may be large: other threads get their turns between the items, nothing is copied at the end, and the
        memory is gone with the frame (a memoryview, which can be sent and unpacked as bytes can).
        """
        packer = self._new(autoreset=False, default=_packable)
        if name is not None:
            packer.pack_map_header(1)
            packer.pack(name)
        packer.pack_array_header(len(items))
        add = packer.pack
        for item in items:
            add(item)
        frame: Any = packer.getbuffer()
        return frame  # type: ignore[no-any-return]


RAW: Final = Packing(use_bin_type=False)
"""The old raw family alone (never str8 or bin), which the peers built on msgpack 0.1 to 0.3 can read."""

BIN: Final = Packing(use_bin_type=True)
"""For peers that ask for it (``meta.bin``), because they cannot read bytes that are said to be text."""

pack: Final = RAW.pack
pack_array: Final = RAW.pack_array

_HEADS: Final = msgpack.Packer()
array_head: Final[Callable[[int], bytes]] = _HEADS.pack_array_header
map_head: Final[Callable[[int], bytes]] = _HEADS.pack_map_header
"""What an array or a map of so many elements begins with."""


def unpack(
    frame: bytes,
    limits: Limits,
    max_bytes: int | None = None,
    *,
    texts: bool = False,
    reply_to: Command | None = None,
) -> Any:
    """Return the one msgpack value in ``frame``.

    Args:
        frame: what came.
        limits: of the codec.
        max_bytes: bytes of the frame; by default ``limits.frame_bytes``.
        texts: strings of the raw family are str; else every string is bytes.
        reply_to: the command that the value answers; its memory is counted while it is made. None for a request.

    Raises:
        MalformedMessage: not msgpack, or more or less than one value.
        LimitExceeded: too large, too deep, too many elements.
    """
    size = len(frame)
    if size > limits.harmless:
        check_size(size, limits.frame_bytes if max_bytes is None else max_bytes)
    try:
        if size <= limits.harmless and not texts:  # msgpack sees to it that there are no more elements than bytes
            return unpackb(frame, raw=True, ext_hook=Extension)
        if size > (LIGHT if reply_to is None else PAGE):
            check_weight(frame, _memory(limits, size, reply_to), tokens=TOKENS if reply_to is None else maxsize)
        elif size > SMALL:
            _check_complete(frame)
        if reply_to is None or not LIGHT < size <= PAGE:
            return _unpacked(frame, limits, texts)
        tally = Tally(_memory(limits, size, reply_to))
        limits = evolve(limits, elements=min(limits.elements, tally.elements))
        return _unpacked(frame, limits, texts, list_hook=tally.array, object_hook=tally.map)
    except ProtocolError:
        raise
    except (ValueError, TypeError, OverflowError, msgpack.OutOfData) as error:
        if _STRICT not in str(error):
            raise _unreadable(error, limits, size) from error
    if size > LIGHT:
        check_weight(frame, _memory(limits, size, reply_to), tokens=TOKENS if reply_to is None else maxsize)
    try:
        return _unpacked(frame, limits, texts, strict_map_key=False, object_pairs_hook=_any_map)
    except (ValueError, TypeError, OverflowError, msgpack.OutOfData) as error:
        raise _unreadable(error, limits, size) from error


_STRICT: Final = "strict_map_key"
"""What msgpack says where a map has another key than a string: such a message is read again, with more work."""


def _memory(limits: Limits, size: int, reply_to: Command | None) -> int:
    """Bytes that the value in a frame of that size may take."""
    return max(FLOOR if reply_to is None else reply_floor(reply_to), limits.expansion * size)


def _unpacked(frame: bytes, limits: Limits, texts: bool, **maps: object) -> object:
    size = len(frame)
    elements = min(size, limits.elements)
    with gc_paused(size):
        return unpackb(
            frame,
            raw=not texts,
            unicode_errors="surrogateescape",
            max_array_len=elements,
            max_map_len=elements,
            ext_hook=Extension,
            **maps,
        )


def _any_map(pairs: Sequence[tuple[object, object]]) -> dict[object, object]:
    """Return a map with any keys; only strings are compared, as a peer could choose many others of one hash."""
    return {key if type(key) is bytes or type(key) is str else MapKey(key): value for key, value in pairs}


def may_hold_strings(frame: bytes, count: int, limits: Limits, reply_to: Command) -> bool:
    """Return whether a reply may certainly hold an array of so many strings, whatever is counted of it."""
    size = len(frame)
    weight = (STRING + STRING // 2) * count + size
    return size <= limits.frame_bytes and count <= limits.elements and weight <= _memory(limits, size, reply_to)


def _unreadable(error: Exception, limits: Limits, size: int) -> ProtocolError:
    """Return the error for a frame that msgpack could not read; its own words are for programmers."""
    if isinstance(error, msgpack.StackError):
        return LimitExceeded("nested too deeply")
    if "exceeds max_" in str(error) and size > limits.elements:
        return LimitExceeded(f"more than {limits.elements:,} elements in one array or map")
    if isinstance(error, msgpack.ExtraData):
        return MalformedMessage("not a msgpack value: something follows behind it")
    if isinstance(error, msgpack.OutOfData) or "incomplete" in str(error) or "exceeds max_" in str(error):
        return MalformedMessage("not a msgpack value: it is cut off")
    return MalformedMessage("not a msgpack value")


def check_size(size: int, max_bytes: int) -> None:
    """Refuse a frame of more than ``max_bytes`` bytes."""
    if size > max_bytes:
        raise LimitExceeded(
            f"a frame of {size:,} bytes is over the limit of {max_bytes:,}; --max-message raises that of a server"
        )


def _check_complete(frame: bytes) -> None:
    """Refuse a frame that claims more elements than it holds, before any memory is taken for them.

    msgpack makes room for an array when it reads the claim: headers nested in one another, each claiming as many
    elements as the frame has bytes, would take a thousand times the frame's size, eightfold. Frames up to ``SMALL``
    bytes cannot do harm. Skipping makes no objects and costs about a tenth of unpacking.
    """
    unpacker = msgpack.Unpacker(max_buffer_size=len(frame))
    unpacker.feed(frame)
    unpacker.skip()


ASKED: Final = 24 << 20
"""Bytes that a reply with any number of elements may take, however short it is: its reader has asked for that."""

_ELEMENT: Final = 512
"""Bytes that an element of a reply may take beside its own: a pair, or what became of a command."""

_ANY_NUMBER: Final = ASKED // _ELEMENT

_MANY: Final = frozenset({PayloadKind.LIST, PayloadKind.PAIRS, PayloadKind.RESPONSES})


def reply_floor(command: Command) -> int:
    """Return the bytes of memory that the reply to a command may take, however short it is.

    >>> from pyelevator.commands import Get, Range
    >>> reply_floor(Get("k")) >> 20, reply_floor(MGet(["k"] * 20_000)) >> 20, reply_floor(Range()) >> 20
    (4, 9, 24)
    """
    return max(FLOOR, min(ASKED, _ELEMENT * _elements(command)))


def _elements(command: Command) -> int:
    """Return how many elements the reply to a command may have."""
    if command.payload_kind not in _MANY:
        return 1
    if isinstance(command, MGet):
        return len(command.keys)
    if isinstance(command, Slice):
        return command.count
    if not isinstance(command, Pipeline):
        return _ANY_NUMBER
    are_many = any(kind.payload_kind in _MANY for kind in command.kinds)
    return sum(map(_elements, command.commands)) if are_many else len(command.commands)
