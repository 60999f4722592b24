"""Databases, pages of keys, and values, as the page asks for them."""

import json
from typing import Any

import msgpack
import pytest

from pyelevator import Elevator
from pyelevator.console.web import MAX_SHOWN
from support.old_servers import KINDS, OldServerOnSocket
from support.web_console import Client, running_console


@pytest.fixture
def many(database):
    with database.WriteBatch() as batch:
        for number in range(250):
            batch.Put(f"user:{number:03}", "v")
        for key in ("a", "z", b"bin:\xff\x00", "caf\u00e9", "back\\slash"):
            batch.Put(key, "v")


def page(client, **parameters):
    return client.get("/api/keys", db="default", **parameters).json


def test_databases_are_listed(client, database):
    database.createdb("shop")
    assert [each["name"] for each in client.get("/api/databases").json["databases"]] == ["default", "shop"]


def test_pages_follow_one_another_to_the_end_and_miss_nothing(client, many):
    found, parameters = list[Any](), dict[str, Any]()
    while True:
        answer = page(client, prefix="user:", count=100, **parameters)
        found.append(answer["keys"])
        assert answer["has_previous"] is bool(parameters)
        if not answer["has_next"]:
            break
        parameters = {"from": answer["keys"][-1] + "\\x00"}
    assert [len(keys) for keys in found] == [100, 100, 50]
    assert [key for keys in found for key in keys] == [f"user:{number:03}" for number in range(250)]


def test_pages_go_back_as_they_came(client, many):
    last = page(client, prefix="user:", count=100, before="")
    assert last == {"keys": [f"user:{n:03}" for n in range(150, 250)], "has_previous": True, "has_next": False}
    middle = page(client, prefix="user:", count=100, before="user:150")
    assert middle == {"keys": [f"user:{n:03}" for n in range(50, 150)], "has_previous": True, "has_next": True}
    first = page(client, prefix="user:", count=100, before="user:050")
    assert first == {"keys": [f"user:{n:03}" for n in range(50)], "has_previous": False, "has_next": True}


def test_keys_of_any_bytes_have_one_spelling_there_and_back(client, many):
    assert page(client, prefix="b")["keys"] == ["back\\\\slash", "bin:\\xff\\x00"]
    assert client.get("/api/value", db="default", key="bin:\\xff\\x00").json["size"] == 1
    assert page(client, prefix="caf\u00e9")["keys"] == ["caf\u00e9"]
    assert page(client, prefix="caf\\xc3")["keys"] == ["caf\u00e9"]


def test_a_search_without_a_match_is_an_empty_page(client, many):
    assert page(client, prefix="nothing") == {"keys": [], "has_previous": False, "has_next": False}
    assert page(client, **{"from": "zz"}) == {"keys": [], "has_previous": True, "has_next": False}


def test_a_start_before_or_behind_the_prefix_stays_inside(client, many):
    assert page(client, prefix="user:", count=1, **{"from": "a"})["keys"] == ["user:000"]
    assert page(client, prefix="user:", count=1, **{"from": "z"})["keys"] == []


def test_a_page_asks_the_server_for_no_more_than_a_page(server, many):
    asked = []

    def watch(request, forward):
        asked.append(request.command)
        return (yield from forward(request))

    with running_console(server.urls[0], {"interceptors": (watch,)}) as console:
        client = Client(console.url)
        page(client, count=7)
        page(client, count=7, prefix="user:", before="user:100")
    scans = [command for command in asked if hasattr(command, "include_value")]
    assert len(scans) >= 3
    assert all(command.include_value is False and command.count <= 9 for command in scans)


@pytest.mark.parametrize("count", ["0", "-1", "x", "1001", "0000000019999", "9" * 5000, "1.5"])
def test_a_page_of_another_size_is_refused(client, count):
    reply = client.get("/api/keys", db="default", count=count)
    assert reply.status == 400
    assert reply.json["error"] == "count is a number from 1 to 1000"


@pytest.mark.parametrize(("path", "parameters", "error"), [
    ("/api/keys", {}, "the parameter db is missing"),
    ("/api/value", {"db": "default"}, "the parameter key is missing"),
    ("/api/keys", {"db": "default", "prefix": "a\\q"}, "\\q is no escape; write a backslash as \\\\ and a byte as \\xNN"),
    ("/api/keys", {"db": "default", "prefix": "a\\"}, "\\ is no escape; write a backslash as \\\\ and a byte as \\xNN"),
])  # fmt: skip
def test_a_mistake_in_the_request_is_said(client, path, parameters, error):
    reply = client.get(path, **parameters)
    assert (reply.status, reply.json) == (400, {"error": error})


