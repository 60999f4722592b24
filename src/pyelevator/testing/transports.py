"""The conformance suites of transports, sync and async.

:class:`TransportConformance` checks that messages are complete, connections are independent, and a reset forgets what
was sent: subclass it and override the fixture ``transport``. :class:`DeadlineConformance` checks that deadlines are
kept whatever the peer does, and :class:`AsyncTransportConformance` that nothing waits: override ``server`` and
``connect``.
"""

import asyncio
import math
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import suppress
from typing import Any

import pytest

from pyelevator.codec import ClassicCodec
from pyelevator.commands import DbConnect, Get, Ping, Put
from pyelevator.deadlines import Deadline
from pyelevator.errors import ElevatorError, Id, RequestTimeout, TransportError
from pyelevator.messages import Request
from pyelevator.testing import unruly
from pyelevator.testing.unruly import PROMPT, TRIES, UnrulyRelay, full, in_time, promptly, refusing
from pyelevator.transports import Transport
from pyelevator.transports.base import AsyncTransport

CODEC = ClassicCodec()


def ping(number: int) -> list[bytes]:
    """Return the frames of a PING with an id."""
    return CODEC.encode_request(Request(Ping(), id=number))


def reply_id(frames: Sequence[bytes]) -> Id | None:
    """Return the id of a reply."""
    return CODEC.decode_response(frames, Request(Ping())).id


def soon() -> Deadline:
    """Return a deadline that is long enough for a loaded machine."""
    return Deadline.after(30)


class TransportConformance:
    """Tests of what a client relies on. The transport connects to a pyelevator server that speaks classic."""

    @pytest.fixture
    def transport(self) -> Transport:
        """Return a new transport to a running server."""
        raise NotImplementedError("override the fixture transport")

    def test_an_answer_follows_a_message(self, transport: Transport) -> None:
        transport.send(ping(1), soon())
        assert reply_id(transport.receive(soon())) == 1

    def test_messages_in_flight_are_all_reply_id(self, transport: Transport) -> None:
        for number in range(100):
            transport.send(ping(number), soon())
        assert sorted(reply_id(transport.receive(soon())) or 0 for _ in range(100)) == list(range(100))

    def test_large_frames_arrive_complete(self, transport: Transport) -> None:
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

    def test_a_reset_connection_never_receives_earlier_replies(self, transport: Transport) -> None:
        for number in range(50):
            transport.send(ping(number), soon())
        transport.reset()
        transport.send(ping(1000), soon())
        assert reply_id(transport.receive(soon())) == 1000
        with pytest.raises(RequestTimeout):
            transport.receive(Deadline.after(0.05))

    def test_siblings_share_nothing_but_the_server(self, transport: Transport) -> None:
        with transport.clone() as other:
            transport.send(ping(1), soon())
            other.send(ping(2), soon())
            assert reply_id(other.receive(soon())) == 2
            assert reply_id(transport.receive(soon())) == 1
            transport.close()
            other.send(ping(3), soon())
            assert reply_id(other.receive(soon())) == 3

    def test_close_twice_is_fine_and_send_opens_again(self, transport: Transport) -> None:
        transport.send(ping(1), soon())
        transport.close()
        transport.close()
        transport.send(ping(2), soon())
        assert reply_id(transport.receive(soon())) == 2

    def test_a_closed_connection_is_not_open(self, transport: Transport) -> None:
        transport.send(ping(1), soon())
        transport.receive(soon())
        transport.close()
        assert not transport.is_open

    def test_a_call_may_have_no_end(self, transport: Transport) -> None:
        transport.send(ping(1), Deadline.after(None))
        assert reply_id(transport.receive(Deadline.after(None))) == 1

    def test_a_connection_has_the_url_of_its_server(self, transport: Transport) -> None:
        assert "://" in transport.url
        assert transport.clone().url == transport.url


BRIEF = 0.5
"""Seconds of the deadlines that must be kept."""

_MUCH = bytes(1 << 20)
_MOST = 64
"""How many messages of so much may be sent to a peer that takes nothing: more than any system keeps for it."""


