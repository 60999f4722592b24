"""Snapshots through proxies and interceptors, under writers, with permissions, and when they are given back or lost."""

import gc
import io
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import Any

import pytest
from attrs import evolve

from pyelevator import AsyncElevator, CursorExpired, DatabaseError, Elevator, ElevatorError, PermissionDenied
from pyelevator.application import Application, Policy
from pyelevator.auth.authorizing_application import AuthorizingApplication
from pyelevator.auth.authorizing_interceptor import AuthorizingInterceptor
from pyelevator.auth.permissions import Grant, Permissions
from pyelevator.client.interceptors.route import Route
from pyelevator.commands import (
    PUT,
    Access,
    Batch,
    Command,
    DbConnect,
    DbRepair,
    Delete,
    Exists,
    Get,
    Pipeline,
    Put,
    Range,
    Slice,
    Snapshot,
)
from pyelevator.errors import ErrorCode
from pyelevator.flows import Interceptor
from pyelevator.interceptors import Cache, Prefix, Recorder, RequestLog, Retry, hooks
from pyelevator.messages import CallContext, Request, snapshot_uid
from pyelevator.proxy import Proxy, Upstream
from pyelevator.testing.portals import Portal
from pyelevator.testing.servers import ANY_PORT, ServerProcess, serve
from pyelevator.testing.snapshots import SnapshotConformance
from pyelevator.transports import FakeTransport
from support.clocks import Clock
from support.connections import close_connections_of
from support.programs import WAIT_TIMEOUT

WRITERS = 4
ROUNDS = 25


@pytest.fixture(params=["memory", "leveldb"])
def application(request, tmp_path):
    made = Application.in_memory() if request.param == "memory" else Application.on_leveldb(str(tmp_path / "data"))
    yield made
    made.close()


# Through everything that may stand in between


class _Proxied(SnapshotConformance):
    interceptors: Sequence[Interceptor] = ()

    @pytest.fixture
    def connect(self):
        with serve(Application.in_memory()) as server, Proxy([ANY_PORT], server.urls[0], self.interceptors) as proxy:
            yield lambda kind, *args, **options: kind.from_url(
                proxy.urls[0], **{"timeout": 30, "db_name": args[0] if args else None, **options}
            )


class TestPassedThroughAProxy(_Proxied):
    pass


class TestThroughAProxyWithInterceptors(_Proxied):
    interceptors = (RequestLog(), Cache())


class TestThroughAProxyWithPermissions(_Proxied):
    interceptors = (AuthorizingInterceptor(lambda: {"": Permissions((Grant(Access.ADMIN, "*"),))}),)


class TestThroughAProxyWithTwoUpstreams(SnapshotConformance):
    @pytest.fixture
    def connect(self):
        with serve(Application.in_memory()) as server, serve(Application.in_memory()) as other:
            upstreams = [Upstream(server.urls[0], name="one"), Upstream(other.urls[0], ("elsewhere*",), name="two")]
            with Proxy([ANY_PORT], upstreams) as proxy:
                yield lambda kind, *args, **options: kind.from_url(
                    proxy.urls[0], **{"timeout": 30, "db_name": args[0] if args else None, **options}
                )


@pytest.mark.parametrize(
    "interceptor",
    [Prefix("p:"), Cache(), RequestLog(), Retry(), hooks(), Recorder(io.StringIO())],
    ids=lambda i: type(i).__name__,
)
class TestThroughInterceptors(SnapshotConformance):
    @pytest.fixture
    def connect(self, interceptor):
        server = FakeTransport()
        return lambda kind, *args, **options: kind(*args, transport=server, interceptors=[interceptor], **options)


def test_databases_of_two_servers_have_no_common_moment():
    with serve(Application.in_memory()) as east, serve(Application.in_memory()) as west:
        upstreams = [Upstream(west.urls[0], ("west",), name="west"), Upstream(east.urls[0], name="east")]
        with Proxy([ANY_PORT], upstreams) as proxy, Elevator.from_url(proxy.urls[0], timeout=30) as E:
            E.createdb("west")
            with pytest.raises(DatabaseError, match="databases of several servers have no common moment"):
                E.snapshot("west")
            with Elevator.from_url(proxy.urls[0], db_name="west") as W, W.snapshot() as s:
                W.Put("k", "after")
                assert s.Range() == []


def test_a_snapshot_of_a_routed_database_is_read_where_it_is():
    west = FakeTransport()
    with Route({"west-*": west}) as route, Elevator(transport="fake", interceptors=[route]) as E:
        E.connect("west-1", create=True)
        E.Put("k", "before")
        with E.snapshot() as s:
            E.Put("k", "after")
            assert s.Get("k") == "before"


# One moment


