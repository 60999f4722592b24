"""Listener: several URLs on one socket, waited on alone."""

import threading

import pytest
import zmq

from pyelevator.errors import UsageError
from pyelevator.transports import Listener

ANY_PORT = "tcp://127.0.0.1:0"


@pytest.fixture
def dealer():
    """Opens DEALER sockets."""
    with zmq.Context() as context:
        sockets = []

        def connect(url):
            sockets.append(context.socket(zmq.DEALER))
            sockets[-1].set(zmq.LINGER, 0)
            sockets[-1].set(zmq.RCVTIMEO, 10_000)
            sockets[-1].connect(url)
            return sockets[-1]

        yield connect
        for socket in sockets:
            socket.close(0)


@pytest.fixture
def listener(tmp_path):
    listener = Listener(ANY_PORT, f"ipc://{tmp_path}/socket")
    yield listener
    listener.close()


def test_it_tells_the_ports_that_the_system_chose(listener, tmp_path):
    assert listener.url.startswith("tcp://127.0.0.1:")
    assert not listener.url.endswith(":0")
    assert listener.urls == (listener.url, f"ipc://{tmp_path}/socket")


def test_messages_come_from_every_url_and_answers_find_their_way_back(listener, dealer):
    for number, url in enumerate(listener.urls):
        client = dealer(url)
        client.send_multipart([b"question", b"%d" % number])
        identity, frames = listener.wait()
        assert frames == [b"question", b"%d" % number]
        listener.send(identity, [b"answer", b"", b"%d" % number])
        assert client.recv_multipart() == [b"answer", b"", b"%d" % number]


def test_receive_does_not_wait(listener):
    assert listener.receive() is None


def test_wake_ends_a_wait_from_another_thread(listener):
    threading.Timer(0, listener.wake).start()
    assert listener.wait() is None


def test_a_wake_before_the_wait_counts(listener):
    listener.wake()
    assert listener.wait() is None


def test_any_number_of_wakes_is_fine(listener):
    for _ in range(10_000):
        listener.wake()
    assert listener.wait() is None


def test_answers_to_strangers_are_dropped(listener):
    listener.send(b"nobody", [b"answer"])


def test_a_peer_that_calls_itself_like_another_is_not_heard(listener, dealer):
    for text in (b"first", b"second"):
        client = dealer(listener.url)
        client.disconnect(listener.url)
        client.set(zmq.ROUTING_ID, b"same")
        client.connect(listener.url)
        client.send(text)
        if text == b"first":
            assert listener.wait() == (b"same", [b"first"])
    other = dealer(listener.url)
    other.send(b"third")
    assert listener.wait()[1] == [b"third"]


def test_a_url_that_cannot_be_bound_frees_those_before_it(tmp_path):
    path = tmp_path / "socket"
    for _ in range(2):
        with pytest.raises(UsageError, match=r"nowhere"):
            Listener(f"ipc://{path}", f"ipc://{tmp_path}/nowhere/socket")
        assert not path.exists()


def test_closing_frees_the_urls_and_twice_is_fine(tmp_path):
    urls = (ANY_PORT, f"ipc://{tmp_path}/socket")
    for _ in range(3):
        listener = Listener(*urls)
        urls = listener.urls
        listener.close()
        assert not (tmp_path / "socket").exists()
    Listener(*urls).close()
    listener.close()
    listener.wake()


def test_closing_a_second_time_leaves_the_socket_of_a_successor_alone(tmp_path, dealer):
    url = f"ipc://{tmp_path}/socket"
    first = Listener(url)
    first.close()
    second = Listener(url)
    first.close()
    dealer(url).send(b"question")
    assert second.wait()[1] == [b"question"]
    second.close()


@pytest.mark.parametrize("url", ["fake://", "tcp://127.0.0.1:4141/db", "here", "tcp://127.0.0.1:4141?timeout=5"])
def test_what_nothing_can_be_bound_to_is_refused(url):
    with pytest.raises(UsageError):
        Listener(url)
