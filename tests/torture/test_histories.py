import time

import pytest

from pyelevator import Elevator
from support.optional import unwrap
from torture import histories
from torture.histories import MIX, WEATHERS
from torture.linearizability import Operation


@pytest.mark.parametrize("name", WEATHERS)
def test_what_concurrent_clients_see_is_linearizable(tmp_path, name):
    found = histories.run(tmp_path, seconds=0.6, weathers={name: WEATHERS[name]})
    assert found.violations == []


def test_each_call_is_noted_with_what_it_saw_or_wrote():
    with Elevator(transport="fake") as client:
        keys = ("0/a", "0/b")
        verbs = ("Get", "Put", "MGet", "Range", "Delete", "Get")
        seen = [unwrap(histories.call(client, what, keys, "w")) for what in verbs]
        assert [dict(operation.reads) for operation in seen if operation.reads] == [
            {"0/a": None},
            {"0/a": "w", "0/b": None},
            {"0/a": "w", "0/b": None},
            {"0/a": None},
        ]
        assert [dict(operation.writes) for operation in seen if operation.writes] == [{"0/a": "w"}, {"0/a": None}]
        for what in MIX:
            operation = histories.call(client, what, keys, "w")
            assert operation is None or operation.end > 0


def test_each_update_is_noted_with_what_it_saw_and_wrote():
    with Elevator(transport="fake") as client:
        keys = ("0/a", "0/b")
        made = [unwrap(histories.call(client, what, keys, "w")) for what in histories.UPDATES]
        repeated = ("PutIfAbsent", "PutIfAbsent", "Increment")
        again = [unwrap(histories.call(client, what, keys, "v")) for what in repeated]
        assert [(dict(o.checks), dict(o.writes), o.passed) for o in made[:3]] == [
            ({"0/a": None}, {"0/a": "w"}, True),
            ({"0/a": "w"}, {"0/a": "w"}, True),
            ({"0/a": "w", "0/b": None}, {"0/a": "w", "0/b": None}, True),
        ]
        assert [(dict(o.reads), dict(o.writes)) for o in made[3:]] == [
            ({"n0/a": None}, {"n0/a": "1"}),
            ({"0/a": "w"}, {"0/a": None}),
            ({}, {"0/a": None, "0/b": None}),
            ({"0/a": None, "0/b": None}, {}),
        ]
        assert [o.passed for o in again] == [True, False, True]
        assert (dict(again[2].reads), dict(again[2].writes)) == ({"n0/a": "1"}, {"n0/a": "2"})


def test_an_increment_that_adds_twice_is_found_out(monkeypatch):
    increment, numbers = Elevator.Increment, iter(range(1_000_000))

    def twice(self, key):
        if next(numbers) % 10 == 3:
            increment(self, key)
        return increment(self, key)

    monkeypatch.setattr(Elevator, "Increment", twice)
    with Elevator(transport="fake") as client:
        history = [unwrap(histories.call(client, "Increment", ("0/a", "0/b"), "w")) for _ in range(10)]
    assert histories.check(history).broken


def test_a_check_that_did_not_hold_and_was_written_is_found_out(monkeypatch):
    def careless(self, key, value):
        self.Put(key, value)
        return True

    monkeypatch.setattr(Elevator, "PutIfAbsent", careless)
    with Elevator(transport="fake") as client:
        history = [unwrap(histories.call(client, "PutIfAbsent", ("0/a", "0/b"), word)) for word in "ab"]
    assert histories.check(history).broken


def test_a_history_that_no_order_explains_is_shown():
    history = [Operation(0.0, 1.0, writes={"k": "a"}), Operation(2.0, 3.0, reads={"k": None})]
    result = histories.check([*history, Operation(0, 1, writes={"l": "b"})])
    assert (result.groups, result.broken) == (2, [history])
    assert histories.shown(history) == "0.0 ms to 1,000.0 ms wrote {'k': 'a'}; 2,000.0 ms to 3,000.0 ms saw {'k': None}"


def test_a_write_that_was_acknowledged_and_not_executed_is_found_out(monkeypatch):
    write, numbers = histories.write_pairs, iter(range(1_000_000))
    monkeypatch.setattr(histories, "write_pairs", lambda *args: next(numbers) % 10 and write(*args))
    with Elevator(transport="fake") as client:
        now = time.monotonic()
        history = histories.record(client, "one", now, now + 0.2)
    assert histories.check(history).broken
