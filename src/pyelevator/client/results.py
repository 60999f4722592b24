"""The handle on the outcome of one command of a pipeline."""

from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

from pyelevator.client.operations import ExpectedError
from pyelevator.commands import Command
from pyelevator.errors import UsageError

R_co = TypeVar("R_co", covariant=True)


_PENDING: Final = object()
"""Stands for an outcome that is not there yet."""


class PipelineResult(Generic[R_co]):
    """The handle on the outcome of one command of a pipeline, in the manner of a Future."""

    __slots__ = ("_decode", "_expected", "_outcome", "command")

    def __init__(
        self, command: Command, decode: Callable[[Any], R_co], expected: ExpectedError[R_co] | None = None
    ) -> None:
        self.command = command
        self._decode = decode
        self._expected = expected
        self._outcome: Any = _PENDING

    def done(self) -> bool:
        """Return whether the pipeline was executed."""
        return self._outcome is not _PENDING

    def result(self) -> R_co:
        """Return the result of the command, or raise its exception.

        Raises:
            UsageError: the pipeline has not been executed.
        """
        outcome = self._outcome
        if isinstance(outcome, Exception):
            raise outcome
        if outcome is _PENDING:
            raise UsageError("there is no result yet; leave the with block, or call execute()")
        return self._decode(outcome)

    def exception(self) -> Exception | None:
        """Return the exception that ``result`` raises; None if it gives a result.

        Raises:
            UsageError: the pipeline has not been executed.
        """
        if self._outcome is _PENDING:
            raise UsageError("there is no result yet; leave the with block, or call execute()")
        return self._outcome if isinstance(self._outcome, Exception) else None

    def set_outcome(self, outcome: Any) -> Exception | None:
        """Set the outcome, as the wire has it; return it if it is an error that ``result`` raises."""
        self._outcome = outcome
        if not isinstance(outcome, Exception):
            return None
        if self._expected is not None and isinstance(outcome, self._expected[0]):
            value = self._expected[1]
            self._outcome, self._decode = None, lambda _: value
            return None
        return outcome

    def __repr__(self) -> str:
        return f"<PipelineResult of {self.command.verb}: {'done' if self.done() else 'pending'}>"
