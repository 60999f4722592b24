"""The handshake of a listener that speaks ZMTP itself, without a socket: peers of every ZMTP, in any chunks."""

from contextlib import suppress

import pytest
from hypothesis import given, strategies as st

from pyelevator.errors import LimitExceeded, MalformedMessage
from pyelevator.transports.zmtp.frames import encode_message, frame_header_v1
from pyelevator.transports.zmtp.handshake import ServerHandshake
from pyelevator.transports.zmtp.mechanism import HandshakeRefused, UnsupportedProtocol
from pyelevator.transports.zmtp.protocol import Protocol, Role

SIGNATURE = b"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f"
NULL = b"NULL" + bytes(16)
DEALER = b"\x04\x29\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER\x08Identity\x00\x00\x00\x00"
ROUTER = b"\x04\x29\x05READY\x0bSocket-Type\x00\x00\x00\x06ROUTER\x08Identity\x00\x00\x00\x00"
OURS = b"\x03\x01" + NULL + bytes(32) + ROUTER

ZMTP_1 = b"\x01\x00"
ZMTP_1_NAMED = b"\x05\x00name"
ZMTP_2 = b"\xff\x00\x00\x00\x00\x00\x00\x00\x00\x7f\x01\x05\x00\x00"
ZMTP_2_NAMED = b"\xff\x00\x00\x00\x00\x00\x00\x00\x05\x7f\x01\x03\x00\x04name"
ZMTP_3 = SIGNATURE + b"\x03\x01" + NULL + bytes(32) + DEALER


def shake(data):
    """The handshake after ``data``, and what was answered."""
    welcome = ServerHandshake()
    return welcome, welcome.receive_data(data)


def test_the_signature_comes_first_and_is_an_empty_identity_in_zmtp_1():
    assert Protocol(Role.SERVER).data_to_send() == Protocol(Role.CLIENT).data_to_send() == SIGNATURE


@pytest.mark.parametrize(
    ("peer", "answer"),
    [
        (ZMTP_1, b""),
        (ZMTP_1_NAMED, b""),
        (ZMTP_2, b"\x03\x06\x00\x00"),
        (ZMTP_2_NAMED, b"\x03\x06\x00\x00"),
        (ZMTP_3, OURS),
    ],
)
def test_each_peer_is_sent_what_it_can_parse_and_the_rest_remains(peer, answer):
    welcome, stated = shake(peer + b"rest")
    assert stated == answer
    assert (welcome.is_done, welcome.remaining) == (True, b"rest")


@pytest.mark.parametrize("peer", [ZMTP_1, ZMTP_1_NAMED, ZMTP_2, ZMTP_2_NAMED, ZMTP_3])
def test_a_handshake_may_come_byte_by_byte(peer):
    welcome = ServerHandshake()
    for at in range(len(peer)):
        assert not welcome.is_done
        welcome.receive_data(peer[at : at + 1])
    assert (welcome.is_done, welcome.remaining) == (True, b"")


def test_a_peer_that_waits_for_our_revision_hears_it_after_its_signature():
    assert ServerHandshake().receive_data(SIGNATURE) == b"\x03"


@pytest.mark.parametrize(
    ("peer", "why"),
    [
        (SIGNATURE + b"\x03\x01" + b"CURVE" + bytes(15) + bytes(32) + DEALER, "CURVE"),
        (SIGNATURE + b"\x03\x01" + NULL + bytes(32) + DEALER.replace(b"\x06DEALER", b"\x06SUBSCR"), "SUBSCR"),
        (SIGNATURE + b"\x02\x05\x00\x00", "revision 2"),
        (SIGNATURE + b"\x00\x05\x00\x00", "revision 0"),
        (SIGNATURE + b"\x01\x02\x00\x00", "type 2"),
    ],
)
def test_who_wants_another_kind_of_connection_is_refused(peer, why):
    with pytest.raises(HandshakeRefused, match=why):
        shake(peer)


@pytest.mark.parametrize(
    ("peer", "error"),
    [
        (SIGNATURE + b"\x03\x01" + NULL + bytes(32) + b"\x00\x05hello", MalformedMessage),
        (b"\xff" + bytes(8) + b"\x00", MalformedMessage),
        (b"\xff" + (1 << 40).to_bytes(8, "big") + b"\x00", LimitExceeded),
        (b"\xff" + (300).to_bytes(8, "big") + b"\x00" + b"i" * 299, MalformedMessage),
        (SIGNATURE + b"\x03\x01" + NULL + bytes(32) + b"\x06" + (1 << 40).to_bytes(8, "big"), LimitExceeded),
    ],
)
def test_what_is_no_handshake_is_refused_before_memory_is_taken_for_it(peer, error):
    with pytest.raises(error):
        shake(peer)


