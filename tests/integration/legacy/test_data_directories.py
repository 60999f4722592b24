"""What Elevator 0.5 leaves behind opens in our server, and what our server leaves behind opens in Elevator 0.5."""

import json

import pytest

from pyelevator import DatabaseError, Elevator
from pyelevator.testing.servers import ServerProcess
from support import elevator05
from support.elevator05 import OldServerProcess, run2

pytestmark = [elevator05.needs_the_old_software, pytest.mark.timeout(240)]


class OurServer(ServerProcess):
    """Our server over what Elevator 0.5 has in ``home``, told by the same configuration, started in the same place."""

    def __init__(self, home, *args, **options):
        words = ["--config", str(home / "elevator.conf"), *map(str, args)]
        super().__init__(home / "data", engine="leveldb", args=words, **options)


def content(url):
    """Database -> its pairs."""
    with Elevator.from_url(url, timeout=30) as E:
        found = {}
        for name in E.listdb():
            E.connect(name)
            found[name] = E.Range()
        return found


def test_a_directory_of_0_5_opens_here_and_there_again(tmp_path):
    outside = tmp_path / "outside"
    with OldServerProcess(tmp_path) as old, Elevator.from_url(old.url, timeout=30) as E:
        E.Put("k", "of default")
        for name in ("x", str(outside)):
            E.createdb(name)
            E.connect(name)
            E.Put("k", name)
    uids = {name: entry["uid"] for name, entry in json.loads((tmp_path / "store.json").read_text()).items()}
    expected = {"default": [["k", "of default"]], "x": [["k", "x"]], str(outside): [["k", str(outside)]]}
    with OurServer(tmp_path, "--allow-path", outside) as server:
        assert content(server.urls[0]) == expected
        with Elevator.from_url(server.urls[0], timeout=30) as E:
            assert E.db_uid == uids["default"]
            E.createdb("new", {"block_size": 8192})
            E.connect("new")
            E.Put("k", "of new")
            E.connect("x")
            E.Put("k2", "from here")
        assert server.stop() == 0
    expected |= {"new": [["k", "of new"]], "x": [["k", "x"], ["k2", "from here"]]}
    with OldServerProcess(tmp_path) as old:
        assert content(old.url) == expected
        with Elevator.from_url(old.url, timeout=30) as E:
            assert E.db_uid == uids["default"]
        assert old.errors == ""


def test_a_relative_path_of_0_5_opens_and_stays_where_it_cannot(tmp_path, monkeypatch):
    (tmp_path / "rel").mkdir()
    monkeypatch.chdir(tmp_path)
    # Our client does not create what our server refuses.
    program = """
    import sys
    from pyelevator import Elevator
    E = Elevator(transport='ipc', endpoint=sys.argv[1])
    E.createdb('rel/sub')
    E.connect('rel/sub')
    E.Put('k', 'v')
    """
    with OldServerProcess(tmp_path) as old:
        assert run2(tmp_path, program, old.socket).err == ""
        assert old.errors == ""
    recorded = json.loads((tmp_path / "store.json").read_text())["rel/sub"]
    assert recorded["path"] == "rel/sub"
    elsewhere = ["--allow-path", tmp_path / "elsewhere"]
    with OurServer(tmp_path, *elsewhere) as server, Elevator.from_url(server.urls[0], timeout=30) as E:
        E.connect("rel/sub")
        with pytest.raises(DatabaseError, match="--allow-path"):
            E.Get("k")
        E.createdb("new")  # writes the store file
    assert json.loads((tmp_path / "store.json").read_text())["rel/sub"]["path"] == "rel/sub"
    with OldServerProcess(tmp_path) as old, Elevator("rel/sub", transport="ipc", endpoint=str(old.socket)) as E:
        assert E.Get("k") == "v"
    with OurServer(tmp_path) as server, Elevator.from_url(server.urls[0], timeout=30) as E:
        E.connect("rel/sub")
        assert E.Get("k") == "v"


def test_a_store_file_of_0_bytes_is_one_in_which_nothing_is_written_yet(tmp_path):
    (tmp_path / "store.json").touch()
    with OldServerProcess(tmp_path) as old:
        assert content(old.url) == {"default": []}
    (tmp_path / "store.json").write_bytes(b"")
    with OurServer(tmp_path) as server:
        assert content(server.urls[0]) == {"default": []}
    assert "store.json is empty, and taken for missing" in (tmp_path / "elevator.log").read_text()


def test_its_json_writer_leaves_bytes_above_127_as_they_are(tmp_path):
    program = "import sys, ujson; ujson.dump({'a\\xffb': {'path': 'a/b\\x80', 'uid': 'u', 'options': {}}}, sys.stdout)"
    written = run2(tmp_path, program).out.encode("latin-1")
    assert written == b'{"a\xffb":{"path":"a\\/b\x80","uid":"u","options":{}}}'
    (tmp_path / "data").mkdir()
    (tmp_path / "elevator.conf").write_text(elevator05.CONFIG.format(home=tmp_path))
    (tmp_path / "store.json").write_bytes(written)
    with OurServer(tmp_path) as server, Elevator.from_url(server.urls[0], timeout=30) as E:
        assert E.listdb() == ["default", "a\udcffb"]
