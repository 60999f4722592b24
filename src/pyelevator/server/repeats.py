"""Which requests may be executed once more, because there was no space for the response that was made."""

from typing import Any

from pyelevator.commands import Access, Command, GetAndDelete, Pipeline
from pyelevator.protocol import IncomingRequest


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
