"""Databases that cannot be read, in every way: the server starts, others are served, and who uses one hears why."""

import json
import os

import pytest

from pyelevator import Elevator, ElevatorError
from pyelevator.engines.leveldb.binding.library import load_binding
from pyelevator.testing.servers import ServerProcess
from support.permissions import without_overrides

plyvel = load_binding()


def leveldb(path):
    with plyvel.DB(str(path), create_if_missing=True) as database:
        database.put(b"k", b"v")
    return path


def closed(path):
    leveldb(path).chmod(0)
    return path


def unsearchable(path):
    leveldb(path).chmod(0o400)
    return path


def below_a_closed_directory(path):
    path.mkdir()
    leveldb(path / "db")
    path.chmod(0)
    return path / "db"


def a_file(path):
    path.write_text("mine")
    return path


def below_a_file(path):
    path.write_text("mine")
    return path / "db"


def a_pipe(path):
    os.mkfifo(path)
    return path


def a_link_to_nothing(path):
    path.symlink_to(path.with_name("nothing"))
    return path


def a_link_to_itself(path):
    path.symlink_to(path)
    return path


def below_a_link_to_itself(path):
    path.symlink_to(path)
    return path / "db"


def with_an_unreadable(name):
    def made(path):
        next(leveldb(path).glob(name)).chmod(0)
        return path

    made.__name__ = f"with_an_unreadable_{name.strip('-*')}"
    return made


def with_a_directory_for_current(path):
    (leveldb(path) / "CURRENT").unlink()
    (path / "CURRENT").mkdir()
    return path


def with_a_pipe_for(name):
    def made(path):
        file = next(leveldb(path).glob(name))
        file.unlink()
        os.mkfifo(file)
        return path

    made.__name__ = f"with_a_pipe_for_{name.strip('-*')}"
    return made


WAYS = {
    closed: "Permission denied",
    unsearchable: "Permission denied",
    below_a_closed_directory: "Permission denied",
    a_file: "Not a directory",
    below_a_file: "Not a directory",
    a_pipe: "Not a directory",
    a_link_to_nothing: "its files are gone",
    a_link_to_itself: "symbolic link",
    below_a_link_to_itself: "symbolic link",
    with_an_unreadable("CURRENT"): "Permission denied",
    with_an_unreadable("MANIFEST-*"): "Permission denied",
    with_an_unreadable("LOCK"): "Permission denied",
    with_an_unreadable("*.log"): "Permission denied",
    with_a_directory_for_current: "CURRENT",
    with_a_pipe_for("CURRENT"): "CURRENT",
    with_a_pipe_for("MANIFEST-*"): "MANIFEST",
    with_a_pipe_for("*.log"): ".log",
    lambda path: path.with_name("x" * 300): "File name too long",
    lambda path: path.joinpath(*["y" * 200] * 30): "File name too long",
    lambda path: path.with_name("nul\0byte"): "is no path",
    lambda path: path.with_name("lone\ud800surrogate"): "is no path",
    lambda path: path.with_name("not UTF-8 \udcff"): "its files are gone",
    lambda path: path.with_name("gone"): "its files are gone",
}
"""What makes a path unreadable -> what its user is told."""


def connected(server, name):
    return Elevator(name, endpoint=server.urls[0].partition("://")[2], timeout=20)


@pytest.fixture
def opened_again(tmp_path):
    """Let pytest remove what no user may read."""
    yield
    for folder, _, files in os.walk(tmp_path):
        for name in [folder, *(os.path.join(folder, file) for file in files)]:
            if not os.path.islink(name):
                os.chmod(name, 0o700)


def registered(data, places):
    """A store file with databases that were there when they were recorded."""
    store = {"default": {"path": str(data / "default"), "uid": "default", "options": {}}}
    for name, path in places.items():
        store[name] = {"path": str(path), "uid": name, "options": {}}
    (data / "store.json").write_text(json.dumps(store))


@pytest.mark.usefixtures("opened_again")
@pytest.mark.parametrize("inside", [False, True], ids=["outside", "inside"])
def test_who_uses_an_unreadable_database_hears_why_and_others_are_served(tmp_path, inside):
    data, outside = tmp_path / "data", tmp_path / "outside"
    data.mkdir()
    outside.mkdir()
    leveldb(data / "default")
    places = {f"x{i}": way((data if inside else outside) / f"x{i}") for i, way in enumerate(WAYS)}
    registered(data, places)
    with without_overrides(lambda: ServerProcess(data)) as server, connected(server, "default") as client:
        assert client.listdb() == ["default", *places]
        reported = {name: reported_of(server, name) for name in places}
        wrong = {
            name: text for (name, text), why in zip(reported.items(), WAYS.values(), strict=True) if why not in text
        }
        assert wrong == {}
        assert client.Get("k") == "v"
        client.createdb("new")
        for name in places:
            client.forgetdb(name)
        assert client.listdb() == ["default", "new"]
        assert server.stop() == 0
    assert "Traceback" not in server.output


def reported_of(server, name):
    with connected(server, name) as client:
        texts = set()
        for call in (lambda: client.Get("k"), lambda: client.Put("k", "v"), lambda: client.mount(name)):
            with pytest.raises(ElevatorError) as caught:
                call()
            texts.add(str(caught.value))
    assert len(texts) == 1
    return texts.pop()


@pytest.mark.usefixtures("opened_again")
def test_a_lost_and_found_of_another_user_does_not_stop_the_first_start(tmp_path):
    data = tmp_path / "volume"
    data.mkdir()
    (data / "lost+found").mkdir(mode=0)
    with without_overrides(lambda: ServerProcess(data)) as server, connected(server, "default") as client:
        client.Put("k", "v")
        assert client.listdb() == ["default"]
        assert server.stop() == 0
    assert len([line for line in server.output.splitlines() if "lost+found" in line]) == 1
    assert "Traceback" not in server.output


@pytest.mark.usefixtures("opened_again")
def test_at_a_first_start_what_can_be_read_is_found_beside_what_cannot(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    for i, way in enumerate(list(WAYS)[:17]):
        way(data / f"x{i}")
    leveldb(data / "sound")
    with without_overrides(lambda: ServerProcess(data)) as server, connected(server, "sound") as client:
        assert client.Get("k") == "v"
        assert "default" in client.listdb()
        assert server.stop() == 0
    assert "Traceback" not in server.output


@pytest.mark.usefixtures("opened_again")
@pytest.mark.parametrize("way", list(WAYS)[:17], ids=lambda way: way.__name__)
def test_a_default_that_cannot_be_read_does_not_stop_the_others(tmp_path, way):
    data = tmp_path / "data"
    data.mkdir()
    (data / "default").symlink_to(way(tmp_path / "elsewhere"))
    leveldb(data / "sound")
    registered(data, {"sound": data / "sound"})
    with without_overrides(lambda: ServerProcess(data)) as server, connected(server, "sound") as client:
        assert client.Get("k") == "v"
        assert client.listdb() == ["default", "sound"]
        with connected(server, "default") as other, pytest.raises(ElevatorError):
            other.Get("k")
        assert server.stop() == 0
    assert "Traceback" not in server.output
