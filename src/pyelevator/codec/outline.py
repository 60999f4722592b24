"""Outlines: what a large request asks for and about which database, read without its arguments.

A large request of a client that may not ask for it is refused by its outline, and a proxy passes it on by its outline;
nothing is made of the rest.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import msgpack
from attrs import frozen

from pyelevator.codec.elements import ARGUMENT_CHECKS, are_keys, elements_at, reader_at
from pyelevator.codec.values import text
from pyelevator.commands import COMMANDS, PIPELINED, Command, Get, Pipeline, Unknown
from pyelevator.errors import ProtocolError
from pyelevator.messages import Request

_MAX_PART_BYTES: Final = 1024
"""Bytes of a part that is read; what is longer is left to the full decoder."""

_PARTS: Final = 16
"""Parts that a request has at most, and runs of a pipeline that are looked at."""

_READ: Final = frozenset({b"cmd", b"meta", b"uid"})

_FLAT: Final = frozenset({b"BATCH", b"MGET"})
"""The verbs of the flat dialect that take very many arguments."""

UNREADABLE: Final = (ValueError, TypeError, KeyError, OverflowError, msgpack.OutOfData, ProtocolError)
"""What is raised where something has no clear outline."""


class _Unclear(ValueError):
    """The message has to be read in full."""


@frozen
class Outline:
    """A request whose arguments stay packed.

    Attributes:
        frame: all of it.
        parts: what it says beside its arguments, by its names.
        start: where its arguments begin: the array of a classic request, 0 if it has none; the first of a flat one.
        stop: where they end.
        count: how many parts it has, those that are not read among them.
        arguments: of a flat request, how many.
    """

    frame: bytes
    parts: Mapping[bytes, Any]
    start: int
    stop: int
    count: int
    arguments: int = 0


def classic_parts(frame: bytes) -> Outline:
    """Read the parts of a classic request; arguments that come last, as those of our clients do, are not looked at."""
    reader, start, stop = reader_at(frame), 0, 0
    parts: dict[bytes, object] = {}
    count = reader.read_map_header()
    if count > _PARTS:
        raise _Unclear
    for left in reversed(range(count)):
        name = _part(reader, frame, 0)
        if name in _READ:
            parts[name] = _part(reader, frame, 0)
        else:
            begin = reader.tell()
            if not left and name == b"args":
                return Outline(frame, parts, begin, len(frame), count)
            reader.skip()
            start, stop = (begin, reader.tell()) if name == b"args" else (start, stop)
    if reader.tell() != len(frame):
        raise _Unclear
    return Outline(frame, parts, start, stop, count)


def flat_parts(frame: bytes) -> Outline:
    """Read those of a flat request, which is not looked at further than to its arguments."""
    reader = reader_at(frame)
    count = reader.read_array_header()
    uid, verb = _part(reader, frame, 0), _part(reader, frame, 0)
    return Outline(frame, {b"uid": uid, b"cmd": verb}, reader.tell(), len(frame), 2, count - 2)


def _part(reader: msgpack.Unpacker, frame: bytes, at: int) -> object:
    """Return the next value of a reader that began at ``at``, if it is short."""
    start = at + reader.tell()
    reader.skip()
    if at + reader.tell() - start > _MAX_PART_BYTES:
        raise _Unclear
    return msgpack.unpackb(frame[start : at + reader.tell()], raw=True)


# Outlines of requests, for permissions


def classic_outline(frame: bytes) -> Request | None:
    """Return the outline of a classic request; None if it has to be read in full.

    >>> from pyelevator.codec import ClassicCodec
    >>> from pyelevator.commands import MGet
    >>> found = classic_outline(ClassicCodec().encode_request(Request(MGet(["k"] * 1000), "u", 7))[0])
    >>> found.command.verb, found.uid, found.id
    ('MGET', 'u', 7)
    """
    try:
        found = classic_parts(frame)
        verb, meta = found.parts.get(b"cmd"), found.parts.get(b"meta")
        number = meta.get(b"id") if isinstance(meta, Mapping) else None
        if number is not None and type(number) is not int:
            raise _Unclear
        kind = _kind(verb)
        name = _only(found) if kind.names_database else None
        return _request(_least(found) if kind is Pipeline else kind, verb, name, found.parts.get(b"uid"), number)
    except UNREADABLE:
        return None


def flat_outline(frame: bytes) -> Request | None:
    """Return that of a flat request."""
    try:
        found = flat_parts(frame)
        uid, verb = found.parts[b"uid"], found.parts[b"cmd"]
        kind = _kind(verb)
        has_name = found.arguments and kind.names_database
        name = _part(reader_at(frame, found.start), frame, found.start) if has_name else None
        return _request(Get if kind is Pipeline else kind, verb, name, uid or None, None)
    except UNREADABLE:
        return None


def _only(found: Outline) -> object:
    """Return the first of one or two arguments."""
    reader = reader_at(found.frame, found.start)
    if reader.read_array_header() not in (1, 2):
        raise _Unclear
    return _part(reader, found.frame, found.start)


def _least(found: Outline) -> type[Command]:
    """Return the command of a pipeline that needs the least: a client without that right has none of the others."""
    reader = reader_at(found.frame, found.start)
    if reader.read_array_header() != 1:
        raise _Unclear
    runs, least = reader.read_array_header(), None
    for _ in range(runs if runs <= _PARTS else 0):
        if reader.read_array_header() != 3:
            raise _Unclear
        kind = _kind(_part(reader, found.frame, found.start))
        reader.skip()
        reader.skip()
        kind = kind if kind in PIPELINED else Get
        least = kind if least is None or kind.access < least.access else least
    return least or Get


def _kind(verb: object) -> type[Command]:
    if type(verb) is not bytes:
        raise _Unclear
    return COMMANDS.get(text(verb), Unknown)


def _request(kind: type[Command], verb: Any, name: Any, uid: Any, number: int | None) -> Request:
    """Return the request, its command without arguments but for the name of a database."""
    if (uid is not None and type(uid) is not bytes) or (kind.names_database and type(name) is not bytes):
        raise _Unclear
    make: Callable[..., Command] = kind
    command = make(name) if kind.names_database else Unknown(verb) if kind is Unknown else object.__new__(kind)
    return Request(command, None if uid is None else text(uid), number)


# What it holds


def meta_of(frame: bytes) -> tuple[int | None, bool]:
    """Tell under which id a classic request that cannot be read is answered, and whether compressed."""
    with suppress(*UNREADABLE):
        meta = classic_parts(frame).parts.get(b"meta")
        if isinstance(meta, Mapping):
            number = meta.get(b"id")
            return number if type(number) is int and number >= 0 else None, meta.get(b"compression") is True
    return None, False


def classic_message(frame: bytes) -> dict[bytes, Any] | None:
    """Return a large classic request, its many elements still packed; None if it has to be read in full."""
    with suppress(*UNREADABLE):
        found = classic_parts(frame)
        return {**found.parts, b"args": _elements_of(found)}
    return None


def checked_parts(frame: bytes) -> Outline | None:
    """Return the parts of a large classic request whose arguments stay packed, which are checked; None of another verb.

    Raises:
        one of UNREADABLE: it has to be read in full.
    """
    found = classic_parts(frame)
    if found.parts.get(b"cmd") not in ARGUMENT_CHECKS:
        return None
    _elements_of(found)
    return found


def _elements_of(found: Outline) -> list[Sequence[Any]]:
    """Return the arguments, all of them arrays, checked."""
    checks = ARGUMENT_CHECKS[found.parts[b"cmd"]]
    reader = reader_at(found.frame, found.start)
    if reader.read_array_header() != len(checks):
        raise _Unclear
    ends = [found.start + reader.tell()]
    for _ in checks[1:]:
        reader.skip()
        ends.append(found.start + reader.tell())
    return [_array(found.frame, *place) for place in zip(ends, [*ends[1:], found.stop], checks, strict=True)]


def _array(frame: bytes, start: int, stop: int, are_sound: Callable[[Sequence[object]], bool]) -> Sequence[object]:
    """Return the elements of the array at a place."""
    reader = reader_at(frame, start)
    count = reader.read_array_header()
    return elements_at(frame, start + reader.tell(), stop, count, are_sound)


def flat_message(frame: bytes) -> tuple[bytes, bytes, Sequence[object]] | None:
    """Return those of a flat request: its uid, its verb and its arguments."""
    with suppress(*UNREADABLE):
        found = flat_parts(frame)
        uid, verb = found.parts[b"uid"], found.parts[b"cmd"]
        if type(uid) is bytes and verb in _FLAT and found.arguments >= 0:
            return uid, verb, elements_at(frame, found.start, len(frame), found.arguments, are_keys)
    return None
