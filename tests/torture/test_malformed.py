from collections import Counter
from itertools import islice
from typing import Any

import pytest

from pyelevator.application import Application
from pyelevator.protocol import RequestDecoder
from pyelevator.testing.servers import serve
from support.optional import unwrap
from torture import malformed
from torture.grammar import Grammar


def test_20000_malformed_messages_are_answered_once_each(tmp_path):
    found = malformed.run(tmp_path, messages=20_000)
    assert found.violations == []


def test_the_same_seed_gives_the_same_messages():
    def first(seed):
        return list(islice(Grammar(seed, ["u"]), 500))

    assert first(1) == first(1)
    assert first(1) != first(2)


def test_most_messages_are_refused_and_some_of_each_outcome_are_there():
    application = Application.in_memory()
    uid = application.catalog.uid_of("default")
    reader, outcomes = RequestDecoder(), Counter[Any]()
    for frames in islice(Grammar(1, [uid]), 5000):
        incoming = reader.read(frames)
        response = application(incoming.request) if incoming.request else incoming.refusal
        outcomes[unwrap(response).code] += 1
    assert outcomes[None] < 1000
    assert {0, 1, 2, 4, 6, 7, 8, None} <= set(outcomes)


@pytest.mark.parametrize("fault", ["silent", "twice"])
def test_a_server_that_answers_not_at_all_or_twice_is_seen(fault, monkeypatch):
    monkeypatch.setattr(malformed, "WAIT", 500)
    with serve(Application.in_memory()) as server:
        dispatcher = server._dispatcher
        send = dispatcher._send
        numbers = iter(range(1000))

        def faulty(identity, frames):
            times = {"silent": 0, "twice": 2}[fault] if next(numbers) == 20 else 1
            for _ in range(times):
                send(identity, frames)

        dispatcher._send = faulty  # type: ignore[method-assign]
        tally = malformed.flood(server.urls[0], ["u"], 1, 50)
    assert tally.faults
