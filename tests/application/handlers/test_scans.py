"""RANGE in pages of one snapshot: limits, cursors that may be ended, and pages that are asked for twice."""

import pytest

from pyelevator.application import Application, Policy
from pyelevator.commands import DELETE, PUT, Batch, Range, Slice
from pyelevator.engines.base.chunks import ChunkedScan
from pyelevator.errors import ErrorCode
from pyelevator.messages import CallContext, Request

KEYS = [b"%02d" % i for i in range(20)]
PAIRS = [(key, b"old") for key in KEYS]
EXPIRED = "start the iteration again"


class World:
    """One database of twenty pairs of five bytes each, on a server that keeps two cursors."""

    def __init__(self, **limits):
        self.application = Application.in_memory(policy=Policy(max_cursors=2, **limits))
        self.uid = self.application.catalog.uid_of("default")
        self.cursors = self.application.cursors
        self.ask(Batch([(PUT, key, value) for key, value in PAIRS]))

    def ask(self, command):
        return self.application(Request(command, self.uid))

    def page(self, start=None, cursor=True, **how):
        return self.ask(Range(start, cursor=cursor, **{"max_bytes": 30} | how))


@pytest.fixture
def world():
    return World()


def test_pages_follow_one_another_and_are_of_one_moment(world):
    first = world.page()
    world.ask(Batch([(PUT, b"10", b"new"), (DELETE, b"11"), (PUT, b"zz", b"new")]))
    second = world.page(b"05\0", first.cursor, max_bytes=60)
    third = world.page(b"17\0", first.cursor)
    assert [response.payload for response in (first, second, third)] == [PAIRS[:6], PAIRS[6:18], PAIRS[18:]]
    assert [response.more for response in (first, second, third)] == [True, True, False]
    assert (second.cursor, third.cursor) == (first.cursor, None)


@pytest.mark.parametrize(
    ("bounds", "keys"),
    [({"stop": b"03"}, KEYS[:4]), ({"start": b"18"}, KEYS[18:]), ({"prefix": b"1", "stop": b"12"}, KEYS[10:13])],
)
def test_a_range_that_fits_one_page_is_complete_and_keeps_no_cursor(world, bounds, keys):
    response = world.page(**bounds)
    assert ([key for key, _ in response.payload], response.more, response.cursor) == (keys, False, None)
    assert len(world.cursors) == 0


def test_the_last_page_ends_the_cursor(world):
    cursor = world.page().cursor
    assert len(world.cursors) == 1
    assert world.page(b"15", cursor).more is False
    assert len(world.cursors) == 0
    assert EXPIRED in world.page(b"15", cursor).message


def test_a_page_is_never_empty(world):
    assert world.page(max_bytes=0).payload == PAIRS[:1]


def test_without_room_for_a_snapshot_all_pairs_come_at_once(world):
    world.ask(Slice(None, 1, cursor=True)), world.ask(Slice(None, 1, cursor=True))
    response = world.page()
    assert (response.payload, response.more, response.cursor) == (PAIRS, False, None)
    assert len(world.cursors) == 2


def test_an_iterator_without_room_evicts_the_cursor_of_a_paged_range(world):
    first, second = world.page().cursor, world.page().cursor
    kept = world.ask(Slice(None, 1, cursor=True)).cursor
    assert len(world.cursors) == 2
    assert EXPIRED in world.page(b"06", first).message
    assert world.page(b"06", second).payload == PAIRS[6:12]
    assert world.ask(Slice(None, 1, cursor=kept)).payload == PAIRS[:1]


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        ({"max_range": 20}, None),
        ({"max_range": 19}, ErrorCode.VALUE),
        ({"max_range": 6}, ErrorCode.VALUE),
        ({"max_range_bytes": 100}, None),
        ({"max_range_bytes": 95}, ErrorCode.VALUE),
        ({"max_range_bytes": 1}, ErrorCode.VALUE),
    ],
)
def test_limits_are_for_all_pages_and_a_repeated_page_counts_once(limits, code):
    world = World(**limits)
    response, rows = world.page(), []
    while response.more:
        rows += response.payload
        again = world.page(rows[-1][0] + b"\0", response.cursor)
        response = world.page(rows[-1][0] + b"\0", response.cursor) if again.more else again
    assert response.code == code
    assert response.message == world.ask(Range()).message
    if code is None:
        assert rows + response.payload == PAIRS
    assert len(world.cursors) == 0


@pytest.mark.parametrize("how", [{"reverse": True}, {"include_key": False}, {"include_value": False}])
def test_pages_go_forwards_and_have_keys_and_values(world, how):
    response = world.page(**how)
    assert (response.code, response.message) == (
        ErrorCode.VALUE,
        "a range that comes in pages goes forwards, and has keys and values",
    )


def test_a_page_has_no_more_rows_than_one_may_have_however_small_they_are(world, monkeypatch):
    monkeypatch.setattr("pyelevator.application.handlers.scans._MAX_PAGE_ROWS", 8)
    first = world.page(max_bytes=1_000)
    second = world.page(b"07\0", first.cursor, max_bytes=1_000)
    third = world.page(b"15\0", first.cursor, max_bytes=1_000)
    assert [response.payload for response in (first, second, third)] == [PAIRS[:8], PAIRS[8:16], PAIRS[16:]]
    assert [response.more for response in (first, second, third)] == [True, True, False]


@pytest.mark.parametrize("size", [0, 10, 100_000, 300_000, 1_000_000])
def test_a_large_range_is_collected_in_chunks_of_few_rows_and_bytes(size):
    parts = []

    class Collected(list):
        def extend(self, rows):
            parts.append(rows)
            super().extend(rows)

    world = World()
    world.ask(Batch([(PUT, b"%04d" % number, bytes(size)) for number in range(60)]))
    request = Request(Range(b"0000", b"9999"), world.uid, context=CallContext(row_sink=Collected))
    rows = world.application(request).payload
    assert [key for key, _ in rows if len(key) == 4] == [b"%04d" % number for number in range(60)]
    assert [row for part in parts for row in part] == rows
    assert max(sum(len(key) + len(value) for key, value in part[:-1]) for part in parts) < 256 << 10


@pytest.mark.parametrize(
    "command",
    [
        Range(),
        Range(max_bytes=30),
        Range(max_bytes=30, cursor=True),
        Slice(None, 3),
        Slice(None, 3, max_bytes=5),
        Slice(None, 3, reverse=True),
    ],
    ids=str,
)
@pytest.mark.parametrize("fails", [False, True])
def test_a_scan_is_closed_when_enough_was_read_and_when_reading_fails(world, command, fails, monkeypatch):
    closed, read, close = [], ChunkedScan.read, ChunkedScan.close

    def reading(scan, max_rows, target_bytes):
        if fails:
            raise OSError("cannot be read")
        return read(scan, max_rows, target_bytes)

    monkeypatch.setattr(ChunkedScan, "read", reading)
    monkeypatch.setattr(ChunkedScan, "close", lambda scan: closed.append(scan) or close(scan))
    response = world.ask(command)
    assert (response.code is None, len(closed)) == (not fails, 1)
