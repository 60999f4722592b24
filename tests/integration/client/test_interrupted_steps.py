"""A signal handler that raises, between any two instructions of the client: what was under way goes on or begins anew.

Deterministic: each instruction of the client's own code is tried in turn.
"""

import pytest

from pyelevator import Elevator
from pyelevator.client import paging
from pyelevator.commands import Range
from pyelevator.transports import FakeTransport
from support.connections import prefetching_connections_of
from support.steps import Interrupt, each_step

KEYS = [f"{i:04}" for i in range(700)]
PAIRS = [[key, key] for key in KEYS]
FILES = ("client", "flows.py", "protocol.py")


@pytest.fixture
def client():
    with Elevator(transport=FakeTransport()) as E:
        with E.WriteBatch() as batch:
            for key in KEYS:
                batch.Put(key, key)
        yield E


def check_usable(E):
    """The client answers rightly, and no connection is kept by what was left."""
    assert E.Get("0005") == "0005"
    assert len(prefetching_connections_of(E)) == 0


@pytest.mark.parametrize(
    ("kind", "how"),
    [("opcode", {}), ("line", {"include_value": False}), ("line", {"consistent": True}), ("line", {"reverse": True})],
)
def test_an_interrupted_iteration_skips_nothing_but_the_row_in_hand(client, kind, how):
    expected = KEYS if how == {"include_value": False} else PAIRS[::-1] if how == {"reverse": True} else PAIRS

    def work(steps):
        it = client.RangeIter(**how)
        seen = [next(it) for _ in range(127)]
        try:
            with steps:
                while len(seen) < 130:  # over the end of the first page
                    seen.append(next(it))
        except Interrupt:
            pass
        at = len(seen)
        seen += it
        assert seen in (expected, expected[:at] + expected[at + 1 :])
        check_usable(client)

    assert each_step(FILES, work, kind=kind) > 50


def test_the_end_of_an_iteration_can_be_interrupted_too(client):
    def work(steps):
        it, seen = client.RangeIter("0500", consistent=True), []
        seen += [next(it) for _ in range(199)]
        try:
            with steps:
                seen += it
        except Interrupt:
            pass
        at = len(seen)
        seen += it
        assert seen in (PAIRS[500:], PAIRS[500 : 500 + at] + PAIRS[501 + at :])
        check_usable(client)

    assert each_step(FILES, work) > 40
    client.disconnect()
    client.connect()


def test_an_interrupted_range_in_pages_leaves_the_client_as_it_was(client, monkeypatch):
    monkeypatch.setitem(paging.PAGE_BYTES, Range, 3000)

    def work(steps):
        try:
            with steps:
                assert client.Range() == PAIRS
        except Interrupt:
            pass
        check_usable(client)

    assert each_step(FILES, work, kind="line") > 40
    assert client.Range() == PAIRS


def test_an_interrupted_call_leaves_the_client_as_it_was(client):
    def work(steps):
        try:
            with steps:
                client.Put("0007", "0007")
                assert client.Get("0003") == "0003"
                assert client.MGet(["0001", "0002"]) == ["0001", "0002"]
        except Interrupt:
            pass
        check_usable(client)

    assert each_step(FILES, work) > 300


def test_an_interrupted_batch_keeps_its_operations_or_has_written_them(client):
    def work(steps):
        client.Delete("new")
        batch = client.WriteBatch()
        batch.Put("new", "1")
        batch.Put("new", "2")
        try:
            with steps:
                batch.Write()
        except Interrupt:
            pass
        batch.Write()
        assert client.Get("new") == "2"
        batch.Write()
        client.Delete("new")
        batch.Write()
        assert not client.Exists("new")
        batch.Clear()
        check_usable(client)

    assert each_step(FILES, work) > 40


def test_an_interrupted_pipeline_has_its_results_or_can_be_executed_again(client):
    def work(steps):
        p = client.pipeline()
        get = p.Get("0001")
        try:
            with steps:
                p.execute()
        except Interrupt:
            p.execute()
        assert get.done()
        assert isinstance(get.exception(), Exception) or get.result() == "0001"
        check_usable(client)

    assert each_step(FILES, work) > 40
