"""A blocking transport.

A sync call has nothing to do while it waits, so it waits in the kernel for the socket itself.
"""

import time
from collections.abc import Sequence
from math import inf
from typing import Final, Self, Unpack

from pyelevator._options import complete, signature_from
from pyelevator.deadlines import Deadline, check_timeout
from pyelevator.errors import ConnectFailed, ProtocolError, RequestTimeout, TransportError
from pyelevator.transports.base import AsyncTransport, Transport, check_heartbeat, request_timeout_message
from pyelevator.transports.connect_errors import connect_timeout_error, connection_lost_error, final_connect_error
from pyelevator.transports.curve import Curve
from pyelevator.transports.options import TransportOptions
from pyelevator.transports.sockets.blocking import BlockingConnection, ConnectionClosed, DeadlineExceeded
from pyelevator.transports.sockets.resolver import Resolver
from pyelevator.transports.sockets.socket import MAX_PAUSE, MIN_PAUSE
from pyelevator.transports.zmtp.mechanism import HandshakeRefused

_CONNECT_ERRORS: Final = (DeadlineExceeded, ConnectionClosed, OSError, HandshakeRefused, ProtocolError)


class ZmtpTransport(Transport):
    """A connection over TCP or a Unix socket. It belongs to the process that opened it.

    No message is kept for later: it is sent over an open connection, or not at all. Before each message the transport
    checks that the connection has not ended. While the connection is idle, PINGs of the server are answered with each
    heartbeat (``keep_alive``); our servers send none.

    Args:
        url: ``tcp://host:port`` or ``ipc://path``.
        curve: keys, for a server that asks for them.
        options: as of a :class:`~pyelevator.transports.TcpTransport`.
    """

    @signature_from(TransportOptions)
    def __init__(self, url: str, curve: Curve | None = None, **options: Unpack[TransportOptions]) -> None:
        self._options = given = complete(TransportOptions, options, type(self))
        self._url, self._curve, self._max_message = url, curve, given["max_message"]
        self._heartbeat = given["heartbeat"] = check_heartbeat(given["heartbeat"])
        self._connect_timeout = check_timeout(given["connect_timeout"], "connect_timeout")
        self._connection: BlockingConnection | None = None
        self._connecting = self._lost = False
        self._resolver: Resolver | None = None

    @property
    def url(self) -> str:
        return self._url

    @property
    def is_open(self) -> bool:
        return self._connection is not None or self._connecting

    @property
    def heartbeat(self) -> float | None:
        return self._heartbeat

    def keep_alive(self, expecting: bool) -> None:
        connection = self._connection
        if connection is not None:
            try:
                connection.keep_alive(expecting)
            except (ConnectionClosed, ProtocolError):
                if not (expecting and connection.has_message):  # else the answer has come before the end
                    self.close()
                    self._lost = expecting

    def clone(self) -> Self:
        clone = type(self).__new__(type(self))
        ZmtpTransport.__init__(clone, self._url, self._curve, **self._options)
        return clone

    def to_async(self) -> AsyncTransport:
        from pyelevator.transports.sockets.aio import AsyncZmtpTransport  # asyncio is only imported where it is used

        return AsyncZmtpTransport(self._url, self._curve, **self._options)

    def send(self, frames: Sequence[bytes], deadline: Deadline) -> None:
        while True:
            connection = self._connection
            if connection is None or connection.has_ended():
                connection = self._connect(deadline)
            try:
                return connection.send(frames, deadline)
            except BaseException as error:
                self.close()
                if not isinstance(error, (ConnectionClosed, DeadlineExceeded)):
                    raise
                if connection.partially_sent:
                    raise self._response_error(error, deadline) from error.__cause__
                if deadline.expired():
                    raise connect_timeout_error(self._url, None, deadline, self._curve) from error

    def round_trip(self, frames: Sequence[bytes], deadline: Deadline) -> Sequence[bytes]:
        connection = self._connection
        if connection is None or not connection.is_quick or connection.has_ended():
            return super().round_trip(frames, deadline)
        try:
            return connection.round_trip(frames, deadline)
        except DeadlineExceeded as error:
            self.close()
            raise self._response_error(error, deadline) from None
        except BaseException as error:
            self.close()
            if not isinstance(error, ConnectionClosed):
                raise
            if connection.partially_sent:
                raise self._response_error(error, deadline) from error.__cause__
        return super().round_trip(frames, deadline)

    def receive(self, deadline: Deadline) -> Sequence[bytes]:
        connection = self._connection
        if connection is None:
            if self._lost:
                raise connection_lost_error(self._url)
            raise TransportError(f"nothing was sent to {self._url}, so nothing can be received")
        try:
            return connection.receive(deadline)
        except DeadlineExceeded as error:
            raise self._response_error(error, deadline) from None
        except BaseException as error:
            self.close()
            if isinstance(error, ConnectionClosed):
                raise self._response_error(error, deadline) from error.__cause__
            raise

    def _response_error(self, error: BaseException, deadline: Deadline) -> RequestTimeout:
        """Return the error for a message that was sent, or a part of it."""
        if isinstance(error, DeadlineExceeded):
            return RequestTimeout(request_timeout_message(self._url, deadline))
        return connection_lost_error(self._url)

    def _connect(self, deadline: Deadline) -> BlockingConnection:
        """Connect, trying again until the deadline, or for ``connect_timeout`` if connections are refused."""
        self.close()
        self._lost, self._connecting = False, True
        start = time.monotonic()
        pause = MIN_PAUSE
        while True:
            found = self._try_addresses(deadline)
            if isinstance(found, BlockingConnection):
                self._connection, self._connecting = found, False
                return found
            if deadline.expired() and not isinstance(found, HandshakeRefused):
                raise connect_timeout_error(self._url, found, deadline, self._curve) from found
            error = final_connect_error(self._url, found, time.monotonic() - start, self._connect_timeout, self._curve)
            if error is not None:
                raise error from found
            time.sleep(min(pause, deadline.remaining(), self._seconds_to_try(start)))
            pause = min(2 * pause, MAX_PAUSE)

    def _seconds_to_try(self, start: float) -> float:
        """Return the seconds until ``connect_timeout`` ends, or infinity if it has ended or there is none."""
        left = inf if self._connect_timeout is None else start + self._connect_timeout - time.monotonic()
        return left if left > 0 else inf

    def _try_addresses(self, deadline: Deadline) -> BlockingConnection | Exception:
        """Connect to the first address that accepts, each tried for an equal share of the time; or return the error."""
        if self._resolver is None:
            self._resolver = Resolver(self._url)
        addresses = self._resolver.resolve(deadline)
        failure: Exception = self._resolver.failure or DeadlineExceeded()
        for index, address in enumerate(addresses):
            share = deadline.earlier(Deadline.after(deadline.remaining() / (len(addresses) - index)))
            try:
                return BlockingConnection.open(
                    address, self._url, share, self._curve, self._max_message, heartbeat=self._heartbeat
                )
            except ConnectFailed:
                raise
            except _CONNECT_ERRORS as error:
                if not isinstance(failure, HandshakeRefused):  # which says more than an error at another address
                    failure = error.with_traceback(None)  # a traceback would keep this frame, and the error itself
        return failure

    def has_unread(self) -> bool:
        return self._connection is not None and self._connection.has_unread()

    def reset(self) -> None:
        self.close()

    def close(self) -> None:
        connection, self._connection, self._connecting = self._connection, None, False
        if connection is not None:
            connection.close()
