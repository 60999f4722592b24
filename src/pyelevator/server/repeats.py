"""The requests that may be executed once more, and those that read values whose sizes show only afterwards."""

from typing import Final

from pyelevator.commands import Access, Command, Exists, Get, GetAndDelete, MGet, Pipeline, Range, Slice
from pyelevator.protocol import IncomingRequest

_GRADUAL: Final = frozenset({MGet, Pipeline, Range, Slice})

VALUE_READS: Final[frozenset[type[Command]]] = frozenset({Exists, Get, MGet, Pipeline, Slice})
"""Commands that the loop of a server executes, and that may read values of any size, which shows only afterwards."""


def is_gradual(incoming: IncomingRequest) -> bool:
    """Return True if the response to a request is made a part at a time."""
    return incoming.kind in _GRADUAL


def reads_values(incoming: IncomingRequest) -> bool:
    """Return True if a request only reads, and the loop may find large values."""
    return incoming.kind in VALUE_READS and is_repeatable(incoming)


def is_repeatable(incoming: IncomingRequest) -> bool:
    """Return True if a request only reads."""
    command = incoming.command
    return command is not None and command.access <= Access.READ


def reads_and_writes(command: Command | None) -> bool:
    """Return True if a command writes, and values that were stored may be in its response."""
    if isinstance(command, Pipeline):
        returns_values = any(one.access <= Access.READ or isinstance(one, GetAndDelete) for one in command.commands)
        return command.access > Access.READ and returns_values
    return isinstance(command, GetAndDelete)
