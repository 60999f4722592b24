"""What a server says about itself, as the page shows it: figures, sizes of databases, the slow log."""

import pytest

from pyelevator import Elevator
from pyelevator.application import Application, Policy
from pyelevator.testing.servers import serve
from support.old_servers import KINDS, OldServerOnSocket
from support.web_console import Client, running_console


def test_figures_are_those_of_the_server(client, database):
    database.Put("k", "v")
    before = client.get("/api/stats").json
    for _ in range(7):
        database.Get("k")
    stats = client.get("/api/stats").json
    assert stats["requests"]["GET"]["count"] - before["requests"].get("GET", {"count": 0})["count"] == 7
    assert stats["connections"]["open"] >= 2
    assert stats["latency"]["p99"] > 0
    assert stats["started_at"] == before["started_at"]


def test_databases_have_their_sizes_while_they_are_open(tmp_path):
    with serve(Application.on_leveldb(tmp_path)) as server, Elevator.from_url(server.urls[0]) as E:
        E.createdb("shop")
        E.createdb("closed")
        E.unmount("closed")
        E.connect("shop")
        E.Put("k", "v" * 10_000)
        with running_console(server.urls[0]) as console:
            listed = Client(console.url).get("/api/databases").json["databases"]
    shown = {each["name"]: each for each in listed}
    assert list(shown) == ["default", "shop", "closed"]
    assert (shown["shop"]["is_open"], shown["shop"]["engine"]["size"] > 10_000) == (True, True)
    assert (shown["closed"]["is_open"], shown["closed"]["engine"]) == (False, None)


def test_the_slow_log_is_the_server_s_with_the_latest_first():
    with serve(Application.in_memory(Policy(slow=1e-9, slow_keys=True))) as server:
        with Elevator.from_url(server.urls[0]) as E:
            E.Put("user:1", "v" * 500)
            E.Get("user:1")
        with running_console(server.urls[0]) as console:
            requests = Client(console.url).get("/api/slowlog").json["requests"]
    found = [(each["verb"], each["database"], each["key"]) for each in requests]
    assert found.index(("GET", "default", "user:1")) < found.index(("PUT", "default", "user:1"))
    assert all(each["seconds"] > 0 and each["request_bytes"] > 0 for each in requests)


def test_where_nothing_is_slow_the_log_is_empty():
    with serve(Application.in_memory(Policy(slow=None))) as server, running_console(server.urls[0]) as console:
        assert Client(console.url).get("/api/slowlog").json == {"requests": []}


@pytest.mark.parametrize("kind", KINDS)
def test_an_old_server_has_names_and_no_figures(kind):
    with OldServerOnSocket(kind) as server, running_console(server.url) as console:
        client = Client(console.url)
        assert client.get("/api/databases").json == {"databases": [{"name": "default"}]}
        for path in ("/api/stats", "/api/slowlog"):
            reply = client.get(path)
            assert reply.status in (400, 422)
            assert reply.json["error"]
        assert server.killed == []
