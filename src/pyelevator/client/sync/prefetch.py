"""Prefetch: send a request now, and read its response later on the same thread."""

from typing import Any, Final, Generic, TypeVar

from pyelevator.client.sync.pool import PendingResponse
from pyelevator.client.sync.session import Session
from pyelevator.deadlines import Deadline
from pyelevator.errors import TransportError
from pyelevator.flows import Effect, Flow, Send, drive

R = TypeVar("R")

NO_WAIT: Final = Deadline(0.0, 0.0)
"""What cannot be sent without waiting is not sent ahead."""


class PrefetchedFlow(Generic[R]):
    """A flow whose first request is sent, if that takes no waiting, and whose response is read later.

    Errors raised while sending are raised again by :meth:`finish`. An object that is dropped gives its connection back;
    the answer is never read by another call.
    """

    def __init__(self, session: Session, flow: Flow[R], deadline: Deadline) -> None:
        self._session, self._flow, self._deadline = session, flow, deadline
        self._effect: Effect | None = None
        self._pending: PendingResponse | None = None
        self._outcome: BaseException | None = None
        try:
            self._effect = next(flow)
        except Exception as error:  # noqa: BLE001 - StopIteration with the result, or what the caller shall be told
            self._outcome = error
        else:
            self._send()

    def _send(self) -> None:
        """Send the first request; where that fails, it is sent when its response is wanted."""
        if isinstance(self._effect, Send):
            try:
                self._pending = self._session.send_nowait(self._effect.request, NO_WAIT)
            except TransportError:
                self._pending = None

    @property
    def is_of_this_process(self) -> bool:
        """True until a fork: then the connection is the parent's."""
        return self._pending is None or self._pending.is_of_this_process

    def finish(self) -> R:
        """Wait for the flow's end; return its result or raise its error."""
        if isinstance(self._outcome, StopIteration):
            result: R = self._outcome.value
            return result
        if self._outcome is not None or self._effect is None:
            raise self._outcome or RuntimeError("it has been given up")
        perform, first = self._session.effect_handler(self._deadline), self._effect

        def perform_or_receive(effect: Effect) -> Any:
            if effect is first and self._pending is not None:
                pending, self._pending = self._pending, None
                return pending.receive(self._deadline)
            return perform(effect)

        return drive(self._flow, perform_or_receive, first)

    def abandon(self) -> None:
        """Give it up."""
        self._flow.close()
        self._effect = None
        if self._pending is not None:
            self._pending.abandon()
