"""ZmtpTransport: ZMTP on a blocking lane of its own, without libzmq and the hand-over to its thread.

A sync call has nothing to do while it waits, so it may as well wait in the kernel for the socket itself.
"""

import time
from collections.abc import Iterator, Sequence
from math import inf
from typing import Final, Self

from pyelevator.deadlines import Deadline, check_timeout
from pyelevator.errors import (
    ConnectFailed,
    ProtocolError,
    RequestTimeout,
    TransportError,
)
from pyelevator.transports.base import HEARTBEAT, AsyncTransport, Transport, check_heartbeat, request_timeout_message
from pyelevator.transports.connect_errors import CONNECT_TIMEOUT, connect_timeout_error, connection_lost_error, given_up
from pyelevator.transports.curve import Curve
from pyelevator.transports.sockets.blocking import Late, Line, Lost
from pyelevator.transports.sockets.resolver import Addresses
from pyelevator.transports.zmtp import frames as zmtp

_PAUSE: Final = 0.02
_LONGEST_PAUSE: Final = 0.5
_NOBODY: Final = (Late, Lost, OSError, zmtp.Refused, ProtocolError)


class ZmtpTransport(Transport):
    """A lane over TCP or a Unix socket. It belongs to the process that opened it.

    Nothing is kept for later: a message goes out over a connection that is up, or not at all. Whether it still is up
    is looked at before each message. While the lane is idle, PINGs are answered with each heartbeat (``keep_alive``);
    our servers send none.

    Args:
        url: ``tcp://host:port`` or ``ipc://path``.
        curve: keys, for a server that asks for them.
        connect_timeout: seconds for which a connection that is refused, or to an unknown host, is tried again within
            a call's time; None for all of it.
        max_message: bytes that the server may send at once.
        heartbeat: seconds after which a connection that waits or is idle asks the server whether it lives; None for
            never.
    """

    def __init__(
        self,
        url: str,
        curve: Curve | None = None,
        connect_timeout: float | None = CONNECT_TIMEOUT,
        max_message: int = zmtp.MAX_MESSAGE,
        heartbeat: float | None = HEARTBEAT,
    ) -> None:
        self._heartbeat = check_heartbeat(heartbeat)
        self._url, self._curve, self._max_message = url, curve, max_message
        self._connect_timeout = check_timeout(connect_timeout, "connect_timeout")
        self._line: Line | None = None
        self._dialing = self._lost = False
        self._addresses: Addresses | None = None

    @property
    def url(self) -> str:
        return self._url

    @property
    def is_open(self) -> bool:
        return self._line is not None or self._dialing

    @property
    def heartbeat(self) -> float | None:
        return self._heartbeat

    def keep_alive(self, expecting: bool) -> None:
        line = self._line
        if line is not None:
            try:
                line.keep_alive(expecting)
            except (Lost, ProtocolError):
                if not (expecting and line.has_message):  # else the answer has come before the end
                    self.close()
                    self._lost = expecting

    def clone(self) -> Self:
        lane = type(self).__new__(type(self))
        ZmtpTransport.__init__(lane, self._url, self._curve, self._connect_timeout, self._max_message, self._heartbeat)
        return lane

    def to_async(self) -> AsyncTransport:
        from pyelevator.transports.sockets.aio import AsyncZmtpTransport  # asyncio is only imported where it is used

        return AsyncZmtpTransport(self._url, self._curve, self._connect_timeout, self._max_message, self._heartbeat)

    def send(self, frames: Sequence[bytes], deadline: Deadline) -> None:
        while True:
            line = self._line
            if line is None or line.has_ended():
                line = self._dial(deadline)
            try:
                return line.send(frames, deadline)
            except BaseException as error:
                self.close()
                if not isinstance(error, (Lost, Late)):
                    raise
                if line.begun:
                    raise self._unanswered(error, deadline) from error.__cause__
                if deadline.expired():
                    raise connect_timeout_error(self._url, None, deadline, self._curve) from error

    def receive(self, deadline: Deadline) -> Sequence[bytes]:
        line = self._line
        if line is None:
            if self._lost:
                raise connection_lost_error(self._url)
            raise TransportError(f"nothing was sent to {self._url}, so nothing can be received")
        try:
            return line.receive(deadline)
        except Late as error:
            raise self._unanswered(error, deadline) from None
        except BaseException as error:
            self.close()
            if isinstance(error, Lost):
                raise self._unanswered(error, deadline) from error.__cause__
            raise

    def _unanswered(self, error: BaseException, deadline: Deadline) -> RequestTimeout:
        """The error for a message that has left, or a part of it."""
        if isinstance(error, Late):
            return RequestTimeout(request_timeout_message(self._url, deadline))
        return connection_lost_error(self._url)

    def _dial(self, deadline: Deadline) -> Line:
        """A new connection, tried for again and again: until the deadline, or where nobody is, for a while."""
        self.close()
        self._lost, self._dialing = False, True
        began = time.monotonic()
        for pause in _pauses():
            found = self._round(deadline)
            if isinstance(found, Line):
                self._line, self._dialing = found, False
                return found
            if deadline.expired() and not isinstance(found, zmtp.Refused):
                raise connect_timeout_error(self._url, found, deadline, self._curve) from found
            error = given_up(self._url, found, time.monotonic() - began, self._connect_timeout, self._curve)
            if error is not None:
                raise error from found
            time.sleep(min(pause, deadline.remaining(), self._patience(began)))
        raise AssertionError("there is always one more pause")

    def _patience(self, began: float) -> float:
        """Seconds until one that is refused is given up, if that is still to come."""
        left = inf if self._connect_timeout is None else began + self._connect_timeout - time.monotonic()
        return left if left > 0 else inf

    def _round(self, deadline: Deadline) -> Line | Exception:
        """A connection to the first address that has one, each tried for an equal share of the time; or the failure."""
        if self._addresses is None:
            self._addresses = Addresses(self._url)
        addresses = self._addresses.find(deadline)
        failure: Exception = self._addresses.failure or Late()
        for index, address in enumerate(addresses):
            share = Deadline.after(deadline.remaining() / (len(addresses) - index))
            try:
                return Line.to(
                    address,
                    self._url,
                    deadline.earlier(share),
                    self._curve,
                    self._max_message,
                    heartbeat=self._heartbeat,
                )
            except ConnectFailed:
                raise
            except _NOBODY as error:
                if not isinstance(failure, zmtp.Refused):  # which says more than that nobody is at another address
                    failure = error.with_traceback(None)  # with it, the error would keep this frame, and itself
        return failure

    def reset(self) -> None:
        self.close()

    def close(self) -> None:
        line, self._line, self._dialing = self._line, None, False
        if line is not None:
            line.close()


def _pauses() -> Iterator[float]:
    pause = _PAUSE
    while True:
        yield pause
        pause = min(2 * pause, _LONGEST_PAUSE)
