"""The size limits of responses, checked while values are read."""

from collections.abc import Iterable, Sequence

from attrs import define, field

from pyelevator.application.context import Context
from pyelevator.application.fairness import CHUNK_ROWS
from pyelevator.application.response_space import ResponseSpace, response_space
from pyelevator.errors import WrongValue


def size_of(payload: object) -> int:
    """Return the bytes of the keys and values in the payload of a response.

    >>> size_of(b"abc"), size_of([b"ab", None]), size_of([(b"k", b"v")]), size_of(True)
    (3, 2, 2, 0)
    """
    if type(payload) is bytes:
        return len(payload)
    if not isinstance(payload, list):
        return getattr(payload, "nbytes", 0)  # of rows that are packed
    return sum([len(item) if type(item) is bytes else sum(map(len, item)) for item in payload if item is not None])


def size_of_values(values: Iterable[bytes | None]) -> int:
    """Return the bytes of the values that exist."""
    return sum(map(len, filter(None, values)))


def check_values_size(size: int, context: Context) -> int:
    """Return ``size``, or raise a WrongValue if one response may not have so many bytes of values."""
    limit = context.policy.max_range_bytes
    if size > limit:
        raise WrongValue(
            f"the values of this MGET are more than the limit of {limit:,} bytes; ask for fewer, "
            "or raise --max-range-bytes"
        )
    return size


@define
class ValueCounter:
    """Counts the values of many keys while they are read, so that the limit is checked before all are in memory.

    Attributes:
        context: has the limit.
        reported: bytes that the space for the response knows of.
        count: values so far.
        size: their bytes.
    """

    context: Context
    reported: int = 0
    count: int = 0
    size: int = 0
    space: ResponseSpace = field(init=False, factory=response_space)

    def __call__(self, values: Sequence[bytes | None]) -> None:
        self.size = check_values_size(self.size + size_of_values(values), self.context)
        self.report(self.size)
        if not self.count % CHUNK_ROWS:
            self.context.cooperation.checkpoint()
        self.count += len(values)

    def report(self, size: int) -> None:
        """Report how many bytes all values have by now; at the end with those that are there several times."""
        if size > self.reported:
            self.space.add(size - self.reported)
            self.reported = size
