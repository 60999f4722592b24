"""Msgpack values as JSON text that people can read and edit, and back; for values in databases, not for messages.

What JSON has no word for is an object with one member whose name begins with a dollar sign: ``{"$bin": "00ff"}`` for
bytes, ``{"$ext": [1, "00ff"]}`` for an extension type (a timestamp is type -1), ``{"$str": "ff"}`` for text that is not
UTF-8, ``{"$float": "nan"}`` for what is no number, and ``{"$map": [[key, value], ...]}`` for a map with other keys than
text, or with one that begins with a dollar sign.
"""

import json
import math
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgpack

from pyelevator.codec.limits import Limits
from pyelevator.codec.packing import BIN, Extension, MapKey, unpack
from pyelevator.errors import MalformedMessage, UsageError

_LIMITS: Final = Limits(expansion=64)
_TIMESTAMP: Final = -1


def msgpack_to_text(data: bytes) -> str:
    r"""Return the msgpack value in ``data`` as indented JSON.

    Raises:
        MalformedMessage: it is no msgpack value, or more than one.
        LimitExceeded: it is nested too deeply.

    >>> print(msgpack_to_text(b"\x92\xa1a\xc4\x01\xff"))
    [
      "a",
      {
        "$bin": "ff"
      }
    ]
    """
    try:
        return json.dumps(_to_json(unpack(data, _LIMITS, texts=True)), ensure_ascii=False, indent=2)
    except RecursionError as error:
        raise MalformedMessage("nested too deeply") from error


def text_to_msgpack(text: str) -> bytes:
    r"""Return the msgpack value that a text of :func:`msgpack_to_text` describes.

    Raises:
        UsageError: the text is no JSON, or has what msgpack has not; it says where.

    >>> text_to_msgpack('["a", {"$bin": "ff"}]')
    b'\x92\xa1a\xc4\x01\xff'
    """
    try:
        return BIN.pack_passed_on(_from_json(json.loads(text, parse_constant=_refuse_constant)))
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise UsageError(f"not a msgpack value as JSON: {error}") from error


def _to_json(value: object) -> object:
    convert = _TO_JSON.get(type(value))
    return value if convert is None else convert(value)


def _text_to_json(value: str) -> object:
    try:
        value.encode()
    except UnicodeEncodeError:
        return {"$str": value.encode("utf-8", "surrogateescape").hex()}
    return value


def _map_to_json(value: Mapping[object, object]) -> object:
    pairs = [(key.key if type(key) is MapKey else key, each) for key, each in value.items()]
    if all(type(key) is str and key[:1] != "$" and type(_text_to_json(key)) is str for key, _ in pairs):
        return {key: _to_json(each) for key, each in pairs}
    return {"$map": [[_to_json(key), _to_json(each)] for key, each in pairs]}


_TO_JSON: Final[Mapping[type, Callable[[Any], Any]]] = {
    str: _text_to_json,
    bytes: lambda value: {"$bin": value.hex()},
    float: lambda value: value if math.isfinite(value) else {"$float": str(value)},
    list: lambda value: [_to_json(each) for each in value],
    dict: _map_to_json,
    Extension: lambda value: {"$ext": [value.code, value.data.hex()]},
    msgpack.Timestamp: lambda value: {"$ext": [_TIMESTAMP, value.to_bytes().hex()]},
}


def _refuse_constant(name: str) -> object:
    raise ValueError(f'{name} is no JSON; write {{"$float": "{name.lower().replace("infinity", "inf")}"}}')


def _from_json(value: object) -> object:
    if type(value) is list:
        return [_from_json(each) for each in value]
    if type(value) is not dict:
        return value
    ((name, content),) = value.items() if len(value) == 1 else (("", None),)
    if name[:1] != "$":
        return {key: _from_json(each) for key, each in value.items()}
    if name not in _FROM_JSON:
        raise ValueError(f"{name} is not one of {', '.join(_FROM_JSON)}")
    return _FROM_JSON[name](content)


def _extension(content: Any) -> Any:
    code, data = content
    if code == _TIMESTAMP:
        return msgpack.Timestamp.from_bytes(bytes.fromhex(data))
    return msgpack.ExtType(code, bytes.fromhex(data))


def _map(pairs: Any) -> Any:
    found = [(_from_json(key), _from_json(each)) for key, each in pairs]
    return {key if isinstance(key, str | bytes) else MapKey(key): each for key, each in found}


_FROM_JSON: Final[Mapping[str, Callable[[Any], Any]]] = {
    "$bin": bytes.fromhex,
    "$str": lambda digits: bytes.fromhex(digits).decode("utf-8", "surrogateescape"),
    "$float": float,
    "$ext": _extension,
    "$map": _map,
}
