"""Heartbeats of idle connections of sync clients: who gives them, to what, and what they must never stand in the way of."""

import os
import signal
import threading
import time
from collections import deque
from contextlib import contextmanager
from typing import Any

import pytest

from pyelevator import Curve, Elevator, UsageError
from pyelevator.application import Application
from pyelevator.auth import ClientAuth
from pyelevator.auth.keys import generate_keys
from pyelevator.client.options import UrlOptions
from pyelevator.client.sync import heartbeats
from pyelevator.client.sync.pool import PendingResponse
from pyelevator.client.sync.session import Session
from pyelevator.codec import ClassicCodec
from pyelevator.commands import Get, Ping
from pyelevator.deadlines import NEVER, Deadline
from pyelevator.errors import ConnectionLost, PoolTimeout
from pyelevator.messages import Request, Response
from pyelevator.server import Server
from pyelevator.server.options import ServerLimits
from pyelevator.testing.servers import serve
from pyelevator.transports import FakeTransport, TcpTransport, Transport
from pyelevator.transports.zmtp.frames import COMMAND, encode_message
from support import programs
from support.connections import connection_of, connections_of, idle_connections_in, pool_of, transport_of
from support.eventually import eventually
from support.old_peers import SIGNATURE
from support.routers import played, taken

QUICK = 0.3
PING = b"\x04\x07\x04PING\x00\x0c"  # the connection may be ended after 1.2 s without one
PONG = b"\x04\x05\x04PONG"
GREETINGS = {minor: SIGNATURE + bytes((3, minor)) + b"NULL".ljust(20, b"\0") + bytes(32) for minor in (0, 1)}
READY = b"\x04\x29\x05READY\x0bSocket-Type\x00\x00\x00\x06ROUTER\x08Identity\x00\x00\x00\x00"
ANSWER = ClassicCodec().encode_response(Response(b"v"), Request(Get("k")))


# The pool, by a clock of the test's


class Quiet(Transport):
    """Answers whatever is asked, and takes note of its heartbeats; ``dies`` says at which it is closed."""

    url = "quiet://"
    heartbeat = 10.0

    def __init__(self, dies=(), during=lambda: None):
        self.dies, self.during = dies, during
        self.made = []
        self.inbox: deque[Any] = deque()
        self.beats = []
        self.closed = True

    @property
    def is_open(self):
        return not self.closed

    def clone(self):
        self.made.append(Quiet(self.dies, self.during))
        return self.made[-1]

    def send(self, frames, deadline):
        self.closed = False
        self.inbox.append(ANSWER)

    def receive(self, deadline):
        return self.inbox.popleft()

    def keep_alive(self, expecting):
        self.beats.append(expecting)
        self.during()
        if len(self.beats) in self.dies:
            self.close()

    def reset(self):
        self.inbox.clear()

    def close(self):
        self.closed = True


@pytest.fixture
def session_over(monkeypatch):
    """Sessions whose pools are looked after by the test, where it asks for that."""
    sessions = []

    def make(transport, max_connections=4):
        sessions.append(Session(transport, ClassicCodec(), max_connections))
        return sessions[-1], transport.made

    monkeypatch.setattr(heartbeats.HEARTBEATS, "watch", lambda pool: None)
    yield make
    for session in sessions:
        session.close()


def ask(session):
    return session.send(Request(Get("k")), NEVER).payload


def beat(session, seconds):
    """What the thread does so many seconds from now; in how many the next heartbeat is due."""
    now = time.monotonic() + seconds
    return pool_of(session).beat(now) - now


def test_a_connection_that_was_idle_for_an_interval_gets_a_heartbeat(session_over):
    session, made = session_over(Quiet())
    ask(session)
    assert 0 < beat(session, 9) < 2
    assert made[0].beats == []
    assert beat(session, 11) == pytest.approx(10)
    assert 0 < beat(session, 12) < 10
    beat(session, 22)
    assert made[0].beats == [False, False]


def test_a_connection_that_has_ended_leaves_the_pool(session_over):
    session, made = session_over(Quiet(dies=[1]))
    ask(session)
    beat(session, 11)
    ask(session)
    assert len(made) == 2


