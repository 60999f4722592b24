"""Which requests may be executed once more, and which read values whose sizes show only afterwards."""

from typing import Any, Final

from pyelevator.commands import Access, Command, Exists, Get, GetAndDelete, MGet, Pipeline, Range, Slice
from pyelevator.protocol import IncomingRequest

_GRADUAL: Final = frozenset({MGet, Pipeline, Range, Slice})

VALUE_READS: Final[frozenset[type[Command[object]]]] = frozenset({Exists, Get, MGet, Pipeline, Slice})
"""Commands that the loop of a server executes, and that may read values of any size, which shows only afterwards."""


def is_gradual(incoming: IncomingRequest) -> bool:
    """Return True if the response to a request is made a part at a time."""
    return incoming.request is not None and type(incoming.request.command) in _GRADUAL


def reads_values(incoming: IncomingRequest) -> bool:
    """Return True if a request only reads, and the loop may find large values."""
    request = incoming.request
    return request is not None and type(request.command) in VALUE_READS and request.command.access <= Access.READ


def is_repeatable(incoming: IncomingRequest) -> bool:
    """Return True if a request only reads."""
    return incoming.request is not None and incoming.request.command.access <= Access.READ


def reads_and_writes(command: Command[object]) -> bool:
    """Return True if a command writes, and values that were stored may be in its response."""
    if isinstance(command, Pipeline):
        return command.access > Access.READ and any(map(_returns_values, command.commands))
    return isinstance(command, GetAndDelete)


def _returns_values(command: Command[object]) -> bool:
    return command.access <= Access.READ or isinstance(command, GetAndDelete)