def test_all_ranges_and_databases_of_a_snapshot_are_of_one_moment(application):
    """Writers raise a number in one database and then in the other, and batches write one number under many keys."""
    server = FakeTransport(application)
    stop, failures = threading.Event(), []

    def write(first, second, key):
        number = 0
        while not stop.is_set():
            number += 1
            with first.WriteBatch() as batch:
                for part in range(20):
                    batch.Put(f"{key}:{part:02}", str(number))
            second.Put(key, str(number))

    def check(first, second):
        for _ in range(ROUNDS):
            with first.snapshot("second") as s:
                later = s.database("second").MGet([f"w{at}" for at in range(WRITERS)])
                for at in range(WRITERS):
                    found = [set(s.Range(prefix=f"w{at}:", include_key=False)) for _ in range(2)]
                    numbers = found[0] | found[1]
                    started, done = int(next(iter(numbers), "0")), int(later[at] or "0")
                    if len(numbers) > 1 or started - done not in (0, 1):
                        failures.append((numbers, later[at]))

    with Elevator(transport=server) as first, Elevator("second", transport=server, create=True) as second:
        writers = [threading.Thread(target=write, args=(first, second, f"w{at}")) for at in range(WRITERS)]
        checkers = [threading.Thread(target=check, args=(first, second)) for _ in range(2)]
        for thread in writers + checkers:
            thread.start()
        for thread in checkers:
            thread.join()
        stop.set()
        for thread in writers:
            thread.join()
    assert failures == []
    assert len(application.cursors) == 0


def test_snapshots_of_the_same_databases_in_any_order_do_not_deadlock(application):
    server = FakeTransport(application)
    with Elevator("a", transport=server, create=True) as a, Elevator("b", transport=server, create=True) as b:

        def take(one, other):
            for _ in range(100):
                with one.snapshot(other):
                    one.Put("k", "v")

        threads = [threading.Thread(target=take, args=pair, daemon=True) for pair in [(a, "b"), (b, "a")] * 2]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(100)
        assert [thread for thread in threads if thread.is_alive()] == []


# Given back, and lost


def test_a_snapshot_is_given_back_however_it_ends(application, make):
    server = FakeTransport(application)
    with make(transport=server) as E:
        E.createdb("other")
        with E.snapshot("other"):
            assert len(application.cursors) == 1
        assert len(application.cursors) == 0
        with pytest.raises(ZeroDivisionError), E.snapshot():
            1 / 0
        assert len(application.cursors) == 0


def test_a_dropped_snapshot_is_given_back_with_the_next_request():
    server = FakeTransport()
    with Elevator(transport=server) as E:
        kept = [E.snapshot() for _ in range(3)]
        del kept
        gc.collect()
        assert len(server.application.cursors) == 3
        E.ping()
        assert len(server.application.cursors) == 0


def test_a_snapshot_is_given_back_by_a_client_that_changed_its_database():
    server = FakeTransport()
    with Elevator(transport=server) as E:
        E.snapshot()
        gc.collect()
        E.connect("other", create=True)
        E.ping()
        assert len(server.application.cursors) == 0


def test_an_awaited_snapshot_is_closed_by_hand():
    async def main():
        async with AsyncElevator(transport=server) as E:
            await E.Put("k", "before")
            s = await E.snapshot()
            await E.Put("k", "after")
            found = await s.Get("k")
            await s.close()
            return found

    server = FakeTransport()
    with Portal() as portal:
        assert portal.run(main()) == "before"
    assert len(server.application.cursors) == 0


def test_an_async_snapshot_that_is_not_taken_yet_says_so():
    async def main():
        async with AsyncElevator(transport="fake") as E:
            s = E.snapshot()
            for read in (s.Get("k"), s.prefix("p").Get("k"), s.Range()):
                with pytest.raises(ElevatorError, match="not taken yet; use it within its with block"):
                    await read

    with Portal() as portal:
        portal.run(main())


def test_a_snapshot_is_kept_as_long_as_a_cursor(make):
    clock = Clock()
    base = Application.in_memory()
    application = Application(base.catalog, Policy(cursor_idle=60, cursor_age=300), clock)
    with make(transport=FakeTransport(application)) as E:
        E.Put("k", "before")
        with E.snapshot() as s:
            for _ in range(5):
                clock.now += 59
                assert s.Get("k") == "before"
            clock.now += 59
            with pytest.raises(
                CursorExpired, match=r"not used for 60 s, or is older than 300 s.*take another snapshot"
            ):
                s.Get("k")
        with E.snapshot() as s:
            clock.now += 61
            with pytest.raises(CursorExpired):
                s.Range()


def test_above_the_limit_a_client_without_a_snapshot_gets_room():
    application = Application.in_memory(Policy(max_cursors=2))
    with Elevator(transport=FakeTransport(application)) as E, E.snapshot(), E.snapshot():
        with pytest.raises(ElevatorError, match=r"all 2 cursors are in use.*--max-cursors"):
            E.snapshot()
        assert len(application.cursors) == 2
        assert E.Range() == []


