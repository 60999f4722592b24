"""The encodings of keys and values on the command line: text, hex or base64."""

import binascii
import enum
import json
import os
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from typing import Final

from attrs import frozen


class Encoding(enum.Enum):
    """The encoding of keys and values, in arguments and in output."""

    TEXT = "text"
    HEX = "hex"
    BASE64 = "base64"


@frozen
class _Coding:
    decode: Callable[[bytes], bytes]
    encode: Callable[[bytes], bytes]


_CODINGS: Final[Mapping[Encoding, _Coding]] = {
    Encoding.TEXT: _Coding(bytes, bytes),
    Encoding.HEX: _Coding(lambda data: bytes.fromhex(data.decode("ascii")), binascii.hexlify),
    Encoding.BASE64: _Coding(lambda data: b64decode(b"".join(data.split()), validate=True), b64encode),
}


def decode(text: str | bytes, encoding: Encoding) -> bytes:
    """Return the bytes that a text stands for; white space within hex and base64 does not count.

    >>> decode("6162", Encoding.HEX), decode("YWI=", Encoding.BASE64)
    (b'ab', b'ab')

    Raises:
        ValueError: the text is not in that encoding.
    """
    data = os.fsencode(text) if isinstance(text, str) else text
    try:
        return _CODINGS[encoding].decode(data)
    except ValueError:
        raise ValueError(f"{data.decode('utf-8', 'backslashreplace')!r} is not {encoding.value}") from None


def encode(data: bytes, encoding: Encoding) -> bytes:
    """Return the text that stands for bytes; as text, they stand for themselves.

    >>> encode(b"ab", Encoding.HEX), encode(b"ab", Encoding.BASE64)
    (b'6162', b'YWI=')
    """
    return _CODINGS[encoding].encode(data)


def to_json(data: bytes, encoding: Encoding) -> str | dict[str, str]:
    """Return what stands for bytes in JSON: a string, or an object with base64 for what is not UTF-8.

    >>> to_json(b"ab", Encoding.TEXT), to_json(b"ab", Encoding.HEX), to_json(bytes([255]), Encoding.TEXT)
    ('ab', '6162', {'base64': '/w=='})
    """
    name, value = to_member("", data, encoding)
    return value if name == "" else {"base64": value}


def to_member(name: str, data: bytes, encoding: Encoding) -> tuple[str, str]:
    """Return the member of a JSON object for bytes, as dumps have it: other bytes than UTF-8 are base64.

    >>> to_member("key", b"ab", Encoding.TEXT), to_member("key", bytes([255]), Encoding.TEXT)
    (('key', 'ab'), ('key_base64', '/w=='))
    """
    try:
        return name, encode(data, encoding).decode("utf-8")
    except UnicodeDecodeError:
        return f"{name}_base64", b64encode(data).decode("ascii")


def take_member(members: dict[str, object], name: str, encoding: Encoding) -> bytes:
    """Take the bytes of a member out of an object.

    >>> take_member({"key_base64": "/w=="}, "key", Encoding.TEXT)
    b'\\xff'

    Raises:
        ValueError: there is none, or it is no string.
    """
    for member, its_encoding in ((name, encoding), (f"{name}_base64", Encoding.BASE64)):
        if member in members:
            text = members.pop(member)
            if not isinstance(text, str):
                raise ValueError(f"{member} is {json.dumps(text)[:50]}, and no string; write {name}_base64 for bytes")
            return decode(text.encode("utf-8", "surrogatepass"), its_encoding)
    raise ValueError(f"{name} is missing")


def dump_json(value: object) -> str:
    r"""Return a value as JSON in one line, in which everything that is not printable is escaped.

    >>> print(dump_json({"a": "\x9b" + chr(233)}))
    {"a": "\u009bé"}
    """
    text = json.dumps(value, ensure_ascii=False)
    if text.isprintable():
        return text
    return "".join([char if char.isprintable() else json.dumps(char)[1:-1] for char in text])
