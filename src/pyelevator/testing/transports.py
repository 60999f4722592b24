"""The conformance suites of transports, sync and async.

:class:`TransportConformance` asks for whole messages, lanes that share nothing, and a clean cut with the past: subclass
it and override the fixture ``transport``. :class:`DeadlineConformance` asks that deadlines are kept whatever the other
side does, and :class:`AsyncTransportConformance` that nothing ever waits: override ``server`` and ``connect``.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any

import pytest

from pyelevator.codec import ClassicCodec
from pyelevator.commands import DbConnect, Get, Ping, Put
from pyelevator.deadlines import Deadline
from pyelevator.errors import ElevatorError, Id, RequestTimeout, TransportError
from pyelevator.messages import Request
from pyelevator.testing.unruly import PATIENCE, UnrulyRelay, in_time, refusing
from pyelevator.transports import Transport
from pyelevator.transports.base import AsyncTransport

CODEC = ClassicCodec()


def ping(number: int) -> list[bytes]:
    """The frames of a PING with an id of its own."""
    return CODEC.encode_request(Request(Ping(), id=number))


def answered(frames: Sequence[bytes]) -> Id | None:
    """The id that a reply answers."""
    return CODEC.decode_response(frames, Request(Ping())).id


def soon() -> Deadline:
    """Time enough for a loaded machine."""
    return Deadline.after(30)


class TransportConformance:
    """What a client relies on. The transport leads to a pyelevator server that speaks classic."""

    @pytest.fixture
    def transport(self) -> Transport:
        """A fresh lane to a running server."""
        raise NotImplementedError("override the fixture transport")

    def test_an_answer_follows_a_message(self, transport: Transport) -> None:
        transport.send(ping(1), soon())
        assert answered(transport.receive(soon())) == 1

    def test_messages_in_flight_are_all_answered(self, transport: Transport) -> None:
        for number in range(100):
            transport.send(ping(number), soon())
        assert sorted(answered(transport.receive(soon())) or 0 for _ in range(100)) == list(range(100))

    def test_large_frames_arrive_whole(self, transport: Transport) -> None:
        transport.send(CODEC.encode_request(Request(DbConnect("default"), id=1)), soon())
        uid = CODEC.decode_response(transport.receive(soon()), Request(DbConnect("default"))).payload.decode()
        value = bytes(range(256)) * 20_000
        transport.send(CODEC.encode_request(Request(Put(b"k", value), uid)), soon())
        transport.receive(soon())
        transport.send(CODEC.encode_request(Request(Get(b"k"), uid)), soon())
        assert CODEC.decode_response(transport.receive(soon()), Request(Get(b"k"))).payload == value

    def test_nothing_to_receive_is_a_timeout(self, transport: Transport) -> None:
        transport.send(ping(1), soon())
        transport.receive(soon())
        with pytest.raises(RequestTimeout):
            transport.receive(Deadline.after(0.05))

    def test_a_discarded_lane_never_receives_what_was_asked_before(self, transport: Transport) -> None:
        for number in range(50):
            transport.send(ping(number), soon())
        transport.reset()
        transport.send(ping(1000), soon())
        assert answered(transport.receive(soon())) == 1000
        with pytest.raises(RequestTimeout):
            transport.receive(Deadline.after(0.05))

    def test_siblings_share_nothing_but_the_server(self, transport: Transport) -> None:
        with transport.clone() as other:
            transport.send(ping(1), soon())
            other.send(ping(2), soon())
            assert answered(other.receive(soon())) == 2
            assert answered(transport.receive(soon())) == 1
            transport.close()
            other.send(ping(3), soon())
            assert answered(other.receive(soon())) == 3

    def test_close_twice_is_fine_and_send_opens_again(self, transport: Transport) -> None:
        transport.send(ping(1), soon())
        transport.close()
        transport.close()
        transport.send(ping(2), soon())
        assert answered(transport.receive(soon())) == 2

    def test_a_lane_knows_where_it_leads(self, transport: Transport) -> None:
        assert "://" in transport.url
        assert transport.clone().url == transport.url


BRIEF = 0.5
"""Seconds of the deadlines that must be kept."""


def exchange(transport: Transport, number: int, seconds: float = 30.0) -> Id | None:
    """Sends a PING and receives its answer, within one deadline."""
    deadline = Deadline.after(seconds)
    transport.send(ping(number), deadline)
    return answered(transport.receive(deadline))


class _BehindARelay:
    """What both suites on unruly peers have in common."""

    @pytest.fixture
    def server(self) -> str:
        """Where a running pyelevator server listens on a stream socket: ``tcp://host:port`` or ``ipc://path``."""
        raise NotImplementedError("override the fixture server")

    @pytest.fixture
    def oversized(self) -> bytes:
        """What an announcement of a message looks like in the transport's protocol that is larger than any may be; by
        default bytes that have no meaning in most."""
        return b"\xff" * (64 << 10)

    @pytest.fixture
    def relay(self, server: str, oversized: bytes) -> Iterator[UnrulyRelay]:
        """Stands before the server."""
        with UnrulyRelay(server) as relay:
            relay.replacement = oversized
            yield relay