def test_an_unknown_database_is_said(client):
    reply = client.get("/api/keys", db="nothere")
    assert reply.status == 422
    assert reply.json["error"] == "Database does not exist: nothere"


def test_a_server_that_is_gone_is_said_and_found_again(server, tmp_path):
    from pyelevator.testing.servers import ServerProcess

    with ServerProcess(tmp_path) as process, running_console(process.urls[0], {"connect_timeout": 0.1}) as console:
        client = Client(console.url)
        assert client.get("/api/keys", db="default").status == 200
        process.kill()
        reply = client.get("/api/databases")
        assert reply.status in (502, 504)
        assert reply.json["error"]
        process.restart()
        assert client.get("/api/databases").status == 200


SAMPLES = {
    "text": (b"plain text\n", "text", {"text", "escaped", "hex"}),
    "empty": (b"", "text", {"text", "escaped", "hex"}),
    "number": (b"123", "text", {"text", "json", "escaped", "hex"}),
    "json": (b'{"a":[1,2]}', "json", {"text", "json", "escaped", "hex"}),
    "carriage returns": (b"a\r\nb", "escaped", {"escaped", "hex"}),
    "msgpack": (msgpack.packb({"a": [1, b"\x00"]}), "msgpack", {"msgpack", "escaped", "hex"}),
    "bytes": (b"\xff\xfe\x00", "hex", {"escaped", "hex"}),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_a_value_is_shown_in_the_formats_that_fit(client, database, name):
    data, best, names = SAMPLES[name]
    database.Put(name, data)
    shown = client.get("/api/value", db="default", key=name).json
    assert (shown["format"], shown["size"], shown["truncated"]) == (best, len(data), False)
    assert set(shown["texts"]) == names


def test_of_a_large_value_the_page_gets_the_beginning_and_a_file_all(client, database):
    data = bytes(range(256)) * 4096 + b"!"
    assert len(data) > MAX_SHOWN
    database.Put("large", data)
    shown = client.get("/api/value", db="default", key="large").json
    assert (shown["size"], shown["truncated"]) == (len(data), True)
    assert len(json.dumps(shown)) < 200_000
    file = client.get("/api/download", db="default", key="large")
    assert file.body == data
    assert file.headers["Content-Disposition"] == "attachment; filename*=UTF-8''large"
    assert file.headers["Content-Type"] == "application/octet-stream"


@pytest.mark.parametrize("path", ["/api/value", "/api/download"])
def test_a_missing_key_is_404(client, path):
    reply = client.get(path, db="default", key="none")
    assert reply.status == 404
    assert reply.json == {"key": "none", "digest": None, "error": "there is no such key any more"}


def test_the_database_of_the_url_is_shown_first(server, database):
    database.createdb("shop")
    with running_console(f"{server.urls[0]}/shop?timeout=7") as console:
        session = Client(console.url).session
    assert session["database"] == "shop"
    assert session["url"] == f"{server.urls[0]}/shop"


def test_more_databases_than_connections_that_are_kept(client, server, database, monkeypatch):
    monkeypatch.setattr("pyelevator.console.backend.MAX_CLIENTS", 2)
    names = [f"db{number}" for number in range(5)]
    for name in names:
        database.createdb(name)
        with Elevator.from_url(server.urls[0], db_name=name) as E:
            E.Put(name, "v")
    for name in [*names, *names]:
        assert client.get("/api/keys", db=name).json["keys"] == [name]


@pytest.mark.parametrize("kind", KINDS)
def test_an_old_server_is_browsed_downwards_only_where_it_can(kind):
    with OldServerOnSocket(kind) as server:
        with Elevator.from_url(server.url) as E:
            for key in "abc":
                E.Put(key, key)
        with running_console(server.url) as console:
            client = Client(console.url)
            assert page(client, count=2) == {"keys": ["a", "b"], "has_previous": False, "has_next": True}
            following = page(client, count=2, **{"from": "b\\x00"})
            assert following == {"keys": ["c"], "has_previous": True, "has_next": False}
            assert client.get("/api/value", db="default", key="c").json["texts"]["text"] == "c"
            back = client.get("/api/keys", db="default", before="c")
            assert back.status == 400
            assert "does not count downwards" in back.json["error"]
        assert server.killed == []
