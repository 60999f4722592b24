import pytest

from pyelevator import Elevator
from support.connections import handle_of
from torture import replies
from torture.unruly import BEHAVIOURS, Behaviour, unruly


@pytest.mark.parametrize("name", BEHAVIOURS)
def test_no_call_gets_the_answer_to_another_one(name):
    found = replies.run(calls=60, behaviours={name: BEHAVIOURS[name]})
    assert found.violations == []


def test_the_server_really_answers_late_doubled_and_out_of_order():
    result = replies.attempt(Behaviour(twice=0.5), 60, 2)
    assert min(result.calls.timeouts, result.server.delayed, result.server.doubled, result.server.reordered) > 5


def test_a_server_without_ids_sends_none():
    with unruly(Behaviour(echoes=False, latest=0.0)) as server:
        with Elevator(endpoint=server.url.partition("://")[2]) as client:
            client.Put("a", "1")
            assert client.Get("a") == "1"
            assert "id" not in handle_of(client).features
