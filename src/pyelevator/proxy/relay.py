"""The short way through a proxy: a request that nobody has to look into is passed on as it is.

That is so where there is no interceptor, one upstream, which echoes ids and speaks classic, and a classic client that
sends ids. Everything else, and what cannot be read, takes the long way. The short one neither makes commands of
requests nor reads the content of answers, and costs a fraction. Upstream each has an id of the proxy's own.
"""

from collections.abc import Iterator, Sequence
from heapq import heappop, heappush
from itertools import takewhile
from typing import Self, TypeAlias

from pyelevator.codec import ClassicCodec, Limits
from pyelevator.codec.classic.forwarding import peek_reply, peek_request, request_with_id, success_header, with_id
from pyelevator.codec.classic.payloads import cursor_of
from pyelevator.errors import ErrorCode
from pyelevator.messages import Response
from pyelevator.proxy.actions import Forward, Reply
from pyelevator.proxy.clients import Client
from pyelevator.proxy.lanes import Lane, Passenger, Pool

Arrival: TypeAlias = tuple[Passenger, Reply]
"""A request that was passed on, and its one answer."""


class Relay:
    """The requests that are passed on unread.

    Args:
        pool: of the one upstream.
        timeout: seconds that it may take for each.
        limits: what is taken from clients and upstream.
    """

    def __init__(self, pool: Pool, timeout: float, limits: Limits) -> None:
        self._pool = pool
        self._name = pool.upstream.name
        self._timeout = timeout
        self._limits = limits
        self._codec = ClassicCodec(limits)
        self._alarms: list[tuple[float, int, Lane]] = []

    @classmethod
    def over(cls, pools: Sequence[Pool], timeout: float, limits: Limits) -> Self | None:
        """The short way to these upstreams, if there can be one."""
        first = pools[0].upstream
        if len(pools) != 1 or first.codec is not None or first.dialect != ClassicCodec.name:
            return None
        return cls(pools[0], timeout, limits)

    def board(self, client: Client, frames: Sequence[bytes], now: float) -> Forward | None:
        """What to forward; None if the request has to take the long way."""
        message = peek_request(frames, self._limits) if self._pool.tagged else None
        if message is None:
            return None
        lane, given = self._pool.seat(client), message[b"meta"][b"id"]
        number = lane.protocol.number()
        try:
            frame = request_with_id(number, frames[0], message)
        except (TypeError, ValueError, OverflowError):
            return None
        until = now + self._timeout
        lane.passengers[success_header(number)] = passenger = Passenger(client, given, len(frames[0]), until)
        if b"cursor" in message[b"meta"]:
            passenger.uid, passenger.cursor = message[b"uid"], message[b"meta"][b"cursor"]
        if not lane.timed:
            self._set_alarm(lane, until)
        return Forward(self._name, lane.number, [frame], until)

    def alight(self, lane: Lane, frames: Sequence[bytes]) -> Arrival | None:
        """The answer to one of those on the lane; None if it is none, or cannot be read."""
        passenger = lane.passengers.pop(frames[0], None) if len(frames) == 2 else None
        if passenger is None:
            return self._alight(lane, frames)
        return passenger, Reply(passenger.client.identity, [success_header(passenger.id), frames[1]])

    def _alight(self, lane: Lane, frames: Sequence[bytes]) -> Arrival | None:
        """The same for an answer with a header of its own."""
        header = peek_reply(frames, self._limits)
        passenger = None if header is None else lane.passengers.pop(success_header(header[b"id"]), None)
        if header is None or passenger is None:
            return None
        passenger.kept = cursor_of(header)
        try:
            frames = [with_id(header, passenger.id, header), frames[1]]
        except (TypeError, ValueError, OverflowError):
            return self._failed(passenger, "the answer from upstream cannot be passed on")
        return passenger, Reply(passenger.client.identity, frames)

    def _set_alarm(self, lane: Lane, until: float) -> None:
        lane.timed = True
        heappush(self._alarms, (until, lane.number, lane))

    def expired(self, now: float) -> Iterator[Arrival]:
        """Those whose time is over; should their answers still come, they are for nobody."""
        while self._alarms and self._alarms[0][0] <= now:
            _, _, lane = heappop(self._alarms)
            lane.timed = False
            for header, passenger in list(takewhile(lambda item: item[1].until <= now, lane.passengers.items())):
                del lane.passengers[header]
                lane.late = True
                yield self._failed(passenger, f"no answer from upstream within {self._timeout} s")
            self._pool.settle(lane)
            first = next(iter(lane.passengers.values()), None)
            if first is not None and not lane.timed:
                self._set_alarm(lane, first.until)

    def next_due(self) -> float | None:
        """When to look whether somebody's time is over; None if that need not be."""
        return self._alarms[0][0] if self._alarms else None

    def lost(self, lane: Lane, error: Exception) -> Iterator[Arrival]:
        """All on a lane that is of no more use."""
        passengers, lane.passengers = lane.passengers, {}
        for passenger in passengers.values():
            yield self._failed(passenger, str(error))

    def _failed(self, passenger: Passenger, why: str) -> Arrival:
        failure = Response.failure(ErrorCode.RUNTIME, f"proxy: {why}", passenger.id)
        return passenger, Reply(passenger.client.identity, self._codec.encode_response(failure, None))
