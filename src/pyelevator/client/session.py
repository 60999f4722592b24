"""Session: the lanes of one client, and the exchange of one request over one of them."""

import os
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from pyelevator.codec import Codec
from pyelevator.conversation import Conversation
from pyelevator.deadlines import Deadline
from pyelevator.errors import PoolTimeout, UsageError
from pyelevator.flows import Effect
from pyelevator.messages import Request, Response
from pyelevator.transports import Transport


class Lane:
    """One transport with the conversation on it; one thread at a time."""

    def __init__(self, transport: Transport, codec: Codec) -> None:
        self._transport = transport
        self._codec = codec
        self._conversation = Conversation(codec)

    def exchange(self, request: Request[Any], deadline: Deadline) -> Response:
        """Sends ``request`` and waits for its answer.

        If that fails for any reason (timeout, KeyboardInterrupt, a reply that cannot be read) the lane is cut off
        from its past, so that a late reply is never taken for the answer to another request.
        """
        _, frames = self._conversation.submit(request)
        try:
            self._transport.send(frames, deadline)
            response = self._receive(deadline)
        except BaseException:
            self._renew()
            raise
        if self._conversation.spent:
            self._renew()
        return response

    def _receive(self, deadline: Deadline) -> Response:
        while True:
            reply = self._conversation.receive(self._transport.receive(deadline))
            if reply is not None:
                return reply[1]

    def _renew(self) -> None:
        self._transport.discard()
        self._conversation = Conversation(self._codec)

    def close(self) -> None:
        """Closes the transport."""
        self._transport.close()


def check_lanes(max_lanes: int) -> None:
    """Refuses a limit that leaves no lane."""
    if max_lanes < 1:
        raise UsageError(f"max_lanes must be 1 or more, not {max_lanes}")


def all_busy(lanes: int, deadline: Deadline) -> PoolTimeout:
    """The error for a call that got no lane."""
    return PoolTimeout(
        f"all {lanes} lanes of the client were busy for {deadline.seconds} s; raise max_lanes= or timeout="
    )


class Pool:
    """Up to ``size`` lanes. Taking and giving back cost two deque operations while lanes are idle."""

    def __init__(self, open_lane: Callable[[], Lane], size: int) -> None:
        self.pid = os.getpid()
        self._open_lane = open_lane
        self._size = size
        self._opened = 0
        self._waiting = 0
        self._closed = False
        self._idle: deque[Lane] = deque()
        self._changed = threading.Condition()

    def take(self, deadline: Deadline) -> Lane:
        """A lane for one exchange.

        Raises:
            PoolTimeout: all lanes were busy until the deadline.
        """
        try:
            return self._idle.pop()
        except IndexError:
            return self._open_or_await(deadline)

    def _open_or_await(self, deadline: Deadline) -> Lane:
        with self._changed:
            self._waiting += 1
            try:
                if self._changed.wait_for(self._available, min(deadline.remaining(), threading.TIMEOUT_MAX)):
                    return self._idle.pop() if self._idle else self._opened_one()
            finally:
                self._waiting -= 1
        raise all_busy(self._size, deadline)

    def _available(self) -> bool:
        return bool(self._idle) or self._opened < self._size

    def _opened_one(self) -> Lane:
        self._opened += 1
        return self._open_lane()

    def give_back(self, lane: Lane) -> None:
        """Ends the use of a lane."""
        self._idle.append(lane)
        if self._closed:
            self.close()
        elif self._waiting:
            with self._changed:
                self._changed.notify()

    def close(self) -> None:
        """Closes the idle lanes at once; a busy one follows when it is given back."""
        self._closed = True
        while self._idle:
            try:
                self._idle.pop().close()
            except IndexError:
                return


class Session:
    """The way to one server: any number of threads exchange at once, over up to ``max_lanes`` lanes.

    After a fork the child leaves the parent's lanes alone and opens its own.
    """

    def __init__(self, transport: Transport, codec: Codec, max_lanes: int) -> None:
        check_lanes(max_lanes)
        self.transport = transport
        self.codec = codec
        self._max_lanes = max_lanes
        self._pool = self._new_pool()

    def _new_pool(self) -> Pool:
        return Pool(lambda: Lane(self.transport.sibling(), self.codec), self._max_lanes)

    def exchange(self, request: Request[Any], deadline: Deadline) -> Response:
        """The answer to ``request``.

        Raises:
            PoolTimeout: all lanes were busy until the deadline.
            TransportError, ProtocolError: the lane's failure.
        """
        if self._pool.pid != os.getpid():
            self._pool = self._new_pool()
        pool = self._pool
        lane = pool.take(deadline)
        try:
            return lane.exchange(request, deadline)
        finally:
            pool.give_back(lane)

    def performer(self, deadline: Deadline) -> Callable[[Effect], Response]:
        """What carries out the effects of a flow (see flows.drive), all before one deadline."""
        return lambda effect: self.exchange(effect.request, deadline)

    def close(self) -> None:
        """Closes the lanes; a later exchange opens new ones."""
        pool, self._pool = self._pool, self._new_pool()
        if pool.pid == os.getpid():
            pool.close()
