"""The command that carries other commands."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final, TypeVar

from attrs import field

from pyelevator._attrs import command
from pyelevator.commands.base import Access, Command, PayloadKind, check_type
from pyelevator.commands.batches import Batch, ConditionalBatch
from pyelevator.commands.keys import Delete, Exists, Get, GetAndDelete, Increment, MGet, Put
from pyelevator.commands.ranges import Count, Range, Slice
from pyelevator.errors import ArgumentTypeError, MalformedMessage

T = TypeVar("T")


def _convert_commands(commands: Sequence[Command]) -> tuple[Command, ...]:
    """Check the commands of a pipeline, each of which reads or writes keys of the connected database."""
    if not isinstance(commands, (list, tuple)):
        raise ArgumentTypeError(f"commands must be a list or a tuple, not {type(commands).__name__}")
    for kind in set(map(type, commands)):
        if kind not in PIPELINED:
            raise ArgumentTypeError(f"commands must read or write keys, not {kind.__name__}")
    return tuple(commands)


@command
class Pipeline(Command[list[Any]]):
    """Many commands to one database in one message, executed in order, each with an answer of its own.

    It is no transaction: each command succeeds or fails by itself, and others' may come between. The payload of its
    answer is a list of what became of each: the payload of a plain success, a ``Response`` where there is more to say,
    or, between interceptors, an exception. A server with the feature ``pipeline`` knows it.

    Attributes:
        commands: see ``PIPELINED`` for what they may be.

    >>> Pipeline([Put("a", "1"), Get("a")])
    Pipeline(commands=(Put(key=b'a', value=b'1', sync=False), Get(key=b'a')))
    """

    verb = "PIPELINE"
    feature: ClassVar[str] = "pipeline"
    payload_kind = PayloadKind.RESPONSES
    commands: tuple[Command, ...] = field(converter=_convert_commands)

    @property
    def kinds(self) -> set[type[Command]]:
        """The classes of its commands: they say most of it, and are few."""
        return set(map(type, self.commands))

    @property
    def idempotent(self) -> bool:  # type: ignore[override]
        """True if each of its commands is."""
        return all(kind.idempotent for kind in self.kinds)

    @property
    def writes(self) -> bool:  # type: ignore[override]
        """True if one of its commands does."""
        return any(kind.writes for kind in self.kinds)

    @property
    def sync(self) -> bool:
        """True if one of its commands asks for it."""
        return any(getattr(command, "sync", False) for command in self.commands)

    @property
    def access(self) -> Access:  # type: ignore[override]
        """The highest level that one of its commands needs."""
        return max([kind.access for kind in self.kinds], default=Access.NONE)

    def result(self, payload: object) -> list[Any]:
        answers = check_type(payload, list, self.verb)
        if len(answers) == len(self.commands):
            return answers
        raise MalformedMessage(f"the answer to {len(self.commands)} pipelined commands holds {len(answers)}")


PIPELINED: Final = (
    *(Get, Put, Delete, Exists, MGet, Range, Slice, Count, Batch),
    *(ConditionalBatch, Increment, GetAndDelete),
)
"""What a pipeline takes: the commands that read and write keys."""

_SIZES: Final[Mapping[type[Command], Callable[[Any], tuple[int, int]]]] = {
    Put: lambda put: (1, len(put.value)),
    MGet: lambda mget: (len(mget.keys), 0),
    Batch: lambda batch: (len(batch.ops), _value_bytes(batch)),
    ConditionalBatch: lambda batch: (len(batch.ops) + len(batch.checks), _value_bytes(batch)),
}
"""The commands that have many elements, or may be large -> how many those are, and the bytes of their values."""


def _value_bytes(batch: Batch | ConditionalBatch) -> int:
    return sum(sum(map(len, op[1:])) for op in batch.ops)


def size_of(command: Command) -> tuple[int, int]:
    """Return how many elements a command has (operations, checks, keys), 1 at least, and the bytes of its values."""
    elements, nbytes = _SIZES[type(command)](command) if type(command) in _SIZES else (1, 0)
    return max(1, elements), nbytes


def chunk_commands(
    items: Sequence[T], commands: Sequence[Command], max_elements: int, max_bytes: int
) -> Iterator[Sequence[T]]:
    """Split commands, in their order, into chunks that each fit into one message.

    A command that is over a limit by itself has a chunk of its own.

    Args:
        items: the commands, or in their places what is to be chunked.
        commands: of the items.
        max_elements: commands in a chunk, with the operations and keys of such as have many.
        max_bytes: of the values in a chunk, about.
    """
    if _SIZES.keys().isdisjoint(map(type, commands)):  # nearly always, and there are many
        yield from (items[first : first + max_elements] for first in range(0, len(items), max_elements))
        return
    first = elements = size = 0
    for at, one in enumerate(commands):
        sized = _SIZES.get(type(one))
        more, nbytes = sized(one) if sized else (1, 0)
        if first < at and (elements + more > max_elements or size + nbytes > max_bytes):
            yield items[first:at]
            first, elements, size = at, 0, 0
        elements += more or 1
        size += nbytes
    yield items[first:]