@pytest.mark.parametrize(
    ("opening", "protocol"),
    [
        (b"GET / HTTP/1.1\r\n", "HTTP"),
        (b"POST /" + b"x" * 200, "HTTP"),
        (b"OPTIONS * HTTP/1.1\r\n", "HTTP"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP"),
        (b"QUERY / HTTP/1.1\r\n", "some text protocol"),
        (b"A / HTTP/1.1\r\n", "some text protocol"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "TLS"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "SSH"),
        (b"*1\r\n$4\r\nPING\r\n", "some text protocol"),
        (b"\r\n", "some text protocol"),
        (b"\x05\x01\x00", "another protocol"),  # SOCKS 5
        (b"\x00\x00\x00\x08\x04\xd2\x16/", "another protocol"),  # PostgreSQL
        (b"\x3a\x00\x00\x00\x01\x00\x00\x00", "another protocol"),  # MongoDB
        (b"\x80\x00\x00\x03\x00\x00\x00\x00", "another protocol"),  # memcached
        (b"\x03\x00\x00\x13\x0e\xe0", "another protocol"),  # RDP
        (b"\x04\x00\x00\x00\x05\x00\x00\x00\x00", "another protocol"),  # Cassandra
        (b"\x10\x16\x00\x04MQTT", "another protocol"),
        (b"\x00\x1c\x00\x01\x00\x00\x21\x12", "another protocol"),  # STUN over TCP
        (b"\xff" + bytes(7) + b"\xff\x02" + b"i" * 254, "another protocol"),  # a long identity with flags
        (b"\x05\x02name", "another protocol"),
    ],
)
def test_another_protocol_is_refused_by_its_first_bytes(opening, protocol):
    with pytest.raises(UnsupportedProtocol, match=f"it speaks {protocol}, not ZeroMQ"):
        shake(opening)
    welcome = ServerHandshake()
    with pytest.raises(UnsupportedProtocol):
        list(map(welcome.receive_data, [opening[at : at + 1] for at in range(len(opening))]))


@given(
    st.lists(st.binary(max_size=100), max_size=5), st.sampled_from([b"", SIGNATURE, ZMTP_1, ZMTP_2[:12], ZMTP_3[:64]])
)
def test_whatever_comes_in_is_a_handshake_or_one_of_three_errors(chunks, start):
    welcome = ServerHandshake()
    with suppress(HandshakeRefused, MalformedMessage, LimitExceeded):
        for chunk in [start, *chunks]:
            if not welcome.is_done:
                welcome.receive_data(chunk)


# Frames of ZMTP 1


def decoder_of(peer):
    protocol = Protocol(Role.SERVER, max_message=1 << 20)
    protocol.receive_data(peer)
    return protocol


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x02\x01a\x01\x00", [b"a", b""]),
        (b"\xff\x00\x00\x00\x00\x00\x00\x00\x02\x01a\x02\x00b", [b"a", b"b"]),
        (b"\xfe\x00" + bytes(253), [bytes(253)]),
        (b"\xff\x00\x00\x00\x00\x00\x00\x00\xff\x00" + bytes(254), [bytes(254)]),
        (b"\xff\x00\x00\x00\x00\x00\x01\x00\x01\x00" + bytes(65536), [bytes(65536)]),
    ],
)
def test_frames_of_the_oldest_peers_count_their_flags(data, message):
    decoder = decoder_of(ZMTP_1)
    decoder.receive_data(data)
    assert list(decoder.messages) == [message]


@pytest.mark.parametrize(
    ("frames", "data"),
    [
        ([b"a", b""], b"\x02\x01a\x01\x00"),
        ([bytes(253)], b"\xfe\x00" + bytes(253)),
        ([bytes(254)], b"\xff\x00\x00\x00\x00\x00\x00\x00\xff\x00" + bytes(254)),
    ],
)
def test_frames_to_the_oldest_peers_count_their_flags(frames, data):
    assert b"".join(encode_message(frames, frame_header_v1)) == data


@given(st.lists(st.lists(st.binary(max_size=600), min_size=1, max_size=3), max_size=4), st.lists(st.integers(1, 300)))
def test_messages_in_the_oldest_words_come_back_from_any_pieces(messages, sizes):
    data = b"".join(chunk for message in messages for chunk in encode_message(message, frame_header_v1))
    decoder = decoder_of(ZMTP_1)
    for size in sizes:
        decoder.receive_data(data[:size])
        data = data[size:]
    decoder.receive_data(data)
    assert list(decoder.messages) == messages


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"\x00\x00", MalformedMessage),
        (b"\x03\x02ab", MalformedMessage),
        (b"\xff" + b"\x7f" * 8 + b"\0", LimitExceeded),
    ],
)
def test_a_frame_that_is_none_or_too_long_is_refused(data, error):
    with pytest.raises(error):
        decoder_of(ZMTP_1).receive_data(data)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"\xff\xf7~\x00\x00\x00\xd6a\x00\x00\x00\x01", LimitExceeded),
        (b"\xff\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00", HandshakeRefused),
    ],
)
def test_what_is_refused_is_refused_alike_in_any_pieces(data, error):
    for size in range(1, len(data) + 1):
        welcome = ServerHandshake()
        with pytest.raises(error):
            [welcome.receive_data(data[at : at + size]) for at in range(0, len(data), size)]
