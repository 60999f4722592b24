"""A transport on an event loop."""

import asyncio
import math
import time
from collections import deque
from collections.abc import Sequence
from typing import Final, Unpack

from pyelevator._options import complete, signature_from
from pyelevator.deadlines import Deadline
from pyelevator.errors import ConnectFailed, ConnectTimeout, ProtocolError, TransportError
from pyelevator.forks import FORKS
from pyelevator.transports.base import AsyncTransport, Receiver
from pyelevator.transports.connect_errors import connect_timeout_error, connection_lost_error
from pyelevator.transports.curve import Curve
from pyelevator.transports.options import TransportOptions
from pyelevator.transports.polling.readiness import READ, WRITE
from pyelevator.transports.sockets.nonblocking import MessageQueue, NonblockingConnection

_NO_INTEREST: Final = (-1, 0)


class AsyncZmtpTransport(AsyncTransport):
    """A connection to a server. When it ends, it is lost, and the messages that were sent over it.

    Args:
        url: ``tcp://host:port`` or ``ipc://path``.
        curve: keys, for a server that asks for them.
        options: as of a :class:`~pyelevator.transports.TcpTransport`.
    """

    @signature_from(TransportOptions)
    def __init__(self, url: str, curve: Curve | None = None, **options: Unpack[TransportOptions]) -> None:
        self._url, self._curve, self._options = url, curve, complete(TransportOptions, options, type(self))
        self._failure: Exception | None = None
        self._connection: NonblockingConnection | None = None
        self._registered: tuple[int, int] = _NO_INTEREST
        self._timer: asyncio.TimerHandle | None = None
        self._wake_at = math.inf
        self._has_unsent = False

    @property
    def url(self) -> str:
        return self._url

    @property
    def is_open(self) -> bool:
        return self._connection is not None

    def open(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._loop = asyncio.get_running_loop()
        self._forks = FORKS.count
        self._connection = NonblockingConnection(self._url, self._curve, before_close=self._unregister, **self._options)
        self._on_ready(0)

    def send(self, frames: Sequence[bytes]) -> bool:
        connection = self._connection
        if connection is None:
            raise TransportError(f"the connection to {self._url} is closed")
        queue: MessageQueue = deque(((frames, math.inf),))
        if not connection.has_ended():  # the loop may not have had a turn since
            connection.send(queue, 0.0)
        self._has_unsent = self._has_unsent or bool(queue)
        self._update_interest(connection)
        return not queue

    def deliver_unread(self) -> None:
        connection = self._connection
        if connection is None or not connection.has_unread():
            return
        self._on_ready(READ)
        if self._connection is connection and connection.has_unread():
            self.close()
            self._receiver.connection_lost(connection_lost_error(self._url))

    def _on_ready(self, events: int) -> None:
        connection = self._connection
        if connection is None or self._forks != FORKS.count:  # in a child the loop polls what is the parent's
            return
        was_connected = connection.is_connected
        try:
            connection.on_ready(events, time.monotonic())
        except ConnectFailed as error:
            self.close()
            self._receiver.connection_lost(error)
            return
        self._failure = connection.failure
        self._deliver(connection)
        if was_connected and not connection.is_connected and self._connection is not None:
            reason, connection.loss = connection.loss, None
            lost = reason if isinstance(reason, ProtocolError) else connection_lost_error(self._url)
            self._receiver.connection_lost(lost)
        if self._connection is not None:
            self._flush(connection)

    def _deliver(self, connection: NonblockingConnection) -> None:
        while self._connection is not None and (frames := connection.receive()) is not None:
            self._receiver.message_received(frames)

    def _flush(self, connection: NonblockingConnection) -> None:
        """Send what could not be sent before, and wait for what comes next."""
        connection.send(deque(), 0.0)
        if self._has_unsent and connection.is_connected:
            self._has_unsent = False
            self._receiver.resume_writing()
        if self._connection is not None:
            self._update_interest(connection)

    def _update_interest(self, connection: NonblockingConnection) -> None:
        """Have the loop wait for the next event, and for the next timeout."""
        fd = connection.pollable
        interest = _NO_INTEREST if fd is None else (fd, connection.interest(True, self._has_unsent))
        if interest != self._registered:
            self._unregister()
            self._registered = interest
            for event, add in ((READ, self._loop.add_reader), (WRITE, self._loop.add_writer)):
                if interest[1] & event:
                    add(interest[0], self._on_ready, event)
        if connection.next_timeout != self._wake_at:
            self._schedule(connection.next_timeout)

    def _schedule(self, wake_at: float) -> None:
        self._wake_at = wake_at
        if self._timer is not None:
            self._timer.cancel()
        seconds = wake_at - time.monotonic()
        self._timer = None if wake_at == math.inf else self._loop.call_later(seconds, self._on_timer)

    def _on_timer(self) -> None:
        self._wake_at, self._timer = math.inf, None
        self._on_ready(0)

    def _unregister(self) -> None:
        (fd, events), self._registered = self._registered, _NO_INTEREST
        for event, remove in ((READ, self._loop.remove_reader), (WRITE, self._loop.remove_writer)):
            if events & event:
                remove(fd)

    def connect_timeout_error(self, deadline: Deadline) -> ConnectTimeout:
        return connect_timeout_error(self._url, self._failure, deadline, self._curve)

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
            self._schedule(math.inf)
