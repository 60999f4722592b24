"""The conformance suite of a transport: whole messages, lanes that share nothing, and a clean cut with the past.

Subclass :class:`TransportConformance` and override the fixture ``transport``; pytest then runs all of it.
"""

from collections.abc import Sequence

import pytest

from pyelevator.codec import ClassicCodec
from pyelevator.commands import DbConnect, Get, Ping, Put
from pyelevator.deadlines import Deadline
from pyelevator.errors import Id, RequestTimeout
from pyelevator.messages import Request
from pyelevator.transports import Transport

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
        transport.discard()
        transport.send(ping(1000), soon())
        assert answered(transport.receive(soon())) == 1000
        with pytest.raises(RequestTimeout):
            transport.receive(Deadline.after(0.05))

    def test_siblings_share_nothing_but_the_server(self, transport: Transport) -> None:
        with transport.sibling() as other:
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
        assert transport.sibling().url == transport.url
