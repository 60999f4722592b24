"""Connections on an event loop that speaks ZMTP itself, without libzmq and the hand-over to its thread."""

import asyncio
import math
import time
from collections import deque
from collections.abc import Sequence
from typing import Final

from pyelevator.deadlines import Deadline
from pyelevator.errors import ConnectFailed, ConnectTimeout, ProtocolError, TransportError
from pyelevator.forks import FORKS
from pyelevator.transports.base import HEARTBEAT, AsyncTransport, Receiver
from pyelevator.transports.connect_errors import CONNECT_TIMEOUT, connect_timeout_error, connection_lost_error
from pyelevator.transports.curve import Curve
from pyelevator.transports.sockets.nonblocking import READ, WRITE, Caller, Outbox
from pyelevator.transports.zmtp.frames import MAX_MESSAGE

_NOTHING: Final = (-1, 0)


class AsyncZmtpTransport(AsyncTransport):
    """A connection to a server, spoken by the loop itself: libzmq's thread is one more to wake up.

    One that was up and ends is lost, and what was sent over it with it.

    Args:
        url: ``tcp://host:port`` or ``ipc://path``.
        curve: keys, for a server that asks for them.
        connect_timeout: seconds for which a connection that is refused is tried again; None for no end.
        max_message: bytes that the server may send at once.
        heartbeat: seconds after which the server is asked whether it lives, again and again; None for never.
    """

    def __init__(
        self,
        url: str,
        curve: Curve | None = None,
        connect_timeout: float | None = CONNECT_TIMEOUT,
        max_message: int = MAX_MESSAGE,
        heartbeat: float | None = HEARTBEAT,
    ) -> None:
        self._heartbeat = heartbeat
        self._max_message = max_message
        self._url, self._curve, self._connect_timeout = url, curve, connect_timeout
        self._failure: Exception | None = None
        self._caller: Caller | None = None
        self._watched: tuple[int, int] = _NOTHING
        self._timer: asyncio.TimerHandle | None = None
        self._due = math.inf
        self._blocked = False

    @property
    def url(self) -> str:
        return self._url

    @property
    def is_open(self) -> bool:
        return self._caller is not None

    def open(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._loop = asyncio.get_running_loop()
        self._forks = FORKS.count
        self._caller = Caller(
            self._url,
            self._max_message,
            before_end=self._unwatch,
            curve=self._curve,
            connect_timeout=self._connect_timeout,
            heartbeat=self._heartbeat,
        )
        self._attend(0)

    def send(self, frames: Sequence[bytes]) -> bool:
        caller = self._caller
        if caller is None:
            raise TransportError(f"the connection to {self._url} is closed")
        outbox: Outbox = deque(((frames, math.inf),))
        if not caller.has_ended():  # the loop may not have had a turn since
            caller.send(outbox, 0.0)
        self._blocked = self._blocked or bool(outbox)
        self._watch(caller)
        return not outbox

    def _attend(self, events: int) -> None:
        caller = self._caller
        if caller is None or self._forks != FORKS.count:  # in a child the loop still watches what is the parent's
            return
        was_up = caller.up
        try:
            caller.attend(events, time.monotonic())
        except ConnectFailed as error:
            self.close()
            self._receiver.connection_lost(error)
            return
        self._failure = caller.failure
        self._hand_over(caller)
        if was_up and not caller.up and self._caller is not None:
            reason, caller.lost = caller.lost, None
            lost = reason if isinstance(reason, ProtocolError) else connection_lost_error(self._url)
            self._receiver.connection_lost(lost)
        if self._caller is not None:
            self._go_on(caller)

    def _hand_over(self, caller: Caller) -> None:
        while self._caller is not None and (frames := caller.receive()) is not None:
            self._receiver.message_received(frames)

    def _go_on(self, caller: Caller) -> None:
        """Sends what could not be sent before, and waits for what comes next."""
        caller.send(deque(), 0.0)
        if self._blocked and caller.up:
            self._blocked = False
            self._receiver.resume_writing()
        if self._caller is not None:
            self._watch(caller)

    def _watch(self, caller: Caller) -> None:
        """Has the loop tell what happens next."""
        descriptor = caller.pollable
        wanted = _NOTHING if descriptor is None else (descriptor, caller.wanted(True, self._blocked))
        if wanted != self._watched:
            self._unwatch()
            self._watched = wanted
            for event, add in ((READ, self._loop.add_reader), (WRITE, self._loop.add_writer)):
                if wanted[1] & event:
                    add(wanted[0], self._attend, event)
        if caller.due != self._due:
            self._look_at(caller.due)

    def _look_at(self, due: float) -> None:
        self._due = due
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if due == math.inf else self._loop.call_later(due - time.monotonic(), self._wake)

    def _wake(self) -> None:
        self._due, self._timer = math.inf, None
        self._attend(0)

    def _unwatch(self) -> None:
        (descriptor, events), self._watched = self._watched, _NOTHING
        for event, remove in ((READ, self._loop.remove_reader), (WRITE, self._loop.remove_writer)):
            if events & event:
                remove(descriptor)

    def connect_timeout_error(self, deadline: Deadline) -> ConnectTimeout:
        return connect_timeout_error(self._url, self._failure, deadline, self._curve)

    def close(self) -> None:
        caller, self._caller = self._caller, None
        if caller is not None:
            caller.close()
            self._look_at(math.inf)
