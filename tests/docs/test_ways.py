"""The ways of requests that the page for contributors and the README show are those that requests really take."""

import re
import sys
import threading

import pytest

from pyelevator import Elevator
from pyelevator.application import Application
from pyelevator.proxy import Proxy
from pyelevator.server import Server
from support.pages import ROOT

ANY_PORT = "tcp://127.0.0.1:0"
SOURCE = ROOT / "src/pyelevator"
PAGE = (ROOT / "docs/contributing.md").read_text().partition("## The path of a request")[2].partition("\n## ")[0]
README = (ROOT / "README.md").read_text().partition("The path of one GET:")[2].split("```")[1]
WAYS = PAGE.split("```")[1::2]
THREADS = {
    "client": "MainThread",
    "server": "elevator-server",
    "worker": "elevator-worker_0",
    "proxy": "elevator-proxy",
}
LINE = re.compile(r"^(\w+)? +([\w.]+) +([\w/]+\.py)", re.MULTILINE)


def steps(way):
    """The thread, the function and the module of each line."""
    thread, found = "", []
    for named, function, module in LINE.findall(way):
        thread = named or thread
        found.append((THREADS[thread], function, module))
    return found


class Trace:
    """Records the functions of the package that are called in any thread while it is on."""

    def __init__(self):
        self.calls: list[tuple[str, str, str]] = []
        self.is_on = False

    def __call__(self, frame, event, _):
        path = frame.f_code.co_filename
        if self.is_on and event == "call" and path.startswith(str(SOURCE)):
            name = frame.f_code.co_qualname
            self.calls.append((threading.current_thread().name, name, path[len(str(SOURCE)) + 1 :]))

    def missing_of(self, way):
        """The steps that were not taken, or not after the one before."""
        missing = []
        for thread in THREADS.values():
            taken = iter([call for call in self.calls if call[0] == thread])
            missing += [step for step in steps(way) if step[0] == thread and step not in taken]
        return missing


@pytest.fixture
def trace(monkeypatch):
    monkeypatch.setenv("PYELEVATOR_NATIVE", "0")
    trace = Trace()
    threading.setprofile(trace)
    before = sys.getprofile()
    sys.setprofile(trace)
    yield trace
    sys.setprofile(before)
    threading.setprofile(before)


def traced(trace, url, call):
    with Elevator.from_url(url) as client:
        with client.WriteBatch() as batch:
            for number in range(3000):
                batch.Put(f"k{number:04}", "v" * 2000)  # of which a page has a part
        client.Get("k0001")
        trace.is_on = True
        call(client)
    trace.is_on = False


def test_a_get_takes_the_way_that_the_page_shows(trace):
    with Server(Application.in_memory(), [ANY_PORT]) as server:
        traced(trace, server.urls[0], lambda client: client.Get("k0002"))
    assert trace.missing_of(WAYS[0]) == []


def test_a_range_takes_the_way_that_the_page_shows(trace):
    with Server(Application.in_memory(), [ANY_PORT], workers=1) as server:
        traced(trace, server.urls[0], lambda client: client.Range("k", "l"))
    assert trace.missing_of(WAYS[1]) == []


def test_a_proxied_request_takes_the_way_that_the_page_shows(trace):
    with Server(Application.in_memory(), [ANY_PORT]) as server, Proxy([ANY_PORT], server.urls[0]) as proxy:
        traced(trace, proxy.urls[0], lambda client: client.Get("k0002"))
    assert trace.missing_of(WAYS[2]) == []


def test_a_way_that_no_request_takes_is_found(trace):
    with Server(Application.in_memory(), [ANY_PORT]) as server:
        traced(trace, server.urls[0], lambda client: client.Get("k0002"))
    lines = [f"{thread}  {name}  {module}" for thread, name, module in reversed(steps(WAYS[0]))]
    swapped = "\n".join(lines).replace("MainThread", "client").replace("elevator-server", "server")
    assert trace.missing_of(swapped) != []
    assert trace.missing_of("client  Elevator.Nothing  client/nothing.py") != []


def test_the_readme_shows_the_same_way_of_a_get():
    assert README.strip() == WAYS[0].strip()
