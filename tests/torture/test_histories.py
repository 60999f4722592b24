import time

import pytest

from pyelevator import Elevator
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
        seen = [histories.call(client, what, keys, "w") for what in ("Get", "Put", "MGet", "Range", "Delete", "Get")]
        assert [dict(operation.reads) for operation in seen if operation.reads] == [
            {"0/a": None},
            {"0/a": "w", "0/b": None},
            {"0/a": "w", "0/b": None},
            {"0/a": None},
        ]
        assert [dict(operation.writes) for operation in seen if operation.writes] == [{"0/a": "w"}, {"0/a": None}]
        for what in MIX:
            assert histories.call(client, what, keys, "w").end > 0


def test_a_history_that_no_order_explains_is_shown():
    history = [Operation(0.0, 1.0, writes={"k": "a"}), Operation(2.0, 3.0, reads={"k": None})]
    result = histories.judge([*history, Operation(0, 1, writes={"l": "b"})])
    assert (result.groups, result.broken) == (2, [history])
    assert histories.shown(history) == "0.0 ms to 1,000.0 ms wrote {'k': 'a'}; 2,000.0 ms to 3,000.0 ms saw {'k': None}"


def test_a_write_that_was_acknowledged_and_not_executed_is_found_out(monkeypatch):
    write, numbers = histories._write, iter(range(1_000_000))
    monkeypatch.setattr(histories, "_write", lambda *args: next(numbers) % 10 and write(*args))
    with Elevator(transport="fake") as client:
        now = time.monotonic()
        history = histories.record(client, "one", now, now + 0.2)
    assert histories.judge(history).broken
