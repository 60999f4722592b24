"""The short way through a proxy: a request that nobody has to look into is passed on with another id, as it is.

That is so where there is no interceptor, one upstream, which echoes ids and speaks classic, and a classic client that
sends ids. Everything else, and what cannot be read, takes the long way. The short one neither makes commands of
requests nor reads the content of answers, and costs a third.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Self, TypeAlias

from pyelevator.codec import ClassicCodec, Limits
from pyelevator.codec.passing import renumbered, reply_to_pass, request_to_pass, success, success_to_pass
from pyelevator.errors import ErrorCode
from pyelevator.messages import Response
from pyelevator.proxy.lanes import Client, Forward, Lane, Passenger, Pool, Reply

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
        self._expiries: deque[tuple[float, int, Passenger]] = deque()

    @classmethod
    def over(cls, pools: Sequence[Pool], timeout: float, limits: Limits) -> Self | None:
        """The short way to these upstreams, if there can be one."""
        first = pools[0].upstream
        if len(pools) != 1 or first.codec is not None or first.dialect != ClassicCodec.name:
            return None
        return cls(pools[0], timeout, limits)

    def board(self, client: Client, frames: Sequence[bytes], now: float) -> Forward | None:
        """What to forward; None if the request has to take the long way."""
        message = request_to_pass(frames, self._limits) if self._pool.tagged else None
        if message is None:
            return None
        lane = self._pool.seat(client)
        meta, number = message[b"meta"], lane.conversation.number()
        passenger = Passenger(client, meta[b"id"], len(frames[0]), lane, now + self._timeout)
        try:
            frame = renumbered(meta, number, message)
        except (TypeError, ValueError, OverflowError):
            return None
        lane.passengers[number] = passenger
        self._expiries.append((passenger.until, number, passenger))
        return Forward(self._name, lane.number, [frame], passenger.until)

    def alight(self, lane: Lane, frames: Sequence[bytes]) -> Arrival | None:
        """The answer to one of those on the lane; None if it is none, or cannot be read."""
        number = success_to_pass(frames, self._limits)
        if number in lane.passengers:
            passenger = lane.passengers.pop(number)
            return passenger, Reply(passenger.client.identity, [success(passenger.id), frames[1]])
        header = reply_to_pass(frames, self._limits)
        if header is None or header[b"id"] not in lane.passengers:
            return None
        passenger = lane.passengers.pop(header[b"id"])
        try:
            frame = renumbered(header, passenger.id, header)
        except (TypeError, ValueError, OverflowError):
            return self._failed(passenger, "the answer from upstream cannot be passed on")
        return passenger, Reply(passenger.client.identity, [frame, frames[1]])

    def expired(self, now: float) -> Iterator[Arrival]:
        """Those whose time is over; should their answers still come, they are for nobody."""
        while self._expiries and self._expiries[0][0] <= now:
            _, number, passenger = self._expiries.popleft()
            if passenger.lane.passengers.get(number) is passenger:
                del passenger.lane.passengers[number]
                passenger.lane.late = True
                yield self._failed(passenger, f"no answer from upstream within {self._timeout} s")

    def next_due(self) -> float | None:
        """When the first one's time is over; None if nobody waits."""
        expiries = self._expiries
        while expiries and expiries[0][2].lane.passengers.get(expiries[0][1]) is not expiries[0][2]:
            expiries.popleft()
        return expiries[0][0] if expiries else None

    def lost(self, lane: Lane, error: Exception) -> Iterator[Arrival]:
        """All on a lane that is of no more use."""
        passengers, lane.passengers = lane.passengers, {}
        for passenger in passengers.values():
            yield self._failed(passenger, str(error))

    def _failed(self, passenger: Passenger, why: str) -> Arrival:
        failure = Response.failure(ErrorCode.RUNTIME, f"proxy: {why}", passenger.id)
        return passenger, Reply(passenger.client.identity, self._codec.encode_response(failure, None))
