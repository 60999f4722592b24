"""Edits: written if the value is still the one that was shown, and refused with the one that is there now if not."""

import threading
from typing import Any

import msgpack
import pytest

from pyelevator import Elevator
from support.old_servers import KINDS, OldServerOnSocket
from support.web_console import Client, running_console


def test_a_value_is_edited_and_shown_as_it_is_now(client, database):
    database.Put("k", "one")
    reply = client.put("k", "two", client.digest("k"))
    assert reply.status == 200
    assert reply.json == client.get("/api/value", db="default", key="k").json
    assert database.Get("k") == b"two"


@pytest.mark.parametrize(("format", "text", "stored"), [
    ("text", "caf\u00e9\n", b"caf\xc3\xa9\n"),
    ("json", '{\n  "a": 1\n}', b'{"a":1}'),
    ("msgpack", '{"a": {"$bin": "00ff"}}', msgpack.packb({"a": b"\x00\xff"})),
    ("escaped", "a\\x00\\\\", b"a\x00\\"),
    ("hex", "00 ff\n1a", b"\x00\xff\x1a"),
])  # fmt: skip
def test_an_edit_is_stored_as_its_format_says(client, database, format, text, stored):
    database.Put(b"k\xff", b'{"a":0}')
    assert client.put("k\\xff", text, client.digest("k\\xff"), format=format).status == 200
    assert database.Get(b"k\xff") == stored


def test_a_new_key_is_added_only_if_it_is_missing(client, database):
    assert client.put("new", "mine", None).status == 200
    reply = client.put("new", "again", None)
    assert reply.status == 409
    assert reply.json["current"]["texts"]["text"] == "mine"
    assert database.Get("new") == b"mine"


def test_an_edit_of_a_value_that_changed_is_refused_with_the_new_one(client, database):
    database.Put("k", "one")
    seen = client.digest("k")
    database.Put("k", "theirs")
    reply = client.put("k", "mine", seen)
    assert reply.status == 409
    assert reply.json["error"] == "this value has changed since it was read; nothing was written"
    assert reply.json["current"]["texts"]["text"] == "theirs"
    assert database.Get("k") == b"theirs"
    assert client.put("k", "mine", reply.json["current"]["digest"]).status == 200
    assert database.Get("k") == b"mine"


def test_an_edit_of_a_value_that_was_deleted_is_refused(client, database):
    database.Put("k", "one")
    seen = client.digest("k")
    database.Delete("k")
    reply = client.put("k", "mine", seen)
    assert reply.status == 409
    assert reply.json["current"]["digest"] is None
    assert not database.Exists("k")


def test_a_key_is_deleted_only_with_the_value_that_was_seen(client, database):
    database.Put("k", "one")
    seen = client.digest("k")
    database.Put("k", "two")
    body = {"db": "default", "key": "k", "digest": seen}
    assert client.ask("DELETE", "/api/value", body).status == 409
    assert database.Get("k") == b"two"
    assert client.ask("DELETE", "/api/value", {**body, "digest": client.digest("k")}).status == 200
    assert not database.Exists("k")
    assert client.ask("DELETE", "/api/value", {**body, "digest": None}).status == 409


def test_a_write_between_the_look_and_the_edit_is_not_overwritten(server, database):
    """The console reads the value before it writes; another client writes in between, and the server's check notices."""
    database.Put("k", "one")
    theirs = (f"theirs {number}" for number in range(9))

    def interfere(request, forward):
        if request.command.writes:
            database.Put("k", next(theirs))
        return (yield from forward(request))

    with running_console(server.urls[0], {"interceptors": (interfere,)}, write=True) as console:
        client = Client(console.url)
        reply = client.put("k", "mine", client.digest("k"))
        assert reply.status == 409
        assert reply.json["current"]["texts"]["text"] == "theirs 0"
        reply = client.ask("DELETE", "/api/value", {"db": "default", "key": "k", "digest": client.digest("k")})
        assert reply.status == 409
        assert reply.json["current"]["texts"]["text"] == "theirs 1"
    assert database.Get("k") == b"theirs 1"


def test_of_eight_edits_at_once_of_one_value_one_is_written(console, database):
    database.Put("k", "start")
    clients = [Client(console.url) for _ in range(8)]
    for turn in range(5):
        seen = clients[0].digest("k")
        replies: list[Any] = [None] * 8
        barrier = threading.Barrier(8)

        def edit(number, turn=turn, seen=seen, replies=replies, barrier=barrier):
            barrier.wait()
            replies[number] = clients[number].put("k", f"{turn}.{number}", seen)

        threads = [threading.Thread(target=edit, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        (winner,) = [number for number in range(8) if replies[number].status == 200]
        assert {reply.status for reply in replies} == {200, 409}
        assert database.Get("k") == f"{turn}.{winner}".encode()


@pytest.mark.parametrize(("body", "error"), [
    ({"db": "default", "key": "k", "format": "text", "text": "x"}, "the member digest is missing"),
    ({"db": "default", "key": "k", "format": "json", "text": "{", "digest": None}, "not JSON: "),
    ({"db": "default", "key": "k", "format": "text", "text": 1, "digest": None}, "the body is no JSON object of texts"),
    ({"db": None, "key": "k", "format": "text", "text": "x", "digest": None}, "the body is no JSON object of texts"),
    ({"db": "default", "key": None, "format": "text", "text": "x", "digest": None}, "the body is no JSON object"),
    ([], "the body is no JSON object of texts"),
])  # fmt: skip
def test_a_mistake_in_an_edit_is_said_and_nothing_written(client, database, body, error):
    reply = client.ask("PUT", "/api/value", body)
    assert reply.status == 400
    assert reply.json["error"].startswith(error)
    assert not database.Exists("k")


def test_a_body_of_another_type_is_refused(client):
    reply = client.ask("PUT", "/api/value", {}, Content_Type="text/plain")
    assert reply.status == 400
    assert "application/json" in reply.json["error"]


def test_a_text_is_converted_between_formats_without_writing(client):
    def convert(old, new, text):
        return client.ask("POST", "/api/convert", {"from": old, "to": new, "text": text})

    assert convert("text", "hex", "ab").json == {"text": "61 62", "formats": ["text", "escaped", "hex"], "size": 2}
    assert convert("hex", "json", "5b 31 5d").json["text"] == "[\n  1\n]"
    assert convert("text", "msgpack", "ab").json == {"error": "this value cannot be shown as msgpack"}
    assert convert("hex", "text", "6").status == 400


@pytest.mark.parametrize("kind", KINDS)
def test_the_values_of_an_old_server_are_not_edited(kind):
    """It has no checks, so that an edit could overwrite another's."""
    with OldServerOnSocket(kind) as server:
        with Elevator.from_url(server.url) as E:
            E.Put("k", "one")
        with running_console(server.url, write=True) as console:
            client = Client(console.url)
            reply = client.put("k", "two", client.digest("k"))
            assert reply.status == 400
            assert "does not know" in reply.json["error"]
        with Elevator.from_url(server.url) as E:
            assert E.Get("k") == "one"
        assert server.killed == []