def test_what_a_transport_raises_at_a_heartbeat_ends_its_connection(session_over):
    def fail():
        raise ValueError

    session, made = session_over(Quiet(during=fail))
    ask(session)
    beat(session, 11)
    assert not made[0].is_open
    assert ask(session) == b"v"


def test_a_call_during_a_heartbeat_takes_another_connection(session_over):
    answers = []
    session: Session
    transport = Quiet(during=lambda: answers.append(ask(session)))
    session, made = session_over(transport)
    ask(session)
    beat(session, 11)
    assert (answers, len(made)) == ([b"v"], 2)


def test_a_call_waits_for_the_heartbeat_of_the_only_connection(session_over):
    entered, leave = threading.Event(), threading.Event()

    def during():
        entered.set()
        assert leave.wait(20)

    session, made = session_over(Quiet(during=during), max_connections=1)
    ask(session)
    looking = threading.Thread(target=beat, args=(session, 11))
    looking.start()
    assert entered.wait(20)
    with pytest.raises(PoolTimeout):
        session.send(Request(Get("k")), Deadline.after(0.01))
    leave.set()
    assert ask(session) == b"v"
    looking.join()
    assert len(made) == 1


def test_heartbeats_do_not_change_which_connection_is_used_next(session_over):
    session, made = session_over(Quiet())
    links = [pool_of(session).acquire(NEVER) for _ in range(3)]
    for link in links:
        link.receive(link.send(Request(Ping()), NEVER), NEVER)
        pool_of(session).release(link)
    beat(session, 11)
    assert [link.idle_since for link in idle_connections_in(pool_of(session))] == sorted(
        link.idle_since for link in links
    )
    assert idle_connections_in(pool_of(session)) == links
    assert [transport.beats for transport in made] == [[False]] * 3


def test_a_connection_with_an_answer_not_yet_awaited_gets_them_too(session_over):
    session, made = session_over(Quiet())
    ask(session)
    started = session.send_nowait(Request(Get("k")), NEVER)
    beat(session, 11)
    assert made[0].beats == [True]
    assert started.receive(NEVER).payload == b"v"
    assert idle_connections_in(pool_of(session)) == pool_of(session).connections()


def test_a_request_given_up_during_a_heartbeat_takes_its_connection_along(session_over):
    started: PendingResponse
    session, made = session_over(Quiet(during=lambda: (started.abandon(), None)))
    ask(session)
    started = session.send_nowait(Request(Get("k")), NEVER)
    beat(session, 11)
    assert not idle_connections_in(pool_of(session))
    assert ask(session) == b"v"
    assert len(made) == 2


def test_an_answer_is_received_after_the_heartbeat_that_is_under_way(session_over):
    entered, leave, order = threading.Event(), threading.Event(), []

    def during():
        entered.set()
        assert leave.wait(20)
        order.append("heartbeat")

    session, _ = session_over(Quiet(during=during))
    ask(session)
    started = session.send_nowait(Request(Get("k")), NEVER)
    looking = threading.Thread(target=beat, args=(session, 11))
    looking.start()
    assert entered.wait(20)
    threading.Timer(0.05, leave.set).start()
    started.receive(NEVER)
    order.append("answer")
    looking.join()
    assert order == ["heartbeat", "answer"]


def test_a_client_that_was_closed_during_a_heartbeat_keeps_nothing_open(session_over):
    session: Session
    session, made = session_over(Quiet(during=lambda: (session.close(), None)))
    ask(session)
    pool = pool_of(session)
    pool.beat(time.monotonic() + 11)
    assert (made[0].is_open, idle_connections_in(pool)) == (False, [])


# The thread, over real connections


@contextmanager
def idle_client(part, **options):
    """An idle client of a server that ``part(peer)`` plays once it has answered a request."""

    def answer_first(peer):
        peer.sendall(GREETINGS[1 if part is not old else 0] + READY)
        taken(peer, 64 + len(READY))
        answer(peer)
        part(peer)

    def second(peer):
        peer.sendall(GREETINGS[1] + READY)
        taken(peer, 64 + len(READY))
        answer(peer)

    parts = (answer_first, second) if part in (dead, chatty) else (answer_first,)
    with played(*parts) as endpoint:
        with Elevator(endpoint=endpoint, auto_connect=False, timeout=20, **{"heartbeat": QUICK, **options}) as E:
            assert E.ping() == "PONG"
            yield E


