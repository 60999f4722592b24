"""ZMTP without a socket: the bytes on the wire, and that nothing a peer sends does more than refuse itself."""

import tracemalloc
from contextlib import suppress

import pytest
from hypothesis import given, strategies as st

from pyelevator.errors import LimitExceeded, MalformedMessage
from pyelevator.transports.zmtp.frames import (
    COMMAND,
    LARGE,
    MAX_MESSAGE,
    encode_command,
    encode_frame,
    encode_message,
    encode_property,
)
from pyelevator.transports.zmtp.handshake import ClientHandshake
from pyelevator.transports.zmtp.mechanism import SERVERS, HandshakeRefused, NullMechanism
from pyelevator.transports.zmtp.protocol import Protocol, Role
from support.protocols import established

SIGNATURE = b"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f"
NULL = b"NULL" + bytes(16)
READY = b"\x04\x29\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER\x08Identity\x00\x00\x00\x00"
ROUTER = b"\x04\x29\x05READY\x0bSocket-Type\x00\x00\x00\x06ROUTER\x08Identity\x00\x00\x00\x00"


def greeting(major=3, minor=1, mechanism=NULL):
    return SIGNATURE + bytes((major, minor)) + mechanism + bytes(32)


def shake(data, sizes=()):
    """The handshake after ``data``, which comes in chunks of those sizes and then the rest, and what it sent."""
    handshake, sent = ClientHandshake(), [SIGNATURE]
    for size in sizes:
        sent.append(handshake.receive_data(data[:size]))
        data = data[size:]
    sent.append(handshake.receive_data(data))
    return handshake, b"".join(sent)


def connection(data, limit=1 << 20):
    """The client's side of a connection after ``data``."""
    protocol = Protocol(Role.CLIENT, max_message=limit)
    protocol.receive_data(data)
    return protocol


def decoded(data, sizes=(), limit=1 << 20):
    decoder = established(limit)
    for size in sizes:
        decoder.receive_data(data[:size])
        data = data[size:]
    decoder.receive_data(data)
    return decoder


# The handshake


def test_we_end_the_greeting_once_the_mechanism_of_the_peer_is_known():
    handshake = ClientHandshake()
    assert handshake.receive_data(SIGNATURE) == b""
    assert handshake.receive_data(b"\x03") == b"\x03\x01" + NULL + bytes(31)
    assert handshake.receive_data(b"\x01" + NULL[:19]) == b""
    assert handshake.receive_data(b"\0") == b"\0" + READY
    assert handshake.receive_data(bytes(32)) == b""
    assert not handshake.is_done
    assert handshake.receive_data(ROUTER) == b""
    assert (handshake.is_done, handshake.remaining) == (True, b"")


@given(st.lists(st.integers(0, 30), max_size=20))
def test_a_handshake_may_come_in_any_pieces_and_with_messages_behind_it(sizes):
    handshake, sent = shake(greeting() + ROUTER, sizes)
    assert handshake.is_done
    assert sent == SIGNATURE + b"\x03\x01" + NULL + bytes(32) + READY
    handshake, _ = shake(greeting() + ROUTER + b"\x00\x02hi")
    assert handshake.remaining == b"\x00\x02hi"


OLD = {
    "ZMTP 1": (b"\x01\x00", b""),
    "ZMTP 1, with an identity": (b"\x06\x00abcde", b""),
    "ZMTP 1, with a long identity": (b"\xff" + (256).to_bytes(8, "big") + b"\x00" + b"i" * 255, b""),
    "ZMTP 2": (SIGNATURE + b"\x01\x06\x00\x00", b"\x03\x05\x00\x00"),
    "ZMTP 2, with an identity": (SIGNATURE + b"\x01\x06\x00\x02id", b"\x03\x05\x00\x00"),
}
"""How older peers begin, and what they get beside the signature."""


@pytest.mark.parametrize("kind", OLD)
def test_an_older_peer_gets_no_more_than_it_understands(kind):
    data, answer = OLD[kind]
    for cut in range(len(data) + 1):
        handshake, sent = shake(data + b"rest", [cut])
        assert (handshake.is_done, handshake.remaining, sent) == (True, b"rest", SIGNATURE + answer)
        assert not connection(data).understands_ping
    for end in range(len(data)):
        handshake, sent = shake(data[:end])
        assert not handshake.is_done
        assert (SIGNATURE + answer).startswith(sent)


