import pytest
from attrs import evolve
from hypothesis import assume, given, strategies as st

from pyelevator import Elevator, RequestTimeout, UsageError
from pyelevator.client import paging
from pyelevator.client.paging import ScanPager, build_scan
from pyelevator.commands import Range, Slice
from pyelevator.interceptors import Fault, Faults

keys = st.binary(max_size=3)


def served(database, command):
    """What a server answers to a page's command."""
    pairs = [[k, v] for k, v in sorted(database.items(), reverse=command.reverse) if within(k, command)]
    rows = pairs if command.include_value else [k for k, _ in pairs]
    return rows[: max(command.count, 0)]


def within(key, command):
    if command.start is None or key == command.start:
        return command.start is None or not command.exclusive
    return key < command.start if command.reverse else key > command.start


def drained(pager, database):
    rows, commands = [], 0
    while not pager.done:
        command = pager.next_command()
        commands += 1
        assert commands <= len(database) + 3, "the pager does not come to an end"
        some, pager = pager.feed(served(database, command), more=False)
        rows += some
    return rows


@given(
    st.dictionaries(keys, st.binary(max_size=2), max_size=20),
    st.none() | keys,
    st.none() | keys | st.integers(-1, 8),
    st.none() | st.binary(max_size=2),
    st.booleans(),
    st.booleans(),
    st.integers(1, 4),
    st.booleans(),
)
def test_pages_give_what_one_range_gives(
    database, start, limit, prefix, include_key, include_value, first_count, reverse
):
    assume(include_key or include_value)
    pager = evolve(
        ScanPager.from_command(build_scan(start, limit, include_key, include_value, prefix, reverse=reverse)),
        count=first_count,
    )
    low, high = (None, start) if reverse and isinstance(limit, int) else (start, limit)
    pairs = [
        [k, v]
        for k, v in sorted(database.items(), reverse=reverse)
        if k >= (low or b"") and k.startswith(prefix or b"") and (not isinstance(high, bytes) or k <= high)
    ]
    pairs = pairs[: max(limit, 0)] if isinstance(limit, int) else pairs
    part = {(True, True): lambda p: p, (True, False): lambda p: p[0], (False, True): lambda p: p[1]}
    assert drained(pager, database) == [part.get((include_key, include_value), lambda p: None)(p) for p in pairs]


def test_a_page_that_the_server_cut_is_not_the_last():
    rows, pager = ScanPager.from_command(Range()).feed([[b"a", b"1"]], more=True)
    assert rows == [[b"a", b"1"]]
    assert not pager.done
    assert pager.next_command().start == b"a\0"


def test_pages_aim_at_a_size():
    _, pager = ScanPager.from_command(Range()).feed([[b"%04d" % i, b"x" * 100_000] for i in range(128)], more=False)
    assert pager.next_command().count == 20
    _, pager = ScanPager.from_command(Range()).feed([[b"%04d" % i, b"x"] for i in range(128)], more=False)
    assert pager.next_command().count == 512
    _, pager = pager.feed([[b"1%04d" % i, b"x" * 2_000_000] for i in range(512)], more=False)
    assert pager.next_command().count == 1


def test_a_pager_never_changes_so_a_page_may_be_fetched_again():
    pager = ScanPager.from_command(Range())
    first = pager.next_command()
    pager.feed([[b"a", b"1"]], more=True)
    assert pager.next_command() == first


def test_a_server_with_pages_is_told_the_size():
    assert ScanPager.from_command(Range()).next_command() == Slice(b"", paging.INITIAL_PAGE_ROWS, max_bytes=2 << 20)


def test_a_page_that_failed_is_fetched_again_and_nothing_is_skipped():
    keys = [f"{i:04}" for i in range(1000)]
    failing = Faults([Fault("drop_response", ("SLICE",), probability=0.5)], seed=3)
    with Elevator(transport="fake", interceptors=[failing]) as E:
        with E.WriteBatch() as batch:
            for key in keys:
                batch.Put(key, "v")
        it, seen, failures = E.RangeIter(include_value=False), list[str](), 0
        while len(seen) < len(keys):
            try:
                seen.append(next(it))
            except RequestTimeout:
                failures += 1
        assert list(it) == []
    assert seen == keys
    assert failures > 0


def test_a_wrong_timeout_is_told_at_the_call():
    with Elevator(transport="fake") as E, pytest.raises(UsageError, match="timeout"):
        E.RangeIter(timeout=float("nan"))