def answer(peer):
    """Answers a request for a PONG, and before it what asks for a sign of life."""
    while (head := taken(peer, 2))[0] & COMMAND:
        if b"PING" in taken(peer, head[1]):
            peer.sendall(PONG)
    request = ClassicCodec().decode_request([taken(peer, head[1])])
    reply = Response(b"PONG", id=request.id)
    peer.sendall(b"".join(encode_message(ClassicCodec().encode_response(reply, request))))


OVER = threading.Event()


def alive(peer):
    for _ in range(6):
        assert taken(peer, len(PING)) == PING
        peer.sendall(PONG)
    OVER.set()
    answer(peer)


def old(peer):
    """Understands no PING."""
    peer.settimeout(1.0)
    with pytest.raises(TimeoutError):
        peer.recv(100)
    OVER.set()
    peer.settimeout(60)
    answer(peer)


def silent(peer):
    """Understands PINGs, and gets none."""
    old(peer)


def dead(peer):
    """Answers nothing more; the client ends the connection."""
    assert taken(peer, len(PING)) == PING
    peer.settimeout(60)
    while peer.recv(100):
        pass
    OVER.set()


def asking(peer):
    peer.sendall(b"\x04\x07\x04PING\x00\x00")
    assert PONG in taken(peer, len(PING) + len(PONG))
    OVER.set()
    answer(peer)


def chatty(peer):
    """Send what was not asked for."""
    peer.sendall(b"\x00\x01a")
    peer.settimeout(60)
    while peer.recv(100):
        pass
    OVER.set()


@pytest.mark.parametrize("part", [alive, old, dead, asking, chatty])
def test_an_idle_connection_is_looked_after(part):
    OVER.clear()
    with idle_client(part) as E:
        assert OVER.wait(20)
        assert E.ping() == "PONG"


def test_without_heartbeats_an_idle_connection_says_nothing():
    OVER.clear()
    with idle_client(silent, heartbeat=0) as E:
        assert OVER.wait(20)
        assert E.ping() == "PONG"


def test_an_answer_that_comes_in_pieces_does_not_keep_the_client_silent():
    def part(peer):
        peer.sendall(GREETINGS[1] + READY)
        taken(peer, 64 + len(READY))
        taken(peer, len(b"\x00\x01q"))
        peer.sendall(b"\x02" + (100_000).to_bytes(8, "big"))
        heard = 0
        peer.setblocking(False)
        for _ in range(100_000):
            peer.sendall(b"x")
            try:
                heard += len(peer.recv(100))
            except BlockingIOError:
                time.sleep(0.01)
            if heard > 3 * len(PING):
                break
        peer.setblocking(True)
        assert heard > 3 * len(PING)

    with played(part) as endpoint, TcpTransport(endpoint, heartbeat=0.05) as link:
        link.send([b"q"], Deadline.after(60))
        with pytest.raises(ConnectionLost):
            link.receive(Deadline.after(60))


def test_a_connection_that_ends_during_a_prefetch_is_lost():
    def part(peer):
        peer.sendall(GREETINGS[1] + READY)
        taken(peer, 64 + len(READY))
        taken(peer, len(b"\x00\x01q"))

    with played(part) as endpoint, TcpTransport(endpoint, heartbeat=QUICK) as link:
        link.send([b"q"], Deadline.after(60))
        eventually(lambda: link.keep_alive(expecting=True) or not link.is_open)
        with pytest.raises(ConnectionLost):
            link.receive(Deadline.after(60))


# Servers of ours


@pytest.fixture(params=["tcp", "ipc", "keys"])
def server_and_client(request, tmp_path):
    """A server, and an idle client of it that has heartbeats."""
    options: UrlOptions = {"timeout": 60, "heartbeat": QUICK}
    url = "tcp://127.0.0.1:0"
    if request.param == "ipc":
        url = f"ipc://{tmp_path}/e.sock"
    if request.param == "keys":
        generate_keys(tmp_path, "server")
        generate_keys(tmp_path / "clients", "ann")
        options["curve"] = Curve.from_files(tmp_path / "clients" / "ann.key_secret", tmp_path / "server.key")
    auth = ClientAuth.from_directory(tmp_path) if request.param == "keys" else None
    with Server(Application.in_memory(), [url], auth=auth) as server:
        with Elevator.from_url(server.urls[0], **options) as E:
            yield server, E


