"""A listener on several URLs, waited on together, by epoll and by what other systems have instead."""

import select
import selectors
import socket
import threading
from time import monotonic

import pytest
import zmq

from pyelevator.errors import UsageError
from pyelevator.transports.sockets.listener.listener import ZmtpListener

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
            if url is not None:
                sockets[-1].connect(url)
            return sockets[-1]

        yield connect
        for socket in sockets:
            socket.close(0)


class Apart(selectors.EpollSelector):
    """Stands for kqueue, which tells of reading and of writing apart."""

    def select(self, timeout=None):
        both = (selectors.EVENT_READ, selectors.EVENT_WRITE)
        return [(key, event & found) for key, found in super().select(timeout) for event in both if event & found]


@pytest.fixture(params=[None, Apart, selectors.PollSelector, selectors.SelectSelector], autouse=True)
def system(request, monkeypatch):
    """Has epoll, or a selector in its place."""
    if request.param is not None:
        monkeypatch.delattr(select, "epoll")
        monkeypatch.setattr(selectors, "DefaultSelector", request.param)


@pytest.fixture
def listener(tmp_path):
    listener = ZmtpListener(ANY_PORT, f"ipc://{tmp_path}/socket")
    yield listener
    listener.close()


def arrived(listener):
    """The next message; a wait may end for other reasons, too."""
    while (message := listener.wait()) is None:
        pass
    return message


def test_it_tells_the_ports_that_the_system_chose(listener, tmp_path):
    url = listener.urls[0]
    assert url.startswith("tcp://127.0.0.1:")
    assert not url.endswith(":0")
    assert listener.urls == (url, f"ipc://{tmp_path}/socket")


def test_messages_come_from_every_url_and_answers_find_their_way_back(listener, dealer):
    for number, url in enumerate(listener.urls):
        client = dealer(url)
        client.send_multipart([b"question", b"%d" % number])
        identity, frames = arrived(listener)
        assert frames == [b"question", b"%d" % number]
        listener.send(identity, [b"answer", b"", b"%d" % number])
        assert client.recv_multipart() == [b"answer", b"", b"%d" % number]


def test_the_time_of_the_last_read_is_kept(listener, dealer):
    before = monotonic()
    dealer(listener.url).send(b"question")
    arrived(listener)
    assert before <= listener.read_at <= monotonic()


def test_receive_does_not_wait(listener):
    assert listener.receive() is None


def test_wake_ends_a_wait_from_another_thread(listener):
    threading.Timer(0, listener.wakeup).start()
    assert listener.wait() is None


def test_a_wake_before_the_wait_counts(listener):
    listener.wakeup()
    assert listener.wait() is None


def test_any_number_of_wakes_is_fine(listener):
    for _ in range(10_000):
        listener.wakeup()
    assert listener.wait() is None


def test_answers_to_unknown_peers_are_dropped(listener, dealer):
    assert not listener.send(b"unknown", [b"answer"])
    assert not listener.send_buffered(b"unknown", [bytes(1 << 20)])
    assert listener.flush() == []
    listener.send_queues.flush()
    assert (dict(listener.send_queues.peers), listener.send_queues.unsent_bytes) == ({}, 0)
    client = dealer(listener.url)
    client.send(b"question")
    identity, _ = arrived(listener)
    listener.send(identity, [b"its own"])
    assert client.recv() == b"its own"


def test_names_that_peers_give_themselves_mean_nothing(dealer):
    listener = ZmtpListener(ANY_PORT)
    for text in (b"first", b"second"):
        client = dealer(listener.urls[0])
        client.disconnect(listener.urls[0])
        client.set(zmq.ROUTING_ID, b"same")
        client.connect(listener.urls[0])
        client.send(text)
        identity, frames = arrived(listener)
        assert frames == [text]
        listener.send(identity, [b"to", text])
        assert client.recv_multipart() == [b"to", text]
    listener.close()


def test_a_url_that_cannot_be_bound_frees_those_before_it(tmp_path):
    path = tmp_path / "socket"
    for _ in range(2):
        with pytest.raises(UsageError, match=r"nowhere"):
            ZmtpListener(f"ipc://{path}", f"ipc://{tmp_path}/nowhere/socket")
        assert not path.exists()


def test_closing_frees_the_urls_and_twice_is_fine(tmp_path):
    urls: tuple[str, ...] = (ANY_PORT, f"ipc://{tmp_path}/socket")
    for _ in range(3):
        listener = ZmtpListener(*urls)
        urls = listener.urls
        listener.close()
        assert not (tmp_path / "socket").exists()
    ZmtpListener(*urls).close()
    listener.close()
    listener.wakeup()


def test_closing_a_second_time_leaves_the_socket_of_a_successor_alone(tmp_path, dealer):
    url = f"ipc://{tmp_path}/socket"
    first = ZmtpListener(url)
    first.close()
    second = ZmtpListener(url)
    first.close()
    dealer(url).send(b"question")
    assert arrived(second)[1] == [b"question"]
    second.close()


@pytest.mark.parametrize(
    "url", ["tcp://[*]:0", "fake://", "tcp://127.0.0.1:4141/db", "here", "tcp://127.0.0.1:4141?timeout=5"]
)
def test_what_nothing_can_be_bound_to_is_refused(url):
    with pytest.raises(UsageError):
        ZmtpListener(url)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("tcp://192.0.2.1:0", "this machine has no such address"),
        ("tcp://no.such.host.invalid:0", "this machine has no such address"),
    ],
)
def test_an_address_of_another_machine_is_refused_with_a_reason(url, why):
    with pytest.raises(UsageError, match=why):
        ZmtpListener(url)


def test_a_port_in_use_is_refused_with_a_reason(listener):
    with pytest.raises(UsageError, match="another program listens there"):
        ZmtpListener(listener.urls[0])


def test_a_stale_socket_file_is_taken_over_and_a_living_one_is_not(tmp_path, dealer):
    path = tmp_path / "socket"
    outdated = socket.socket(socket.AF_UNIX)
    outdated.bind(str(path))
    outdated.close()
    listener = ZmtpListener(f"ipc://{path}")
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(UsageError, match="another server listens there"):
        ZmtpListener(f"ipc://{path}")
    dealer(f"ipc://{path}").send(b"question")
    assert arrived(listener)[1] == [b"question"]
    listener.close()


def test_ipv6_is_bound_and_shown_as_it_is(dealer):
    listener = ZmtpListener("tcp://[::1]:0")
    assert listener.urls[0].startswith("tcp://[::1]:")
    client = dealer(None)
    client.set(zmq.IPV6, 1)
    client.connect(listener.urls[0])
    client.send(b"question")
    assert arrived(listener)[1] == [b"question"]
    listener.close()


def test_an_interface_of_this_machine_is_a_host_too(dealer):
    listener = ZmtpListener("tcp://lo:0")
    assert listener.urls[0].startswith("tcp://127.0.0.1:")
    dealer(listener.urls[0]).send(b"question")
    assert arrived(listener)[1] == [b"question"]
    listener.close()
