"""CurveZMQ without a socket: the bytes on the wire, recorded sessions with libzmq, and what is refused."""

import json
import tracemalloc
from contextlib import suppress
from typing import Any

import nacl.public
import pytest
from hypothesis import given, strategies as st
from zmq.utils import z85

from pyelevator.errors import LimitExceeded, MalformedMessage
from pyelevator.transports.curve import Curve, KeyPair
from pyelevator.transports.zmtp.curvezmq import NAME, Cipher, CurveClientMechanism
from pyelevator.transports.zmtp.frames import LARGE, MORE, encode_command
from pyelevator.transports.zmtp.handshake import SIGNATURE, ClientHandshake
from pyelevator.transports.zmtp.mechanism import NULL, HandshakeRefused, encode_ready
from pyelevator.transports.zmtp.protocol import Role
from support.protocols import established
from vectors.record_curve import CLIENT, SERVER, SESSIONS, connection, our_client, our_server

RECORDED = [(kind, session) for kind, sessions in json.loads(SESSIONS.read_text()).items() for session in sessions]
LIMIT = 1 << 20


def greeted(client, server):
    """Both sides once the greetings are over, and the client's HELLO."""
    answer = server.receive_data(SIGNATURE)
    greeting = client.receive_data(SIGNATURE + answer)  # all of it but the last byte
    hello = client.receive_data(server.receive_data(greeting))
    assert server.receive_data(hello[:1]) == b""
    return hello[1:]


def ciphers():
    """Those of two sides."""
    client, server = b"CurveZMQMESSAGEC", b"CurveZMQMESSAGES"
    return Cipher(bytes(32), client, server, 0, 0), Cipher(bytes(32), server, client, 0, 0)


def test_a_large_frame_is_encrypted_with_no_copy_but_the_box():
    content = bytes(8 << 20)
    tracemalloc.start()
    ciphers()[0].encode_message([content])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.1 * len(content)


# The handshake


def test_two_of_ours_understand_each_other_and_the_server_knows_the_client():
    client, server = connection(Role.CLIENT, LIMIT), connection(Role.SERVER, LIMIT)
    while client.pending or server.pending:
        server.receive_data(client.data_to_send())
        client.receive_data(server.data_to_send())
    assert client.is_established
    assert server.peer == CLIENT.public_key
    for one, other in ((client, server), (server, client)):
        for message in ([b"a", b"", b"b" * 300], [bytes(LARGE), b"c"], [b""]):
            other.receive_data(b"".join(one.encode_message(message)))
            assert other.messages.popleft() == message


@pytest.mark.parametrize(("kind", "session"), RECORDED, ids=[f"{kind} {s['libzmq']}" for kind, s in RECORDED])
def test_a_recorded_session_with_libzmq_is_answered_to_the_byte(kind, session):
    side = connection(Role.SERVER if kind == "libzmq's client" else Role.CLIENT, LIMIT)
    for data in session["theirs"]:
        side.receive_data(bytes.fromhex(data))
    assert side.data_to_send().hex() == "".join(session["ours"])
    side.receive_data(bytes.fromhex(session["then"]))
    assert [[frame.decode() for frame in message] for message in side.messages] == session["messages"]
    assert session["messages"] == [["one"], ["two", "", "frames" * 60]]


def test_a_hello_is_what_the_library_s_own_classes_make():
    hello = greeted(our_client(), our_server())
    short = nacl.public.PrivateKey(b"\x01" * 32)
    box = nacl.public.Box(short, nacl.public.PublicKey(z85.decode(SERVER.public_key)))
    nonce = bytes(7) + b"\1"
    signature = box.encrypt(bytes(64), b"CurveZMQHELLO---" + nonce).ciphertext
    assert hello == b"\x04\xc8\x05HELLO\x01\x00" + bytes(72) + bytes(short.public_key) + nonce + signature