def test_a_snapshot_outlives_the_connection_over_which_it_was_taken():
    clock = Clock()
    base = Application.in_memory()
    application = Application(base.catalog, Policy(), clock)
    with Elevator(transport=FakeTransport(application)) as E, E.snapshot() as s:
        close_connections_of(E)  # as a timeout does to a connection
        for _ in range(4):
            clock.now += 4
            assert s.Range() == []
        clock.now += 6
        application.run_maintenance()
        assert s.Range() == []


def test_the_snapshot_of_a_client_that_left_is_closed_soon():
    clock = Clock()
    base = Application.in_memory()
    application = Application(base.catalog, Policy(), clock)
    leaving = Elevator(transport=FakeTransport(application))
    s = leaving.snapshot()
    leaving.disconnect()
    clock.now += 6
    application.run_maintenance()
    assert len(application.cursors) == 0
    s.close()


def test_what_a_client_of_a_proxy_leaves_is_given_back(monkeypatch):
    monkeypatch.setattr(
        "pyelevator.application.cursors._RECONNECT_TIME", 600.0
    )  # lest the server gives it back by itself
    application = Application.in_memory()
    given_back = threading.Event()
    close = application.cursors.close
    monkeypatch.setattr(application.cursors, "close", lambda *args: (close(*args), given_back.set()))
    with serve(application) as server, Proxy([ANY_PORT], server.urls[0]) as proxy:
        leaving = Elevator.from_url(proxy.urls[0], timeout=30)
        s = leaving.snapshot()
        assert s.Range() == []
        leaving.disconnect()
        assert given_back.wait(25)
        assert len(application.cursors) == 0
        s._handles.clear()


def test_a_server_that_was_killed_has_kept_no_snapshot(tmp_path):
    with ServerProcess(tmp_path / "data") as server, Elevator.from_url(server.url, timeout=30) as E:
        E.Put("k", "before")
        with E.snapshot() as s:
            server.restart()
            with pytest.raises(CursorExpired, match="the server restarted meanwhile"):
                s.Get("k")
            with pytest.raises(CursorExpired):
                s.Range()
        assert E.Get("k") == "before"


FORKING = """
import os, sys
from pyelevator import Elevator
with Elevator.from_url(sys.argv[1], timeout=30) as E:
    E.Put("k", "before")
    s = E.snapshot()
    E.Put("k", "after")
    pid = os.fork()
    if not pid:
        s.close()
        del s
        os._exit(0 if E.Get("k") == "after" else 1)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), s.Get("k"))
    s.close()
"""


def test_a_child_process_does_not_give_its_parent_s_snapshot_back():
    with serve(Application.in_memory()) as server:
        command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKING, server.urls[0]]
        ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=WAIT_TIMEOUT)
    assert (ran.stdout, ran.stderr) == ("0 before\n", "")


# What a server says to those who do not use our client


class Asked:
    """Asks an application without our client; ``uid`` is the database's."""

    def __init__(self, application):
        self.application = application
        self.uid = application.catalog.uid_of("default")

    def __call__(self, command, at="its own"):
        return self.application(Request(command, self.uid if at == "its own" else at))


@pytest.fixture
def ask(application):
    ask = Asked(application)
    ask(Put("k", "before"))
    return ask


def test_whatever_writes_is_refused_by_the_server(ask, application):
    at = snapshot_uid(ask.uid, ask(Snapshot()).cursor)
    writes: list[Command[Any]] = [
        Put("k", "after"),
        Delete("k"),
        Batch([(PUT, b"k", b"after")]),
        DbRepair(),
        Pipeline([Put("k", "after")]),
    ]
    for write in writes:
        for response in (ask(write, at), application.try_handle(Request(write, at))):
            if response is not None:
                assert response.code is ErrorCode.DATABASE
                assert "a snapshot is only read; send this to the database itself" in response.message
    assert ask(Get("k"), at).payload == ask(Get("k")).payload == b"before"


def test_both_ways_into_an_application_read_a_snapshot(ask, application):
    at = snapshot_uid(ask.uid, ask(Snapshot()).cursor)
    ask(Put("k", "after"))
    assert application.try_handle(Request(Get("k"), at)).payload == ask(Get("k"), at).payload == b"before"
    application.catalog.unmount("default")
    assert application.try_handle(Request(Get("k"), at)) is None
    assert ask(Get("k"), at).message.startswith(CursorExpired.MESSAGE_PREFIX)
    assert ask(Get("k")).payload == b"after"


