"""Batches of tiny operations and MGETs of tiny keys go every way to a database, and mean what was sent."""

from contextlib import ExitStack

import pytest

from pyelevator import Elevator, WriteBatch
from pyelevator.application import Application
from pyelevator.interceptors import Cache, Prefix
from pyelevator.proxy import Proxy
from pyelevator.testing.servers import serve

COUNT = 20_000
KEYS = [f"{number:x}" for number in range(COUNT)]


@pytest.fixture(params=["memory", "leveldb"])
def server(request, tmp_path):
    if request.param == "memory":
        application = Application.in_memory()
    else:
        pytest.importorskip("plyvel")
        application = Application.on_leveldb(str(tmp_path))
    with serve(application) as server:
        yield server


@pytest.fixture(params=["a server", "a proxy", "a proxy with interceptors"])
def url(request, server):
    if request.param == "a server":
        yield server.urls[0]
        return
    interceptors = [Cache()] if request.param == "a proxy with interceptors" else []
    with Proxy(["tcp://127.0.0.1:0"], server.urls[0], interceptors=interceptors) as proxy:
        yield proxy.urls[0]


def filled(batch):
    for number, key in enumerate(KEYS):
        batch.Put(key, str(number % 10))
        if number % 700 == 0:
            batch.Delete(key)
    return batch


@pytest.mark.parametrize("dialect", ["classic", "flat"])
def test_tiny_operations_and_keys_mean_what_was_sent(url, dialect):
    expected = [None if number % 700 == 0 else str(number % 10) for number in range(COUNT)]
    with ExitStack() as stack:
        E = stack.enter_context(Elevator.from_url(url, dialect=dialect, timeout=60))
        E.Put("0", "old")
        assert E.Get("0") == "old"
        filled(stack.enter_context(WriteBatch.from_url(url, dialect=dialect, timeout=60))).Write()
        with pytest.raises(KeyError):
            E.Get("0")
        assert E.MGet(KEYS, timeout=60) == expected
        if dialect == "classic":
            for keys in (KEYS * 4, KEYS, KEYS[:9000], KEYS[::-1]):
                assert E.MGet(keys, fill_cache=True, timeout=60) == [expected[int(key, 16)] for key in keys]
            E.Put("1", "new")
            assert E.MGet(KEYS[:9000], timeout=60)[:3] == [None, "new", "2"]


def test_tiny_operations_go_through_interceptors_that_change_them(server):
    with Elevator.from_url(server.urls[0], timeout=60) as plain:
        with Elevator.from_url(server.urls[0], timeout=60, interceptors=[Prefix("p:")]) as E:
            filled(E.WriteBatch()).Write()
            assert E.MGet(KEYS[:3]) == [None, "1", "2"]
        assert plain.MGet(["1", "p:1", f"p:{COUNT - 1:x}"]) == [None, "1", str((COUNT - 1) % 10)]