def test_an_idle_client_of_a_server_of_ours_stays_connected(server_and_client):
    _, E = server_and_client
    E.Put("k", "v")
    (link,) = connections_of(E)
    before = connection_of(transport_of(link))
    beats = set[float]()
    eventually(lambda: beats.add(link.heartbeat_at) or len(beats) >= 8)
    assert E.Get("k") == "v"
    assert connection_of(transport_of(link)) is before


STOPPED = {
    "sync": """
    import sys, time
    from pyelevator import Elevator
    E = Elevator.from_url(sys.argv[1], heartbeat=0.2)
    (link,) = E._session._pool.connections()
    while link.heartbeat_at < 0:
        time.sleep(0.01)
    time.sleep(0.1)
    print("up", flush=True)
    time.sleep(600)
    """,
    "async": """
    import asyncio, sys
    from pyelevator import AsyncElevator
    async def main():
        async with AsyncElevator.from_url(sys.argv[1], heartbeat=0.2) as E:
            await E.ping()
            await asyncio.sleep(1)
            print("up", flush=True)
            await asyncio.sleep(600)
    asyncio.run(main())
    """,
}


@pytest.mark.parametrize("kind", STOPPED)
def test_a_stopped_client_makes_room_at_a_server(kind):
    with Server(
        Application.in_memory(), ["tcp://127.0.0.1:0"], server_limits=ServerLimits(max_connections=1)
    ) as server:
        process = programs.start(STOPPED[kind], server.urls[0])
        try:
            assert process.stdout.readline() == "up\n"
            os.kill(process.pid, signal.SIGSTOP)
            with Elevator.from_url(server.urls[0] + "?timeout=60") as E:
                assert E.ping() == "PONG"
        finally:
            process.kill()
            process.communicate()


# The thread and the rest of a program

FORKING = """
    import ctypes, os, sys, time, warnings
    warnings.simplefilter("error")
    from pyelevator import Elevator
    from pyelevator.client.sync.heartbeats import HEARTBEATS

    def threads():
        return len(os.listdir("/proc/self/task"))

    def looked_after(E):
        (link,) = E._session._pool.connections()
        first = link.heartbeat_at
        end = time.monotonic() + 30
        while link.heartbeat_at == first and time.monotonic() < end:
            time.sleep(0.01)
        return link.heartbeat_at > first

    E = Elevator.from_url(sys.argv[1], heartbeat=0.3, timeout=30)
    assert looked_after(E)
    fork = {"python": os.fork, "c": ctypes.PyDLL(None).fork}[sys.argv[2]]
    child = fork()
    E.Put(str(os.getpid()), "v")
    right = E.Get(str(os.getpid())) == "v" and looked_after(E) and threads() == 2
    if not child:
        os._exit(0 if right else 1)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), right)
    E.disconnect()
"""


@pytest.mark.parametrize("fork", ["python", "c"])
def test_both_sides_of_a_fork_have_heartbeats_of_their_own(fork):
    with serve(Application.in_memory()) as server:
        ran = programs.run(FORKING, server.urls[0], fork)
    assert (ran.code, ran.out, ran.err) == (0, "0 True\n", "")


THREADS = """
    import os, sys
    from pyelevator import Elevator
    clients = [Elevator.from_url(sys.argv[1], **({} if sys.argv[2] == "some" else {"heartbeat": 0})) for _ in range(3)]
    for E in clients:
        E.Put("k", "v")
    print(len(os.listdir("/proc/self/task")))
    for E in clients:
        E.disconnect()
"""


@pytest.mark.parametrize(("heartbeats", "threads"), [("some", 2), ("none", 1)])
def test_there_is_one_thread_for_all_clients_and_none_without_heartbeats(heartbeats, threads):
    with serve(Application.in_memory()) as server:
        ran = programs.run(THREADS, server.urls[0], heartbeats)
    assert (ran.code, ran.out, ran.err) == (0, f"{threads}\n", "")