def roundtrip(transport: Transport, number: int, seconds: float = 30.0) -> Id | None:
    """Send a PING and receive its reply within one deadline; return the reply's id."""
    deadline = Deadline.after(seconds)
    transport.send(ping(number), deadline)
    return reply_id(transport.receive(deadline))


class _RelayFixtures:
    """The fixtures of both suites on unruly peers."""

    @pytest.fixture
    def server(self) -> str:
        """Return the URL of a running pyelevator server: ``tcp://host:port`` or ``ipc://path``."""
        raise NotImplementedError("override the fixture server")

    @pytest.fixture
    def oversized(self) -> bytes:
        """Return the beginning of a message that is larger than allowed, in the transport's protocol.

        By default it is bytes without a meaning in most protocols.
        """
        return b"\xff" * (64 << 10)

    @pytest.fixture
    def relay(self, server: str, oversized: bytes) -> Iterator[UnrulyRelay]:
        """Yield a relay before the server."""
        with UnrulyRelay(server) as relay:
            relay.replacement = oversized
            yield relay


class DeadlineConformance(_RelayFixtures):
    """Tests of what a client relies on when the peer misbehaves: no call takes longer than its deadline.

    A transport that ignores deadlines, where it connects, sends, receives or closes, as a whole or for each byte,
    cannot pass, nor can one that has timeouts of its own in their place.
    """

    @pytest.fixture
    def connect(self) -> Callable[[str], Transport]:
        """Return a function that makes a new transport to a URL like that of ``server``."""
        raise NotImplementedError("override the fixture connect")

    @pytest.fixture
    def connected(self, relay: UnrulyRelay, connect: Callable[[str], Transport]) -> Iterator[Transport]:
        """Yield a transport that has received a reply."""
        connected = connect(relay.url)
        try:
            assert in_time(lambda: roundtrip(connected, 1)) == 1
            yield connected
        finally:
            in_time(connected.close)

    @pytest.mark.parametrize("answer", ["stalled", "dripped"])
    def test_an_answer_that_does_not_come_in_time_is_a_timeout(
        self, relay: UnrulyRelay, connected: Transport, answer: str
    ) -> None:
        relay.answer = answer
        with pytest.raises(RequestTimeout):
            in_time(lambda: roundtrip(connected, 2, BRIEF))

    @pytest.mark.parametrize("answer", ["stalled", "dripped"])
    def test_a_connection_that_does_not_come_up_in_time_is_a_timeout(
        self, relay: UnrulyRelay, connect: Callable[[str], Transport], answer: str
    ) -> None:
        relay.answer = answer
        with connect(relay.url) as connected, pytest.raises(RequestTimeout):
            in_time(lambda: roundtrip(connected, 1, BRIEF))

    def test_a_call_ends_with_its_own_deadline_and_no_other(
        self, relay: UnrulyRelay, connect: Callable[[str], Transport]
    ) -> None:
        def call() -> None:
            with connect(relay.url) as connected:
                roundtrip(connected, 1, BRIEF)

        relay.answer = "stalled"
        took = promptly(call)
        assert took < PROMPT, f"a call with {BRIEF} s ended after {took:.1f} s, {TRIES} times"

    def test_an_answer_that_takes_its_time_is_received(self, relay: UnrulyRelay, connected: Transport) -> None:
        relay.answer = "delayed"
        assert in_time(lambda: roundtrip(connected, 2)) == 2

    def test_a_peer_that_takes_nothing_holds_up_no_call(self, relay: UnrulyRelay, connected: Transport) -> None:
        relay.reads = False

        def send_much() -> None:
            for _ in range(_MOST):
                connected.send([_MUCH], Deadline.after(BRIEF))
            connected.receive(Deadline.after(BRIEF))

        with pytest.raises(TransportError):
            in_time(send_much)

    def test_close_does_not_wait_for_a_peer_that_takes_nothing(self, relay: UnrulyRelay, connected: Transport) -> None:
        def send_much() -> None:
            with suppress(TransportError):
                for _ in range(_MOST):
                    connected.send([_MUCH], Deadline.after(BRIEF))

        relay.reads = False
        in_time(send_much)
        in_time(connected.close)

    def test_a_peer_that_accepts_no_connection_holds_up_no_call(
        self, server: str, connect: Callable[[str], Transport]
    ) -> None:
        with full(server) as url, connect(url) as connected, pytest.raises(TransportError):
            in_time(lambda: roundtrip(connected, 1, BRIEF))

    def test_a_refused_connection_fails_in_time(self, server: str, connect: Callable[[str], Transport]) -> None:
        with refusing(server) as url, connect(url) as connected, pytest.raises(TransportError):
            in_time(lambda: roundtrip(connected, 1, BRIEF))

    @pytest.mark.parametrize("answer", ["closed", "died", "replaced"])
    def test_a_connection_that_ends_or_makes_no_sense_is_an_error_in_time(
        self, relay: UnrulyRelay, connected: Transport, answer: str
    ) -> None:
        relay.answer = answer
        with pytest.raises(ElevatorError):
            in_time(lambda: roundtrip(connected, 2, BRIEF))

    @pytest.mark.parametrize("answer", ["closed", "died", "replaced"])
    def test_a_connection_that_ends_as_it_comes_up_is_an_error_in_time(
        self, relay: UnrulyRelay, connect: Callable[[str], Transport], answer: str
    ) -> None:
        relay.answer = answer
        with connect(relay.url) as connected, pytest.raises(ElevatorError):
            in_time(lambda: roundtrip(connected, 1, BRIEF))

    @pytest.mark.parametrize("answer", ["stalled", "dripped", "closed", "died", "replaced"])
    def test_a_reset_connection_works_again_and_brings_nothing_old(
        self, relay: UnrulyRelay, connected: Transport, answer: str
    ) -> None:
        relay.answer = answer
        with pytest.raises(ElevatorError):
            in_time(lambda: roundtrip(connected, 2, BRIEF))
        relay.answer = "passed"
        in_time(connected.reset)
        assert in_time(lambda: roundtrip(connected, 3)) == 3

    def test_a_deadline_that_is_over_is_kept_as_well(self, relay: UnrulyRelay, connected: Transport) -> None:
        relay.answer = "stalled"
        connected.send(ping(2), soon())
        with pytest.raises(RequestTimeout):
            in_time(lambda: connected.receive(Deadline.after(0)))

    @pytest.mark.parametrize("answer", ["stalled", "dripped"])
    def test_close_does_not_wait_for_the_peer(self, relay: UnrulyRelay, connected: Transport, answer: str) -> None:
        relay.answer = answer
        connected.send(ping(2), soon())
        in_time(connected.close)

    def test_receive_without_a_request_ends_with_its_deadline(self, connected: Transport) -> None:
        with pytest.raises(RequestTimeout):
            in_time(lambda: connected.receive(Deadline.after(BRIEF)))


