from typing import Any, cast

from torture import overload
from torture.malformed import Beside
from torture.overload import SMALL, Load, Result


def test_greedy_many_or_large_clients_cost_bounded_memory_and_no_answer(tmp_path):
    found = overload.run(tmp_path, SMALL)
    assert found.violations == []


def test_growth_missing_answers_and_a_starved_client_are_seen():
    bad = Result(Load(10, 9, 10), before=0, most=2 << 20, after=0, beside=Beside(cast(Any, None)))
    assert overload.wrong_answers("x", bad, 1 << 20) == [
        "x: 9 right answers, not 10",
        "x: the server grew by 2.0 MB, and not by at most 1.0 MB",
        "x: another client got no answer",
    ]
    beside = Beside(cast(Any, None), latencies=[0.1], wrong=1)
    assert overload.wrong_answers("x", Result(Load(1, 1, 1), 0, 0, 0, beside), 0) == [
        "x: 1 wrong answers to another client"
    ]
