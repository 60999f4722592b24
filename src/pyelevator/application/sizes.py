"""Sizes: how many bytes answers have, and who looks at that while they are read."""

from collections.abc import Iterable, Sequence
from typing import Any

from attrs import define

from pyelevator.application.context import Context
from pyelevator.application.courtesy import PIECE
from pyelevator.errors import WrongValue


def size_of(payload: Any) -> int:
    """Bytes of the keys and values in what a command answers.

    >>> size_of(b"abc"), size_of([b"ab", None]), size_of([(b"k", b"v")]), size_of(True)
    (3, 2, 2, 0)
    """
    if type(payload) is bytes:
        return len(payload)
    if not isinstance(payload, list):
        return 0
    return sum([len(item) if type(item) is bytes else sum(map(len, item)) for item in payload if item is not None])


def size_of_values(values: Iterable[bytes | None]) -> int:
    """Bytes of the values that are there."""
    return sum(map(len, filter(None, values)))


def check_values(size: int, context: Context) -> int:
    """``size`` itself, where one answer may hold so many bytes of values."""
    most = context.policy.max_range_bytes
    if size > most:
        raise WrongValue(
            f"the values of this MGET are more than the limit of {most:,} bytes; ask for fewer, "
            "or raise --max-range-bytes"
        )
    return size


@define
class Seen:
    """Looks at values of many keys as they are read, so that too many bytes are noticed before they are all in memory.

    Attributes:
        context: its limit holds.
        count: values so far.
        size: their bytes.
    """

    context: Context
    count: int = 0
    size: int = 0

    def __call__(self, values: Sequence[bytes | None]) -> None:
        self.size = check_values(self.size + size_of_values(values), self.context)
        if not self.count % PIECE:
            self.context.courtesy.look_up()
        self.count += len(values)
