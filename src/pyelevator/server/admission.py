"""Admission: which requests may be executed now, and which responses may be sent, by the space for responses."""

from collections.abc import Sequence

from pyelevator.commands import Get
from pyelevator.protocol import IncomingRequest
from pyelevator.server.repeats import is_repeatable, reads_and_writes
from pyelevator.server.response_budget import LARGE, SMALL, ResponseBudget
from pyelevator.server.scheduler import Job


class Admission:
    """Decides about requests and responses of one server."""

    def __init__(self, budget: ResponseBudget) -> None:
        self._budget = budget

    def is_at_capacity(self, incoming: IncomingRequest) -> bool:
        """Return True if workers make the responses that there is still space for, and this one may be large too."""
        return not self._budget.can_start(self._budget.expected_of(incoming.kind))

    def has_space_for(self, incoming: IncomingRequest) -> bool:
        """Return True if there is space for a response as the latest ones to such commands."""
        expected = self._budget.expected_of(incoming.kind)
        return expected < LARGE or self._budget.has_space_for(expected)

    def must_wait(self, incoming: IncomingRequest | None) -> bool:
        """Return True if a request can be executed only once, has values for an answer, and there is no space."""
        is_once = incoming is not None and reads_and_writes(incoming.command)
        return is_once and not self._budget.has_space_for(self._budget.expected_bytes)

    def lacks_space_for(self, job: Job) -> bool:
        """Return True if a job reads a value that is known to be large, and there is no space for it.

        It would be read only to be dropped again, and is in memory twice meanwhile.
        """
        return job.kind is Get and job.expected_bytes >= LARGE and not self._budget.has_space_for(job.expected_bytes)

    def may_send(self, incoming: IncomingRequest, response: Sequence[bytes]) -> bool:
        """Return True if a response may be sent now, or can not be made once more."""
        return len(response[-1]) < SMALL or self._budget.admits(response, incoming.kind) or not is_repeatable(incoming)

    def expected_bytes(self, job: Job) -> int:
        """Return the bytes that the response to a job may have."""
        expected = job.expected_bytes or self._budget.expected_of(job.kind)
        if job.incoming is not None and reads_and_writes(job.incoming.command):
            expected = max(expected, self._budget.share)  # it cannot be given up
        return expected
