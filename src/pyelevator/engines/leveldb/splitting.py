"""Splitting a range of keys into parts of about the same size, without reading it."""

from collections.abc import Callable
from itertools import takewhile
from typing import Final

_DIGITS: Final = 8
"""Bytes behind what two keys have in common that a key between them is made of."""

_MAX_DEPTH: Final = 24


def split_keys(
    first: bytes, last: bytes, max_bytes: int, size: Callable[[bytes, bytes], int], depth: int = _MAX_DEPTH
) -> list[bytes]:
    """Return keys that split a range into parts of at most about so many bytes.

    Args:
        first, last: keys of the range.
        max_bytes: of a part.
        size: returns about how many bytes there are from one key up to another one.
        depth: how often a part is halved at most.

    >>> split_keys(b"a", b"y", 8, lambda start, stop: stop[0] - start[0])
    [b'g', b'm', b's']
    """
    middle = _between(first, last)
    if not depth or not first < middle < last or size(first, last) <= max_bytes:
        return []
    left = split_keys(first, middle, max_bytes, size, depth - 1)
    return [*left, middle, *split_keys(middle, last, max_bytes, size, depth - 1)]


def _between(first: bytes, last: bytes) -> bytes:
    """Return a key about halfway between two keys; it may be one of them if they are close."""
    shared = first[: sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False)))]
    low, high = (int.from_bytes(key[len(shared) :][:_DIGITS].ljust(_DIGITS, b"\0")) for key in (first, last))
    return shared + ((low + high) // 2).to_bytes(_DIGITS).rstrip(b"\0")