class DeadlineConformance(_BehindARelay):
    """What a client relies on when the other side misbehaves: no call takes longer than its deadline.

    A transport that ignores deadlines, in ``send`` or ``receive``, as a whole or for each byte, cannot pass.
    """

    @pytest.fixture
    def connect(self) -> Callable[[str], Transport]:
        """Makes a fresh lane to a URL like that of ``server``."""
        raise NotImplementedError("override the fixture connect")

    @pytest.fixture
    def lane(self, relay: UnrulyRelay, connect: Callable[[str], Transport]) -> Iterator[Transport]:
        """A lane that has had one answer already."""
        with connect(relay.url) as lane:
            assert in_time(lambda: exchange(lane, 1)) == 1
            yield lane

    @pytest.mark.parametrize("answer", ["stalled", "dripped"])
    def test_an_answer_that_does_not_come_in_time_is_a_timeout(
        self, relay: UnrulyRelay, lane: Transport, answer: str
    ) -> None:
        relay.answer = answer
        with pytest.raises(RequestTimeout):
            in_time(lambda: exchange(lane, 2, BRIEF))

    @pytest.mark.parametrize("answer", ["stalled", "dripped"])
    def test_a_connection_that_does_not_come_up_in_time_is_a_timeout(
        self, relay: UnrulyRelay, connect: Callable[[str], Transport], answer: str
    ) -> None:
        relay.answer = answer
        with connect(relay.url) as lane, pytest.raises(RequestTimeout):
            in_time(lambda: exchange(lane, 1, BRIEF))

    def test_a_peer_that_takes_nothing_holds_up_no_call(self, relay: UnrulyRelay, lane: Transport) -> None:
        relay.answer = "stalled"

        def send_much() -> None:
            for number in range(100_000):
                lane.send([*ping(number)[:1]], Deadline.after(BRIEF if number else 30.0))
                if number > 1000:
                    break
            lane.receive(Deadline.after(BRIEF))

        with pytest.raises(RequestTimeout):
            in_time(send_much)

    def test_where_nobody_listens_a_call_fails_in_time(self, server: str, connect: Callable[[str], Transport]) -> None:
        with refusing(server) as url, connect(url) as lane, pytest.raises(TransportError):
            in_time(lambda: exchange(lane, 1, BRIEF))

    @pytest.mark.parametrize("answer", ["closed", "died", "replaced"])
    def test_a_connection_that_ends_or_makes_no_sense_is_an_error_in_time(
        self, relay: UnrulyRelay, lane: Transport, answer: str
    ) -> None:
        relay.answer = answer
        with pytest.raises(ElevatorError):
            in_time(lambda: exchange(lane, 2, BRIEF))

    @pytest.mark.parametrize("answer", ["closed", "died", "replaced"])
    def test_a_connection_that_ends_as_it_comes_up_is_an_error_in_time(
        self, relay: UnrulyRelay, connect: Callable[[str], Transport], answer: str
    ) -> None:
        relay.answer = answer
        with connect(relay.url) as lane, pytest.raises(ElevatorError):
            in_time(lambda: exchange(lane, 1, BRIEF))

    @pytest.mark.parametrize("answer", ["stalled", "dripped", "closed", "died", "replaced"])
    def test_a_lane_that_was_discarded_works_again_and_brings_nothing_old(
        self, relay: UnrulyRelay, lane: Transport, answer: str
    ) -> None:
        relay.answer = answer
        with pytest.raises(ElevatorError):
            in_time(lambda: exchange(lane, 2, BRIEF))
        relay.answer = "passed"
        in_time(lane.reset)
        assert in_time(lambda: exchange(lane, 3)) == 3

    def test_a_deadline_that_is_over_is_kept_as_well(self, relay: UnrulyRelay, lane: Transport) -> None:
        relay.answer = "stalled"
        lane.send(ping(2), soon())
        with pytest.raises(RequestTimeout):
            in_time(lambda: lane.receive(Deadline.after(0)))

    @pytest.mark.parametrize("answer", ["stalled", "dripped"])
    def test_close_waits_for_nobody(self, relay: UnrulyRelay, lane: Transport, answer: str) -> None:
        relay.answer = answer
        lane.send(ping(2), soon())
        in_time(lane.close)

    def test_receive_with_nothing_asked_ends_with_its_deadline(self, lane: Transport) -> None:
        with pytest.raises(RequestTimeout):
            in_time(lambda: lane.receive(Deadline.after(BRIEF)))


