"""Weight: how much memory a msgpack value will take, found out before any of it is made.

An empty array is one byte on the wire and seventy in memory, so the size of a message says little of what it costs.
"""

import re
from itertools import repeat
from sys import maxsize
from typing import Final, TypeAlias

from pyelevator.errors import LimitExceeded, MalformedMessage

Bytes: TypeAlias = bytes | memoryview

LIGHT: Final = 32 << 10
"""Bytes of a frame that takes no more than that, whatever it holds: no token takes more than 128 times its size."""

FLOOR: Final = 128 * LIGHT
"""Bytes of memory that a message may take, however short it is; replies to large requests more (see ``asked``)."""

PAGE: Final = 4 << 20
"""Bytes of a reply up to which it is counted while it is made: what is open of it then is not, but that is little."""

TOKENS: Final = 1 << 19
"""Tokens of a request that are looked at one by one; so many take a quarter of a second."""

_LIGHTEST: Final = 16  # what there is but once, like short strings: its places in a list and in what is made of that
_ATOM: Final = 40  # a number with its place in a list; nothing, true and false are the same to be quick
STRING: Final = 56  # beside its bytes, with its place in a list
_ARRAY: Final = 72  # with its place in a list; the places of its elements count there
_MAP: Final = 72
_FIRST_ENTRIES: Final = 184  # what a map takes more as soon as it has any
_ENTRY: Final = 96  # of a map, beside its key and its value


def _fixed() -> list[int]:
    """First byte -> bytes of the token, 0 where more must be looked at."""
    sizes = [1] * 128 + [0] * 32 + [1 + length for length in range(32)] + [0] * 32 + [1] * 32
    known = {0xC0: 1, 0xC2: 1, 0xC3: 1, 0xCA: 5, 0xCB: 9, 0xCC: 2, 0xCD: 3, 0xCE: 5, 0xCF: 9}
    known |= {0xD0: 2, 0xD1: 3, 0xD2: 5, 0xD3: 9, 0xD4: 3, 0xD5: 4, 0xD6: 6, 0xD7: 10, 0xD8: 18}
    for first, size in known.items():
        sizes[first] = size
    return sizes


def _weights() -> list[int]:
    """First byte -> what a token of fixed size weighs."""
    small, strings = [_LIGHTEST] * 128, [_LIGHTEST] * 2 + [STRING + length for length in range(2, 32)]
    weights = [*small, *[0] * 32, *strings, *[_ATOM] * 32, *[_LIGHTEST] * 32]
    for first in (0xC0, 0xC2, 0xC3):
        weights[first] = _LIGHTEST
    for first in range(0xD4, 0xD9):
        weights[first] = 3 * STRING
    return weights


_SIZES: Final = _fixed()
_WEIGHTS: Final = _weights()
_LENGTHS: Final = {0xD9: 1, 0xDA: 2, 0xDB: 4, 0xC4: 1, 0xC5: 2, 0xC6: 4, 0xC7: 1, 0xC8: 2, 0xC9: 4}
"""First byte of a string, or of an extension -> bytes of its length."""

_RUN: Final = 1024
_LIGHTEST_RUN: Final = re.compile(rb"(?s:[\x00-\x7f\xa0\xc0\xc2\xc3\xe0-\xff]|\xa1.){%d}+" % _RUN)
"""So many tokens that weigh least, of which a message can have the most; they are counted ten times as quickly."""

_ALIKE: Final = 1000
"""Elements of an array from which on it is worth while to look whether they are alike, as those of a batch are."""
_TRIES: Final = 8
"""Elements of a frame that are compared with those behind them."""
_MAX_ALIKE_BYTES: Final = 1 << 16
"""Bytes of such an element."""
_TOKENS: Final = 16
"""Tokens of one: its pattern takes long to make, and so does a long one."""

_EXTENSIONS: Final = frozenset({0xC7, 0xC8, 0xC9})


