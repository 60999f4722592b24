"""Proxies on real sockets: the session conformance through them, and several servers behind one."""

import asyncio
import threading
from contextlib import ExitStack

import pytest

from pyelevator import AsyncElevator, DatabaseError, Elevator, RequestTimeout, ServerRuntimeError
from pyelevator.application import Application
from pyelevator.codec import ClassicCodec
from pyelevator.commands import DbList, DbRepair, Get, MGet, Range
from pyelevator.deadlines import Deadline
from pyelevator.messages import Request
from pyelevator.proxy import Core, Proxy, Upstream
from pyelevator.testing.bulk_ranges import BulkRangeConformance
from pyelevator.testing.servers import ANY_PORT, serve
from pyelevator.testing.sessions import ClassicConformance, SessionConformance, TasksConformance
from pyelevator.testing.updates import UpdateConformance, refuses_updates
from pyelevator.transports import IpcTransport, TcpTransport
from support.connections import close_connections_of, connection_count, pretend_connected
from support.eventually import eventually
from support.old_peers import OldPeer
from support.old_servers import OldServerOnSocket
from support.optional import unwrap

MB = 1 << 20


def through(*upstreams, **options):
    return Proxy([ANY_PORT], upstreams, **options)


def connector(url, dialect="classic"):
    def connect(kind, *args, **options):
        address = url.partition("://")[2]
        return kind(*args, **{"endpoint": address, "dialect": dialect, "timeout": 30, **options})

    return connect


class TestThroughToOurs(
    SessionConformance, ClassicConformance, UpdateConformance, BulkRangeConformance, TasksConformance
):
    @pytest.fixture
    def connect(self):
        with serve(Application.in_memory()) as server, through(server.urls[0]) as proxy:
            yield connector(proxy.urls[0])


class TestFlatClientThroughToOurs(SessionConformance):
    @pytest.fixture
    def connect(self):
        with serve(Application.in_memory()) as server, through(server.urls[0]) as proxy:
            yield connector(proxy.urls[0], "flat")


@pytest.mark.parametrize("server", ["0.5", "2014"])
class TestThroughToAnOldServer(SessionConformance):
    """A classic client, and behind the proxy a server that echoes no ids, and dies of what killed the old one."""

    @pytest.fixture
    def connect(self, server):
        with OldServerOnSocket(server) as old, through(old.url) as proxy:
            yield connector(proxy.urls[0])
        assert old.killed == []


class TestFlatClientThroughToAnOldServer(SessionConformance):
    @pytest.fixture
    def connect(self):
        with OldServerOnSocket("0.5") as old, through(old.url) as proxy:
            yield connector(proxy.urls[0], "flat")
        assert old.killed == []


@pytest.mark.parametrize("dialect", ["classic", "flat"])
class TestThroughToAnOldFlatServer(SessionConformance):
    """A client that knows words which the server behind the proxy has not."""

    @pytest.fixture
    def connect(self, dialect):
        with OldServerOnSocket("0.7") as old, through(old.url) as proxy:
            yield connector(proxy.urls[0], dialect)
        assert old.killed == []


class TestThroughTwo(SessionConformance, UpdateConformance, BulkRangeConformance):
    """Everything happens at the first of two servers; the uids that the client sees say so."""

    @pytest.fixture
    def connect(self):
        with serve(Application.in_memory()) as server, serve(Application.in_memory()) as other:
            upstreams = [Upstream(server.urls[0], name="one"), Upstream(other.urls[0], ("elsewhere*",), name="two")]
            with through(*upstreams) as proxy:
                yield connector(proxy.urls[0])


@pytest.mark.parametrize("kind", ["0.5", "2014", "0.7"])
def test_updates_are_refused_for_an_old_server_behind_a_proxy(kind):
    with OldServerOnSocket(kind) as old, through(old.url) as proxy:
        with connector(proxy.urls[0])(Elevator) as E:
            refuses_updates(E)
            assert E.Range() == []
    assert old.killed == []


@pytest.fixture
def two():
    with serve(Application.in_memory()) as east, serve(Application.in_memory()) as west:
        with Elevator.from_url(west.urls[0]) as E:
            E.createdb("west-1")
        upstreams = [Upstream(west.urls[0], ("west-*",), name="west"), Upstream(east.urls[0], name="east")]
        with through(*upstreams) as proxy:
            yield proxy


