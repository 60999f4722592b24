"""Damaged and unwritable databases: their clients get an error, the others are served, and the server starts anyway."""

import stat
from contextlib import contextmanager

import pytest

from pyelevator import DatabaseError, Elevator
from pyelevator.errors import ServerOSError
from pyelevator.testing.servers import ServerProcess
from support.permissions import without_overrides

PAIRS = [[f"{i:05}", f"value {i} ".ljust(100, "x")] for i in range(3000)]


def remove_current(folder):
    (folder / "CURRENT").unlink()


def remove_manifest(folder):
    for file in folder.glob("MANIFEST-*"):
        file.unlink()


def scribble_on_current(folder):
    (folder / "CURRENT").write_bytes(b"\0\xff" * 20)


def scribble_on_manifest(folder):
    for file in folder.glob("MANIFEST-*"):
        file.write_bytes(b"\x5a" * file.stat().st_size)


def scribble_on_a_table(folder):
    """Changes a hundred bytes; what lies in their block is lost."""
    table = min(folder.glob("*.ldb"))
    content = bytearray(table.read_bytes())
    content[100:200] = b"\x5a" * 100
    table.write_bytes(content)


OF_ALL_DATA = [remove_current, remove_manifest, scribble_on_current, scribble_on_manifest]
"""Damage after which a repair brings everything back."""


def address(server):
    return server.urls[0].partition("://")[2]


def connected(server, name):
    return Elevator(name, endpoint=address(server), timeout=20)


@contextmanager
def filled(data):
    """A server with a sound database, and a ``victim`` whose pairs lie in tables."""
    with ServerProcess(data) as server:
        with connected(server, "default") as client:
            client.createdb("victim", {"write_buffer_size": 1 << 16, "compression": False})
            for name in ("default", "victim"):
                client.connect(name)
                with client.WriteBatch() as batch:
                    for key, value in PAIRS:
                        batch.Put(key, value)
            client.unmount("victim")
            client.mount("victim")  # what was in the log is in a table now
        assert server.stop() == 0
        yield server


@pytest.mark.parametrize("damage", OF_ALL_DATA)
@pytest.mark.parametrize("name", ["victim", "default"])
def test_a_damaged_database_is_reported_and_others_are_served(tmp_path, damage, name):
    with filled(tmp_path) as server:
        damage(tmp_path / name)
        server.restart()
        (sound,) = {"victim", "default"} - {name}
        with connected(server, sound) as other, connected(server, name) as client:
            for _ in range(2):
                with pytest.raises(DatabaseError, match="is damaged; repair it with repairdb"):
                    client.Get("00001")
            with pytest.raises(DatabaseError, match="is damaged; repair it with repairdb"):
                client.Put("00001", "changed")
            assert other.Range() == PAIRS
            other.Put("more", "1")
            client.repairdb()
            assert client.Range() == PAIRS
            client.Put("more", "1")
            assert client.Get("more") == other.Get("more") == "1"


def test_what_a_repair_cannot_bring_back_is_gone_and_nothing_else(tmp_path):
    with filled(tmp_path) as server:
        scribble_on_a_table(tmp_path / "victim")
        server.restart()
        with connected(server, "victim") as client:
            with pytest.raises(DatabaseError, match="is damaged; repair it with repairdb"):
                client.Range()
            client.repairdb()
            there = client.Range()
        assert 0 < len(PAIRS) - len(there) < 200
        assert all(pair in PAIRS for pair in there)


def test_every_database_may_be_damaged_and_the_server_starts(tmp_path):
    with filled(tmp_path) as server:
        for name in ("default", "victim"):
            remove_current(tmp_path / name)
        server.restart()
        with connected(server, "default") as client:
            assert client.listdb() == ["default", "victim"]
            client.createdb("new")
            client.connect("new")
            client.Put("k", "v")
            for name in ("default", "victim"):
                client.connect(name)
                client.repairdb()
                assert client.Range() == PAIRS


@contextmanager
def read_only(folder):
    """Forbid to create or remove files in the directory meanwhile."""
    mode = stat.S_IMODE(folder.stat().st_mode)
    folder.chmod(0o500)
    try:
        yield
    finally:
        folder.chmod(mode)


def test_an_unwritable_database_is_reported_and_others_are_served(tmp_path):
    with filled(tmp_path), read_only(tmp_path / "victim"):
        with without_overrides(lambda: ServerProcess(tmp_path)) as server:
            with connected(server, "default") as other, connected(server, "victim") as client:
                for _ in range(2):
                    with pytest.raises(ServerOSError, match="Permission denied"):
                        client.Get("00001")
                other.Put("more", "1")
                assert other.Get("00001") == PAIRS[1][1]
                (tmp_path / "victim").chmod(0o700)
                assert client.Range() == PAIRS


def test_a_server_starts_and_serves_in_an_unwritable_data_directory(tmp_path):
    with filled(tmp_path), read_only(tmp_path):
        with without_overrides(lambda: ServerProcess(tmp_path)) as server, connected(server, "victim") as client:
            client.Put("more", "1")
            assert len(client.Range()) == len(PAIRS) + 1
            with pytest.raises(ServerOSError, match="Permission denied"):
                client.createdb("new")
            with pytest.raises(ServerOSError, match="Permission denied"):
                client.dropdb("victim")
            assert client.listdb() == ["default", "victim"]
            assert client.Get("more") == "1"
