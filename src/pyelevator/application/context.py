"""Context: what the handlers of one application work with."""

from collections.abc import Callable
from time import monotonic
from typing import Self

from attrs import field, frozen

from pyelevator.application.courtesy import Courtesy
from pyelevator.application.cursors import Cursors
from pyelevator.application.policy import Policy


@frozen(eq=False)
class Context:
    """The policy of an application, and the services that it shares with no other.

    Attributes:
        policy: what holds for every request and database.
        cursors: snapshots that are kept from one request to the next.
        courtesy: how requests that take long make room for those that do not.
    """

    policy: Policy
    cursors: Cursors
    courtesy: Courtesy = field(factory=Courtesy)

    @classmethod
    def of(cls, policy: Policy, clock: Callable[[], float] = monotonic) -> Self:
        """A new one with this policy; ``clock`` tells the time of its cursors, in seconds."""
        return cls(policy, Cursors(policy.max_cursors, policy.cursor_idle, policy.cursor_age, clock))
