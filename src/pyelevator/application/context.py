"""The context of one application's handlers."""

from collections.abc import Callable
from time import monotonic
from typing import Self

from attrs import Factory, field, frozen

from pyelevator.application.cursors import Cursors
from pyelevator.application.errors import failure_response
from pyelevator.application.fairness import Cooperation
from pyelevator.application.monitoring.monitor import Monitor
from pyelevator.application.monitoring.slow_log import SlowLog
from pyelevator.application.policy import Policy
from pyelevator.application.tasks import Tasks
from pyelevator.commands import Command
from pyelevator.engines.base import EngineError
from pyelevator.errors import Id
from pyelevator.messages import Response


@frozen(eq=False)
class Context:
    """The policy of an application, and the services that it shares with no other.

    Attributes:
        policy: the limits and rules of the application.
        cursors: snapshots that are kept from one request to the next.
        is_named_by_path: returns True if clients know the database at a path by that, or a command has named it so.
        cooperation: the checkpoints at which long requests yield to short ones.
        monitor: counts the requests.
        tasks: the long ones that are under way.
        slow_log: keeps those that took long.
    """

    policy: Policy
    cursors: Cursors
    is_named_by_path: Callable[[str, Command], bool]
    cooperation: Cooperation = field(factory=Cooperation)
    monitor: Monitor = field(factory=Monitor)
    tasks: Tasks = field(default=Factory(lambda self: Tasks(self.cooperation.checkpoint), takes_self=True))
    slow_log: SlowLog = field()

    @slow_log.default
    def _open_slow_log(self) -> SlowLog:
        return SlowLog(self.policy.slow, self.policy.slow_entries, self.policy.slow_keys)

    @classmethod
    def of(
        cls,
        policy: Policy,
        is_named_by_path: Callable[[str, Command], bool],
        clock: Callable[[], float] = monotonic,
    ) -> Self:
        """Return a new context."""
        cursors = Cursors(policy.max_cursors, policy.cursor_idle, policy.cursor_age, clock)
        return cls(policy, cursors, is_named_by_path)

    def failure(self, error: Exception, command: Command, request_id: Id | None = None) -> Response:
        """Return the response for an error; only a client that names the database by its path gets to see the path."""
        if isinstance(error, EngineError) and self.is_named_by_path(error.path, command):
            error.path = ""
        return failure_response(error, request_id)
