"""Keys and values at the limits: the same answers as LevelDB's up to them, and a refusal by length above."""

import os

import pytest

from pyelevator import Elevator, KeyNotFound, WrongValue
from pyelevator.application import Application
from pyelevator.commands import DELETE, PUT
from pyelevator.engines.base import Bounds, EngineTooLarge
from pyelevator.engines.leveldb import LevelDbStorage
from pyelevator.engines.postgresql.tables import changes
from pyelevator.errors import ErrorCode
from pyelevator.transports import FakeTransport


def random_key(size):
    return os.urandom(size)


def compressible_key(size):
    return b"a" * size


@pytest.fixture
def engines(storage, tmp_path):
    with storage.open("limits", {}) as ours, LevelDbStorage().open(str(tmp_path / "db"), {}) as leveldb:
        yield ours, leveldb


@pytest.mark.parametrize("make", [random_key, compressible_key])
def test_keys_up_to_2600_bytes_read_as_in_leveldb(engines, make):
    keys = [make(size) for size in (0, 1, 2599, 2600)]
    for engine in engines:
        engine.write([(PUT, key, b"%d" % len(key)) for key in keys])
    ours, leveldb = engines
    assert [ours.get(key) for key in keys] == [b"0", b"1", b"2599", b"2600"]
    assert list(ours.scan(Bounds())) == list(leveldb.scan(Bounds()))
    assert list(ours.scan(Bounds(reverse=True))) == list(leveldb.scan(Bounds(reverse=True)))


@pytest.mark.parametrize("make", [random_key, compressible_key])
@pytest.mark.parametrize("size", [2601, 1 << 20])
def test_a_longer_key_is_refused_and_the_batch_with_it(engines, make, size):
    ours, key = engines[0], make(size)
    with pytest.raises(EngineTooLarge, match=f"a key of {size:,} bytes is over the limit of 2,600") as caught:
        ours.write([(PUT, b"k", b"v"), (PUT, key, b"v")])
    assert caught.value.code is ErrorCode.VALUE
    assert list(ours.scan(Bounds())) == []


@pytest.mark.parametrize("size", [2601, 1 << 20])
def test_a_longer_key_is_missing_and_its_deletion_no_error(engines, size):
    key = random_key(size)
    for engine in engines:
        engine.write([(PUT, b"k", b"v"), (DELETE, key)])
        assert engine.get(key) is None
        assert engine.multi_get([key, b"k"]) == [None, b"v"]
        assert list(engine.scan(Bounds(b"", b"\xff" * size))) == [(b"k", b"v")]
        assert list(engine.scan(Bounds(key, key))) == []


def test_a_value_of_a_megabyte_comes_back(engines):
    value = os.urandom(1 << 20)
    engines[0].write([(PUT, b"k", value)])
    assert engines[0].get(b"k") == value
    assert list(engines[0].scan(Bounds())) == [(b"k", value)]


def test_values_and_batches_over_the_limit_are_refused(engines, monkeypatch):
    monkeypatch.setattr(changes, "MAX_VALUE", 1000)
    with pytest.raises(EngineTooLarge, match="a value of 1,001 bytes is over the limit of 1,000"):
        engines[0].write([(PUT, b"k", b"v" * 1001)])
    with pytest.raises(EngineTooLarge, match="a batch of 1,202 bytes is over the limit of 1,000; split it"):
        engines[0].write([(PUT, b"a", b"v" * 600), (PUT, b"b", b"v" * 600)])
    engines[0].write([(PUT, b"a", b"v" * 999)])
    assert list(engines[0].scan(Bounds(include_value=False))) == [b"a"]


def test_keys_are_in_the_order_of_their_bytes(engines):
    keys = [bytes([a, b]) for a in range(0, 256, 15) for b in range(0, 256, 17)]
    engines[0].write([(PUT, key, b"") for key in reversed(keys)])
    assert list(engines[0].scan(Bounds(include_value=False))) == sorted(keys)


VERBS_OF_LONG_KEYS = {
    "Get": (lambda client, key: client.Get(key), KeyNotFound),
    "MGet": (lambda client, key: client.MGet([key]), [None]),
    "Exists": (lambda client, key: client.Exists(key), False),
    "Delete": (lambda client, key: client.Delete(key), None),
    "GetAndDelete": (lambda client, key: client.GetAndDelete(key), KeyNotFound),
    "Range": (lambda client, key: client.Range(key, key), []),
    "RangeIter": (lambda client, key: list(client.RangeIter(prefix=key, consistent=True)), []),
    "Count": (lambda client, key: client.Count(key, key), 0),
    "DeleteRange": (lambda client, key: client.DeleteRange(key, key), 0),
    "sizes": (lambda client, key: client.sizes([(key, key)]), [0]),
    "snapshot": (lambda client, key: client.snapshot().MGet([key]), [None]),
    "Put": (lambda client, key: client.Put(key, b"v"), WrongValue),
    "PutIfAbsent": (lambda client, key: client.PutIfAbsent(key, b"v"), WrongValue),
    "Increment": (lambda client, key: client.Increment(key), WrongValue),
}
"""What a client gets for a key over the limit: it is missing, and cannot be written."""


@pytest.mark.parametrize("make", [random_key, compressible_key])
@pytest.mark.parametrize("size", [2601, 1 << 20])
def test_every_verb_takes_a_longer_key_as_missing_or_refuses_it(url, make, size):
    application, key = Application.on_url(url), make(size)
    with Elevator(transport=FakeTransport(application), encoding=None) as client:
        for verb, (call, expected) in VERBS_OF_LONG_KEYS.items():
            if isinstance(expected, type):
                with pytest.raises(expected):
                    call(client, key)
            else:
                assert call(client, key) == expected, verb
        assert client.Count() == 0
    application.close()