@pytest.mark.parametrize("kind", [*OLD, "ZMTP 3"])
def test_messages_are_written_as_the_peer_reads_them(kind):
    data = OLD[kind][0] if kind in OLD else greeting() + ROUTER
    short, long = {"1": (b"\x02\x01a\x03\x00bc", b"\xff" + (301).to_bytes(8, "big") + b"\x00")}.get(
        kind[5], (b"\x01\x01a\x00\x02bc", b"\x02" + (300).to_bytes(8, "big"))
    )
    decoder = connection(data)
    assert b"".join(decoder.encode_message([b"a", b"bc"])) == short
    assert b"".join(decoder.encode_message([b"x" * 300])) == long + b"x" * 300
    decoder.receive_data(short + long + b"x" * 300)
    assert list(decoder.messages) == [[b"a", b"bc"], [b"x" * 300]]


@pytest.mark.parametrize("kind", [*OLD, "ZMTP 3"])
@pytest.mark.parametrize("size", [0, 1000, 1 << 17])
def test_a_message_that_never_ends_is_over_the_limit_whatever_its_age(kind, size):
    decoder = connection(OLD[kind][0] if kind in OLD else greeting() + ROUTER)
    first = b"".join(decoder.encode_message([b"x" * size, b""]))[:-2]

    def feed_for_ever():
        for _ in range(20_000):
            decoder.receive_data(first)

    with pytest.raises(LimitExceeded):
        feed_for_ever()
    assert decoder.buffered_bytes <= (1 << 20) + (1 << 17) + 100


@pytest.mark.parametrize("kind", OLD)
def test_a_frame_of_an_older_peer_is_over_the_limit_by_its_head(kind):
    decoder = connection(OLD[kind][0])
    head = (
        b"\xff" + (2 << 30).to_bytes(8, "big") + b"\x00" if kind[5] == "1" else b"\x02" + (2 << 30).to_bytes(8, "big")
    )
    with pytest.raises(LimitExceeded):
        decoder.receive_data(head)


@pytest.mark.parametrize(
    "data",
    [
        SIGNATURE + b"\x00",
        SIGNATURE + b"\x02",
        b"SSH-2.0-OpenSSH",
        b"HTTP/1.1 400 Bad Request\r\n",
        b"\x16\x03\x01",
        b"\x05\x01abcd",
        b"\xff" + (257).to_bytes(8, "big") + b"\x00",
        SIGNATURE + b"\x01\x06\x01\x00",
        SIGNATURE + b"\x01\x06\x04\x00",
    ],
)
def test_what_begins_otherwise_is_refused_and_gets_nothing_bad(data):
    for cut in range(len(data) + 1):
        with pytest.raises((HandshakeRefused, MalformedMessage, LimitExceeded)):
            shake(data, [cut])


@pytest.mark.parametrize("kind", OLD)
def test_with_keys_an_older_peer_is_refused(kind):
    class Keys(NullMechanism):
        name = b"CURVE".ljust(20, b"\0")  # type: ignore[misc]

    with pytest.raises(HandshakeRefused, match="NULL"):
        ClientHandshake(Keys(b"DEALER", SERVERS)).receive_data(OLD[kind][0])


def test_a_later_revision_is_spoken_with():
    assert shake(greeting(major=4) + ROUTER)[0].is_done


@pytest.mark.parametrize("mechanism", [b"CURVE", b"PLAIN", b"GSSAPI", b"NULLX", b"", b"XNULL"])
def test_another_mechanism_is_refused(mechanism):
    with pytest.raises(HandshakeRefused):
        shake(greeting(mechanism=mechanism.ljust(20, b"\0")) + b"\x04")


@pytest.mark.parametrize("kind", [b"ROUTER", b"DEALER", b"REP"])
def test_the_names_of_properties_are_read_in_any_case(kind):
    assert shake(greeting() + encode_command(b"READY", encode_property(b"SOCKET-type", kind)))[0].is_done


@pytest.mark.parametrize(
    "ready",
    [
        encode_command(b"READY", encode_property(b"Socket-Type", b"PUB")),
        encode_command(b"READY", b""),
        encode_command(b"ERROR", b"\x0fno more than ten"),
        encode_command(b"ERROR", b""),
    ],
)
def test_a_peer_may_refuse(ready):
    with pytest.raises(HandshakeRefused):
        shake(greeting() + ready)