DELAYED = """
    import atexit, sys
    from pyelevator import Elevator

    def last():
        with Elevator.from_url(sys.argv[1]) as E:
            print(E.ping())

    atexit.register(last)
"""


def test_a_client_of_an_ending_interpreter_is_served():
    with serve(Application.in_memory()) as server:
        ran = programs.run(DELAYED, server.urls[0])
    assert (ran.code, ran.out, ran.err) == (0, "PONG\n", "")


ENDING = """
    import atexit, os, sys, time
    from pyelevator import Elevator

    def threads():
        return len(os.listdir("/proc/self/task"))

    def last():
        end = time.monotonic() + 20
        while threads() > 1 and time.monotonic() < end:
            time.sleep(0.01)
        print(threads())

    atexit.register(last)
    E = Elevator.from_url(sys.argv[1])
    print(E.ping(), threads())
"""


def test_the_thread_has_ended_before_the_interpreter_does():
    with serve(Application.in_memory()) as server:
        ran = programs.run(ENDING, server.urls[0], options=())
    assert (ran.code, ran.out, ran.err) == (0, "PONG 2\n1\n", "")


def test_where_no_thread_can_be_started_calls_are_answered(monkeypatch):
    def refuse(*_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("_thread.start_new_thread", refuse)
    own = heartbeats.Heartbeats()
    monkeypatch.setattr("pyelevator.client.sync.pool.HEARTBEATS", own)
    with serve_before(monkeypatch) as url, Elevator.from_url(url) as E:
        assert E.ping() == "PONG"
    assert own._running is None


@contextmanager
def serve_before(monkeypatch):
    """A server whose threads may be started all the same."""
    refusing = __import__("_thread").start_new_thread
    monkeypatch.undo()
    with serve(Application.in_memory()) as server:
        monkeypatch.setattr("_thread.start_new_thread", refusing)
        monkeypatch.setattr("pyelevator.client.sync.pool.HEARTBEATS", heartbeats.Heartbeats())
        yield server.urls[0]
        monkeypatch.undo()


def test_the_thread_ends_with_the_last_client():
    own = heartbeats.Heartbeats()

    class Pool:
        heartbeat = 0.01

        def beat(self, now):
            return now + self.heartbeat

    pool = Pool()
    own.watch(pool)
    assert own._running is not None
    del pool
    eventually(lambda: own._running is None)


def test_a_pool_with_shorter_heartbeats_does_not_wait_for_the_next_round():
    own, beaten = heartbeats.Heartbeats(), threading.Event()

    class Pool:
        def __init__(self, heartbeat, event):
            self.heartbeat, self.event = heartbeat, event

        def beat(self, now):
            self.event.set()
            return now + self.heartbeat

    first = threading.Event()
    slow = Pool(600, first)
    own.watch(slow)
    assert first.wait(20)
    quick = Pool(0.01, beaten)
    own.watch(quick)
    assert beaten.wait(20)
    own.pause()


def test_the_fake_has_no_heartbeats():
    assert FakeTransport().heartbeat is None


@pytest.mark.parametrize("heartbeat", [-1, float("nan"), "1", True])
def test_a_heartbeat_is_a_number_of_seconds(heartbeat):
    with pytest.raises((UsageError, TypeError), match="heartbeat"):
        Elevator(endpoint="127.0.0.1:1", heartbeat=heartbeat, auto_connect=False)


def test_a_url_says_how_often_heartbeats_are():
    with Elevator.from_url("tcp://127.0.0.1:1?heartbeat=2.5&auto_connect=no") as E:
        assert transport_of(E).heartbeat == 2.5
    with Elevator.from_url("tcp://127.0.0.1:1?heartbeat=none&auto_connect=no") as E:
        assert transport_of(E).heartbeat is None


def test_a_transport_object_knows_its_own_heartbeat():
    with pytest.raises(UsageError, match="heartbeat= goes with transport='tcp' or 'ipc'"):
        Elevator(transport=TcpTransport("127.0.0.1:1"), heartbeat=1, auto_connect=False)