def test_databases_of_several_servers_look_like_one(two):
    with Elevator.from_url(two.urls[0]) as E:
        assert E.listdb() == ["west-1", "default"]
        E.createdb("west-2")
        E.createdb("local")
        assert E.listdb() == ["west-1", "west-2", "default", "local"]
        for name in ("west-2", "local"):
            E.connect(name)
            E.Put("k", name)
        E.connect("west-2")
        assert unwrap(E.db_uid).startswith("west~")
        assert E.Get("k") == "west-2"
        E.dropdb("west-2")
        with pytest.raises(DatabaseError):
            E.connect("west-2")


def test_a_uid_leads_to_its_server_after_the_proxy_was_restarted(two):
    with Elevator.from_url(two.urls[0] + "/west-1") as E:
        E.Put("k", "v")
        upstreams = [pool.upstream for pool in two._core._pools.values()]
        address = two.urls[0]
        two.stop()
        two._thread.join()
        close_connections_of(E)  # a request on a connection that is just breaking may get lost
        with Proxy([address], upstreams):
            assert E.Get("k") == "v"


def test_an_unknown_uid_is_refused_without_asking_anybody(two):
    with Elevator.from_url(two.urls[0]) as E:
        pretend_connected(E, "nowhere~1", None)
        with pytest.raises(ServerRuntimeError, match="Database nowhere~1 doesn't exist"):
            E.Get("k")


def test_silence_upstream_becomes_an_error_in_time():
    with OldServerOnSocket("0.5") as old, through(old.url, timeout=1.5) as proxy:
        with Elevator.from_url(proxy.urls[0]) as E:
            old.silent = True
            with pytest.raises(ServerRuntimeError, match=r"no answer from upstream within 1\.5 s"):
                E.Get("k", timeout=20)
            old.silent = False
            E.Put("k", "v", timeout=20)
            assert E.Get("k", timeout=20) == "v"


def test_nothing_that_was_asked_while_the_server_was_away_is_done_later():
    application = Application.in_memory()
    with serve(application) as first:
        url = first.urls[0]
        proxy = through(url, timeout=5)  # more than it may take to connect again
        proxy.__enter__()
        E = Elevator.from_url(proxy.urls[0])
    # the proxy may not have seen yet that the connection has ended
    gone = "no connection to the upstream: connection refused|closed the connection before it answered"
    with pytest.raises(ServerRuntimeError, match=gone):
        E.Put("late", "v", timeout=20)
    with serve(Application.in_memory(), url):
        E.Put("now", "v", timeout=20)
        assert E.Range(timeout=20) == [["now", "v"]]
        E.disconnect()
        proxy.__exit__()


def test_malformed_requests_are_answered_by_the_proxy_alone():
    import zmq

    with OldServerOnSocket("0.5") as old, through(old.url) as proxy:
        socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.DEALER)
        socket.set(zmq.LINGER, 0)
        socket.connect(proxy.urls[0])
        for frames in ([b""], [b"\xc1"], [b"a", b"b"], [b"\x80"], [b"\x90"], [b"\x84\xa3cmd\xa3GET\xa4args\x91\x05"]):
            socket.send_multipart(frames)
            assert socket.poll(20_000)
            socket.recv_multipart()
            assert not socket.poll(0)
        assert old.requests == 0
        for command, uid in ((Get("k"), None), (Range(), None), (DbRepair(), "u"), (MGet([]), "u"), (DbList(), None)):
            socket.send_multipart(ClassicCodec().encode_request(Request(command, uid)))
            assert socket.poll(20_000), f"{command} is not answered"
            socket.recv_multipart()
        socket.close()
        assert old.killed == []


def test_a_timeout_of_one_client_costs_no_other_an_answer():
    with OldServerOnSocket("0.5") as old, through(old.url, timeout=4) as proxy:
        with Elevator.from_url(proxy.urls[0]) as impatient, Elevator.from_url(proxy.urls[0]) as other:
            other.Put("k", "v")
            old.silent = True
            with pytest.raises(RequestTimeout):
                impatient.Get("missing", timeout=0.2)
            old.silent = False
            assert other.Get("k", timeout=20) == "v"


