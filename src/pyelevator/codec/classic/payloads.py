"""The content of answers in the classic dialect, by the kinds of their payloads."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

from pyelevator import commands
from pyelevator.arguments.data import kind_of
from pyelevator.codec.classic.row_packer import CONTENT_PREFIX
from pyelevator.codec.packing import BIN, LARGE_STRING, RAW, Packing
from pyelevator.codec.values import (
    adjacent_pairs,
    error_code,
    reason,
    reply_status,
    scalar,
    scalar_value,
    string_list,
    text,
)
from pyelevator.commands import Command, PayloadKind
from pyelevator.errors import MalformedMessage
from pyelevator.messages import Response, Status
from pyelevator.native import load_native

SINGLE_VALUE_PREFIX: Final = CONTENT_PREFIX + b"\x91"
"""What the content of an answer with one value begins with."""


def encode_outcome(outcome: Any) -> Any:
    """Write an answer within an answer: the datas of a plain success, or a map of header and datas together."""
    if not isinstance(outcome, Response):
        return outcome
    if outcome.code is not None:
        return {"status": -1, "err_code": int(outcome.code), "err_msg": outcome.message}
    if outcome.status is Status.SUCCESS and not outcome.more and outcome.cursor is None:
        return outcome.payload
    cursor = {} if outcome.cursor is None else {"cursor": text(outcome.cursor)}
    return {"status": int(outcome.status), "more": outcome.more, **cursor, "datas": outcome.payload}


def decode_outcomes(datas: Any, pipeline: Any) -> list[Any]:
    """Read what became of each command of a pipeline."""
    entries, commands = _list(datas), pipeline.commands
    if len(entries) != len(commands):
        raise MalformedMessage(f"the answer to {len(commands)} pipelined commands holds {len(entries)}")
    if list(map(type, entries)) == list(map(_PLAIN.get, map(type, commands))):
        return entries
    return [_decode_outcome(entry, command) for entry, command in zip(entries, commands, strict=True)]


_PLAIN: Final[Mapping[type[Command], type[object]]] = {
    commands.Get: bytes,
    commands.GetAndDelete: bytes,
    commands.Exists: bool,
    **dict.fromkeys((commands.Put, commands.Delete, commands.Batch, commands.ConditionalBatch), type(None)),
}
"""Command -> the type of an outcome that is its payload as it stands: nearly all are."""


def _decode_outcome(entry: object, command: Command) -> object:
    if type(entry) is not dict:
        return _decode_nested(entry, command)
    status = reply_status(entry.get(b"status"))
    check_header(entry)
    if status is Status.FAILURE:
        return Response.failure(error_code(entry.get(b"err_code")), message_of(entry))
    more, cursor = entry.get(b"more") is True, cursor_of(entry)
    return Response(_decode_nested(entry.get(b"datas"), command), status, more=more, cursor=cursor)


def _decode_nested(datas: object, command: Command) -> object:
    payload = _NESTED_DECODERS[command.payload_kind](datas)
    command.check(payload)
    return payload


def _encoders(packing: Packing) -> Mapping[PayloadKind, Callable[[object], bytes]]:
    """Return what writes the content frame of an answer, by the kind of its payload, unless its rows are packed."""

    def bare(payload: object) -> bytes:
        return CONTENT_PREFIX + packing.pack(payload)

    def scalar(payload: object) -> bytes:
        """Wrap a value in a list, but for false, which the old server leaves bare."""
        if type(payload) is not bytes or len(payload) < LARGE_STRING:
            return bare(payload if payload is False else [payload])
        return packing.pack_array([payload], "datas")

    def rows(payload: object) -> bytes:
        return packing.pack_array(payload, "datas") if isinstance(payload, list) else bare(payload)

    return {
        PayloadKind.EMPTY: bare,
        PayloadKind.SCALAR: scalar,
        PayloadKind.LIST: rows,
        PayloadKind.PAIRS: rows,
        PayloadKind.RESPONSES: lambda outcomes: rows(list(map(encode_outcome, outcomes))),
        PayloadKind.RAW: lambda payload: (
            rows(payload) if isinstance(payload, list) else CONTENT_PREFIX + packing.pack_passed_on(payload)
        ),
    }


ENCODERS: Final = {RAW: _encoders(RAW), BIN: _encoders(BIN)}
"""Packing -> what writes the content frame."""


def _scalar(datas: object) -> bytes | bool | None:
    if type(datas) is not list:
        return scalar_value(datas)
    if len(datas) == 1 and type(datas[0]) is bytes:  # nearly every one
        return datas[0]
    return scalar(datas)


def _list(datas: object) -> list[Any]:
    if isinstance(datas, list):
        return datas
    raise MalformedMessage(f"a list was expected, not {kind_of(datas)}")


def _pairs(datas: Any) -> list[list[bytes]]:
    pairs = _list(datas)
    if set(map(type, pairs)) <= {list} and _all_pairs(pairs):
        return pairs
    raise MalformedMessage("the answer holds something else than pairs of strings")


def decode_page(datas: object, kind: type) -> list[list[object]]:
    """Return the pairs of a page, whose strings are of one kind: bytes, or str."""
    return adjacent_pairs(_list(datas), kind, "the page holds something else than pairs of strings")


@cache
def native_page_decoder() -> Callable[[bytes, int, bool], list[list[object]] | None] | None:
    """Return what decodes a page without msgpack, where it is installed (see ``pyelevator_native.pages``)."""
    pages = load_native("pages")
    return None if pages is None else pages.decode_page


def _all_pairs(rows: list[list[object]]) -> bool:
    """Return whether each row is two strings; chains of iterators would take twice the time."""
    try:
        for key, value in rows:
            if type(key) is not bytes or type(value) is not bytes:
                return False
    except ValueError:  # not two
        return False
    return True


DECODERS: Final[Mapping[PayloadKind, Callable[[object], object]]] = {
    PayloadKind.EMPTY: lambda _: None,
    PayloadKind.SCALAR: _scalar,
    PayloadKind.LIST: lambda datas: string_list(_list(datas)),
    PayloadKind.PAIRS: _pairs,
}
"""PayloadKind -> what reads the datas of an answer, where it takes nothing else to do so."""


_NESTED_DECODERS: Final[Mapping[PayloadKind, Callable[[object], object]]] = {
    **DECODERS,
    PayloadKind.SCALAR: scalar_value,
}
"""PayloadKind -> what reads it within the answer to a pipeline, where scalars are not wrapped."""


def check_header(header: dict[object, object]) -> None:
    """Refuse a header, or an entry, in which something has a type that it never has."""
    for name, kind in _HEADER_TYPES.items():
        value = header.get(name)
        if value is not None and type(value) is not kind:
            raise MalformedMessage(f"the {text(name)} of a reply is {kind_of(value)}")


_HEADER_TYPES: Final[Mapping[bytes, type]] = {
    b"err_code": int,
    b"err_msg": bytes,
    b"more": bool,
    b"cursor": bytes,
    b"features": list,
    b"max_message": int,
}
"""Name -> the type of what it stands for, if for anything. Old servers repeat whatever ``compression`` was."""


def cursor_of(header: dict[object, object]) -> bytes | None:
    """Return the cursor in a header, or in an entry."""
    cursor = header.get(b"cursor")
    return cursor if type(cursor) is bytes else None


def message_of(header: dict[Any, Any]) -> str:
    """Return the message of a failure in a header, or in an entry."""
    return reason(header.get(b"err_msg") or b"")
