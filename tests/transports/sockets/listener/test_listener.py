"""ZmtpListener over real sockets: peers of every ZMTP, those that misbehave, and answers that are not read."""

import os
import resource
import socket
import threading
from contextlib import suppress
from typing import Any

import pytest
import zmq

from pyelevator.transports.send_queues import SendQueues
from pyelevator.transports.sockets.listener import listener as listener_module
from pyelevator.transports.sockets.listener.listener import ZmtpListener
from support.routers import taken

SIGNATURE = b"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f"
ROUTER = b"\x04\x29\x05READY\x0bSocket-Type\x00\x00\x00\x06ROUTER\x08Identity\x00\x00\x00\x00"
DEALER = ROUTER.replace(b"ROUTER", b"DEALER")
NULL = b"NULL" + bytes(16) + bytes(32)


def with_options(**options):
    """Run a test with a listener that has these options."""
    return pytest.mark.parametrize("listener", [options], indirect=True, ids=[",".join(options)])


@pytest.fixture
def listener(request):
    listener = ZmtpListener("tcp://127.0.0.1:0", max_message=1 << 20, **getattr(request, "param", {}))
    listener.timeout = 20.0
    yield listener
    listener.close()


@pytest.fixture
def raw(listener):
    """Opens connections that speak for themselves."""
    opened = []

    def connect(*stated):
        host, _, port = listener.urls[0].removeprefix("tcp://").partition(":")
        opened.append(socket.create_connection((host, int(port)), timeout=20))
        for data in stated:
            opened[-1].sendall(data)
        return opened[-1]

    yield connect
    for connection in opened:
        connection.close()


@pytest.fixture
def dealer(listener):
    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.set(zmq.LINGER, 0)
        dealer.set(zmq.RCVTIMEO, 20_000)
        yield dealer


def arrived(listener):
    """The next message; a wait ends for other reasons, too."""
    while (message := listener.wait()) is None:
        pass
    return message


def echoed(listener):
    """Answers the next message with itself."""
    identity, frames = arrived(listener)
    listener.send(identity, [b"re", *frames])
    return frames


def look_around(listener):
    """Lets the listener take what has come, where that is no message."""
    listener.timeout = 0.05
    for _ in range(3):
        assert listener.wait() is None
    listener.timeout = 20.0


def has_ended(connection):
    try:
        while connection.recv(1000):
            pass
    except ConnectionResetError:
        pass
    return True


@pytest.mark.parametrize(
    ("hello", "greeting", "question", "answer"),
    [
        (b"\x01\x00", SIGNATURE, b"\x02\x01a\x02\x00b", b"\x03\x01re\x02\x01a\x02\x00b"),
        (
            SIGNATURE[:8] + b"\x00\x7f\x01\x05\x00\x00",
            SIGNATURE + b"\x03\x06\x00\x00",
            b"\x01\x01a\x00\x01b",
            b"\x01\x02re\x01\x01a\x00\x01b",
        ),
        (
            SIGNATURE + b"\x03\x00" + NULL + DEALER,
            SIGNATURE + b"\x03\x01" + NULL + ROUTER,
            b"\x01\x01a\x00\x01b",
            b"\x01\x02re\x01\x01a\x00\x01b",
        ),
    ],
    ids=["ZMTP 1", "ZMTP 2", "ZMTP 3"],
)
def test_clients_of_every_zmtp_are_answered_in_their_own_words(listener, raw, hello, greeting, question, answer):
    client = raw(hello)
    look_around(listener)
    assert taken(client, len(greeting)) == greeting
    client.sendall(question)
    assert echoed(listener) == [b"a", b"b"]
    assert taken(client, len(answer)) == answer


def test_messages_of_a_dealer_and_a_req_come_as_from_a_router_of_libzmq(listener, dealer):
    dealer.connect(listener.urls[0])
    dealer.send_multipart([b"question"])
    assert echoed(listener) == [b"question"]
    assert dealer.recv_multipart() == [b"re", b"question"]
    with dealer.context.socket(zmq.REQ) as req:
        req.connect(listener.urls[0])
        req.send(b"question")
        identity, frames = arrived(listener)
        assert frames == [b"", b"question"]
        listener.send(identity, [b"", b"answer"])
        assert req.recv() == b"answer"


