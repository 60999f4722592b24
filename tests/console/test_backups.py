"""Backups that the console has a server make, and the long tasks that it shows."""

import pytest

from pyelevator import Elevator
from pyelevator.application import Application
from pyelevator.flows import sleep
from pyelevator.testing.servers import serve
from support.eventually import eventually
from support.old_servers import OldServerOnSocket
from support.web_console import Client, running_console


@pytest.fixture
def server(tmp_path):
    with serve(Application.on_leveldb(tmp_path / "data")) as running:
        yield running


def back_up(client, directory, db="default"):
    return client.ask("POST", "/api/backups", {"db": db, "directory": str(directory)})


def ended(client):
    """The newest backup, once it is no longer running."""

    def newest():
        backup = client.get("/api/backups").json["backups"][0]
        return backup if backup["state"] != "running" else None

    return eventually(newest)


def test_a_backup_is_made_and_opens_as_a_database(client, server, database, tmp_path):
    database.Put("k", "v")
    assert back_up(client, tmp_path / "copy").status == 200
    newest = ended(client)
    assert (newest["database"], newest["directory"], newest["state"]) == ("default", str(tmp_path / "copy"), "done")
    assert newest["report"]["size"] > 0
    database.createdb(str(tmp_path / "copy"))
    with Elevator.from_url(server.urls[0], db_name=str(tmp_path / "copy")) as copy:
        assert copy.Get("k") == "v"


def test_a_backup_that_fails_says_why(client, tmp_path):
    (tmp_path / "there").mkdir()
    back_up(client, tmp_path / "there")
    newest = ended(client)
    assert newest["state"] == "failed"
    assert newest["error"]
    back_up(client, tmp_path / "copy", db="nothere")
    assert ended(client)["state"] == "failed"
    assert not (tmp_path / "copy").exists()


def test_the_newest_backups_are_listed_first(client, tmp_path):
    for name in ("one", "two"):
        back_up(client, tmp_path / name)
        ended(client)
    listed = client.get("/api/backups").json["backups"]
    assert [each["directory"].rpartition("/")[2] for each in listed] == ["two", "one"]


def test_a_console_that_only_reads_makes_none_and_shows_those_of_others(reader, tmp_path):
    reply = back_up(reader, tmp_path / "copy")
    assert reply.status == 403
    assert "--write" in reply.json["error"]
    assert not (tmp_path / "copy").exists()
    assert reader.get("/api/backups").json == {"backups": [], "tasks": []}


def test_a_backup_needs_the_csrf_token(client, tmp_path):
    body = {"db": "default", "directory": str(tmp_path / "copy")}
    assert client.ask("POST", "/api/backups", body, X_CSRF_Token=None).status == 403
    assert not (tmp_path / "copy").exists()


def test_the_end_of_a_console_does_not_wait_for_a_backup(server, tmp_path):
    def slow(request, forward):
        if request.command.verb == "BACKUP":
            yield from sleep(600)
        return (yield from forward(request))

    with running_console(server.urls[0], {"interceptors": (slow,)}, write=True) as console:
        client = Client(console.url)
        back_up(client, tmp_path / "copy")
        assert client.get("/api/backups").json["backups"][0]["state"] == "running"


def test_an_old_server_knows_no_backups_and_the_page_says_so(tmp_path):
    with OldServerOnSocket("0.5") as server, running_console(server.url, write=True) as console:
        client = Client(console.url)
        reply = client.get("/api/backups")
        assert reply.status in (400, 422)
        assert "does not know" in reply.json["error"]
        back_up(client, tmp_path / "copy")
        assert server.killed == []
