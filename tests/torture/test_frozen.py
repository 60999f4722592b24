from pyelevator import Elevator
from torture import frozen
from torture.calls import BOUND, CALLS, Calls, fill


def test_calls_to_a_frozen_or_dead_server_end_in_time_and_get_their_own(tmp_path):
    found = frozen.run(tmp_path, calls=5, timeout=0.1)
    assert found.violations == []


def test_each_call_has_one_right_result():
    with Elevator(transport="fake") as client:
        fill(client)
        for call, expected in CALLS.values():
            assert call(client, 7, 5) == expected(7)


def test_another_calls_answer_and_a_late_end_are_seen():
    calls = Calls()
    calls.make("Get", lambda: "value of 0008", -BOUND - 1, "value of 0007")
    assert (calls.right, calls.timeouts) == (0, 0)
    assert calls.violations("x")[0] == "x: Get gave 'value of 0008' instead of 'value of 0007'"
    assert "after its timeout" in calls.violations("x")[1]