class Told:
    """A receiver that keeps what it is told."""

    def __init__(self) -> None:
        self.messages: list[Sequence[bytes]] = []
        self.errors: list[Exception] = []
        self.news = asyncio.Event()

    def message_received(self, frames: Sequence[bytes]) -> None:
        """Keeps a message."""
        self.messages.append(frames)
        self.news.set()

    def resume_writing(self) -> None:
        """Ends a wait."""
        self.news.set()

    def connection_lost(self, error: Exception) -> None:
        """Keeps the error."""
        self.errors.append(error)
        self.news.set()


async def sent(transport: AsyncTransport, told: Told, number: int) -> bool:
    """Sends a PING as soon as it is taken; False if the transport is lost before."""
    while not told.errors:
        told.news.clear()
        if transport.send(ping(number)):
            return True
        await asyncio.wait_for(told.news.wait(), PATIENCE)
    return False


async def outcome(told: Told, count: int) -> None:
    """Waits until so many messages have come, or the transport is lost."""
    while len(told.messages) < count and not told.errors:
        told.news.clear()
        await asyncio.wait_for(told.news.wait(), PATIENCE)


class AsyncTransportConformance(_BehindARelay):
    """What an async client relies on: nothing waits, whatever the other side does; what happens is told.

    A transport whose ``open``, ``send`` or ``close`` waits for an unruly peer cannot pass.
    """

    @pytest.fixture
    def connect(self) -> Callable[[str], AsyncTransport]:
        """Makes a fresh transport to a URL like that of ``server``; it is not opened yet."""
        raise NotImplementedError("override the fixture connect")

    def _run(
        self, main: Callable[[AsyncTransport, Told], Coroutine[Any, Any, None]], transport: AsyncTransport
    ) -> None:
        async def opened() -> None:
            told = Told()
            transport.open(told)
            try:
                await main(transport, told)
            finally:
                transport.close()

        in_time(lambda: asyncio.run(opened()))

    def test_answers_are_pushed(self, relay: UnrulyRelay, connect: Callable[[str], AsyncTransport]) -> None:
        async def main(transport: AsyncTransport, told: Told) -> None:
            for number in (1, 2, 3):
                assert await sent(transport, told, number)
                await outcome(told, number)
            assert [answered(frames) for frames in told.messages] == [1, 2, 3]

        self._run(main, connect(relay.url))

    @pytest.mark.parametrize("answer", ["stalled", "dripped"])
    def test_nothing_waits_for_a_peer_that_does_not_answer(
        self, relay: UnrulyRelay, connect: Callable[[str], AsyncTransport], answer: str
    ) -> None:
        async def main(transport: AsyncTransport, told: Told) -> None:
            assert await sent(transport, told, 1)
            await outcome(told, 1)
            relay.answer = answer
            transport.send(ping(2))
            await asyncio.sleep(BRIEF)
            assert len(told.messages) == 1

        self._run(main, connect(relay.url))

    @pytest.mark.parametrize("answer", ["stalled", "dripped"])
    def test_nothing_waits_for_a_connection_that_does_not_come_up(
        self, relay: UnrulyRelay, connect: Callable[[str], AsyncTransport], answer: str
    ) -> None:
        async def main(transport: AsyncTransport, told: Told) -> None:
            transport.send(ping(1))
            await asyncio.sleep(BRIEF)
            assert told.messages == []

        relay.answer = answer
        self._run(main, connect(relay.url))

    def test_nothing_waits_where_nobody_listens(self, server: str, connect: Callable[[str], AsyncTransport]) -> None:
        async def main(transport: AsyncTransport, told: Told) -> None:
            transport.send(ping(1))
            await asyncio.sleep(BRIEF)
            assert told.messages == []

        with refusing(server) as url:
            self._run(main, connect(url))

    @pytest.mark.parametrize("answer", ["closed", "died", "replaced"])
    def test_no_answer_is_made_of_a_connection_that_ends_or_makes_no_sense(
        self, relay: UnrulyRelay, connect: Callable[[str], AsyncTransport], answer: str
    ) -> None:
        async def main(transport: AsyncTransport, told: Told) -> None:
            assert await sent(transport, told, 1)
            await outcome(told, 1)
            relay.answer = answer
            transport.send(ping(2))
            await asyncio.sleep(BRIEF)
            assert len(told.messages) == 1

        self._run(main, connect(relay.url))

    def test_after_close_nothing_is_told_and_close_twice_is_fine(
        self, relay: UnrulyRelay, connect: Callable[[str], AsyncTransport]
    ) -> None:
        async def main(transport: AsyncTransport, told: Told) -> None:
            assert await sent(transport, told, 1)
            transport.close()
            transport.close()
            before = len(told.messages), len(told.errors)
            await asyncio.sleep(BRIEF)
            assert (len(told.messages), len(told.errors)) == before

        self._run(main, connect(relay.url))
