"""The client's sockets: their deadlines, their errors, and that none is left behind."""

import gc
import os
import signal
import threading
import warnings

import pytest
import zmq

from pyelevator.deadlines import NEVER, Deadline
from pyelevator.errors import ConnectFailed, ConnectTimeout, RequestTimeout, TransportError
from pyelevator.transports import IpcTransport, TcpTransport
from support.eventually import eventually
from support.programs import run
from support.puppets import Puppet, silent_listener, unused_endpoint


@pytest.fixture
def puppet():
    with Puppet(lambda request, reply: [reply]) as server:
        yield server


def answers(connection, deadline=NEVER):
    """Whether a ping is answered."""
    connection.send([b"\x84\xa3cmd\xa4PING\xa4meta\x80\xa3uid\xc0\xa4args\x90"], deadline)
    return connection.receive(deadline)[1] == b"\x81\xa5datas\x91\xa4PONG"


@pytest.mark.parametrize("seconds", [1e9, 1e300, float("inf")])
def test_a_deadline_may_be_as_far_as_one_likes(puppet, seconds):
    with TcpTransport(puppet.endpoint) as connection:
        assert answers(connection, Deadline.after(seconds))


def test_a_deadline_that_is_over_ends_a_wait_at_once(puppet):
    with TcpTransport(puppet.endpoint) as connection:
        assert answers(connection)
        with pytest.raises(RequestTimeout):
            connection.receive(Deadline.after(1e-9))


def test_a_connection_ignores_signals(puppet):
    """A signal interrupts system calls."""
    main, over = threading.get_ident(), threading.Event()
    before = signal.signal(signal.SIGUSR1, lambda *_: None)

    def disturb():
        while not over.wait(0.02):
            signal.pthread_kill(main, signal.SIGUSR1)

    disturber = threading.Thread(target=disturb)
    disturber.start()
    try:
        with silent_listener() as silent, TcpTransport(puppet.endpoint) as connection, TcpTransport(silent) as other:
            assert answers(connection)
            with pytest.raises(RequestTimeout):
                connection.receive(Deadline.after(0.2))
            with pytest.raises(ConnectTimeout):
                other.send([b"never"], Deadline.after(0.2))
    finally:
        over.set()
        disturber.join()
        signal.signal(signal.SIGUSR1, before)


def test_a_transport_waits_for_its_connection_and_no_longer(tmp_path):
    path = str(tmp_path / "nothing")
    for connection in (TcpTransport(unused_endpoint()), IpcTransport(path)):
        reported = r"(no Elevator server answered at|cannot connect to the Elevator server at) .* 0\.05 s"
        with connection, pytest.raises(ConnectTimeout, match=reported):
            connection.send([b"never"], Deadline.after(0.05))


@pytest.mark.parametrize("endpoint", ["no-such-host.invalid:4141", "127.0.0.1:0", "[::1]:9"])
def test_what_cannot_be_reached_is_an_error_of_our_own(endpoint):
    with TcpTransport(endpoint) as connection, pytest.raises(ConnectFailed):
        connection.send([b"never"], Deadline.after(0.1))


def test_receiving_without_having_sent_is_an_error_of_our_own(puppet):
    with pytest.raises(TransportError, match="nothing was sent"):
        TcpTransport(puppet.endpoint).receive(NEVER)


def test_a_transport_is_open_from_its_first_message_until_it_is_closed(puppet):
    connection = TcpTransport(puppet.endpoint)
    assert not connection.is_open
    assert answers(connection)
    assert connection.is_open
    connection.reset()
    assert not connection.is_open
    assert answers(connection)
    connection.close()
    connection.close()
    assert not connection.is_open


def test_the_applications_own_context_may_be_terminated(puppet, monkeypatch):
    monkeypatch.setattr(zmq.Context, "_instance", zmq.Context())  # without what other tests have left open
    monkeypatch.setattr(zmq.Context, "_instance_pid", os.getpid())
    with TcpTransport(puppet.endpoint) as connection:
        assert answers(connection)
        zmq.Context.instance().term()
        assert answers(connection)


def test_a_dropped_transport_closes_its_descriptors_without_a_warning(puppet):
    with TcpTransport(puppet.endpoint) as connection:
        assert answers(connection)
        before = descriptors()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for _ in range(50):
                assert answers(TcpTransport(puppet.endpoint))
            gc.collect()
        settles_at(before + 10)


def descriptors():
    return len(os.listdir("/proc/self/fd"))


def settles_at(most):
    """The server sees a moment later that a socket was closed."""
    eventually(lambda: descriptors() <= most, lambda: f"{descriptors()} descriptors are open, not {most}")


@pytest.mark.parametrize("tries_before", [0, 1])
def test_without_descriptors_left_it_is_an_error_of_our_own(tries_before):
    ran = run(
        """
        import os, resource, sys
        from pyelevator import Elevator, TransportError
        E = Elevator(endpoint=sys.argv[1], auto_connect=False)
        for _ in range(int(sys.argv[2])):
            try:
                E.connect(timeout=0.01)
            except TransportError:
                pass
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        files = []
        try:
            while True:
                files.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            pass
        try:
            E.connect(timeout=0.5)
        except TransportError as error:
            print(type(error).__name__, error)
        """,
        unused_endpoint(),
        tries_before,
        measured=False,
    )
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("ConnectFailed tcp://127.0.0.1:")
    assert "Too many open files" in ran.out
