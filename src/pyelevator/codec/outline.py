"""Outlines: what a request asks for and about which database, read without its arguments.

A large request of a client that may not ask for it is refused by its outline; nothing is made of the rest.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgpack

from pyelevator.codec.base import text
from pyelevator.commands import COMMANDS, Command, Get, Pipeline, Unknown
from pyelevator.messages import Request

_LONGEST: Final = 1024
"""Bytes of a part that is read; what is longer is left to who reads the whole message."""

_READ: Final = (b"cmd", b"meta", b"uid")


class _Unclear(ValueError):
    """The message has to be read in full."""


def classic_outline(frame: bytes) -> Request[Any] | None:
    """The outline of a classic request; None if it has to be read in full.

    >>> from pyelevator.codec import ClassicCodec
    >>> from pyelevator.commands import MGet
    >>> found = classic_outline(ClassicCodec().encode_request(Request(MGet(["k"] * 1000), "u", 7))[0])
    >>> found.command.verb, found.uid, found.id
    ('MGET', 'u', 7)
    """
    try:
        reader = _reader(frame)
        parts: dict[bytes, Any] = {}
        for _ in range(reader.read_map_header()):
            name = _part(reader, frame)
            if name in _READ:
                parts[name] = _part(reader, frame)
            elif name == b"args" and _kind(parts.get(b"cmd")).by_name:
                parts[name] = _only(reader, frame)
            else:
                reader.skip()
        meta = parts.get(b"meta")
        number = meta.get(b"id") if isinstance(meta, Mapping) else None
        if number is not None and type(number) is not int:
            raise _Unclear
        return _outline(parts.get(b"cmd"), parts.get(b"args"), parts.get(b"uid"), number)
    except (ValueError, TypeError, OverflowError, msgpack.OutOfData):
        return None


def flat_outline(frame: bytes) -> Request[Any] | None:
    """The same of a flat request."""
    try:
        reader = _reader(frame)
        count = reader.read_array_header()
        uid, verb = _part(reader, frame), _part(reader, frame)
        name = _part(reader, frame) if count > 2 and _kind(verb).by_name else None
        return _outline(verb, name, uid or None, None)
    except (ValueError, TypeError, OverflowError, msgpack.OutOfData):
        return None


def _reader(frame: bytes) -> msgpack.Unpacker:
    reader = msgpack.Unpacker(raw=True, max_buffer_size=len(frame))
    reader.feed(frame)
    return reader


def _part(reader: msgpack.Unpacker, frame: bytes) -> Any:
    """The next value, if it is short."""
    start = reader.tell()
    reader.skip()
    if reader.tell() - start > _LONGEST:
        raise _Unclear
    return msgpack.unpackb(frame[start : reader.tell()], raw=True)


def _only(reader: msgpack.Unpacker, frame: bytes) -> Any:
    """The first of the next value's one or two elements."""
    count = reader.read_array_header()
    if count not in (1, 2):
        raise _Unclear
    first = _part(reader, frame)
    if count == 2:
        reader.skip()
    return first


def _kind(verb: Any) -> type[Command[Any]]:
    if type(verb) is not bytes:
        raise _Unclear
    return COMMANDS.get(text(verb), Unknown)


def _outline(verb: Any, name: Any, uid: Any, number: int | None) -> Request[Any]:
    """The request, its command without arguments but for the name of a database."""
    kind = _kind(verb)
    if uid is not None and type(uid) is not bytes:
        raise _Unclear
    if kind.by_name:
        if type(name) is not bytes:
            raise _Unclear
        make: Any = kind
        command = make(name)
    elif kind is Unknown:
        command = Unknown(verb)
    else:  # of a pipeline it is asked whether its client may do anything there at all
        command = object.__new__(Get if kind is Pipeline else kind)
    return Request(command, None if uid is None else text(uid), number)