def test_pages_of_a_snapshot_are_kept_beside_it(ask, application):
    for number in range(10):
        ask(Put(str(number), "v"))
    at = snapshot_uid(ask.uid, ask(Snapshot()).cursor)
    page = ask(Slice(count=5, cursor=True), at)
    assert [bytes(key) for key, _ in page.payload] == [b"0", b"1", b"2", b"3", b"4"]
    assert ask(Slice("5", 2, cursor=page.cursor), at).payload[1][0] == b"6"
    assert (
        ask(Slice("5", 2, cursor=page.cursor)).code is ErrorCode.RUNTIME
    )  # it is of the snapshot, not of the database
    ask(Slice(cursor=page.cursor), at)
    assert len(application.cursors) == 1


@pytest.mark.parametrize(
    "uid", ["{uid}@", "{uid}@no-cursor", "@", "nothing@{cursor}", "{uid}@{cursor}@{cursor}", "{uid}{cursor}"]
)
def test_a_uid_of_no_snapshot_reads_nothing(ask, uid):
    cursor = ask(Snapshot()).cursor.decode()
    response = ask(Get("k"), uid.format(uid=ask.uid, cursor=cursor))
    assert response.code is ErrorCode.RUNTIME
    assert "doesn't exist" in response.message or response.message.startswith(CursorExpired.MESSAGE_PREFIX)


def test_a_snapshot_of_nothing_or_of_a_snapshot_is_refused(ask, application):
    cursor = ask(Snapshot()).cursor
    assert ask(Snapshot(["nothing"])).code is ErrorCode.RUNTIME
    assert ask(Snapshot(), None).code is ErrorCode.RUNTIME
    assert (
        ask(Snapshot(), snapshot_uid(ask.uid, cursor)).message
        == "a snapshot is of databases, and not of another snapshot"
    )
    assert ask(Snapshot([ask.uid, ask.uid])).code is None
    assert len(application.cursors) == 2


# Permissions


def test_who_may_read_may_take_a_snapshot_and_read_its_own(application):
    application.catalog.create("secret")
    granted = {"ann": Permissions((Grant(Access.READ, "default"),)), "bob": Permissions((Grant(Access.READ, "*"),))}
    guarded = AuthorizingApplication(application, lambda: granted)
    public, secret = application.catalog.uid_of("default"), application.catalog.uid_of("secret")

    def ask(who, command, uid):
        return guarded(Request(command, uid, context=CallContext(who)))

    assert ask("ann", Snapshot(), secret).code is ErrorCode.OS
    assert (
        ask("ann", Snapshot([secret]), public).message
        == f"not allowed: SNAPSHOT needs read access to the database {secret}"
    )
    assert ask("ann", Snapshot(), public).code is None
    both = ask("bob", Snapshot([secret]), public).cursor
    assert ask("bob", Get("k"), snapshot_uid(secret, both)).code is ErrorCode.KEY
    for command in (Get("k"), Range(), Exists("k"), Pipeline([Get("k")])):
        assert ask("ann", command, snapshot_uid(secret, both)).code is ErrorCode.OS
        stolen = ask("ann", command, snapshot_uid(public, both))
        assert isinstance(command.error(stolen.code, stolen.message), CursorExpired)
    granted["bob"] = Permissions()
    assert ask("bob", Get("k"), snapshot_uid(secret, both)).code is ErrorCode.OS


def test_a_proxy_lets_only_the_client_read_that_took_the_snapshot():
    everything = Permissions((Grant(Access.READ, "*"),))
    authorized = AuthorizingInterceptor(lambda: {"ann": everything, "bob": everything})
    server = Application.in_memory()

    def ask(who, command, uid=None):
        flow = authorized(Request(command, uid, context=CallContext(who)), forward)
        try:
            next(flow)
        except StopIteration as stop:
            return stop.value
        raise AssertionError

    def forward(request):
        yield from ()
        return server(request)

    uid = ask("ann", DbConnect("default")).payload.decode()
    cursor = ask("ann", Snapshot(cursor=True), uid).cursor
    assert ask("ann", Exists("k"), snapshot_uid(uid, cursor)).payload is False
    for signed in (cursor, cursor[:-32], b""):
        assert ask("bob", Exists("k"), snapshot_uid(uid, signed)).code is not None
    assert ask("ann", Slice(cursor=cursor), uid).code is None
    assert len(server.cursors) == 0


def test_a_denied_snapshot_is_a_permission_error():
    application = Application.in_memory()

    class Anns(AuthorizingApplication):
        def __call__(self, request):
            return super().__call__(request.with_context(evolve(request.context, peer="ann")))

        def try_handle(self, request):
            return None

    application.catalog.create("secret")
    only = {"ann": Permissions((Grant(Access.READ, "default"),))}
    with Elevator(transport=FakeTransport(Anns(application, lambda: only))) as E:
        with pytest.raises(PermissionDenied):
            E.snapshot("secret")
        with E.snapshot() as s:
            assert s.Range() == []
