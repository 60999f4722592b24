"""The documented session, sync and async, over every transport, dialect and engine, and against how old servers behave."""

from itertools import combinations, product

import pytest

from pyelevator import Elevator, UsageError
from pyelevator.application import Application
from pyelevator.engines.leveldb.binding.library import load_binding
from pyelevator.testing.bulk_ranges import BulkRangeConformance
from pyelevator.testing.portals import Portal
from pyelevator.testing.servers import serve
from pyelevator.testing.sessions import (
    ClassicConformance,
    CursorConformance,
    FilesConformance,
    ReverseConformance,
    SessionConformance,
    StatsConformance,
    TasksConformance,
)
from pyelevator.testing.snapshots import SnapshotConformance
from pyelevator.testing.updates import UpdateConformance, refuses_updates
from pyelevator.transports import FakeTransport, IpcTransport, TcpTransport
from support.old_servers import KINDS, OldServer

TRANSPORTS = ("tcp", "ipc", "fake")
ENGINES = ("memory", "leveldb")
CALLS = ("sync", "async")

WAYS = [
    ("tcp", "memory", "sync"),
    ("tcp", "leveldb", "async"),
    ("ipc", "memory", "async"),
    ("ipc", "leveldb", "sync"),
    ("fake", "memory", "sync"),
    ("fake", "leveldb", "async"),
]
"""Half of the ways of transport, engine and call; every two of these meet in it."""

OTHER_WAYS = [way for way in product(TRANSPORTS, ENGINES, CALLS) if way not in WAYS]
"""The other half, in which every two meet as well: with one dialect or the other, every three do."""


def over(ways):
    """Run a suite over these ways."""
    return pytest.mark.parametrize(("transport", "application", "make"), ways, indirect=True)


def test_every_two_ways_meet_with_each_dialect():
    for ways in (WAYS, OTHER_WAYS):
        for one, other in combinations(range(3), 2):
            kinds = (TRANSPORTS, ENGINES, CALLS)
            assert {(way[one], way[other]) for way in ways} == set(product(kinds[one], kinds[other]))


def sync(kind, *args, **options):
    """Makes a client as a sync program does."""
    return kind(*args, **options)


def connector(transport, dialect, make=sync):
    """Makes clients over ``transport``; generous with time, for loaded machines."""

    def connect(kind, *args, **options):
        return make(kind, *args, **{"transport": transport, "dialect": dialect, "timeout": 30, **options})

    return connect


@pytest.fixture(params=CALLS)
def make(request):
    """Makes clients: of the class itself, or of its async counterpart on a loop in another thread."""
    if request.param == "sync":
        yield sync
        return
    with Portal() as portal:
        yield portal.connect


@pytest.fixture
def application(request, tmp_path):
    made = Application.in_memory() if request.param == "memory" else Application.on_leveldb(str(tmp_path / "data"))
    yield made
    made.close()


@pytest.fixture
def transport(request, application, tmp_path):
    if request.param == "fake":
        yield FakeTransport(application)
        return
    bind = "tcp://127.0.0.1:0" if request.param == "tcp" else f"ipc://{tmp_path}/e.sock"
    with serve(application, bind) as server:
        address = server.urls[0].partition("://")[2]
        yield TcpTransport(address) if request.param == "tcp" else IpcTransport(address)


@over(WAYS)
class TestClassic(
    SessionConformance,
    ClassicConformance,
    ReverseConformance,
    CursorConformance,
    SnapshotConformance,
    StatsConformance,
    UpdateConformance,
    TasksConformance,
    BulkRangeConformance,
):
    @pytest.fixture
    def connect(self, transport, make):
        return connector(transport, "classic", make)


class _Views:
    """Clients that are views of the keys with a prefix, of a view, among the keys of others."""

    inner: str | bytes

    @pytest.fixture
    def connect(self, make):
        server = FakeTransport()
        with Elevator(transport=server) as others:
            for key in ("", "p", "p:", "p:\u00e9", "p:\u00eb", "q", "\x7f"):
                others.Put(key, "of others")
            yield lambda kind, *args, **options: self._view(kind, make(Elevator, *args, transport=server, **options))

    def _view(self, kind, client):
        view = client.prefix("p:").prefix(self.inner)
        return view if kind is Elevator else view.WriteBatch()


