"""Arrays of byte strings in PostgreSQL's binary format."""

from collections.abc import Sequence
from struct import Struct
from typing import Final

_BYTEA: Final = 17
_EMPTY: Final = Struct(">iii").pack(0, 0, _BYTEA)
_HEADER: Final = Struct(">iiiii")
_LENGTH: Final = Struct(">i").pack


def encode_array(items: Sequence[bytes]) -> bytes:
    """Return a ``bytea[]``.

    >>> encode_array([b"abcd"]).hex(" ", 4)
    '00000001 00000000 00000011 00000001 00000001 00000004 61626364'
    """
    if not items:
        return _EMPTY
    parts: list[bytes] = [b""] * (2 * len(items) + 1)
    parts[0] = _HEADER.pack(1, 0, _BYTEA, len(items), 1)
    parts[1::2] = map(_LENGTH, map(len, items))
    parts[2::2] = items
    return b"".join(parts)
