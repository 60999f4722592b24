"""The scan for the biggest prefixes: exact counts, estimated sizes, progress, and an end that is asked for."""

import threading
from random import Random

import pytest

from pyelevator import Elevator
from pyelevator.application import Application
from pyelevator.commands import MGet
from pyelevator.console.prefixes import MAX_GROUPS, Fraction
from pyelevator.flows import sleep
from pyelevator.testing.servers import serve
from support.eventually import eventually
from support.old_servers import OldServerOnSocket
from support.web_console import Client, running_console


def scan(client, prefix="", separators=":/|", db="default"):
    return client.ask("POST", "/api/scans", {"db": db, "prefix": prefix, "separators": separators})


def ended(client, report):
    """The report of a scan that is no longer running, and those before it."""
    reports = [report]

    def is_over():
        if reports[-1]["state"] == "running":
            reports.append(client.get("/api/scans", id=report["id"]).json)
        return reports[-1]["state"] != "running"

    eventually(is_over)
    return reports


def fill(database, prefix, count, size):
    with database.WriteBatch() as batch:
        for number in range(count):
            batch.Put(f"{prefix}{number:06}", b"x" * size)


def test_keys_are_counted_and_sizes_estimated_by_prefix(client, database):
    fill(database, "user:", 3000, 100)
    fill(database, "session:", 5000, 10)
    fill(database, "a/b:", 10, 1000)
    fill(database, "none", 7, 1)
    reports = ended(client, scan(client).json)
    last = reports[-1]
    assert (last["state"], last["fraction"]) == ("done", 1.0)
    assert [(each["prefix"], each["keys"]) for each in last["groups"]] == [
        ("user:", 3000),
        ("session:", 5000),
        ("a/", 10),
    ]
    sizes = {each["prefix"]: each["bytes"] for each in last["groups"]}
    assert sizes == {"user:": 3000 * 111, "session:": 5000 * 24, "a/": 10 * 1010}
    assert last["without_separator"]["keys"] == 7
    assert last["total"]["keys"] == 8017
    assert last["total"]["sampled"] < 100
    fractions = [each["fraction"] for each in reports]
    assert fractions == sorted(fractions)


def test_a_very_large_prefix_is_estimated_from_pages_of_it(tmp_path, monkeypatch):
    """The same in a million bytes as in many: pages and the size on the disk give the number of keys."""
    monkeypatch.setattr("pyelevator.console.prefixes.MIN_SAMPLED_BYTES", 1 << 20)
    random = Random(16)
    reads = []

    def count(request, forward):
        reads.append(request.command)
        return (yield from forward(request))

    with serve(Application.on_leveldb(tmp_path)) as server, Elevator.from_url(server.urls[0]) as database:
        fill(database, "before:", 10, 10)
        with database.WriteBatch() as batch:
            for number in range(100_000):
                batch.Put(f"user:{number:06}", random.randbytes(90))
        fill(database, "zzz:", 20, 10)
        database.compact()
        with running_console(server.urls[0], {"interceptors": (count,)}) as console:
            client = Client(console.url)
            last = ended(client, scan(client).json)[-1]
    assert last["state"] == "done"
    found = {each["prefix"]: each for each in last["groups"]}
    assert {name: (each["keys"], each["is_estimate"]) for name, each in found.items() if name != "user:"} == {
        "before:": (10, False), "zzz:": (20, False),
    }  # fmt: skip
    user = found["user:"]
    assert user["is_estimate"]
    assert user["keys"] == pytest.approx(100_000, rel=0.1)
    assert user["bytes"] == pytest.approx(100_000 * 101, rel=0.1)
    assert user["on_disk"] == pytest.approx(100_000 * 100, rel=0.2)
    assert sum(isinstance(each, MGet) for each in reads) < 25  # one for each page that was read, of fifty


def test_an_old_server_is_counted_to_the_end():
    with OldServerOnSocket("0.5") as server:
        with Elevator.from_url(server.url) as E:
            fill(E, "user:", 50, 10)
        with running_console(server.url) as console:
            client = Client(console.url)
            last = ended(client, scan(client).json)[-1]
        assert (last["state"], last["groups"][0]["keys"], last["groups"][0]["on_disk"]) == ("done", 50, None)
        assert server.killed == []


def test_within_a_prefix_the_next_part_counts(client, database):
    fill(database, "app:one:", 20, 1)
    fill(database, "app:two:", 30, 1)
    fill(database, "other:", 5, 1)
    last = ended(client, scan(client, prefix="app:").json)[-1]
    assert [(each["prefix"], each["keys"]) for each in last["groups"]] == [("app:two:", 30), ("app:one:", 20)]