@pytest.mark.parametrize(("side", "role"), [(our_client, 0), (our_server, 1)])
def test_the_greeting_names_the_mechanism_and_the_role(side, role):
    handshake = side()
    stated = SIGNATURE + handshake.receive_data(SIGNATURE + b"\x03")
    assert (stated[:10], stated[12:32], stated[32], stated[33:63]) == (SIGNATURE, NAME, role, bytes(30))


def test_a_client_that_is_not_known_is_told_so_as_libzmq_does():
    client, server = our_client(), our_server(lambda _: False)
    initiate = client.receive_data(server.receive_data(greeted(client, server)))
    with pytest.raises(HandshakeRefused, match="is not among the server's clients") as caught:
        server.receive_data(initiate)
    assert caught.value.answer == b"\x04\x0a\x05ERROR\x03400"
    with pytest.raises(HandshakeRefused, match="400"):
        client.receive_data(caught.value.answer)


@pytest.mark.parametrize("side", [our_client, ClientHandshake], ids=["with keys", "without"])
def test_a_reason_to_refuse_us_is_short_and_a_line_of_its_own(side):
    client = side()
    client.receive_data(SIGNATURE + b"\x03\x01" + client._mechanism.name + bytes(32))
    with pytest.raises(HandshakeRefused) as caught:
        client.receive_data(encode_command(b"ERROR", b"\xff" + b"\x1b[2J\nall is well" * 1000))
    assert len(str(caught.value)) < 300
    assert str(caught.value).removeprefix("its keys: ").startswith("\\x1b[2J\\nall is well")


def test_a_client_of_another_server_is_refused_at_its_first_word():
    client = ClientHandshake(
        CurveClientMechanism(Curve(KeyPair.generate().public_key, CLIENT.public_key, CLIENT.secret_key))
    )
    server = our_server()
    with pytest.raises(MalformedMessage, match="cannot be opened"):
        server.receive_data(greeted(client, server))


@pytest.mark.parametrize("opening", [b"\x01\x00", b"\xff" + bytes(9), SIGNATURE + b"\x01\x05\x00\x00"])
@pytest.mark.parametrize("side", [our_client, our_server])
def test_a_peer_whose_protocol_has_no_keys_is_refused(side, opening):
    with pytest.raises(HandshakeRefused, match=r"has no keys|NULL"):
        side().receive_data(opening)


@pytest.mark.parametrize("side", [our_client, our_server])
def test_a_peer_without_keys_is_refused(side):
    with pytest.raises(HandshakeRefused, match=r"mechanism b?'NULL'"):
        side().receive_data(SIGNATURE + b"\x03\x01" + NULL + bytes(32) + encode_ready(b"DEALER"))


@pytest.mark.parametrize("at", [*range(10), 82, 100, 120, 125, 170, 201])
def test_a_changed_byte_in_a_hello_is_refused(at):
    server = our_server()
    hello = bytearray(greeted(our_client(), server))
    hello[at] ^= 1
    with pytest.raises((MalformedMessage, HandshakeRefused)):
        server.receive_data(bytes(hello) + bytes(2))


@pytest.mark.parametrize("at", [12, 40, 107, 108, 116, 140, 300, -1])
def test_a_changed_byte_in_an_initiate_is_refused(at):
    client, server = our_client(), our_server()
    initiate = bytearray(client.receive_data(server.receive_data(greeted(client, server))))
    initiate[at] ^= 1
    with pytest.raises(MalformedMessage):
        server.receive_data(bytes(initiate))


@pytest.mark.parametrize("at", [3, 9, 11, 30, -1])
def test_a_changed_byte_in_a_welcome_or_a_ready_is_refused(at):
    client, server = our_client(), our_server()
    welcome = bytearray(server.receive_data(greeted(client, server)))
    welcome[at] ^= 1
    with pytest.raises(MalformedMessage):
        client.receive_data(bytes(welcome))
    client, server = our_client(), our_server()
    ready = bytearray(server.receive_data(client.receive_data(server.receive_data(greeted(client, server)))))
    ready[at] ^= 1
    with pytest.raises(MalformedMessage):
        client.receive_data(bytes(ready))


