"""Where only keys are asked for, only keys travel: in every direction, from snapshots too, and from old servers."""

from operator import attrgetter

import pytest

from pyelevator import Elevator
from pyelevator.application import Application, Policy
from pyelevator.client import paging
from pyelevator.codec import ClassicCodec
from pyelevator.interceptors import hooks
from pyelevator.transports import FakeTransport
from support.old_servers import OldServer

KEYS = [f"key {i:03}" for i in range(300)]
LONG = "x" * 10_000


class Weighing(FakeTransport):
    """Keeps what was asked, and how many bytes the answers had."""

    def __init__(self, application):
        super().__init__(application)
        self.asked, self.bytes = [], 0

    def answer(self, frames):
        self.asked.append(ClassicCodec().decode_request(frames).command)
        answer = super().answer(frames)
        self.bytes += sum(map(len, answer))
        return answer

    def clone(self):
        return self

    def slices(self):
        return [command for command in self.asked if command.verb == "SLICE"]


@pytest.fixture
def weighing():
    application = Application.in_memory(policy=Policy(max_range_bytes=50_000))
    fill(FakeTransport(application))
    return Weighing(application)


def fill(transport, dialect="classic"):
    with Elevator(transport=transport, dialect=dialect) as E, E.WriteBatch() as batch:
        for key in KEYS:
            batch.Put(key, LONG)


@pytest.mark.parametrize("consistent", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
def test_the_keys_of_3_mb_travel_in_some_kb(weighing, make, reverse, consistent):
    with make(transport=weighing) as E:
        it = E.RangeIter(include_value=False, reverse=reverse, consistent=consistent)
        assert list(it) == (KEYS[::-1] if reverse else KEYS)
    assert weighing.bytes < 6000
    assert [command.include_value for command in weighing.slices() if command.count] == [False, False]


def test_the_same_under_a_prefix_with_a_count_and_with_interceptors(weighing, make):
    with make(transport=weighing, interceptors=[hooks()]) as E:
        assert list(E.RangeIter(None, 3, prefix="key 1", include_value=False)) == KEYS[100:103]
        assert list(E.RangeIter("key 298", include_value=False)) == KEYS[298:]
        assert E.Slice("key 2", 3, prefix="key 2", include_value=False) == KEYS[200:203]
        assert E.Slice("key 2", 3, prefix="key 1", include_value=False, reverse=True) == KEYS[199:196:-1]
    assert {attrgetter("include_value")(command) for command in weighing.slices()} == {False}


def test_values_alone_need_the_keys_to_go_on_from(weighing, make):
    with make(transport=weighing, encoding=None) as E:
        assert list(E.RangeIter(include_key=False)) == [LONG.encode()] * 300
    assert {command.include_key for command in weighing.slices()} == {True}


def test_a_value_longer_than_an_answer_may_be_hides_no_keys(make):
    small = Application.in_memory(policy=Policy(max_range_bytes=1000))
    fill(FakeTransport(small))
    with make(transport=FakeTransport(small)) as E:
        assert list(E.RangeIter(include_value=False)) == KEYS


def test_an_old_classic_server_sends_keys_only_too(make):
    old = OldServer("0.5")
    fill(old)
    old.sent.clear()
    with make(transport=old) as E:
        assert list(E.RangeIter(include_value=False)) == KEYS
        assert list(E.RangeIter("key 100", "key 102", include_value=False)) == KEYS[100:103]
    asked = [old.codec.decode_request(frames).command for frames in old.sent]
    assert {attrgetter("include_value")(command) for command in asked if command.verb == "SLICE"} == {False}


def test_the_flat_dialect_knows_whole_pairs_only_and_gives_the_same_keys(make):
    old = OldServer("0.7")
    fill(old, "flat")
    with make(transport=old, dialect="flat") as E:
        assert list(E.RangeIter(include_value=False)) == KEYS
        assert list(E.RangeIter("key 100", "key 102", include_value=False)) == KEYS[100:103]
        assert E.Slice("key 2", 3, prefix="key 2", include_value=False) == KEYS[200:203]
        assert E.Slice("key 2", 3, include_value=False) == KEYS[200:203]


def test_pages_of_keys_grow_to_thousands(make):
    application = Application.in_memory()
    keys = [f"{i:05}" for i in range(20_000)]
    with Elevator(transport=FakeTransport(application)) as E, E.WriteBatch() as batch:
        for key in keys:
            batch.Put(key, LONG[:100])
    weighing = Weighing(application)
    with make(transport=weighing) as E:
        assert list(E.RangeIter(include_value=False)) == keys
    assert [command.count for command in weighing.slices()] == [paging.INITIAL_PAGE_ROWS * 4**n for n in range(4)] + [
        32_768
    ]
