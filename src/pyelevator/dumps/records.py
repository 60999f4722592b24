"""The records of a dump, in whichever format it is written."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from attrs import frozen

from pyelevator.errors import UsageError

Pair: TypeAlias = tuple[bytes, bytes] | list[bytes]
"""A key and its value."""


class DumpError(UsageError):
    """A dump cannot be read, written or loaded; the text says what to do."""


@frozen
class DumpStart:
    """The beginning of a dump.

    Attributes:
        id: a random one, in hexadecimal digits; empty in a file that was written by hand.
    """

    id: str


@frozen
class DatabaseStart:
    """The beginning of a database; its pairs follow, in the order of the keys."""

    name: str


@frozen(eq=False)
class Pairs:
    """Some pairs of a database.

    Attributes:
        count: how many there are.
        read: returns them. It raises DumpError if they are not what they are said to be.
    """

    count: int
    read: Callable[[], Sequence[Pair]]

    @classmethod
    def of(cls, pairs: Sequence[Pair]) -> "Pairs":
        """Return a record of pairs that are in memory."""
        return cls(len(pairs), lambda: pairs)


@frozen
class DatabaseEnd:
    """The end of a database."""

    pairs: int


@frozen
class DumpEnd:
    """The end of a dump, without which it is incomplete."""

    databases: int


Record: TypeAlias = DumpStart | DatabaseStart | Pairs | DatabaseEnd | DumpEnd


@frozen
class DumpTotals:
    """The totals of a dump, or of what was loaded of it.

    Attributes:
        databases, pairs: how many there are.
        nbytes: bytes of the keys and values.
    """

    databases: int = 0
    pairs: int = 0
    nbytes: int = 0

    def with_database(self, pairs: int, nbytes: int) -> "DumpTotals":
        """Return what it adds up to with one more database."""
        return DumpTotals(self.databases + 1, self.pairs + pairs, self.nbytes + nbytes)


class DumpWriter(ABC):
    """Writes the records of one dump."""

    @abstractmethod
    def write(self, record: Record) -> None:
        """Write the next record.

        Args:
            record: a ``DumpStart``; for each database a ``DatabaseStart``, its ``Pairs`` and a ``DatabaseEnd``; in the
                end a ``DumpEnd``.

        Raises:
            MissingExtra: with the first record: what the format needs is not installed.
        """


class DumpReader(ABC):
    """Iterates over the records of one dump.

    Attributes:
        checksum: of everything up to the last record.
    """

    checksum: int = 0

    def __iter__(self) -> Iterator[Record]:
        """Return the records.

        Raises:
            DumpError: while iterating: the file is damaged or incomplete.
        """
        return check_order(self._records())

    @abstractmethod
    def _records(self) -> Iterator[Record]:
        """Return the records as they are in the file."""


def check_order(records: Iterator[Record]) -> Iterator[Record]:
    """Yield the records of a dump, and check that they come in order and in the numbers that the ends say.

    Raises:
        DumpError: they do not.
    """
    expected: tuple[type, ...] = (DumpStart,)
    databases = pairs = 0
    for record in records:
        if not isinstance(record, expected):
            raise DumpError(f"the dump is damaged: it has {type(record).__name__} where it cannot be")
        if isinstance(record, Pairs):
            pairs += record.count
        elif isinstance(record, DatabaseStart):
            databases, pairs = databases + 1, 0
        elif isinstance(record, DatabaseEnd) and record.pairs != pairs:
            raise DumpError(f"the dump is damaged: it has {pairs:,} pairs of a database of {record.pairs:,}")
        elif isinstance(record, DumpEnd) and record.databases != databases:
            raise DumpError(f"the dump is damaged: it has {databases:,} of {record.databases:,} databases")
        yield record
        expected = _FOLLOWING[type(record)]
    if expected:
        raise DumpError("the dump is incomplete: its end is missing; make it again")


_FOLLOWING: dict[type, tuple[type, ...]] = {
    DumpStart: (DatabaseStart, DumpEnd),
    DatabaseStart: (Pairs, DatabaseEnd),
    Pairs: (Pairs, DatabaseEnd),
    DatabaseEnd: (DatabaseStart, DumpEnd),
    DumpEnd: (),
}
"""Kind of a record -> the kinds of which one follows it."""
