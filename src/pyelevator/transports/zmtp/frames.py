"""Frames: how ZMTP writes messages and commands."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeAlias

from pyelevator.errors import LimitExceeded, MalformedMessage

MORE: Final = 1
LONG: Final = 2
COMMAND: Final = 4
"""The flags of a frame."""

LARGE: Final = 1 << 16
"""Size of a frame in bytes from which on it is neither joined with others when sent, nor collected in one buffer."""

MAX_MESSAGE: Final = 256 << 20
"""Bytes of a message that a server takes by default."""

MAX_COMMAND: Final = 1 << 16
"""Bytes of a command."""

HeaderReader: TypeAlias = Callable[[bytes, int, int], tuple[int, int, int] | None]
"""Data, an offset and a limit -> the flags of the frame there, and where its content starts and stops; None if more has
to be received first."""


def frame_header(size: int, flags: int) -> bytes:
    """Return what precedes the content of a frame."""
    return bytes((flags | LONG, *size.to_bytes(8, "big"))) if size > 255 else bytes((flags, size))


_SHORT_HEADERS: Final = [frame_header(size, flags) for flags in (0, MORE) for size in range(256)]
"""The headers of short frames: the last ones of their messages, then the others."""


def frame_header_v1(size: int, flags: int) -> bytes:
    """Return what precedes the content of a frame in ZMTP 1, where the flags are counted with the content."""
    return bytes((255, *(size + 1).to_bytes(8, "big"), flags)) if size > 253 else bytes((size + 1, flags))


def encode_frame(content: bytes, flags: int = 0) -> bytes:
    """Return a frame with its header."""
    return frame_header(len(content), flags) + content


def encode_command(name: bytes, data: bytes) -> bytes:
    """Return a command as a frame."""
    return encode_frame(bytes([len(name)]) + name + data, COMMAND)


def encode_property(name: bytes, value: bytes) -> bytes:
    """Return one property of a READY."""
    return bytes([len(name)]) + name + len(value).to_bytes(4, "big") + value


def encode_message(frames: Sequence[bytes], header: Callable[[int, int], bytes] = frame_header) -> list[bytes]:
    """Return a message as buffers to be sent one after the other.

    A short message is a single buffer, and a large frame has one of its own.
    """
    buffers, small = [], b""
    last, headers = len(frames) - 1, _SHORT_HEADERS if header is frame_header else ()
    for index, content in enumerate(frames):
        size, flags = len(content), MORE if index < last else 0
        small += headers[size + 256 * flags] if size < 256 and headers else header(size, flags)
        if size < LARGE:
            small += content
        else:
            buffers += [small, content]
            small = b""
    return [*buffers, small] if small else buffers


def read_header(data: bytes, offset: int, limit: int) -> tuple[int, int, int] | None:
    """Read what precedes the content of a frame, of which there may be ``limit`` bytes; see ``HeaderReader``."""
    if len(data) - offset < 2:
        return None
    flags, size, start = data[offset], data[offset + 1], offset + 2
    if flags > 6 or flags == COMMAND | MORE:
        raise MalformedMessage(f"a frame has the flags {flags:#04x}")
    if flags & LONG:
        start = offset + 9
        if len(data) < start:
            return None
        size = int.from_bytes(data[offset + 1 : start], "big")
    if size > limit:
        raise LimitExceeded(f"a message of more than {limit} bytes")
    return flags, start, start + size


def read_header_v1(data: bytes, offset: int, limit: int) -> tuple[int, int, int] | None:
    """Do the same for a frame of ZMTP 1."""
    long = data[offset : offset + 1] == b"\xff"
    start = offset + (10 if long else 2)
    if len(data) < start:
        return None
    size = int.from_bytes(data[offset + 1 : offset + 9], "big") if long else data[offset]
    if not size:
        raise MalformedMessage("a frame has no flags")
    if data[start - 1] > MORE:
        raise MalformedMessage(f"a frame has the flags {data[start - 1]:#04x}")
    if size - 1 > limit:
        raise LimitExceeded(f"a message of more than {limit} bytes")
    return data[start - 1], start, start + size - 1


def read_frame(data: bytes, offset: int, limit: int) -> tuple[int, int, int] | None:
    """Do the same as ``read_header``, but return None until all of the frame was received."""
    found = read_header(data, offset, limit)
    return None if found is None or found[2] > len(data) else found


def read_command(body: bytes) -> tuple[bytes, bytes]:
    """Return the name of a command, and what follows it."""
    length = body[0] if body else 0
    if not length or len(body) <= length:
        raise MalformedMessage("a command without a name")
    return body[1 : 1 + length], body[1 + length :]


def read_properties(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Read the properties of a READY: the name of each, in lower case, and its value."""
    offset = 0
    while offset < len(data):
        name_end = offset + 1 + data[offset]
        value_end = name_end + 4 + int.from_bytes(data[name_end : name_end + 4], "big")
        if value_end > len(data):
            raise MalformedMessage("a property of the handshake is cut short")
        yield data[offset + 1 : name_end].lower(), data[name_end + 4 : value_end]
        offset = value_end
