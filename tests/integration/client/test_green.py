"""Clients of programs whose threads are green: eventlet takes ``select.poll`` away, gevent puts its own in its place."""

import importlib.util

import pytest

from pyelevator.application import Application
from pyelevator.testing.servers import serve
from support.programs import run

OPTIONS = ("-X", "faulthandler", "-W", "error::ResourceWarning", "-W", "ignore::DeprecationWarning")

EVERYTHING = "pyelevator.client, pyelevator.transports.sockets.transport, pyelevator.transports.fake"
WITHOUT = "import select; del select.poll, select.epoll"
EVENTLET = (
    "import eventlet; eventlet.monkey_patch(); spawn, wait = eventlet.spawn, eventlet.greenthread.GreenThread.wait"
)
GEVENT = "from gevent import monkey; monkey.patch_all(); import gevent; spawn, wait = gevent.spawn, gevent.Greenlet.get"

SESSION = """
    import sys
    from pyelevator import ConnectFailed, ConnectTimeout, Elevator, WriteBatch
    E = Elevator.from_url(sys.argv[1], timeout=60)  # tasks wait for one another's connections
    E.Put("k", "v" * 1_000_000)
    with E.WriteBatch() as batch:
        for number in range(1000):
            batch.Put(f"{number:04}", "v")
    assert len(E.Get("k")) == 1_000_000
    assert len(E.Range()) == len(list(E.RangeIter(include_value=False))) == 1001
    try:
        Elevator(endpoint="127.0.0.1:1", timeout=0.1)
    except (ConnectFailed, ConnectTimeout):
        print("no server")
"""

TASKS = """
    def work(task):
        for number in range(30):
            E.Put(f"{task} {number}", str(task))
            assert E.Get(f"{task} {number}") == str(task)
        return task

    tasks = [spawn(work, task) for task in range(30)]  # more than there are connections
    print([wait(task) for task in tasks] == list(range(30)))
"""

END = """
    E.disconnect()
    print("over")
"""


@pytest.fixture(params=["tcp", "ipc"])
def url(request, tmp_path):
    with serve(Application.in_memory(), *([f"ipc://{tmp_path}/e.sock"] if request.param == "ipc" else [])) as server:
        yield server.urls[0]


def test_without_poll_a_client_waits_by_select(url):
    ran = run(f"    {WITHOUT}" + SESSION + END, url, options=OPTIONS)
    assert (ran.code, ran.out, ran.err) == (0, "no server\nover\n", "")


@pytest.mark.parametrize("order", ["patched before the import", "patched after the import"])
@pytest.mark.parametrize(("library", "patch"), [("eventlet", EVENTLET), ("gevent", GEVENT)])
def test_green_threads_share_a_client(url, library, patch, order):
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    before = f"    import {EVERYTHING}\n" if "after" in order else ""
    ran = run(f"{before}    {patch}" + SESSION + TASKS + END, url, options=OPTIONS)
    assert (ran.code, ran.out) == (0, "no server\nTrue\nover\n"), ran.err
    assert "Exception ignored" not in ran.err
    assert "Error" not in ran.err


HEARTBEATS = """
    import sys, time
    from pyelevator import Elevator
    E = Elevator.from_url(sys.argv[1], heartbeat=0.3)
    E.Put("k", "v")
    (connection,) = E._session._pool.connections()
    beats, end = set(), time.monotonic() + 60
    while len(beats) < 6 and time.monotonic() < end:
        time.sleep(0.02)
        beats.add(connection.heartbeat_at)
    assert E.Get("k") == "v"
    print(len(beats), connection.is_open)
"""


@pytest.mark.parametrize("order", ["patched before the import", "patched after the import"])
@pytest.mark.parametrize(("library", "patch"), [("eventlet", EVENTLET), ("gevent", GEVENT)])
def test_idle_connections_of_green_programs_have_heartbeats(url, library, patch, order):
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    before = f"    import {EVERYTHING}\n" if "after" in order else ""
    ran = run(f"{before}    {patch}" + HEARTBEATS + END, url, options=OPTIONS)
    assert (ran.code, ran.out) == (0, "6 True\nover\n"), ran.err