def test_what_one_peer_sends_at_once_is_answered_in_order(listener, dealer):
    dealer.connect(listener.urls[0])
    for number in range(1000):
        dealer.send(b"%d" % number)
    for _ in range(1000):
        echoed(listener)
    listener.flush()
    assert [dealer.recv_multipart()[1] for _ in range(1000)] == [b"%d" % number for number in range(1000)]


def test_a_buffered_answer_is_sent_before_the_listener_waits(listener, raw):
    client = raw(SIGNATURE + b"\x03\x00" + NULL + DEALER + b"\x00\x01a\x00\x01b")
    identity, _ = arrived(listener)
    listener.send(identity, [b"1"])
    assert arrived(listener) == (identity, [b"b"])
    look_around(listener)
    assert taken(client, 64 + len(ROUTER) + 3)[-3:] == b"\x00\x011"


def test_a_peer_that_asks_whether_we_live_is_told(listener, raw):
    client = raw(SIGNATURE + b"\x03\x00" + NULL + DEALER + b"\x04\x09\x04PING\x00\x0ahi")
    look_around(listener)
    assert taken(client, 64 + len(ROUTER) + 9)[-9:] == b"\x04\x07\x04PONGhi"


def test_frames_larger_than_any_buffer_come_and_go_whole(listener, dealer):
    large = os.urandom(900_000)
    dealer.connect(listener.urls[0])
    dealer.send_multipart([b"large", large])
    assert echoed(listener) == [b"large", large]
    received: list[Any] = []
    reader = threading.Thread(target=lambda: received.append(dealer.recv_multipart()))
    reader.start()
    listener.timeout = 0.01
    while not received:
        assert listener.wait() is None
    reader.join()
    assert received == [[b"re", b"large", large]]


@pytest.mark.parametrize(
    "stated",
    [
        SIGNATURE + b"\x03\x00" + b"CURVE" + bytes(15) + bytes(32),
        SIGNATURE + b"\x03\x00" + NULL + DEALER + b"\x02" + (1 << 40).to_bytes(8, "big"),
        SIGNATURE + b"\x03\x00" + NULL + DEALER + b"\x40\x00",
        SIGNATURE + b"\x02\x05\x00\x00",
    ],
    ids=["keys", "too long", "no frame", "no such revision"],
)
def test_only_peers_of_another_protocol_are_disconnected(listener, raw, stated):
    good = raw(SIGNATURE + b"\x03\x00" + NULL + DEALER)
    look_around(listener)
    bad = raw(stated)
    look_around(listener)
    assert has_ended(bad)
    good.sendall(b"\x00\x01a")
    assert echoed(listener) == [b"a"]
    assert listener.connection_count == 1


def test_who_never_ends_a_handshake_has_to_leave_when_others_come(listener, raw, monkeypatch):
    slow = raw(SIGNATURE)
    look_around(listener)
    monkeypatch.setattr(listener_module, "HANDSHAKE_TIMEOUT", 0.0)
    raw(SIGNATURE + b"\x03\x00" + NULL + DEALER)
    look_around(listener)
    assert has_ended(slow)
    assert listener.connection_count == 1


@with_options(max_connections=2)
def test_one_more_than_there_may_be_is_turned_away_and_told_of_once(raw, listener, caplog):
    kept = [raw(SIGNATURE + b"\x03\x00" + NULL + DEALER) for _ in range(2)]
    look_around(listener)
    for _ in range(2):
        refused = raw()
        look_around(listener)
        assert has_ended(refused)
    assert caplog.messages == ["more than 2 connections; further ones are closed (--max-connections)"]
    kept[0].close()
    look_around(listener)
    raw(SIGNATURE + b"\x03\x00" + NULL + DEALER + b"\x00\x01a")
    assert echoed(listener) == [b"a"]


@with_options(max_connections=3)
def test_at_the_limit_the_oldest_connection_in_its_handshake_is_evicted(raw, listener, caplog):
    kept = raw(SIGNATURE + b"\x03\x00" + NULL + DEALER)
    look_around(listener)
    first = raw(SIGNATURE)
    look_around(listener)
    second = raw(SIGNATURE)
    look_around(listener)
    raw(SIGNATURE + b"\x03\x00" + NULL + DEALER + b"\x00\x01a")
    assert echoed(listener) == [b"a"]
    assert has_ended(first)
    second.sendall(b"\x03\x00" + NULL + DEALER + b"\x00\x01b")
    assert echoed(listener) == [b"b"]
    kept.sendall(b"\x00\x01c")
    assert echoed(listener) == [b"c"]
    assert caplog.messages == []
    refused = raw(SIGNATURE)
    look_around(listener)
    assert has_ended(refused)
    assert listener.connection_count == 3