def test_an_initiate_of_another_connection_is_refused():
    client, server, other = our_client(), our_server(), our_server()
    initiate = client.receive_data(server.receive_data(greeted(client, server)))
    other.receive_data(greeted(our_client(), other))
    mechanism: Any = other._mechanism
    mechanism._cookie = b"another"
    with pytest.raises(MalformedMessage, match="another cookie"):
        other.receive_data(initiate)


def test_a_key_of_small_order_is_refused():
    server = our_server()
    hello = bytearray(greeted(our_client(), server))
    hello[82:114] = bytes(32)
    with pytest.raises(MalformedMessage):
        server.receive_data(bytes(hello))


@pytest.mark.parametrize("stated", [b"\x00\x05hello", encode_ready(b"DEALER"), encode_command(b"MESSAGE", bytes(40))])
def test_what_comes_before_its_time_is_refused(stated):
    server = our_server()
    greeted(our_client(), server)
    with pytest.raises(MalformedMessage):
        server.receive_data(stated)


def test_a_handshake_takes_no_more_memory_than_its_longest_command():
    server = our_server()
    greeted(our_client(), server)
    with pytest.raises(LimitExceeded):
        server.receive_data(b"\x06" + (50 << 20).to_bytes(8, "big"))


@given(st.lists(st.binary(max_size=300), max_size=4))
def test_any_input_in_a_handshake_is_one_of_three_errors_or_incomplete(chunks):
    server = our_server()
    greeted(our_client(), server)
    with suppress(HandshakeRefused, MalformedMessage, LimitExceeded):
        for chunk in chunks:
            server.receive_data(chunk)


# Messages


def test_the_flags_of_an_encrypted_frame_hide_the_number_of_frames():
    cipher, _ = ciphers()
    (data,) = cipher.encode_message([b"one", b"two"])
    assert data[:2] == bytes((0, 3 + 33))
    assert data[38:40] == bytes((0, 3 + 33))


@pytest.mark.parametrize("at", [2, 9, 10, 17, 18, 40])
def test_a_changed_byte_in_a_message_ends_the_connection(at):
    cipher, other = ciphers()
    data = bytearray(b"".join(cipher.encode_message([b"some content of a frame"])))
    data[at] ^= 1
    with pytest.raises(MalformedMessage):
        established(LIMIT, other).receive_data(bytes(data))


def test_a_message_that_comes_again_ends_the_connection():
    cipher, other = ciphers()
    data, decoder = b"".join(cipher.encode_message([b"once"])), established(LIMIT, other)
    decoder.receive_data(data)
    with pytest.raises(MalformedMessage, match="a second time"):
        decoder.receive_data(data)


def test_a_message_in_the_clear_ends_the_connection():
    with pytest.raises(MalformedMessage, match="not encrypted"):
        established(LIMIT, ciphers()[1]).receive_data(b"\x00\x05hello")


def test_a_message_of_many_frames_is_bounded_over_all_of_them():
    cipher, other = ciphers()
    decoder = established(LIMIT, other)
    one = b"".join(cipher.encode_message([bytes(LIMIT // 2 - 100), b"more"]))
    decoder.receive_data(one)
    assert len(decoder.messages) == 1
    endless = b"".join([b"".join(cipher._encrypt(bytes(100), MORE)) for _ in range(20_000)])
    with pytest.raises(LimitExceeded):
        decoder.receive_data(endless)
    assert decoder.buffered_bytes < 2 * LIMIT


def test_a_ping_is_answered_under_the_same_seal():
    cipher, other = ciphers()
    decoder = established(LIMIT, other)
    decoder.receive_data(cipher.encode_command(b"PING", b"\x00\x0acontext"))
    pong = established(LIMIT, cipher)
    heard: list[bytes] = []
    pong._on_command = heard.append  # type: ignore[method-assign,assignment]
    pong.receive_data(decoder.pending)
    assert heard == [b"\x04PONGcontext"]
