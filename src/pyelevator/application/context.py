"""Context: what the handlers of one application work with."""

from collections.abc import Callable
from time import monotonic
from typing import Any, Self

from attrs import field, frozen

from pyelevator.application.courtesy import Courtesy
from pyelevator.application.cursors import Cursors
from pyelevator.application.failures import failure
from pyelevator.application.policy import Policy
from pyelevator.commands import Command
from pyelevator.engines.base import EngineError
from pyelevator.errors import Id
from pyelevator.messages import Response


@frozen(eq=False)
class Context:
    """The policy of an application, and the services that it shares with no other.

    Attributes:
        policy: what holds for every request and database.
        cursors: snapshots that are kept from one request to the next.
        is_named_by_path: whether clients know the database at a path by that, or a command has named it so.
        courtesy: how requests that take long make room for those that do not.
    """

    policy: Policy
    cursors: Cursors
    is_named_by_path: Callable[[str, Command[Any]], bool]
    courtesy: Courtesy = field(factory=Courtesy)

    @classmethod
    def of(
        cls,
        policy: Policy,
        is_named_by_path: Callable[[str, Command[Any]], bool],
        clock: Callable[[], float] = monotonic,
    ) -> Self:
        """A new one with this policy; ``clock`` tells the time of its cursors, in seconds."""
        cursors = Cursors(policy.max_cursors, policy.cursor_idle, policy.cursor_age, clock)
        return cls(policy, cursors, is_named_by_path)

    def failure(self, error: Exception, command: Command[Any], request_id: Id | None = None) -> Response:
        """What a client is told of an error; who names a database by its path may read that."""
        if isinstance(error, EngineError) and self.is_named_by_path(error.path, command):
            error.path = ""
        return failure(error, request_id)