def test_nothing_is_kept_of_peers_that_left_during_the_handshake(raw, listener):
    waiting = raw(SIGNATURE)
    look_around(listener)
    for _ in range(20):
        raw(SIGNATURE).close()
        look_around(listener)
    assert len(listener._handshaking) == listener.connection_count == 1
    waiting.sendall(b"\x03\x00" + NULL + DEALER + b"\x00\x01a")
    assert echoed(listener) == [b"a"]


def started(listener, client, size):
    """Sends so much of a message of 1 MB, and sees to it that it is taken."""
    client.sendall(b"\x02" + (1_000_000).to_bytes(8, "big"))
    sending = threading.Thread(target=client.sendall, args=(bytes(size),))
    sending.start()
    listener.timeout = 0.05
    while max(listener._partial.sizes.values(), default=0) < size:
        assert listener.wait() is None
    sending.join()
    listener.timeout = 20.0


@with_options(max_unfinished=2_500_000)
def test_over_the_limit_of_partial_messages_the_largest_is_disconnected(caplog, raw, listener):
    caplog.set_level("INFO")
    one, two, three, four = (raw(SIGNATURE + b"\x03\x00" + NULL + DEALER) for _ in range(4))
    look_around(listener)
    for client, size in [(one, 700_000), (two, 800_000), (three, 900_000)]:
        started(listener, client, size)
    four.sendall(b"\x02" + (1_000_000).to_bytes(8, "big") + bytes(200_000))
    while listener.connection_count == 4:
        listener.timeout = 0.05
        assert listener.wait() is None
    listener.timeout = 20.0
    assert has_ended(three)
    assert caplog.messages == ["closed a connection: incomplete messages are over their limit, and its was the largest"]
    for client, missing in [(one, 300_000), (two, 200_000), (four, 800_000)]:
        client.sendall(bytes(missing))
        assert echoed(listener) == [bytes(1_000_000)]
    assert listener._partial.sizes == {}


@with_options(max_unfinished=500_000)
def test_a_peer_over_the_limit_alone_is_disconnected_and_nothing_kept(raw, listener):
    client = raw(SIGNATURE + b"\x03\x00" + NULL + DEALER)
    look_around(listener)
    frames = (b"\x03" + (60_000).to_bytes(8, "big") + bytes(60_000)) * 10  # more follow, without end
    sending = threading.Thread(target=has_ended_after, args=(client, frames))
    sending.start()
    listener.timeout = 0.05
    while listener.connection_count:
        assert listener.wait() is None
    sending.join()
    assert listener._partial.sizes == {}


def has_ended_after(client, data):
    with suppress(OSError):
        client.sendall(data)
    return has_ended(client)


def test_without_free_descriptors_connections_are_rejected_at_once(raw, listener, caplog):
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    knocking = raw(SIGNATURE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))), limits[1]))
    fillers = []
    try:
        while True:
            fillers.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        look_around(listener)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        for filler in fillers:
            os.close(filler)
    assert has_ended(knocking)
    assert caplog.messages == ["refused a connection: this process has too many open files; logged once a minute"]
    raw(SIGNATURE + b"\x03\x00" + NULL + DEALER + b"\x00\x01a")
    assert echoed(listener) == [b"a"]


def nonreading_peer(listener, dealer):
    """A peer that has asked and does not read, under its identity here."""
    dealer.set(zmq.RCVHWM, 1)
    dealer.connect(listener.urls[0])
    dealer.send(b"question")
    return arrived(listener)[0]