def check_weight(frame: Bytes, max_bytes: int, count: int = 1, tokens: int = maxsize) -> None:
    """Refuse values, next to one another, that would take too much memory, or claim more elements than they have.

    So many tokens are looked at one by one, which bounds the time.

    Raises:
        LimitExceeded: it would take more, or has more tokens.
        MalformedMessage: it is cut off, or no value.
    """
    end, left = len(frame), count
    at = weight = begins = first_at = left_then = weight_then = tries = 0
    for _ in repeat(None, tokens):
        if not left:
            return
        if left == left_then:  # an element of a long array has ended
            alike = _count_alike(frame, first_at, at, left - 1) if left >= _ALIKE else 0
            left, at, weight = left - alike, at + alike * (at - first_at), weight + alike * (weight - weight_then)
            tries += 1
            first_at, left_then, weight_then = at, left - 1 if tries < _TRIES else 0, weight
            continue
        if at >= end:
            raise MalformedMessage("not a msgpack value: it is cut off")
        first = frame[at]
        step = _SIZES[first]
        if step and left >= _RUN and at >= begins and _WEIGHTS[first] == _LIGHTEST:
            run = _LIGHTEST_RUN.match(frame, at)
            begins = at + _RUN if run is None else run.end()
            if run is not None:
                at, left, weight = begins, left - _RUN, weight + _RUN * _LIGHTEST
        elif step:
            weight += _WEIGHTS[first]
            at += step
            left -= 1
        else:
            step, children, more = _token(frame, first, at)
            at += step
            left += children - 1
            weight += more
            if left > end - at:
                raise MalformedMessage("not a msgpack value: it is cut off")
            if children >= _ALIKE and tries < _TRIES:
                first_at, left_then, weight_then = at, left - 1, weight
        if weight + 8 * left > max_bytes:
            why = f"so many elements that they would take over {max_bytes:,} in memory"
            raise LimitExceeded(f"a frame of {end:,} bytes with {why}; send it in parts")
    if left:
        raise LimitExceeded(f"a frame of {end:,} bytes with more than {tokens:,} different elements; send it in parts")


def _count_alike(frame: Bytes, start: int, end: int, max_count: int) -> int:
    """Count the values behind the one from ``start`` to ``end`` that differ from it only in what its strings hold."""
    if end - start > _MAX_ALIKE_BYTES:
        return 0
    pattern: list[bytes] = []
    at = start
    while at < end:
        if len(pattern) == _TOKENS:
            return 0
        first = frame[at]
        size = _SIZES[first] or _token(frame, first, at)[0]
        content = _content(frame, first, at)
        pattern.append(re.escape(bytes(frame[at : at + size - content])) + b".{%d}" % content)
        at += size
    run = re.compile(b"(?s:%b)*+" % b"".join(pattern)).match(frame, end)
    return min((run.end() - end) // (end - start), max_count) if run else 0


def _content(frame: Bytes, first: int, at: int) -> int:
    """Count the bytes of a token that matter neither for where the next one begins nor for what it weighs."""
    if 0xA2 <= first <= 0xBF:
        return first & 31
    width = _LENGTHS.get(first, 0)
    return int.from_bytes(frame[at + 1 : at + 1 + width], "big") if width else 0


def _token(frame: Bytes, first: int, at: int) -> tuple[int, int, int]:
    """Return the size of a token, how many values follow that belong to it, and what it weighs."""
    if first <= 0x8F:
        count = first & 15
        return 1, 2 * count, _of_map(count)
    if first <= 0x9F:
        return 1, first & 15, _ARRAY
    if first >= 0xDC:
        width = 4 if first & 1 else 2
        count = int.from_bytes(frame[at + 1 : at + 1 + width], "big")
        return (1 + width, count, _ARRAY) if first <= 0xDD else (1 + width, 2 * count, _of_map(count))
    width = _LENGTHS.get(first, 0)
    if not width:
        raise MalformedMessage("not a msgpack value: it has a byte that means nothing")
    length = int.from_bytes(frame[at + 1 : at + 1 + width], "big")
    extension = first in _EXTENSIONS
    return 1 + width + extension + length, 0, STRING * (3 if extension else 1) + length


def _of_map(count: int) -> int:
    return _MAP + _FIRST_ENTRIES + _ENTRY * count if count else _MAP


class Tally:
    """Counts what a value takes while it is made: for replies, whose pages are one array of strings."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = self._left = max_bytes

    @property
    def elements(self) -> int:
        """The number that there may be in one array."""
        return self._max_bytes // STRING

    def array(self, items: list[object]) -> list[object]:
        """Count an array; it stays as it is."""
        self._count(_ARRAY + STRING * len(items))
        return items

    def map(self, items: dict[object, object]) -> dict[object, object]:
        """Count a map."""
        self._count(_of_map(len(items)) + 2 * STRING * len(items))
        return items

    def _count(self, weight: int) -> None:
        self._left -= weight
        if self._left < 0:
            raise LimitExceeded(
                f"a reply with so many elements that they would take over {self._max_bytes:,} bytes in memory; "
                "ask for less at once, or raise Limits.expansion"
            )
