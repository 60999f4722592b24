"""Which requests may be given up and executed once more, because there was no space for their responses."""

from typing import Any, Final

from pyelevator.commands import Access, Command, GetAndDelete, MGet, Pipeline, Range, Slice
from pyelevator.protocol import IncomingRequest

_GRADUAL: Final = frozenset({MGet, Pipeline, Range, Slice})


def is_gradual(incoming: IncomingRequest) -> bool:
    """Return True if the response to a request is made a part at a time."""
    return incoming.request is not None and type(incoming.request.command) in _GRADUAL


def is_repeatable(incoming: IncomingRequest) -> bool:
    """Return True if a request only reads."""
    return incoming.request is not None and incoming.request.command.access <= Access.READ


def reads_and_writes(command: Command[Any]) -> bool:
    """Return True if a command writes, and values that were stored may be in its response."""
    if isinstance(command, Pipeline):
        return command.access > Access.READ and any(map(_returns_values, command.commands))
    return isinstance(command, GetAndDelete)


def _returns_values(command: Command[Any]) -> bool:
    return command.access <= Access.READ or isinstance(command, GetAndDelete)