class RecordingReceiver:
    """A receiver that records its events, and whether they came as they should."""

    def __init__(self) -> None:
        self.messages: list[Sequence[bytes]] = []
        self.errors: list[Exception] = []
        self.changed = asyncio.Event()
        self.sending = False
        self.wrong: set[str] = set()
        self._thread = threading.get_ident()

    def _note(self, call: str) -> None:
        if threading.get_ident() != self._thread:
            self.wrong.add(f"{call} was called in another thread than the event loop's")
        elif self.sending:
            self.wrong.add(f"{call} was called within send, and not in a later turn of the event loop")
        self.changed.set()

    def message_received(self, frames: Sequence[bytes]) -> None:
        """Record a message."""
        self.messages.append(frames)
        self._note("message_received")

    def resume_writing(self) -> None:
        """Record that sending may continue."""
        self._note("resume_writing")

    def connection_lost(self, error: Exception) -> None:
        """Record the error."""
        self.errors.append(error)
        self._note("connection_lost")

    def send(self, transport: AsyncTransport, frames: Sequence[bytes]) -> bool:
        """Send a message; events meanwhile are wrong."""
        self.sending = True
        try:
            return transport.send(frames)
        finally:
            self.sending = False

    async def wait(self, event: str) -> None:
        """Wait for a change.

        Args:
            event: the call that would be one, for the error.

        Raises:
            AssertionError: there is none.
        """
        try:
            await asyncio.wait_for(self.changed.wait(), unruly.HANG_TIMEOUT)
        except TimeoutError:
            raise AssertionError(f"{event} was not called within {unruly.HANG_TIMEOUT} s") from None