@pytest.mark.parametrize(("separators", "groups"), [("-]^\\\\", ["a-", "a]"]), ("", []), ("\\xff", ["\\xff"])])
def test_separators_are_any_bytes(client, database, separators, groups):
    for key in (b"a-1", b"a-2", b"a]1", b"\xff1"):
        database.Put(key, "v")
    last = ended(client, scan(client, separators=separators).json)[-1]
    assert [each["prefix"] for each in last["groups"]] == groups


def test_an_empty_database_is_scanned_at_once(client):
    last = ended(client, scan(client).json)[-1]
    assert (last["state"], last["groups"], last["total"]["keys"]) == ("done", [], 0)


def test_of_many_prefixes_the_biggest_are_kept(client, database):
    with database.WriteBatch() as batch:
        for number in range(MAX_GROUPS + 50):
            for key in range(1 + number % 3):
                batch.Put(f"{number:04}:{key}", b"x" * 10)
    last = ended(client, scan(client).json)[-1]
    assert last["group_count"] == MAX_GROUPS + 50
    assert last["total"]["keys"] == sum(each["keys"] for each in last["groups"]) + last["smaller"]["keys"]
    assert last["smaller"]["keys"] < 100
    assert last["groups"][0]["keys"] == 3


def test_a_scan_is_stopped_and_keeps_what_it_found(server, database):
    fill(database, "k:", 10_000, 1)
    is_asked = threading.Event()

    def slow(request, forward):
        if request.command.verb == "MGET":
            is_asked.set()
            yield from sleep(60)
        return (yield from forward(request))

    with running_console(server.urls[0], {"interceptors": (slow,), "timeout": 100}) as console:
        client = Client(console.url)
        report = scan(client).json
        assert is_asked.wait(60)
        stopped = client.ask("DELETE", "/api/scans", {"id": report["id"]}).json
        assert stopped["state"] == "stopped"
        assert client.get("/api/scans", id=report["id"]).json == stopped


def test_no_more_scans_run_than_may_and_the_end_of_the_console_stops_them(server, database):
    fill(database, "k:", 100, 1)

    def slow(request, forward):
        if request.command.verb == "MGET":
            yield from sleep(60)
        return (yield from forward(request))

    with running_console(server.urls[0], {"interceptors": (slow,), "timeout": 100}) as console:
        client = Client(console.url)
        assert [scan(client).status for _ in range(3)] == [200, 200, 400]


def test_a_scan_that_is_not_watched_any_more_ends(server, database, monkeypatch):
    monkeypatch.setattr("pyelevator.console.prefixes.UNWATCHED", -1.0)
    fill(database, "k:", 10_000, 1)
    with running_console(server.urls[0]) as console:
        client = Client(console.url)
        last = ended(client, scan(client).json)[-1]
    assert last["state"] == "stopped"
    assert 0 < last["total"]["keys"] < 10_000


def test_a_scan_of_a_missing_database_says_so(client):
    last = ended(client, scan(client, db="nothere").json)[-1]
    assert last["state"] == "failed"
    assert last["error"].startswith("Database does not exist")


def test_an_unknown_scan_is_said(client):
    reply = client.get("/api/scans", id="x")
    assert (reply.status, reply.json["error"]) == (400, "there is no such scan any more; start it again")


def test_a_console_that_only_reads_scans(reader, database):
    database.Put("a:1", "v")
    assert ended(reader, scan(reader).json)[-1]["total"]["keys"] == 1


def test_a_scan_needs_the_csrf_token(client):
    assert (
        client.ask("POST", "/api/scans", {"db": "default", "prefix": "", "separators": ":"}, X_CSRF_Token=None).status
        == 403
    )


def test_points_are_spread_between_two_keys_and_begin_with_the_first():
    points = Fraction(b"k:00", b"k:80").points(4)
    assert points[0] == b"k:00".ljust(10, b"\0")
    assert [point[:3] for point in points] == [b"k:0", b"k:2", b"k:4", b"k:6"]
    assert Fraction(b"a", b"a").points(2) == [b"a" + bytes(8)] * 2


@pytest.mark.parametrize(("first", "last", "key", "expected"), [
    (b"user:0", b"user:@", b"user:8", 0.5),
    (b"a", b"a", b"a", 1.0),
    (b"", b"\xff" * 9, b"\x80", 0.5),
    (b"b", b"c", b"a", 0.0),
    (b"b", b"c", b"d", 1.0),
])  # fmt: skip
def test_a_fraction_is_where_a_key_lies_between_two(first, last, key, expected):
    assert Fraction(first, last)(key) == pytest.approx(expected, abs=0.01)