@pytest.mark.parametrize(
    "ready",
    [
        b"\x00\x02hi",
        b"\x08\x00",
        b"\x05\x00",
        b"\x04\x00",
        b"\x04\x02\x05R",
        encode_command(b"HELLO", b""),
        encode_command(b"READY", b"\x0bSocket-Type\x00\x00\x00\x07ROUTER"),
        encode_command(b"READY", b"\xff"),
    ],
)
def test_what_is_no_ready_is_malformed(ready):
    with pytest.raises(MalformedMessage):
        shake(greeting() + ready)


def test_properties_have_a_limit():
    with pytest.raises(LimitExceeded):
        shake(greeting() + b"\x06" + (1 << 40).to_bytes(8, "big"))


# Frames


@pytest.mark.parametrize(
    ("frames", "wire"),
    [
        ([b""], b"\x00\x00"),
        ([b"hi"], b"\x00\x02hi"),
        ([b"a", b"", b"bc"], b"\x01\x01a\x01\x00\x00\x02bc"),
        ([b"x" * 255], b"\x00\xff" + b"x" * 255),
        ([b"x" * 256], b"\x02\x00\x00\x00\x00\x00\x00\x01\x00" + b"x" * 256),
        ([b"x" * 300, b"y"], b"\x03\x00\x00\x00\x00\x00\x00\x01\x2c" + b"x" * 300 + b"\x00\x01y"),
    ],
)
def test_a_message_on_the_wire(frames, wire):
    assert encode_message(frames) == [wire]
    assert list(decoded(wire).messages) == [frames]


def test_large_frames_are_pieces_of_their_own_and_not_copied():
    large = bytes(LARGE)
    chunks = encode_message([b"a", large, b"b", large])
    assert [len(chunk) for chunk in chunks] == [12, len(large), 12, len(large)]
    assert chunks[1] is large
    assert list(decoded(b"".join(chunks)).messages) == [[b"a", large, b"b", large]]


MESSAGES = st.lists(st.lists(st.binary(max_size=400), min_size=1, max_size=5), max_size=6)


@given(MESSAGES, st.lists(st.integers(0, 300), max_size=30), st.booleans())
def test_messages_come_out_as_they_went_in_whatever_the_pieces(messages, sizes, pinged):
    data = b"".join(
        b"".join(encode_message(frames)) + (b"\x04\x07\x04PING\x00\x0a" if pinged else b"") for frames in messages
    )
    decoder = decoded(data, sizes)
    assert list(decoder.messages) == messages
    assert decoder.pending == (b"\x04\x05\x04PONG" * len(messages) if pinged else b"")


@pytest.mark.parametrize("limit", [100, 200, 400, 1000])
@given(st.lists(st.binary(max_size=300), min_size=1, max_size=3), st.binary(max_size=3), st.sampled_from([0, 1, 2, 4]))
def test_both_ways_read_a_short_message_alike(limit, frames, behind, flags):
    data = b"".join(encode_message(frames)) + behind
    found = []
    for given_data in (data, bytes([data[0] | flags]) + data[1:]):
        for is_short in (True, False):
            decoder, refused = established(limit), None
            decoder.is_plain = is_short
            try:
                decoder.receive_data(given_data)
            except (LimitExceeded, MalformedMessage) as error:
                refused = type(error), str(error)
            found.append((refused, list(decoder.messages), decoder.buffered_bytes, decoder.has_unread))
    assert found[0] == found[1]
    assert found[2] == found[3]


@pytest.mark.parametrize("frames", [[b""], [b"v" * 255], [b"header", b"v" * 255], [b"", b""]])
def test_a_short_message_that_comes_alone_is_read_at_once(frames, monkeypatch):
    decoder = established()
    monkeypatch.delattr(Protocol, "_read")
    decoder.receive_data(b"".join(encode_message(frames)))
    assert list(decoder.messages) == [frames]


@given(st.integers(LARGE - 3, 3 * LARGE), st.lists(st.integers(1, 2 * LARGE), max_size=6))
def test_large_frames_come_out_as_they_went_in_whatever_the_pieces(size, sizes):
    messages = [[b"h", bytes([1]) * size], [bytes([2]) * size, b"t"]]
    assert list(decoded(b"".join(b"".join(encode_message(m)) for m in messages), sizes).messages) == messages