@pytest.mark.parametrize("answer", [b"small", bytes(100_000)])
def test_a_peer_that_does_not_read_is_blocked_until_flush_finds_it_free(tmp_path, dealer, answer):
    listener = ZmtpListener(f"ipc://{tmp_path}/socket", max_unread=8 << 20)  # TCP is slow with a window this small
    identity, sent = nonreading_peer(listener, dealer), 1
    while not listener.send(identity, [answer]):
        sent += 1
    assert identity in listener.send_queues.peers
    assert listener.send_queues.unsent_bytes >= 500 * len(b"small")
    for _ in range(sent):
        while not dealer.poll(1):
            listener.send_queues.flush()
        assert dealer.recv() == answer
    listener.send_queues.flush()
    assert (listener.send_queues.peers, listener.send_queues.unsent_bytes) == ({}, 0)
    assert not listener.send(identity, [answer])
    listener.close()


def test_a_blocked_peer_that_leaves_leaves_nothing_behind(dealer):
    listener = ZmtpListener("tcp://127.0.0.1:0", max_unread=1 << 20)
    identity = nonreading_peer(listener, dealer)
    while not listener.send(identity, [bytes(100_000)]):
        pass
    dealer.close(0)
    listener.timeout = 20.0
    while listener.connection_count:
        listener.timeout = 0.05
        assert listener.wait() is None
    assert identity in listener.send_queues.peers, "who waits for it to be free is still to be told"
    listener.send_queues.flush()
    assert (listener.send_queues.peers, listener.send_queues.unsent_bytes) == ({}, 0)
    listener.close()


def test_a_disconnected_peer_is_gone(listener, dealer, raw):
    client = raw(SIGNATURE + b"\x03\x00" + NULL + DEALER + b"\x00\x01a")
    identity, _ = arrived(listener)
    listener.disconnect(identity)
    listener.disconnect(identity)
    assert has_ended(client)
    assert not listener.send(identity, [b"answer"])


def test_closing_sends_what_is_on_its_way_to_peers_that_read(dealer):
    listener = ZmtpListener("tcp://127.0.0.1:0")
    dealer.connect(listener.urls[0])
    dealer.send_multipart([b"a"])
    identity, _ = arrived(listener)
    for _ in range(50):
        listener.send(identity, [bytes(1_000_000)])
    received: list[Any] = []
    reader = threading.Thread(target=lambda: received.extend(len(dealer.recv()) for _ in range(50)))
    reader.start()
    listener.close()
    reader.join()
    assert received == [1_000_000] * 50


def test_what_has_come_in_and_was_not_waited_for_can_still_be_taken(listener, raw):
    raw(SIGNATURE + b"\x03\x00" + NULL + DEALER + b"\x00\x01a\x00\x01b\x00\x01c")
    identity, frames = arrived(listener)
    assert frames == [b"a"]
    assert list(listener.drain()) == [(identity, [b"b"]), (identity, [b"c"])]
    assert list(listener.drain()) == []


def nonreading(listener, raw):
    """A client that has sent a and does not read, blocked, and its identity here."""
    client = raw(SIGNATURE + b"\x03\x00" + NULL + DEALER + b"\x00\x01a")
    identity, _ = arrived(listener)
    while not listener.send(identity, [bytes(100_000)]):
        pass
    return client, identity


def test_a_peer_is_disconnected_even_with_a_buffered_answer(listener, raw):
    listener.send_queues = SendQueues(1 << 20)
    client = raw(SIGNATURE + b"\x03\x00" + NULL + DEALER + b"\x00\x01a")
    identity, _ = arrived(listener)
    listener.send_buffered(identity, [b"answer"])
    while not listener.send_buffered(identity, [bytes(100_000)]):
        pass
    listener.disconnect(identity)
    assert listener.flush() == []
    assert has_ended(client)


def test_an_evicted_peer_may_have_sent_something_at_the_same_moment(listener, raw, monkeypatch):
    slow = [raw(SIGNATURE) for _ in range(3)]
    look_around(listener)
    monkeypatch.setattr(listener_module, "HANDSHAKE_TIMEOUT", 0.0)
    raw(SIGNATURE + b"\x03\x00" + NULL + DEALER)
    for connection in slow:
        connection.sendall(b"\x03")
    look_around(listener)
    assert all(map(has_ended, slow))
    assert listener.connection_count == 1


def test_endless_pings_of_a_peer_that_does_not_read_cost_bounded_memory(listener, raw):
    client = raw(SIGNATURE + b"\x03\x00" + NULL + DEALER)
    look_around(listener)
    listener.timeout = 0.05
    client.settimeout(None)
    asking = threading.Thread(
        target=client.sendall, args=(b"\x04\x07\x04PING\x00\x0a" * 1_500_000,)
    )  # more than the system takes
    asking.start()
    while asking.is_alive():
        assert listener.wait() is None
    assert listener.send_queues.unsent_bytes < 1 << 17
    assert listener.connection_count == 1


