"""``elevator backup``, ``compact``, ``progress`` and ``sizes``."""

import json
import threading
from typing import Any

import click
import pytest
from click.testing import CliRunner

from pyelevator import Elevator
from pyelevator.application import Application, Catalog
from pyelevator.cli.main import elevator
from pyelevator.cli.progress import call_with_progress
from pyelevator.engines.memory import MemoryEngine, MemoryStorage
from pyelevator.engines.progress import report
from pyelevator.testing.servers import serve
from support.applications import database_of


@pytest.fixture
def leveldb_url(tmp_path):
    with serve(Application.on_leveldb(str(tmp_path / "data")), "tcp://127.0.0.1:0") as server:
        with Elevator.from_url(server.urls[0]) as client:
            client.createdb("shop")
            client.connect("shop")
            for number in range(100):
                client.Put(f"{number:03}", "v" * 1000)
        yield server.urls[0]


def invoke(url, *args):
    result = CliRunner().invoke(elevator, [str(arg) for arg in args], env={"ELEVATOR_URL": url})
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize("form", ["argument", "option", "environment"])
def test_a_backup_says_how_large_it_is(leveldb_url, tmp_path, form):
    args = {"argument": [leveldb_url], "option": ["--url", leveldb_url], "environment": []}[form]
    url = leveldb_url if form == "environment" else "tcp://127.0.0.1:9"
    code, out, err = invoke(url, "backup", *args, "shop", tmp_path / "backup")
    assert (code, err) == (0, "")
    assert out.startswith(f"backed up shop in {tmp_path}/backup: ")
    with Elevator.from_url(leveldb_url) as client:
        client.createdb(str(tmp_path / "backup"))
        client.connect(str(tmp_path / "backup"))
        assert len(client.Range()) == 100


def test_a_backup_is_reported_as_json(leveldb_url, tmp_path):
    for quiet in ([], ["--quiet"]):
        code, out, err = invoke(leveldb_url, "backup", "shop", tmp_path / f"backup{len(quiet)}", "--json", *quiet)
        report = json.loads(out)
        assert (code, err, sorted(report), report["size"] > 0) == (0, "", ["linked", "size"], True)


def test_the_error_of_a_damaged_database_names_the_command_that_helps(tmp_path):
    url = "tcp://127.0.0.1:0"
    with serve(Application.on_leveldb(str(tmp_path)), url) as server:
        assert invoke(server.urls[0], "create", "shop")[0] == 0
        assert invoke(server.urls[0], "put", "--db", "shop", "apple", "3")[0] == 0
    (tmp_path / "shop" / "CURRENT").unlink()
    with serve(Application.on_leveldb(str(tmp_path)), url) as server:
        code, _, err = invoke(server.urls[0], "get", "--db", "shop", "apple")
        assert (code, "`elevator repair NAME`" in err) == (4, True)
        assert invoke(server.urls[0], "repair", "shop")[0] == 0
        assert invoke(server.urls[0], "get", "--db", "shop", "apple") == (0, "3\n", "")


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["shop"], 2, "give the database, and the directory for the backup"),
        (["a", "b", "c", "d"], 2, "give the database, and the directory for the backup"),
        (["nope", "/nowhere/x"], 4, "Database nope does not exist"),
        (["shop", "backup"], 4, "backup is no absolute path"),
        (["here", "shop", "/x"], 2, "'here' is no URL"),
    ],
)
def test_a_backup_that_cannot_be_is_one_line(leveldb_url, args, code, message):
    got, out, err = invoke(leveldb_url, "backup", *args)
    assert (got, out, err.count("\n")) == (code, "", 1)
    assert message in err


def test_a_compaction_takes_a_database_and_a_range(leveldb_url):
    assert invoke(leveldb_url, "compact", "--db", "shop") == (0, "", "")
    assert invoke(leveldb_url, "compact", "--db", "shop", "010", "") == (0, "", "")
    assert invoke(leveldb_url, "compact", "--db", "shop", "--hex", "30", "ff", "--json") == (0, "", "")
    assert invoke(leveldb_url, "compact", "--db", "nope")[0] == 4
    code, _, err = invoke(leveldb_url, "compact", "--db", "shop", "--hex", "xyz")
    assert (code, "xyz" in err) == (2, True)


def test_sizes_are_printed_by_prefix(leveldb_url):
    invoke(leveldb_url, "compact", "--db", "shop")
    code, out, _ = invoke(leveldb_url, "sizes", "--db", "shop", "0", "z")
    (first, size), (second, nothing) = [line.split("\t") for line in out.splitlines()]
    assert (code, first, int(size) > 0, second, nothing) == (0, "0", True, "z", "0")
    (row,) = map(json.loads, invoke(leveldb_url, "sizes", "--db", "shop", "--json")[1].splitlines())
    assert row["prefix"] == ""
    assert row["bytes"] >= int(size)


class Held(MemoryEngine):
    """Its compaction is halfway until the test says so."""

    halfway, go_on = threading.Event(), threading.Event()

    def compact(self):
        report(50_000_000, 100_000_000)
        self.halfway.set()
        self.go_on.wait(60)


class HeldStorage(MemoryStorage):
    def open(self, path, options):
        engine: Any = super().open(path, options)
        return Held(database_of(engine))


def test_a_second_client_sees_how_far_it_is_and_so_does_the_first(monkeypatch):
    shown, lines, ended = threading.Event(), [], []

    def echo(text, **_):
        lines.append(text)
        shown.set()

    def compact(client):
        call_with_progress(client, client.compact, "compact", shown=True)
        ended.append(True)

    Held.halfway.clear()
    Held.go_on.clear()
    with serve(Application(Catalog(HeldStorage())), "tcp://127.0.0.1:0") as server:
        url = server.urls[0]
        with Elevator.from_url(url, encoding=None, timeout=60) as client, monkeypatch.context() as patch:
            patch.setattr("pyelevator.cli.progress._PROGRESS_INTERVAL", 0.1)
            client.Put(b"k", b"v")  # in an empty database there is nothing to compact
            thread = threading.Thread(target=compact, args=(client,))
            thread.start()
            try:
                assert Held.halfway.wait(60)
                code, out, _ = invoke(url, "progress")
                assert (code, out.startswith("compact of default: 50 %, 50.0 MB of 100.0 MB, ")) == (0, True)
                (task,) = json.loads(invoke(url, "progress", "--json")[1])
                assert (task["task"], task["database"], task["done"]) == ("compact", "default", 50_000_000)
                patch.setattr(click, "echo", echo)
                assert shown.wait(60)
            finally:
                Held.go_on.set()
                thread.join()
        assert ended == [True]
        assert lines[0].startswith("compact of default: 50 %")
        assert invoke(url, "progress") == (0, "", "")
        assert invoke(url, "progress", "--json") == (0, "[]\n", "")
