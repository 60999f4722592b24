"""Session: the lanes of one client, and the exchange of one request over one of them."""

import math
import queue
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from time import monotonic
from typing import Any, Final
from weakref import WeakSet, WeakValueDictionary

from pyelevator.client.pooling import check_max_connections, pool_timeout_error
from pyelevator.client.sync.heartbeats import HEARTBEATS
from pyelevator.codec import Codec
from pyelevator.commands import DbConnect
from pyelevator.conversation import Conversation, RequestLimits, first_id
from pyelevator.deadlines import Deadline
from pyelevator.errors import ConnectFailed, RequestTimeout, TransportError, UsageError
from pyelevator.flows import Effect, Send
from pyelevator.forks import FORKS
from pyelevator.messages import Request, Response
from pyelevator.transports import Transport
from pyelevator.transports.base import IDLE, request_timeout_message

_BEAT: Final = 0.005
"""Seconds that a call waits for a connection with a heartbeat under way."""

_LOOK_AGAIN: Final = 0.1
"""Seconds after which who waits for a lane looks whether one was lost (see Pool)."""


class Lane:
    """One transport with the conversation on it; one thread at a time.

    An exchange that fails for any reason (timeout, KeyboardInterrupt, a reply that cannot be read) cuts the lane off
    from its past, so that a late reply is never taken for the answer to another request.

    Attributes:
        numbers: the ids of its requests; none comes twice, whatever becomes of the conversation.
        idle_since: when (seconds, monotonic) it was given back last; long ago if it never was.
        beat_at: when its last heartbeat was.
        beating: whether one is under way.
    """

    def __init__(self, clone: Callable[[], Transport], codec: Codec, limits: RequestLimits | None = None) -> None:
        self.idle_since = self.beat_at = -math.inf
        self.beating = False
        self._sibling = clone
        self._transport: Transport | None = None
        self._codec = codec
        self._limits = limits
        self._conversation = Conversation(codec, limits=limits)
        self.numbers: Iterator[int] = count(first_id())

    @property
    def is_open(self) -> bool:
        """True while the transport holds something that has to be given back."""
        return self._transport is not None and self._transport.is_open

    def begin(self, request: Request[Any], deadline: Deadline) -> Transport:
        """Sends ``request``, which is nobody else's, under a number of its own; over what the answer comes."""
        transport = self._transport
        if transport is None:
            transport = self._transport = self._sibling()
        conversation = self._conversation
        if conversation.pending or conversation.spent:  # an interrupt came before the renewal
            conversation = self._renew(transport)
        request.__dict__["id"] = next(self.numbers)  # no caller has seen it, so it need not be copied
        frames = conversation.carry(request)
        try:
            transport.send(frames, deadline)
        except BaseException:
            self._renew(transport)
            raise
        return transport

    def finish(self, transport: Transport, deadline: Deadline) -> Response:
        """Waits for the answer to what was begun."""
        conversation = self._conversation
        try:
            while (answered := conversation.receive(transport.receive(deadline))) is None:
                if deadline.expired():  # a server that sends no end of other replies must not hold the call either
                    raise RequestTimeout(request_timeout_message(transport.url, deadline))
        except BaseException:
            self._renew(transport)
            raise
        if conversation.spent:
            self._renew(transport)
        return answered[1]

    def keep_alive(self) -> bool:
        """Sees to its heartbeat, without waiting; whether there still is a connection."""
        transport = self._transport
        if transport is None:
            return False
        try:
            transport.keep_alive(bool(self._conversation.pending))
        except Exception:  # noqa: BLE001 - it is a transport of somebody else's, and this no call of anybody's
            transport.close()
        return transport.is_open

    def _renew(self, transport: Transport) -> Conversation:
        transport.reset()
        self._conversation = Conversation(self._codec, limits=self._limits)
        return self._conversation

    def close(self) -> None:
        """Closes the transport."""
        if self._transport is not None:
            self._transport.close()


