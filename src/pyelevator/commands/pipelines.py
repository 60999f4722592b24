"""The command that carries other commands."""

from collections.abc import Sequence
from typing import Any, ClassVar, Final

from attrs import field

from pyelevator._attrs import command
from pyelevator.commands.base import Access, Command, PayloadKind, check_type
from pyelevator.commands.batches import Batch, ConditionalBatch
from pyelevator.commands.keys import Delete, Exists, Get, GetAndDelete, Increment, MGet, Put
from pyelevator.commands.ranges import Count, Range, Slice
from pyelevator.errors import ArgumentTypeError, MalformedMessage


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
