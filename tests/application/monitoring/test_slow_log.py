"""The slow log: which requests are in it, and what it tells of them."""

import time
from typing import Any

import pytest

from pyelevator import Elevator
from pyelevator.application import Application, Policy
from pyelevator.application.application import ApplicationWrapper
from pyelevator.application.monitoring.slow_log import SlowRequestLog
from pyelevator.commands import DELETE, PUT, Batch, Command, DbCreate, Get, MGet, Ping, Pipeline, Range, Slice
from pyelevator.messages import Request
from pyelevator.server import Server
from pyelevator.testing.servers import ANY_PORT
from pyelevator.transports import FakeTransport


class Dawdling(ApplicationWrapper):
    """Takes its time for keys that begin with ``slow``: in the loop for GET, and in a worker for MGET."""

    def try_handle(self, request):
        if isinstance(request.command, MGet):
            return None
        self._dawdle(request.command)
        return super().try_handle(request)

    def __call__(self, request):
        self._dawdle(request.command)
        return super().__call__(request)

    def _dawdle(self, command):
        first = getattr(command, "key", b"") or (getattr(command, "keys", None) or [b""])[0]
        if first.startswith(b"slow"):
            time.sleep(0.02)


@pytest.fixture
def serve(tmp_path):
    servers = []

    def start(bind=ANY_PORT, **policy):
        application = Dawdling(Application.in_memory(Policy(**{"slow": 0.02, **policy})))
        servers.append(Server(application, [bind]).__enter__())
        return Elevator.from_url(servers[-1].urls[0], timeout=30)

    yield start
    for server in servers:
        server.__exit__()


def test_slow_requests_are_kept_and_quick_ones_are_not(serve):
    with serve(slow=0.0199) as E:
        E.createdb("shop")
        E.connect("shop")
        E.Put("slow key", "v" * 1000)
        started = time.time()
        E.Get("slow key")
        E.MGet(["slow key", "b"])
        found = [one for one in E.slowlog() if one.verb in ("GET", "MGET", "PUT")]
    assert [one.verb for one in found] == ["MGET", "GET", "PUT"]
    get = found[1]
    assert get.seconds >= 0.0199
    assert abs(get.at - started) < 5
    assert (get.database, get.user, get.key) == ("shop", None, None)
    assert get.client.startswith("127.0.0.1:")
    assert 30 < get.request_bytes < 200 < 1000 < get.response_bytes < 1200
    assert 1000 < found[2].request_bytes < 1200


def test_the_latest_come_first_and_the_oldest_fall_out():
    application = Application.in_memory(Policy(slow=1.0, slow_entries=3, slow_keys=True))
    for i in range(5):
        application.observe(Request(Get(f"slow {i}")), 1.0)
    with Elevator(transport=FakeTransport(application)) as E:
        assert [one.key for one in E.slowlog()] == ["slow 4", "slow 3", "slow 2"]
        assert [one.key for one in E.slowlog(limit=2)] == ["slow 4", "slow 3"]
        assert E.slowlog(limit=0) == []


def test_without_a_threshold_nothing_is_kept(serve):
    with serve(slow=None) as E:
        E.Put("slow", "v")
        assert E.slowlog() == []


def test_a_client_on_a_socket_file_is_told_of_as_such(serve, tmp_path):
    with serve(f"ipc://{tmp_path}/e.sock") as E:
        E.Put("slow", "v")
        assert E.slowlog()[0].client == "a socket file"


KEYS: dict[str, tuple[Command[Any], str | None]] = {
    "get": (Get("k"), "k"),
    "mget": (MGet(["a", "b"]), "a"),
    "batch": (Batch([(DELETE, "d"), (PUT, "a", "1")]), "d"),
    "range": (Range("from", "to"), "from"),
    "range of a prefix": (Range(prefix="p"), "p"),
    "slice": (Slice(None, 5), None),
    "pipeline": (Pipeline([Get("g")]), "g"),
    "no keys": (MGet([]), None),
    "ping": (Ping(), None),
    "long": (Get("x" * 100), "x" * 32 + "..."),
    "binary": (Get(b"\xff\0"), "\\xff\0"),
}


@pytest.mark.parametrize("name", KEYS)
def test_the_first_key_is_shown_only_where_keys_are_wanted(name):
    command, key = KEYS[name]
    for shows, expected in ((True, key), (False, None)):
        log = SlowRequestLog(0.0, 1, shows)
        log.add(log.describe(Request(command), 1.0, None))
        assert log.latest()[0].key == expected


def test_a_command_that_names_a_database_is_told_of_with_its_name():
    application = Application.in_memory(Policy(slow=0.0))
    application.observe(Request(DbCreate("shop")), 1.0, "1.2.3.4:5", (10, 20))
    application.observe(Request(Get("k"), "gone"), 1.0)
    gone, created = application.slow_log.latest()
    assert (created.verb, created.database, created.client) == ("DBCREATE", "shop", "1.2.3.4:5")
    assert (created.request_bytes, created.response_bytes) == (10, 20)
    assert gone.database is None