class Pool:
    """Up to ``size`` lanes. The one that was used last is taken first; those that stay idle are closed after a while.

    A connection that a firewall or a NAT has forgotten looks as sound as any other, until a call on it gets no answer.
    So after such a call nothing is trusted that was idle for as long as its lane or longer.

    There are no locks: a signal handler or a finalizer may use the client while its thread stands anywhere in here. A
    KeyboardInterrupt may come between any two instructions, and one that comes while a lane changes hands loses the
    lane; so the lanes are counted by what is left of them.

    Args:
        open_lane: makes a lane; it must not block.
        size: how many there may be.
        patience: seconds to wait for one to become idle; None for as long as the call may take.
        heartbeat: seconds after which one without a call gets a heartbeat (see there); None for never.
    """

    def __init__(
        self,
        open_lane: Callable[[], Lane],
        size: int,
        patience: float | None = None,
        heartbeat: float | None = None,
    ) -> None:
        self.heartbeat = math.inf if heartbeat is None else heartbeat
        self._watched = heartbeat is None
        self._beating: Lane | None = None  # it has left the idle ones for a heartbeat
        self.forks = FORKS.count
        self._open_lane = open_lane
        self._size = size
        self._patience = patience
        self._closed = False
        self._idle: deque[Lane] = deque()  # in the order in which they were given back
        self._waiting: dict[int, None] = {}  # the threads that wait for a lane
        self._given: queue.SimpleQueue[None] = (
            queue.SimpleQueue()
        )  # wakes one of them; looked up when it is made, as libraries of green threads patch late
        self._ages = count()
        self._lanes: WeakValueDictionary[int, Lane] = WeakValueDictionary()
        self._lent: WeakSet[Lane] = WeakSet()

    @property
    def is_open(self) -> bool:
        """True while some lane holds something that has to be given back."""
        return any(lane.is_open for lane in self.lanes())

    def lanes(self) -> list[Lane]:
        """Those that there are, idle or in use."""
        return [lane for lane in (reference() for reference in self._lanes.valuerefs()) if lane is not None]

    def take(self, deadline: Deadline) -> Lane:
        """A lane for one exchange.

        Raises:
            PoolTimeout: all lanes were busy until the deadline, or for as long as ``patience`` allows.
        """
        try:
            return self._idle.pop()
        except IndexError:
            pass
        if self._beating is not None and (lane := self._restored()) is not None:
            return lane
        return self._opened() or self._awaited(deadline.earlier(Deadline.after(self._patience)))

    def _restored(self) -> Lane | None:
        """The lane whose heartbeat is under way, once that is over; it takes microseconds, and a new one takes more."""
        end = monotonic() + _BEAT
        while self._beating is not None and monotonic() < end:
            time.sleep(0)
        with suppress(IndexError):
            return self._idle.pop()
        return None

    def _opened(self) -> Lane | None:
        """A new lane, if it is one of the first ``size``; of those that are made at one time, the older ones stay."""
        if not self._watched:
            self._watched = True
            HEARTBEATS.watch(self)
        age = next(self._ages)
        lane = self._lanes[age] = self._open_lane()
        return lane if self._is_among_first(age) else None

    def _is_among_first(self, age: int) -> bool:
        return sum(each.key < age for each in self._lanes.valuerefs()) < self._size

    def _awaited(self, deadline: Deadline) -> Lane:
        thread = threading.get_ident()
        self._waiting[thread] = None
        try:
            while not deadline.expired():
                with suppress(IndexError):
                    return self._idle.pop()
                lane = self._opened()
                if lane is not None:
                    return lane
                with suppress(queue.Empty):
                    self._given.get(timeout=min(deadline.remaining(), _LOOK_AGAIN))
        finally:
            self._waiting.pop(thread, None)
        raise pool_timeout_error(self._size, deadline)

    def lend(self) -> Lane | None:
        """An idle lane for as long as its user likes, if there is one; no more than half of all, or others starve."""
        if len(self._lent) >= self._size // 2:
            return None
        try:
            lane = self._idle.pop()
        except IndexError:
            return None
        self._lent.add(lane)
        return lane

    def occupy(self, lane: Lane, deadline: Deadline) -> None:
        """Takes note that somebody waits for an answer on a lane that was lent."""
        self._lent.discard(lane)
        while lane.beating and not deadline.expired():  # it takes microseconds
            time.sleep(0)

    def take_back(self, lane: Lane) -> None:
        """Ends the use of a lane that was lent; one with a heartbeat under way is dropped instead, without waiting."""
        self._lent.discard(lane)
        if not lane.beating:
            self.give_back(lane)

    def give_back(self, lane: Lane) -> None:
        """Ends the use of a lane."""
        idle = self._idle
        lane.idle_since = now = monotonic()
        idle.append(lane)
        if len(idle) > 1:
            self._close_idle(now - IDLE)
        if self._waiting or self._closed:
            self._pass_on()

    def _pass_on(self) -> None:
        """Tells of a lane that has become idle."""
        if self._waiting and self._given.qsize() < len(self._waiting):
            self._given.put(None)
        if self._closed:
            self.close()

    def beat(self, now: float) -> float:
        """Gives a heartbeat to each lane that has been without a call for long; when the next one will be due."""
        due = []
        for lane in self.lanes():
            at = max(lane.idle_since, lane.beat_at) + self.heartbeat
            if at <= now:
                self._beat(lane, now)
            due.append(at if at > now else now + self.heartbeat)
        return min(due, default=now + self.heartbeat)

    def _beat(self, lane: Lane, now: float) -> None:
        try:
            self._idle.remove(lane)  # as a call would take it
        except ValueError:
            self._beat_lent(lane, now)
            return
        self._beating, lane.beat_at = lane, now
        try:
            if lane.keep_alive():
                self._restore(lane)
        finally:
            self._beating = None

    def _beat_lent(self, lane: Lane, now: float) -> None:
        """The same for a lane that was lent. Who goes on with it leaves the lent ones first, and then sees this."""
        lane.beating = True
        try:
            if lane in self._lent:
                lane.beat_at = now
                lane.keep_alive()
        finally:
            lane.beating = False

    def _restore(self, lane: Lane) -> None:
        """Puts an idle lane back to its place."""
        place = 0
        with suppress(IndexError):
            while self._idle[place].idle_since < lane.idle_since:
                place += 1
        self._idle.insert(place, lane)
        self._pass_on()

    def suspect(self, lane: Lane, error: TransportError) -> None:
        """Closes what was idle for as long as the lane, or longer, if the error may say that it was forgotten."""
        if not isinstance(error, ConnectFailed):
            self._close_idle(lane.idle_since)

    def _close_idle(self, since: float) -> None:
        """Closes the lanes that have been idle since then or longer, and forgets them."""
        idle = self._idle
        with suppress(IndexError):  # another thread took the last one
            while idle[0].idle_since <= since:
                lane = idle.popleft()
                if lane.idle_since > since:  # another thread was faster, and this is the next one
                    idle.appendleft(lane)
                    return
                lane.close()

    def close(self) -> None:
        """Closes the idle lanes at once, and those whose answers nobody waits for; a busy one follows when it is given
        back."""
        self._closed = True
        for lane in list(self._lent):
            lane.close()
        with suppress(IndexError):
            while True:
                self._idle.pop().close()