def test_a_peer_discarded_with_half_an_answer_gets_no_other_half(listener, raw):
    listener.send_queues = SendQueues(1 << 20)
    client, identity = nonreading(listener, raw)
    listener.send_queues.discard(identity)
    listener.send(identity, [b"another"])
    client.sendall(b"\x04\x07\x04PING\x00\x0a")
    look_around(listener)
    received = b"".join(iter(lambda: client.recv(1 << 20), b""))
    assert b"another" not in received
    assert b"PONG" not in received
    assert received.endswith(bytes(1000))


def test_messages_of_a_peer_that_left_before_the_answers_are_all_received(tmp_path):
    listener = ZmtpListener(f"ipc://{tmp_path}/socket")
    client = socket.socket(socket.AF_UNIX)
    client.connect(f"{tmp_path}/socket")
    client.sendall(SIGNATURE + b"\x03\x00" + NULL + DEALER + (b"\x00\xff" + bytes(255)) * 400)
    client.close()
    for _ in range(400):
        assert echoed(listener) == [bytes(255)]
    look_around(listener)
    assert (listener.connection_count, listener.send_queues.unsent_bytes) == (0, 0)
    listener.close()


def test_no_more_than_a_few_are_read_from_before_the_messages_are_answered(listener, raw):
    clients = [raw(SIGNATURE + b"\x03\x00" + NULL + DEALER) for _ in range(50)]
    look_around(listener)
    for client in clients:
        client.sendall(b"\x00\x00" * 1000)
    arrived(listener)
    assert len(list(listener.drain())) < 20_000


def test_without_a_reserve_descriptor_connections_wait_until_there_is_one(listener, raw, caplog, monkeypatch):
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    knocking = raw(SIGNATURE + b"\x03\x00" + NULL + DEALER + b"\x00\x01a")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))), limits[1]))
    fillers, close = [], os.close

    def lost(descriptor):
        """Another thread opens a file as soon as one is closed."""
        close(descriptor)
        fillers.append(os.open(os.devnull, os.O_RDONLY))

    try:
        while True:
            fillers.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        monkeypatch.setattr(os, "close", lost)
        look_around(listener)
        monkeypatch.undo()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        for filler in fillers:
            os.close(filler)
    assert caplog.messages == []
    assert echoed(listener) == [b"a"]
    assert taken(knocking, 64)


def test_a_peer_that_sends_much_at_once_does_not_delay_the_others(listener, raw):
    much, little = (raw(SIGNATURE + b"\x03\x00" + NULL + DEALER) for _ in range(2))
    look_around(listener)
    much.sendall(b"\x00\x01m" * 10_000)
    assert echoed(listener) == [b"m"]
    little.sendall(b"\x00\x01l")
    frames = [echoed(listener) for _ in range(1000)]
    assert [b"l"] in frames
    assert [echoed(listener) for _ in range(10_000 - 1000)] == [[b"m"]] * 9000
    assert not listener.has_backlog
    look_around(listener)


def test_a_peer_that_sends_much_and_leaves_is_answered_completely(listener, raw):
    client = raw(SIGNATURE + b"\x03\x00" + NULL + DEALER + b"\x00\x01m" * 1000 + b"\x00")
    client.shutdown(socket.SHUT_WR)
    for _ in range(1000):
        assert echoed(listener) == [b"m"]
    look_around(listener)
    assert (listener.connection_count, listener.has_backlog) == (0, False)


def test_peers_that_sent_much_and_left_do_not_delay_the_others(listener, raw):
    gone = [raw(SIGNATURE + b"\x03\x00" + NULL + DEALER) for _ in range(40)]
    look_around(listener)
    for client in gone:
        client.sendall(b"\x00\x01m" * 2000)
        client.close()
    assert echoed(listener) == [b"m"]
    raw(SIGNATURE + b"\x03\x00" + NULL + DEALER + b"\x00\x01l")
    assert [b"l"] in [echoed(listener) for _ in range(10_000)]
    while listener.connection_count > 1:
        listener.timeout = 0.05
        listener.wait()