async def send_ping(transport: AsyncTransport, receiver: RecordingReceiver, number: int) -> bool:
    """Send a PING as soon as the transport accepts it; return False if the connection is lost before."""
    while not receiver.errors:
        receiver.changed.clear()
        if receiver.send(transport, ping(number)):
            return True
        await receiver.wait("send refused a message, and resume_writing")
    return False


async def wait_for_messages(receiver: RecordingReceiver, count: int) -> None:
    """Wait until so many messages have been received, or the connection is lost."""
    while len(receiver.messages) < count and not receiver.errors:
        receiver.changed.clear()
        await receiver.wait("message_received")


async def wait_for_loss(receiver: RecordingReceiver) -> None:
    """Wait until the transport reports that its connection is lost."""
    while not receiver.errors:
        receiver.changed.clear()
        await receiver.wait("connection_lost")


class AsyncTransportConformance(_RelayFixtures):
    """Tests of what an async client relies on: nothing waits, whatever the peer does, and events are reported.

    A transport whose ``open``, ``send`` or ``close`` waits for an unruly peer cannot pass, nor can one that keeps the
    end of its connection to itself.
    """

    @pytest.fixture
    def connect(self) -> Callable[[str], AsyncTransport]:
        """Return a function that makes a new transport, not opened, to a URL like that of ``server``."""
        raise NotImplementedError("override the fixture connect")

    def _run(
        self, main: Callable[[AsyncTransport, RecordingReceiver], Coroutine[Any, Any, None]], transport: AsyncTransport
    ) -> None:
        async def run() -> None:
            receiver = RecordingReceiver()
            transport.open(receiver)
            try:
                await main(transport, receiver)
            finally:
                transport.close()
            assert receiver.wrong == set()

        in_time(lambda: asyncio.run(run()))

    def _longest(self, make: Callable[[], AsyncTransport], sends: int) -> float:
        """Return the longest time of ``open``, a ``send`` or ``close``, in seconds, in the best of some tries."""

        async def tried() -> float:
            transport, times = make(), []

            def timed(call: Callable[[], object]) -> object:
                began = time.monotonic()
                done = call()
                times.append(time.monotonic() - began)
                return done

            receiver = RecordingReceiver()
            timed(lambda: transport.open(receiver))
            await asyncio.sleep(BRIEF)
            for _ in range(sends):
                if receiver.errors or not timed(lambda: transport.send([_MUCH])):
                    break
                await asyncio.sleep(0)
            timed(transport.close)
            return max(times)

        longest = math.inf
        for _ in range(TRIES):
            longest = min(longest, in_time(lambda: asyncio.run(tried())))
            if longest < PROMPT:
                break
        return longest

    def test_neither_open_nor_close_waits_for_a_peer_that_accepts_no_connection(
        self, server: str, connect: Callable[[str], AsyncTransport]
    ) -> None:
        with full(server) as url:
            assert self._longest(lambda: connect(url), 1) < PROMPT

    def test_neither_open_nor_close_waits_for_a_peer_that_says_nothing(
        self, relay: UnrulyRelay, connect: Callable[[str], AsyncTransport]
    ) -> None:
        relay.answer = "stalled"
        assert self._longest(lambda: connect(relay.url), 1) < PROMPT

    def test_send_does_not_wait_for_a_peer_that_takes_nothing(
        self, relay: UnrulyRelay, connect: Callable[[str], AsyncTransport]
    ) -> None:
        async def main(transport: AsyncTransport, receiver: RecordingReceiver) -> None:
            assert await send_ping(transport, receiver, 1)
            await wait_for_messages(receiver, 1)
            relay.reads = False
            for _ in range(_MOST):
                if receiver.errors or not receiver.send(transport, [_MUCH]):
                    break
                await asyncio.sleep(0)

        self._run(main, connect(relay.url))

    @pytest.mark.parametrize("answer", ["closed", "died"])
    def test_the_end_of_a_connection_is_reported(
        self, relay: UnrulyRelay, connect: Callable[[str], AsyncTransport], answer: str
    ) -> None:
        async def main(transport: AsyncTransport, receiver: RecordingReceiver) -> None:
            assert await send_ping(transport, receiver, 1)
            await wait_for_messages(receiver, 1)
            relay.answer = answer
            receiver.send(transport, ping(2))
            await wait_for_loss(receiver)
            assert len(receiver.messages) == 1

        self._run(main, connect(relay.url))

    def test_answers_are_pushed(self, relay: UnrulyRelay, connect: Callable[[str], AsyncTransport]) -> None:
        async def main(transport: AsyncTransport, receiver: RecordingReceiver) -> None:
            for number in (1, 2, 3):
                assert await send_ping(transport, receiver, number)
                await wait_for_messages(receiver, number)
            assert [reply_id(frames) for frames in receiver.messages] == [1, 2, 3]

        self._run(main, connect(relay.url))

    @pytest.mark.parametrize("answer", ["stalled", "dripped"])
    def test_nothing_waits_for_a_peer_that_does_not_answer(
        self, relay: UnrulyRelay, connect: Callable[[str], AsyncTransport], answer: str
    ) -> None:
        async def main(transport: AsyncTransport, receiver: RecordingReceiver) -> None:
            assert await send_ping(transport, receiver, 1)
            await wait_for_messages(receiver, 1)
            relay.answer = answer
            transport.send(ping(2))
            await asyncio.sleep(BRIEF)
            assert len(receiver.messages) == 1

        self._run(main, connect(relay.url))

    @pytest.mark.parametrize("answer", ["stalled", "dripped"])
    def test_nothing_waits_for_a_connection_that_does_not_come_up(
        self, relay: UnrulyRelay, connect: Callable[[str], AsyncTransport], answer: str
    ) -> None:
        async def main(transport: AsyncTransport, receiver: RecordingReceiver) -> None:
            transport.send(ping(1))
            await asyncio.sleep(BRIEF)
            assert receiver.messages == []

        relay.answer = answer
        self._run(main, connect(relay.url))

    def test_nothing_waits_for_a_refused_connection(
        self, server: str, connect: Callable[[str], AsyncTransport]
    ) -> None:
        async def main(transport: AsyncTransport, receiver: RecordingReceiver) -> None:
            transport.send(ping(1))
            await asyncio.sleep(BRIEF)
            assert receiver.messages == []

        with refusing(server) as url:
            self._run(main, connect(url))

    @pytest.mark.parametrize("answer", ["closed", "died", "replaced"])
    def test_no_answer_is_made_of_a_connection_that_ends_or_makes_no_sense(
        self, relay: UnrulyRelay, connect: Callable[[str], AsyncTransport], answer: str
    ) -> None:
        async def main(transport: AsyncTransport, receiver: RecordingReceiver) -> None:
            assert await send_ping(transport, receiver, 1)
            await wait_for_messages(receiver, 1)
            relay.answer = answer
            transport.send(ping(2))
            await asyncio.sleep(BRIEF)
            assert len(receiver.messages) == 1

        self._run(main, connect(relay.url))

    def test_after_close_nothing_is_reported_and_close_twice_is_fine(
        self, relay: UnrulyRelay, connect: Callable[[str], AsyncTransport]
    ) -> None:
        async def main(transport: AsyncTransport, receiver: RecordingReceiver) -> None:
            assert await send_ping(transport, receiver, 1)
            transport.close()
            transport.close()
            before = len(receiver.messages), len(receiver.errors)
            await asyncio.sleep(BRIEF)
            assert (len(receiver.messages), len(receiver.errors)) == before

        self._run(main, connect(relay.url))
