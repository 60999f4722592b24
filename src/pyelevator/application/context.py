"""The context of one application's handlers."""

from collections.abc import Callable
from time import monotonic

from pyelevator.application.cursors import Cursors
from pyelevator.application.errors import failure_response
from pyelevator.application.fairness import Cooperation
from pyelevator.application.monitoring.monitor import Monitor
from pyelevator.application.monitoring.slow_log import SlowRequestLog
from pyelevator.application.policy import Policy
from pyelevator.application.running_tasks import Tasks
from pyelevator.commands import Command
from pyelevator.engines.base import EngineError
from pyelevator.errors import Id
from pyelevator.messages import Response


class Context:
    """The policy of an application, and the services that it shares with no other.

    Args:
        policy: the limits and rules of the application.
        is_named_by_path: returns True if clients know the database at a path by that, or a command has named it so.
        clock: returns the time for cursors, in seconds.
    """

    def __init__(
        self,
        policy: Policy,
        is_named_by_path: Callable[[str, Command], bool],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.policy, self.is_named_by_path = policy, is_named_by_path
        self.cursors = Cursors(policy.max_cursors, policy.cursor_idle, policy.cursor_age, clock)
        self.cooperation, self.monitor = Cooperation(), Monitor()
        self.tasks = Tasks(self.cooperation.checkpoint)
        self.slow_log = SlowRequestLog(policy.slow, policy.slow_entries, policy.slow_keys)

    def failure(self, error: Exception, command: Command, request_id: Id | None = None) -> Response:
        """Return the response for an error; only a client that names the database by its path gets to see the path."""
        if isinstance(error, EngineError) and self.is_named_by_path(error.path, command):
            error.path = ""
        return failure_response(error, request_id)
