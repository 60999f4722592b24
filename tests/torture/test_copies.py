"""Kills during backups, dumps and loads, a few rounds."""

import random

import pytest

from pyelevator.testing.servers import ServerProcess
from torture import copies
from torture.copies import KEYS, Copies


@pytest.mark.slow
def test_copies_that_are_killed_are_whole_and_of_one_moment(tmp_path):
    found = copies.run(tmp_path, kills=1)
    assert found.violations == []


@pytest.mark.parametrize(
    ("pairs", "violations"),
    [
        (dict.fromkeys(KEYS, "3xx"), 0),
        (dict.fromkeys(KEYS, "5"), 0),
        (dict.fromkeys(KEYS, "2xx"), 1),
        (dict.fromkeys(KEYS, "6xx"), 1),
        (dict.fromkeys(KEYS[1:], "4xx"), 1),
        ({**dict.fromkeys(KEYS, "4xx"), KEYS[7]: "5xx"}, 1),
    ],
)
def test_the_check_sees_copies_that_are_torn_or_old(tmp_path, pairs, violations):
    never_started = ServerProcess.__new__(ServerProcess)
    attempt = Copies(never_started, tmp_path, random.Random(1), acknowledged=4, tried=5)
    attempt.check("backup", pairs, 3)
    assert len(attempt.violations) == violations
