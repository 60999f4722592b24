"""Messages that are passed on as they are, but for the id: for a proxy that need not know what they mean.

Only the classic dialect has ids. What is read here has been read whole, so that its next reader can read it too; but
nothing is made of the arguments, and the content of a reply is not even looked at.
"""

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from pyelevator.codec.classic.fast_path import META_PREFIX, REQUEST_PREFIXES, SUCCESS_PREFIX
from pyelevator.codec.limits import Limits
from pyelevator.codec.outline import UNREADABLE, checked_parts
from pyelevator.codec.packing import RAW, check_size, pack, unpack
from pyelevator.codec.values import is_numeric_id
from pyelevator.codec.weight import LIGHT
from pyelevator.errors import ProtocolError

Message: TypeAlias = dict[Any, Any]

_NEVER_FORWARDED: Final = frozenset({b"DBCONNECT"})
"""Verbs whose answers a proxy has something to say about."""

_PIPELINE: Final = b"PIPELINE"
_CURSOR: Final = b"cursor"
"""A pipeline with this anywhere in it may open cursors, and its answer says which."""

_PARTS: Final = 4
"""The number of parts of a request: verb, meta, uid, arguments."""

_PARTS_OF_META: Final = 2
"""Compression and id."""

_MAX_PREFIX: Final = max(map(len, REQUEST_PREFIXES))


def peek_request(frames: Sequence[bytes], limits: Limits) -> Message | None:
    """Return a classic request with an id that can be passed on unread; None for everything else, malformed or not.

    >>> from pyelevator.codec import ClassicCodec
    >>> from pyelevator.commands import Get
    >>> from pyelevator.messages import Request
    >>> codec = ClassicCodec()
    >>> message = peek_request(codec.encode_request(Request(Get("k"), "u", 77)), Limits())
    >>> frame = with_id(message[b"meta"], 5, message)
    >>> message[b"meta"][b"id"], codec.decode_request([frame]).id
    (5, 5)
    """
    if len(frames) != 1:
        return None
    try:
        message = _read_large(frames[0], limits) if len(frames[0]) > LIGHT else unpack(frames[0], limits)
    except ProtocolError:
        return None
    if type(message) is not dict:
        return None
    meta = message.get(b"meta")
    if type(meta) is not dict or not is_numeric_id(meta.get(b"id")) or meta.get(b"bin") is True:  # headers pass as raw
        return None
    verb = message.get(b"cmd")
    if type(verb) is not bytes or verb in _NEVER_FORWARDED or (verb == _PIPELINE and _CURSOR in frames[0]):
        return None
    return message


def _read_large(frame: bytes, limits: Limits) -> Message | None:
    """Return a large request; of many elements only as our clients write it, and nothing is made of those.

    Raises:
        MalformedMessage, LimitExceeded: it cannot be read.
    """
    check_size(len(frame), limits.frame_bytes)
    try:
        found = checked_parts(frame)
    except UNREADABLE:
        return None
    if found is None:
        return unpack(frame, limits)  # type: ignore[no-any-return]
    message = {**found.parts, b"args": None}
    if found.count != _PARTS or len(message) != _PARTS:
        return None
    return message if _after_prefix(frame, message[b"meta"]) is not None else None


def peek_reply(frames: Sequence[bytes], limits: Limits) -> Message | None:
    """Return the header of a classic reply with an id; None for everything else."""
    if len(frames) != 2:
        return None
    try:
        header = unpack(frames[0], limits)
    except ProtocolError:
        return None
    return header if type(header) is dict and is_numeric_id(header.get(b"id")) else None


def success_header(number: int) -> bytes:
    """Return the header of a plain success with this id.

    >>> from pyelevator.codec import ClassicCodec
    >>> from pyelevator.messages import Response
    >>> success_header(77) == ClassicCodec().encode_response(Response(id=77), None)[0]
    True
    """
    return SUCCESS_PREFIX + pack(number)


def request_with_id(number: int, frame: bytes, message: Message) -> bytes:
    """Return the frame of a request, which was read as ``message``, under another id.

    A request as our clients write it keeps all its bytes but the id's; any other one is packed again.

    Raises:
        TypeError, ValueError: as ``with_id``.

    >>> from pyelevator.codec import ClassicCodec
    >>> from pyelevator.commands import Get
    >>> from pyelevator.messages import Request
    >>> codec = ClassicCodec()
    >>> (frame,) = codec.encode_request(Request(Get("k"), "u", 77))
    >>> codec.decode_request([request_with_id(5, frame, peek_request([frame], Limits()))]).id
    5
    """
    meta = message[b"meta"]
    if len(message) == _PARTS:  # as many as the prefix says: none of them comes twice
        given = _after_prefix(frame, meta)
        if given is not None:
            prefix, rest = given
            return b"".join((prefix, pack(number), rest))
    return with_id(meta, number, message)


def _after_prefix(frame: bytes, meta: object) -> tuple[bytes, memoryview] | None:
    """Split a request at its id: what is before it, and behind; None if our clients write it otherwise."""
    if type(meta) is not dict or len(meta) != _PARTS_OF_META:
        return None
    at = frame.find(META_PREFIX, 0, _MAX_PREFIX) + len(META_PREFIX)
    given = pack(meta.get(b"id"))
    if frame[:at] in REQUEST_PREFIXES and frame.startswith(given, at):
        return frame[:at], memoryview(frame)[at + len(given) :]
    return None


def with_id(container: Message, number: int, message: Message) -> bytes:
    """Return the frame of ``message`` with another id in ``container``, which is a part of it.

    Raises:
        TypeError, ValueError: it holds something that peers of ours never send, such as an extension type.
    """
    container[b"id"] = number
    return RAW.pack_passed_on(message)
