"""Who can reach the server decides which paths its clients may name."""

from pathlib import Path

import pytest

from pyelevator.auth.exposure import allowed_roots
from pyelevator.transports.bind import is_loopback

LOCAL = [
    "tcp://127.0.0.1:4141",
    "tcp://127.8.8.8:4141",
    "tcp://localhost:4141",
    "tcp://[::1]:4141",
    "ipc:///run/elevator.sock",
]
REACHABLE = ["tcp://0.0.0.0:4141", "tcp://*:4141", "tcp://[::]:4141", "tcp://10.0.0.1:4141", "tcp://db.example:4141"]


@pytest.mark.parametrize("url", LOCAL)
def test_loopback_and_socket_files_are_local(url):
    assert is_loopback(url)


@pytest.mark.parametrize("url", REACHABLE)
def test_everything_else_is_not(url):
    assert not is_loopback(url)


def test_a_local_server_allows_every_path():
    assert allowed_roots(LOCAL, ()) is None


def test_one_bind_that_others_can_reach_allows_none():
    assert allowed_roots([*LOCAL, REACHABLE[0]], ()) == ()


def test_what_is_allowed_by_name_counts_for_both():
    assert allowed_roots(LOCAL, (Path("/srv"),)) == (Path("/srv"),)
    assert allowed_roots(REACHABLE, (Path("/srv"),)) == (Path("/srv"),)
