"""Our clients at PyPI's Elevator 0.5 itself, sync and async, direct and through our proxy: the documented session.

The server says so where a request has cost it a worker, so each test ends with a look at what it said.
"""

from contextlib import ExitStack

import pytest

from pyelevator import DatabaseError, Elevator, UsageError
from pyelevator.proxy import Proxy
from pyelevator.testing.portals import Portal
from pyelevator.testing.sessions import SessionConformance
from support import elevator05
from support.elevator05 import OldServerProcess

pytestmark = [elevator05.needs_the_old_software, pytest.mark.timeout(240)]


@pytest.fixture
def old(tmp_path):
    with OldServerProcess(tmp_path) as server:
        yield server
        assert server.errors == ""


@pytest.fixture(params=["direct-sync", "direct-async", "proxy-sync"])
def way(request):
    return request.param.split("-")


@pytest.fixture
def url(way, old):
    """The server's, or that of a proxy in front of it."""
    with ExitStack() as stack:
        if way[0] == "proxy":
            yield stack.enter_context(Proxy(["tcp://127.0.0.1:0"], old.url)).urls[0]
        else:
            yield old.url


@pytest.fixture
def make(way):
    """Makes a client of the class, sync, or its async counterpart driven like one."""
    if way[1] == "sync":
        yield lambda kind, *args, **options: kind(*args, **options)
    else:
        with Portal() as portal:
            yield portal.connect


class TestElevator05(SessionConformance):
    @pytest.fixture
    def connect(self, url, make):
        transport, _, endpoint = url.partition("://")
        patient = {"transport": transport, "endpoint": endpoint, "timeout": 30}
        return lambda kind, *args, **options: make(kind, *args, **{**patient, **options})

    def test_dropping_default_empties_it_and_it_stays(self, E):
        """Here it is gone until the server starts again."""
        E.createdb("other")
        E.connect("other")
        assert E.dropdb("default") is None
        assert E.listdb() == ["other"]

    @pytest.mark.parametrize("name", ["", "a\0b", "..", "../x", "a/../../x", "./x"])
    def test_names_that_climb_or_mean_nothing_are_refused(self, E, name):
        """Here x/y is a relative path, which is taken if there is a directory x."""
        with pytest.raises((DatabaseError, UsageError)):
            E.createdb(name)
        assert E.listdb() == ["default"]

    def test_a_relative_path_is_taken_as_it_always_was(self, E, old):
        with pytest.raises(OSError, match="No such file or directory"):
            E.createdb("x/y")
        (old.home / "x").mkdir()
        assert E.createdb("x/y") is None
        assert E.listdb() == ["default", "x/y"]


def test_a_prefix_and_exists_are_asked_as_ranges(url, make):
    with make(Elevator, transport=url.partition("://")[0], endpoint=url.partition("://")[2], timeout=30) as E:
        for key in ("a", "ab", "abc", "b"):
            E.Put(key, key.upper())
        assert E.Range(prefix="ab") == [["ab", "AB"], ["abc", "ABC"]]
        assert list(E.RangeIter(prefix="ab")) == [["ab", "AB"], ["abc", "ABC"]]
        assert (E.Exists("ab"), E.Exists("aa")) == (True, False)
