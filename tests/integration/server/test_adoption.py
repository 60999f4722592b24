"""Adopted databases at a server process: given back when unused, kept over a kill, and forgotten as they were."""

import hashlib
import os
import sys

import pytest

from pyelevator import DatabaseError, Elevator
from pyelevator.engines.leveldb.binding.library import load_binding
from pyelevator.testing.servers import ServerProcess
from support.eventually import eventually

plyvel = load_binding()

ROWS = [(b"%05d" % number, b"value " * 10) for number in range(3000)]


@pytest.fixture
def theirs(tmp_path):
    """The LevelDB of another program, some of it in tables without compression and some in the log."""
    path = tmp_path / "theirs"
    with plyvel.DB(str(path), create_if_missing=True, compression=None) as database:
        for key, value in ROWS[:2000]:
            database.put(key, value)
        database.compact_range(start=b"", stop=b"\xff")
        for key, value in ROWS[2000:]:
            database.put(key, value)
    return path


def connected(server, name="default"):
    return Elevator(name, endpoint=server.urls[0].partition("://")[2], timeout=20, encoding=None)


def checksums(path):
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in path.iterdir()}


def opened_by_its_own_program(path):
    try:
        with plyvel.DB(str(path), create_if_missing=False, compression=None) as database:
            return list(database)
    except plyvel.IOError:
        return None


def test_an_unused_adopted_database_is_given_back_and_others_stay_open(tmp_path, theirs):
    with ServerProcess(tmp_path / "data", args=["--idle-unmount-adopted", "0.005", "-v"]) as server:  # 0.3 s
        with connected(server) as client:
            client.Put("k", "v")
            client.createdb(str(theirs))
            client.connect(str(theirs))
            assert client.Get("00000") == ROWS[0][1]
            assert eventually(lambda: opened_by_its_own_program(theirs)) == ROWS
            assert client.Get("02999") == ROWS[2999][1]
            assert server.stop() == 0
        assert " unmounted default" not in server.output.partition("stopping")[0]


def test_unmounting_gives_an_adopted_database_back_at_once(tmp_path, theirs):
    with ServerProcess(tmp_path / "data") as server, connected(server) as client:
        client.createdb(str(theirs))
        client.connect(str(theirs))
        client.Get("00000")
        assert opened_by_its_own_program(theirs) is None
        client.unmount(str(theirs))
        assert opened_by_its_own_program(theirs) == ROWS


def test_a_killed_server_knows_what_it_has_adopted_and_forgets_it_as_it_is(tmp_path, theirs):
    with ServerProcess(tmp_path / "data") as server:
        with connected(server) as client:
            client.createdb(str(theirs))
        server.restart()
        with connected(server) as client:
            client.unmount(str(theirs))
            before = checksums(theirs)
            for _ in range(2):
                with pytest.raises(DatabaseError, match="forgetdb takes it off the list and leaves them"):
                    client.dropdb(str(theirs))
            client.forgetdb(str(theirs))
            assert client.listdb() == ["default"]
        server.restart()
        with connected(server) as client:
            assert str(theirs) not in client.listdb()
        assert checksums(theirs) == before
    assert opened_by_its_own_program(theirs) == ROWS


def test_many_databases_are_served_where_few_files_may_be_open(tmp_path, monkeypatch):
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nulimit -n 160\nexec {sys.executable} "$@"\n')
    python.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(python))
    names = [f"db{number}" for number in range(60)]
    with ServerProcess(tmp_path / "data") as server, connected(server) as client:
        others = [connected(server) for _ in range(20)]
        for name in names:
            client.createdb(name)
        for i, name in enumerate(names):
            others[i % 20].connect(name)
            others[i % 20].Put("k", name)
        for i, name in enumerate(names):
            others[i % 20].connect(name)
            assert others[i % 20].Get("k") == name.encode()
        assert len(os.listdir(f"/proc/{server.pid}/fd")) < 160
        for other in others:
            other.disconnect()
        assert server.stop() == 0
    assert server.output.count("databases are open at once, as this process may open 160 files") == 1
