"""How the figures of a server travel."""

import json

import pytest

from pyelevator.commands import Stats
from pyelevator.errors import MalformedMessage
from pyelevator.monitoring import (
    CacheStats,
    DatabaseStats,
    EngineStats,
    Latency,
    LevelStats,
    ProcessStats,
    ServerStats,
    VerbStats,
)
from support.optional import unwrap

STATS = ServerStats(
    version="1.2",
    requests={"GET": VerbStats(3, {"key": 1}, Latency(0.001, 0.002, 0.003, 0.0015))},
    databases=(
        DatabaseStats("default", is_open=True, idle=1.5, engine=EngineStats(10, 5, (LevelStats(1, 2, 3),), {"a": "b"})),
        DatabaseStats("closed"),
    ),
)


def test_figures_survive_the_journey():
    assert ServerStats.decode(STATS.encode()) == STATS
    assert unwrap(Stats().result(STATS.encode()).database("default").engine).levels == (LevelStats(1, 2, 3),)


@pytest.mark.parametrize(("memory", "peak", "reported"), [(40, 39, 40), (40, 41, 41), (None, 39, 39)])
def test_the_peak_of_memory_is_never_below_what_is_taken_now(memory, peak, reported):
    assert ProcessStats(memory=memory, peak_memory=peak).peak_memory == reported
    travelled = ServerStats.decode(json.dumps({"process": {"peak_memory": peak, "memory": memory}}).encode())
    assert travelled.process.peak_memory == reported


def test_they_are_json_by_their_names():
    reported = json.loads(STATS.encode())
    assert reported["requests"]["GET"]["failures"] == {"key": 1}
    assert reported["databases"][1]["engine"] is None
    assert reported == STATS.to_dict() | {"databases": reported["databases"]}


def test_what_a_newer_server_adds_and_an_older_one_leaves_out_is_no_error():
    reported = {"version": "9", "new": [1], "requests": {"GET": {"count": 1, "new": 2}}, "databases": [{"name": "d"}]}
    found = ServerStats.decode(json.dumps(reported).encode())
    assert found == ServerStats(version="9", requests={"GET": VerbStats(1)}, databases=(DatabaseStats("d"),))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"7",
        b"null",
        b"[1]",
        b'{"requests": 3}',
        b'{"requests": {"GET": 1}}',
        b'{"databases": [1]}',
        b'{"databases": {"a": 1}}',
        b'{"uptime": "long"}',
        b'{"connections": {"open": []}}',
        b'{"connections": {"open": 1e999}}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_answer_to_stats_is_malformed(data):
    with pytest.raises(MalformedMessage, match="the answer to STATS"):
        Stats().result(data)


def test_a_hit_rate_is_the_share_of_hits():
    assert CacheStats(3, 1).hit_rate == 0.75
    assert CacheStats().hit_rate is None
    assert CacheStats(1, 2, 3, 4) + CacheStats(10, 20, 30, 40) == CacheStats(11, 22, 33, 44)


def test_a_database_is_found_by_its_name():
    assert STATS.database("closed") == DatabaseStats("closed")
    with pytest.raises(KeyError):
        STATS.database("none")