class TestViews(
    _Views, SessionConformance, ClassicConformance, ReverseConformance, CursorConformance, UpdateConformance
):
    inner = "\u00ea"


class TestViewsOfPartsOfCharacters(_Views, SessionConformance, ReverseConformance):
    inner = "\u00ea".encode()[:1] + b"\xff"


@over(OTHER_WAYS)
class TestFlat(SessionConformance):
    @pytest.fixture
    def connect(self, transport, make):
        return connector(transport, "flat", make)


class TestFiles(FilesConformance):
    """Over the fake on LevelDB: files are the application's matter, whatever carries the request."""

    @pytest.fixture
    def connect(self, tmp_path, make):
        application = Application.on_leveldb(str(tmp_path / "data"))
        yield connector(FakeTransport(application), "classic", make)
        application.close()

    E = SessionConformance.E

    @pytest.fixture
    def outside(self, tmp_path):
        (tmp_path / "outside").mkdir()
        return tmp_path / "outside"

    def test_an_existing_leveldb_is_registered_with_its_data(self, E, connect, outside):
        path = str(outside / "existing")
        with load_binding().DB(path, create_if_missing=True) as existing:
            existing.put(b"from before", b"still here")
        E.createdb(path)
        assert E.listdb() == ["default", path]
        with connect(Elevator, path) as e:
            assert e.Get("from before") == "still here"


@pytest.fixture(params=KINDS)
def old_server(request):
    return OldServer(request.param)


class TestOldServers(SessionConformance):
    """Against a server that echoes no ids and dies of what killed the old ones: the client never sends such a thing."""

    @pytest.fixture
    def connect(self, old_server, make):
        return connector(old_server, old_server.dialect, make)


def test_updates_are_refused_of_an_old_server_before_they_are_sent(old_server, make):
    with connector(old_server, old_server.dialect, make)(Elevator) as E:
        sent = len(old_server.sent)
        refuses_updates(E)
        assert len(old_server.sent) == sent


def test_updates_are_refused_in_flat_before_they_are_sent():
    with connector(FakeTransport(), "flat")(Elevator) as E:
        refuses_updates(E)
        assert E.Range() == []


@pytest.mark.parametrize("ask", ["Slice", "RangeIter"])
def test_counting_down_is_refused_of_an_old_server_with_what_it_can_do(old_server, make, ask):
    with connector(old_server, old_server.dialect, make)(Elevator) as E:
        sent = len(old_server.sent)
        with pytest.raises(UsageError, match=r"Range.*reverse=True.* is understood; nothing was sent"):
            list(getattr(E, ask)(None, 3, reverse=True))
        assert len(old_server.sent) == sent


def test_one_moment_is_refused_of_an_old_server_before_anything_is_sent(old_server, make):
    with connector(old_server, old_server.dialect, make)(Elevator) as E:
        sent = len(old_server.sent)
        with pytest.raises(UsageError, match="keeps no snapshots, so consistent=True cannot be had; nothing was sent"):
            list(E.RangeIter(consistent=True))
        assert len(old_server.sent) == sent


@pytest.mark.parametrize("connected", [True, False])
def test_forgetting_is_refused_of_an_old_server_before_it_is_sent(old_server, make, connected):
    with connector(old_server, old_server.dialect, make)(Elevator, auto_connect=connected) as E:
        with pytest.raises(UsageError, match=r"its files; nothing was sent|flat dialect has no DBFORGET"):
            E.forgetdb("default")
        assert not any(b"DBFORGET" in frame for frames in old_server.sent for frame in frames)


def test_a_repair_is_refused_in_flat_with_the_way_out():
    with connector(FakeTransport(), "flat")(Elevator) as E, pytest.raises(ValueError, match="dialect='classic'"):
        E.repairdb()


def test_options_are_refused_in_flat_with_the_way_out():
    with connector(FakeTransport(), "flat")(Elevator) as E:
        with pytest.raises(ValueError, match="dialect='classic'"):
            E.createdb("x", {"block_size": 4096})
        assert E.listdb() == ["default"]
