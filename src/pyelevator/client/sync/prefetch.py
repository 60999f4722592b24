"""Ahead: a call that is begun now and ended later, by the same thread, which does something else meanwhile."""

from typing import Any, Final, Generic, TypeVar

from pyelevator.client.sync.session import Begun, Session
from pyelevator.deadlines import Deadline
from pyelevator.errors import TransportError
from pyelevator.flows import Effect, Flow, Send, drive, resumed

R = TypeVar("R")

AT_ONCE: Final = Deadline(0.0, 0.0)
"""What cannot be sent without waiting is not sent ahead."""


class Ahead(Generic[R]):
    """A flow whose first request is sent, if that takes no waiting, and whose answer is not waited for yet.

    Whatever goes wrong at the beginning is told at the end, so that a caller who is busy with something else is not
    disturbed. An object that is dropped gives its lane back; the answer is never read by another call.

    Args:
        session: the way to the server.
        flow: what to do, with its interceptors around it.
        deadline: of all of it.
    """

    def __init__(self, session: Session, flow: Flow[R], deadline: Deadline) -> None:
        self._session, self._flow, self._deadline = session, flow, deadline
        self._effect: Effect | None = None
        self._begun: Begun | None = None
        self._ended: BaseException | None = None
        try:
            self._effect = next(flow)
        except Exception as error:  # noqa: BLE001 - StopIteration with the result, or what the caller shall be told
            self._ended = error
        else:
            self._send()

    def _send(self) -> None:
        """Sends the first request; where that fails, it is sent when its answer is wanted."""
        if isinstance(self._effect, Send):
            try:
                self._begun = self._session.begin(self._effect.request, AT_ONCE)
            except TransportError:
                self._begun = None

    @property
    def is_of_this_process(self) -> bool:
        """False after a fork: the lane is the parent's."""
        return self._begun is None or self._begun.is_of_this_process

    def finish(self) -> R:
        """What the flow gives or raises; waits for it."""
        if isinstance(self._ended, StopIteration):
            result: R = self._ended.value
            return result
        if self._ended is not None or self._effect is None:
            raise self._ended or RuntimeError("it has been given up")
        perform, first = self._session.performer(self._deadline), self._effect

        def perform_or_receive(effect: Effect) -> Any:
            if effect is first and self._begun is not None:
                begun, self._begun = self._begun, None
                return begun.finish(self._deadline)
            return perform(effect)

        return drive(resumed(self._flow, first), perform_or_receive)

    def abandon(self) -> None:
        """Gives it up."""
        self._flow.close()
        self._effect = None
        if self._begun is not None:
            self._begun.abandon()