@pytest.mark.parametrize("revision", [0, 1], ids=["ZMTP 1.0", "ZMTP 2.0"])
def test_a_server_with_an_old_zeromq_is_served_over_one_connection(revision):
    with OldPeer(revision) as server:
        with through(f"tcp://{server.endpoint}") as proxy, Elevator.from_url(proxy.urls[0]) as E:
            E.Put("k", "v" * 1000, timeout=20)
            assert E.MGet(["k", "k"], timeout=20) == ["v" * 1000] * 2
        assert server.connections == 1
    assert server.garbage == []


def test_all_answers_arrive_though_the_proxy_has_to_stop_reading(monkeypatch):
    import zmq

    blocked, client_blocked = threading.Event(), Core.client_blocked
    monkeypatch.setattr(Core, "client_blocked", lambda core, identity: blocked.set() or client_blocked(core, identity))
    with serve(Application.in_memory()) as server, through(server.urls[0], unread=1 << 20) as proxy:
        with Elevator.from_url(proxy.urls[0]) as E:
            E.Put("k", "v" * 100_000, timeout=20)
            uid = E.db_uid
        socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.DEALER)
        for option, value in ((zmq.LINGER, 0), (zmq.RCVHWM, 10), (zmq.RCVBUF, 1 << 16), (zmq.RCVTIMEO, 30_000)):
            socket.set(option, value)
        socket.connect(proxy.urls[0])
        for number in range(1, 301):
            socket.send_multipart(ClassicCodec().encode_request(Request(Get("k"), uid, number)))
        assert blocked.wait(30)
        answered = [unwrap(ClassicCodec().reply_id(socket.recv_multipart())) for _ in range(300)]
        socket.close()
    assert sorted(answered) == list(range(1, 301))


def test_an_unread_answer_that_blocks_no_client_holds_up_no_other(tmp_path):
    deadline = Deadline.after(60)
    with ExitStack() as stack:
        server = stack.enter_context(serve(Application.in_memory()))
        # over a socket file, of which the system keeps little
        url = f"ipc://{tmp_path}/socket"
        proxy = stack.enter_context(Proxy([url], server.urls[0], unread=16 * MB))
        E = stack.enter_context(Elevator.from_url(url, timeout=60))
        E.Put("unread", "v" * 4 * MB)
        E.Put("large", "w" * 8 * MB)
        stalled = IpcTransport(f"{tmp_path}/socket")
        stack.callback(stalled.close)
        stalled.send(ClassicCodec().encode_request(Request(Get("unread"), E.db_uid, 1)), deadline)
        eventually(lambda: proxy.stats().queues.unsent_bytes > 16 * MB // 8)
        assert proxy.stats().queues.blocked_clients == 0
        assert E.Get("large") == "w" * 8 * MB
        eventually(lambda: proxy.stats().queues.unsent_bytes == 0)


def test_a_small_call_beside_unread_answers_waits_for_no_new_connection():
    with ExitStack() as stack:
        server = stack.enter_context(serve(Application.in_memory()))
        proxy = stack.enter_context(Proxy([ANY_PORT], server.urls[0]))
        E = stack.enter_context(Elevator.from_url(proxy.urls[0], timeout=60))
        direct = stack.enter_context(Elevator.from_url(server.urls[0], timeout=60))
        E.Put("large", "v" * 8 * MB)
        before = direct.stats().connections.accepted
        for _ in range(5):
            unread = TcpTransport(proxy.urls[0].removeprefix("tcp://"))
            stack.callback(unread.close)
            unread.send(ClassicCodec().encode_request(Request(Get("large"), E.db_uid, 1)), Deadline.after(60))
        eventually(lambda: direct.stats().connections.accepted == before + 5)
        assert not E.Exists("small")
        assert direct.stats().connections.accepted == before + 5


@pytest.mark.parametrize(("connections", "seen"), [(1, {1}), (3, {3})])
def test_many_clients_share_few_connections_and_get_their_own_answers(connections, seen):
    counts = set()

    async def session(url, name):
        async with AsyncElevator.from_url(url) as E:
            await E.Put(name, name)
            answers = await asyncio.gather(*[E.Get(name) for _ in range(100)])
            counts.add(connection_count(server))
            return answers

    async def sessions(url):
        return await asyncio.gather(*[session(url, str(n)) for n in range(30)])

    with (
        serve(Application.in_memory()) as server,
        through(Upstream(server.urls[0], max_connections=connections)) as proxy,
    ):
        answers = asyncio.run(sessions(proxy.urls[0] + "?timeout=30"))
        assert answers == [[str(n)] * 100 for n in range(30)]
        assert counts == seen
