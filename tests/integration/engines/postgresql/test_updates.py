"""Conditional batches and counters hold across servers: each server reads, decides and writes beside no other."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from pyelevator.commands import DELETE, PUT
from pyelevator.engines.base import Bounds


@pytest.fixture
def engines(url, open_storage):
    return [open_storage(url).open("db", {}) for _ in range(3)]


def increment(view):
    value = int(view.get(b"n") or 0) + 1
    return [(PUT, b"n", b"%d" % value)], value


def test_no_increment_of_three_servers_is_lost(engines):
    def count(engine):
        return [engine.update(increment) for _ in range(60)]

    with ThreadPoolExecutor(3) as pool:
        results = [value for values in pool.map(count, engines) for value in values]
    assert sorted(results) == list(range(1, 181))
    assert engines[0].get(b"n") == b"180"


def test_an_update_beside_plain_writes_of_others_sees_all_of_them(engines):
    def write(engine):
        for i in range(50):
            engine.write([(PUT, b"x%d" % i, b"1"), (DELETE, b"y%d" % i)])

    def move(engine):
        for _ in range(50):
            engine.update(
                lambda view: ([(PUT, b"y" + key[1:], b"1") for key, _ in view.scan(Bounds(prefix=b"x"))], None)
            )

    with ThreadPoolExecutor(2) as pool:
        for future in (pool.submit(write, engines[0]), pool.submit(move, engines[1])):
            future.result()
    assert len(list(engines[2].scan(Bounds(prefix=b"x")))) == 50


def test_what_is_decided_against_writes_nothing(engines):
    class Refused(Exception):
        pass

    def refuse(view):
        assert view.multi_get([b"a", b"b"]) == [None, None]
        raise Refused

    with pytest.raises(Refused):
        engines[0].update(refuse)
    assert engines[0].update(lambda view: ([], len(list(view.scan(Bounds()))))) == 0
    engines[0].write([(PUT, b"a", b"1")])
    assert engines[1].get(b"a") == b"1"


def test_only_one_of_many_creates_a_key(engines):
    def put_if_absent(engine):
        return engine.update(lambda view: ([(PUT, b"k", b"v")], True) if view.get(b"k") is None else ([], False))

    for i in range(20):
        engines[0].write([(DELETE, b"k"), (PUT, b"i", b"%d" % i)])
        with ThreadPoolExecutor(3) as pool:
            assert sum(pool.map(put_if_absent, engines)) == 1