class Begun:
    """A request that was sent, and whose answer comes while nobody waits for it; it keeps a lane for itself.

    Dropped or given up, it gives the lane back as it is; the lane's next user sees that an answer is on its way, and
    cuts the lane off from it.
    """

    _lane: Lane | None = None  # where an interrupt comes before there is one

    def __init__(self, pool: Pool, lane: Lane, transport: Transport) -> None:
        self._pool, self._transport = pool, transport
        self._lane = lane

    @property
    def is_of_this_process(self) -> bool:
        """False after a fork."""
        return self._pool.forks == FORKS.count

    def finish(self, deadline: Deadline) -> Response:
        """Waits for the answer; once."""
        if self._lane is None:
            raise UsageError("the answer was received already, or given up")
        self._pool.occupy(self._lane, deadline)
        try:
            return self._lane.finish(self._transport, deadline)
        except TransportError as error:
            self._pool.suspect(self._lane, error)
            raise
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Gives the lane back."""
        lane, self._lane = self._lane, None
        if lane is not None and self.is_of_this_process:
            self._pool.take_back(lane)

    def __del__(self) -> None:
        self.abandon()


class Session:
    """The way to one server: any number of threads exchange at once, over up to ``max_connections`` lanes.

    After a fork the child leaves the parent's lanes alone and opens its own. A session that is dropped with open
    lanes gives the ResourceWarning of its client; there is none for a fake, which holds nothing.

    Attributes:
        transport, codec: of its lanes.
        dropped: the scans that nobody goes on with, see ``operations.give_back``.
    """

    def __init__(
        self, transport: Transport, codec: Codec, max_connections: int, pool_timeout: float | None = None
    ) -> None:
        check_max_connections(max_connections)
        self.transport = transport
        self.codec = codec
        self._max_connections = max_connections
        self._pool_timeout = pool_timeout
        self._limits = RequestLimits()
        self._pool = self._new_pool()
        self.dropped: deque[Any] = deque()

    def _new_pool(self) -> Pool:
        transport, codec, limits = self.transport, self.codec, self._limits  # not self: the pool would keep it
        clone, heartbeat = transport.clone, transport.heartbeat
        return Pool(lambda: Lane(clone, codec, limits), self._max_connections, self._pool_timeout, heartbeat)

    def exchange(self, request: Request[Any], deadline: Deadline) -> Response:
        """The answer to ``request``.

        Raises:
            PoolTimeout: all lanes were busy until the deadline.
            MessageTooLarge: the server has said that it does not take so much.
            TransportError, ProtocolError: the lane's failure.
        """
        response = self.carry(request.with_id(0), deadline)
        if type(request.command) is DbConnect:
            self._limits.learn(response)
        return response

    def carry(self, request: Request[Any], deadline: Deadline) -> Response:
        """The answer to a request that is nobody else's, and gets its number here; raises as ``exchange``."""
        pool = self._pool
        if pool.forks != FORKS.here[0]:  # as in ``_own_pool``; it is on the way of every call
            pool = self._own_pool()
        try:
            lane = pool._idle.pop()  # as in ``Pool.take``, without a call
        except IndexError:
            lane = pool.take(deadline)
        try:
            return lane.finish(lane.begin(request, deadline), deadline)
        except TransportError as error:
            pool.suspect(lane, error)
            raise
        finally:
            pool.give_back(lane)

    def begin(self, request: Request[Any], deadline: Deadline) -> Begun | None:
        """Sends ``request`` over a lane that is idle; None if there is none to spare.

        Raises:
            TransportError: it could not be sent before the deadline.
        """
        pool = self._own_pool()
        lane = pool.lend()
        if lane is None:
            return None
        try:
            return Begun(pool, lane, lane.begin(request.with_id(0), deadline))
        except BaseException:
            pool.take_back(lane)
            raise

    def _own_pool(self) -> Pool:
        if self._pool.forks != FORKS.count:
            self._pool = self._new_pool()
        return self._pool

    def performer(self, deadline: Deadline) -> Callable[[Effect], Response | None]:
        """What carries out the effects of a flow (see flows.drive), all before one deadline."""

        def perform(effect: Effect) -> Response | None:
            if isinstance(effect, Send):
                own = effect.request.deadline
                return self.exchange(effect.request, deadline if own is None else deadline.earlier(own))
            time.sleep(min(effect.seconds, deadline.remaining(), threading.TIMEOUT_MAX))
            return None

        return perform

    def close(self) -> None:
        """Closes the lanes; a later exchange opens new ones."""
        pool, self._pool = self._pool, self._new_pool()
        if pool.forks == FORKS.count:
            pool.close()

    def __del__(self, warn: Callable[..., None] = warnings.warn) -> None:
        pool = getattr(self, "_pool", None)
        if pool is not None and pool.forks == FORKS.count and pool.is_open:
            warn(
                f"a client of {self.transport.url} was dropped open; call its disconnect(), or use it in a with block",
                ResourceWarning,
                stacklevel=2,
                source=self,
            )
