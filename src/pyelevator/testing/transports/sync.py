"""The suites of transports that block."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from typing import Final, TypeAlias

import pytest

from pyelevator.commands import DbConnect, Get, Put
from pyelevator.deadlines import Deadline
from pyelevator.errors import ElevatorError, RequestTimeout, TransportError
from pyelevator.messages import Request
from pyelevator.testing.transports.fixtures import (
    BRIEF,
    CODEC,
    LARGE,
    MAX_UNREAD,
    RelayFixtures,
    ping,
    reply_id,
    roundtrip,
    soon,
)
from pyelevator.testing.unruly import (
    PROMPT,
    TRIES,
    UnrulyRelay,
    best_of_tries,
    call_in_time,
    duration,
    full_listener,
    refusing_listener,
)
from pyelevator.transports import Transport

Connect: TypeAlias = Callable[[str], Transport]
"""Makes a new transport to a URL like that of ``server``."""


_ANSWER_ERRORS: Final = {
    **dict.fromkeys(("stalled", "dripped"), RequestTimeout),
    **dict.fromkeys(("closed", "died", "replaced"), ElevatorError),
}
"""Answer of a relay -> the error of a call that gets no other."""


def _send_much(transport: Transport) -> None:
    for _ in range(MAX_UNREAD):
        transport.send([LARGE], Deadline.after(BRIEF))


class TransportConformance:
    """Tests of what a client relies on. The transport connects to a pyelevator server that speaks classic."""

    @pytest.fixture
    def transport(self) -> Transport:
        """Return a new transport to a running server."""
        raise NotImplementedError("override the fixture transport")

    def test_an_answer_follows_a_message(self, transport: Transport) -> None:
        assert roundtrip(transport, 1) == 1

    def test_messages_in_flight_are_all_reply_id(self, transport: Transport) -> None:
        for number in range(100):
            transport.send(ping(number), soon())
        assert sorted(reply_id(transport.receive(soon())) or 0 for _ in range(100)) == list(range(100))

    def test_large_frames_arrive_complete(self, transport: Transport) -> None:
        def answer(request: Request) -> bytes:
            transport.send(CODEC.encode_request(request), soon())
            payload: bytes = CODEC.decode_response(transport.receive(soon()), request).payload
            return payload

        uid = answer(Request(DbConnect("default"), id=1)).decode()
        value = bytes(range(256)) * 20_000
        answer(Request(Put(b"k", value), uid))
        assert answer(Request(Get(b"k"), uid)) == value

    def test_nothing_to_receive_is_a_timeout(self, transport: Transport) -> None:
        roundtrip(transport, 1)
        with pytest.raises(RequestTimeout):
            transport.receive(Deadline.after(0.05))

    def test_a_reset_connection_never_receives_earlier_replies(self, transport: Transport) -> None:
        for number in range(50):
            transport.send(ping(number), soon())
        transport.reset()
        assert roundtrip(transport, 1000) == 1000
        with pytest.raises(RequestTimeout):
            transport.receive(Deadline.after(0.05))

    def test_siblings_share_nothing_but_the_server(self, transport: Transport) -> None:
        with transport.clone() as other:
            transport.send(ping(1), soon())
            other.send(ping(2), soon())
            assert reply_id(other.receive(soon())) == 2
            assert reply_id(transport.receive(soon())) == 1
            transport.close()
            assert roundtrip(other, 3) == 3

    def test_close_twice_is_fine_and_send_opens_again(self, transport: Transport) -> None:
        transport.send(ping(1), soon())
        transport.close()
        transport.close()
        assert roundtrip(transport, 2) == 2

    def test_a_closed_connection_is_not_open(self, transport: Transport) -> None:
        roundtrip(transport, 1)
        transport.close()
        assert not transport.is_open

    def test_a_call_may_have_no_end(self, transport: Transport) -> None:
        assert roundtrip(transport, 1, None) == 1

    def test_a_connection_has_the_url_of_its_server(self, transport: Transport) -> None:
        assert "://" in transport.url
        assert transport.clone().url == transport.url


class DeadlineConformance(RelayFixtures):
    """Tests of what a client relies on when the peer misbehaves: no call takes longer than its deadline.

    A transport that ignores deadlines, where it connects, sends, receives or closes, as a whole or for each byte,
    cannot pass, nor can one that has timeouts of its own in their place.
    """

    @pytest.fixture
    def connect(self) -> Connect:
        """Return a function that makes a new transport to a URL like that of ``server``."""
        raise NotImplementedError("override the fixture connect")

    @pytest.fixture
    def connected(self, relay: UnrulyRelay, connect: Connect) -> Iterator[Transport]:
        """Yield a transport that has received a reply."""
        connected = connect(relay.url)
        try:
            assert call_in_time(lambda: roundtrip(connected, 1)) == 1
            yield connected
        finally:
            call_in_time(connected.close)

    @pytest.mark.parametrize("answer", _ANSWER_ERRORS)
    def test_no_answer_is_an_error_in_time_and_a_reset_brings_nothing_old(
        self, relay: UnrulyRelay, connected: Transport, answer: str
    ) -> None:
        relay.answer = answer
        with pytest.raises(_ANSWER_ERRORS[answer]):
            call_in_time(lambda: roundtrip(connected, 2, BRIEF))
        relay.answer = "passed"
        call_in_time(connected.reset)
        assert call_in_time(lambda: roundtrip(connected, 3)) == 3

    @pytest.mark.parametrize("answer", _ANSWER_ERRORS)
    def test_a_connection_that_does_not_come_up_is_an_error_in_time(
        self, relay: UnrulyRelay, connect: Connect, answer: str
    ) -> None:
        relay.answer = answer
        with connect(relay.url) as connected, pytest.raises(_ANSWER_ERRORS[answer]):
            call_in_time(lambda: roundtrip(connected, 1, BRIEF))

    def test_a_call_ends_with_its_own_deadline_and_no_other(self, relay: UnrulyRelay, connect: Connect) -> None:
        def call() -> None:
            with connect(relay.url) as connected, suppress(ElevatorError):
                roundtrip(connected, 1, BRIEF)

        relay.answer = "stalled"
        took = best_of_tries(lambda: duration(lambda: call_in_time(call)))
        assert took < PROMPT, f"a call with {BRIEF} s ended after {took:.1f} s, {TRIES} times"

    def test_an_answer_that_takes_its_time_is_received(self, relay: UnrulyRelay, connected: Transport) -> None:
        relay.answer = "delayed"
        assert call_in_time(lambda: roundtrip(connected, 2)) == 2

    def test_a_peer_that_takes_nothing_holds_up_no_call(self, relay: UnrulyRelay, connected: Transport) -> None:
        def send_and_receive() -> None:
            _send_much(connected)
            connected.receive(Deadline.after(BRIEF))

        relay.reads = False
        with pytest.raises(TransportError):
            call_in_time(send_and_receive)

    def test_close_does_not_wait_for_a_peer_that_takes_nothing(self, relay: UnrulyRelay, connected: Transport) -> None:
        relay.reads = False
        with suppress(TransportError):
            call_in_time(lambda: _send_much(connected))
        call_in_time(connected.close)

    @pytest.mark.parametrize("peer", [full_listener, refusing_listener])
    def test_a_peer_that_accepts_no_connection_is_an_error_in_time(
        self, server: str, connect: Connect, peer: Callable[[str], AbstractContextManager[str]]
    ) -> None:
        with peer(server) as url, connect(url) as connected, pytest.raises(TransportError):
            call_in_time(lambda: roundtrip(connected, 1, BRIEF))

    def test_a_deadline_that_is_over_is_kept_as_well(self, relay: UnrulyRelay, connected: Transport) -> None:
        relay.answer = "stalled"
        connected.send(ping(2), soon())
        with pytest.raises(RequestTimeout):
            call_in_time(lambda: connected.receive(Deadline.after(0)))

    @pytest.mark.parametrize("answer", ["stalled", "dripped"])
    def test_close_does_not_wait_for_the_peer(self, relay: UnrulyRelay, connected: Transport, answer: str) -> None:
        relay.answer = answer
        connected.send(ping(2), soon())
        call_in_time(connected.close)

    def test_receive_without_a_request_ends_with_its_deadline(self, connected: Transport) -> None:
        with pytest.raises(RequestTimeout):
            call_in_time(lambda: connected.receive(Deadline.after(BRIEF)))
