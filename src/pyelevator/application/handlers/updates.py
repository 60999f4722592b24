"""Handlers of the commands that read and write in one step: CONDITIONALBATCH."""

from pyelevator.application.handlers.keys import batch_cost
from pyelevator.arguments import IS_MISSING, IS_PRESENT, KeyCheck
from pyelevator.commands import ConditionalBatch
from pyelevator.engines.base import Decision, ReadView
from pyelevator.errors import CheckFailed


def decide_batch(command: ConditionalBatch, view: ReadView) -> Decision[None]:
    """Return the operations of a CONDITIONALBATCH.

    Raises:
        CheckFailed: a check does not hold.
    """
    failed = [at for at, check in enumerate(command.checks) if not _holds(check, view.get(check[1]))]
    if failed:
        raise CheckFailed(CheckFailed.MESSAGE_PREFIX + ", ".join(map(str, failed)))
    return command.ops, None


def _holds(check: KeyCheck, value: bytes | None) -> bool:
    if check[0] == IS_MISSING:
        return value is None
    return value is not None if check[0] == IS_PRESENT else value == check[2]  # type: ignore[misc]


def count_batch(command: ConditionalBatch) -> int:
    """Return how many operations and checks a CONDITIONALBATCH has."""
    return len(command.ops) + len(command.checks)


def conditional_cost(command: ConditionalBatch) -> int:
    """Estimate the work of a CONDITIONALBATCH."""
    return len(command.checks) + batch_cost(command)