def test_a_long_frame_may_be_short():
    assert list(decoded(b"\x02\x00\x00\x00\x00\x00\x00\x00\x02hi").messages) == [[b"hi"]]


@pytest.mark.parametrize("flags", [0x05, 0x07, 0x08, 0x10, 0x80, 0xFF])
def test_flags_that_there_are_not_are_malformed(flags):
    with pytest.raises(MalformedMessage):
        decoded(bytes([flags]) + b"\x00")


@pytest.mark.parametrize("body", [b"", b"\x00", b"\x05PING"])
def test_a_command_without_a_name_is_malformed(body):
    with pytest.raises(MalformedMessage):
        decoded(encode_frame(body, COMMAND))


def test_a_ping_is_answered_with_its_context_cut_to_what_it_may_have():
    assert decoded(encode_command(b"PING", b"\x00\x0a" + b"who?")).pending == b"\x04\x09\x04PONGwho?"
    assert decoded(encode_command(b"PING", b"\x00\x0a" + b"x" * 5000)).pending == encode_command(b"PONG", b"x" * 16)
    assert decoded(encode_command(b"PING", b"")).pending == encode_command(b"PONG", b"")


@pytest.mark.parametrize("name", [b"PONG", b"SUBSCRIBE", b"CANCEL", b"JOIN", b"ERROR", b"X" * 200])
def test_other_commands_ask_for_nothing(name):
    decoder = decoded(encode_command(name, b"...") + b"\x00\x02hi")
    assert (list(decoder.messages), decoder.pending) == ([[b"hi"]], b"")


# Limits


@pytest.mark.parametrize("size", [1025, 1 << 40, (1 << 64) - 1])
def test_a_frame_above_the_limit_is_refused_by_its_head(size):
    with pytest.raises(LimitExceeded):
        decoded(b"\x02" + size.to_bytes(8, "big"), limit=1024)


def test_a_message_of_many_frames_has_the_same_limit():
    decoded(b"\x01\x00" * 16, limit=1024)
    with pytest.raises(LimitExceeded):
        decoded(b"\x01\x00" * 17, limit=1024)
    with pytest.raises(LimitExceeded):
        decoded((b"\x01\xff" + bytes(255)) * 4, limit=1024)


def test_the_limit_is_of_one_message():
    assert len(decoded((b"\x01\xc8" + bytes(200) + b"\x00\xc8" + bytes(200)) * 50, limit=1024).messages) == 50


def test_a_frame_that_is_announced_takes_no_memory_before_it_comes():
    decoder = established()
    tracemalloc.start()
    decoder.receive_data(b"\x02" + MAX_MESSAGE.to_bytes(8, "big") + bytes(1 << 16))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20
    assert decoder.read_size <= 1 << 20


@pytest.mark.parametrize("size", [2, 1000, LARGE])
def test_the_memory_of_a_partial_message_is_known_in_any_chunks(size):
    decoder, complete = established(), encode_frame(bytes(size * 1000 + LARGE))
    chunks = [complete[at : at + size] for at in range(0, len(complete), size)]
    tracemalloc.start()
    for chunk in chunks[:-1]:
        decoder.receive_data(bytes(bytearray(chunk)))  # a copy, which counts
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 1.1 * decoder.buffered_bytes > held
    decoder.receive_data(chunks[-1])
    assert [len(content) for content in decoder.messages[0]] == [size * 1000 + LARGE]
    assert decoder.buffered_bytes == 0


def test_a_large_frame_is_in_memory_once_also_when_it_ends():
    decoder, size = established(), 20 << 20
    decoder.receive_data(b"\x02" + size.to_bytes(8, "big") + bytes(LARGE))
    tracemalloc.start()
    for _ in range(LARGE, size, LARGE):
        decoder.receive_data(bytes(LARGE))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [len(content) for content in decoder.messages[0]] == [size]
    assert peak < 1.2 * size


@given(st.binary(max_size=200), st.lists(st.integers(0, 50), max_size=5))
def test_any_bytes_give_messages_or_an_error_of_ours(data, sizes):
    for read in (lambda: decoded(data, sizes, 1024), lambda: shake(greeting() + data), lambda: shake(data, sizes)):
        with suppress(MalformedMessage, LimitExceeded, HandshakeRefused):
            read()
