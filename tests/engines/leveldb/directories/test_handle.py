"""LevelDB directories whose paths lead elsewhere meanwhile: nothing is read, written or removed there."""

import inspect
import os
import stat
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from pyelevator.commands import PUT
from pyelevator.engines.base import EngineError, EngineFileError, Storage
from pyelevator.engines.leveldb import LevelDbStorage, storage as leveldb_storage
from pyelevator.engines.leveldb.directories.handle import DirectoryHandle, open_directory
from support.links import swap_names

OPTIONS: dict[str, Any] = {}


@pytest.fixture
def storage():
    return LevelDbStorage()


def fill(storage, path, value=b"v"):
    with storage.open(str(path), OPTIONS) as engine:
        engine.write([(PUT, b"k", value)])


@pytest.fixture
def foreign(storage, tmp_path):
    """Another program's database, and what is in its directory."""
    fill(storage, tmp_path / "foreign", b"secret")
    return tmp_path / "foreign"


def listing(path):
    return sorted((file.name, file.stat().st_size) for file in path.iterdir())


CALLS = {
    "open": lambda storage, path: storage.open(path, OPTIONS),
    "exists": lambda storage, path: storage.exists(path),
    "repair": lambda storage, path: storage.repair(path, OPTIONS),
    "destroy": lambda storage, path: storage.destroy(path),
    "empty": lambda storage, path: storage.empty(path),
    "prepare": lambda storage, path: storage.prepare(path),
    "check_free_space": lambda storage, path: storage.check_free_space(path),
    "detect_options": lambda storage, path: storage.detect_options(path),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("linked", ["db", "above"])
def test_a_directory_that_is_a_link_now_is_refused(storage, foreign, tmp_path, call, linked):
    before = listing(foreign)
    if linked == "db":
        (tmp_path / "db").symlink_to(foreign)
        path = tmp_path / "db"
    else:
        (tmp_path / "above").symlink_to(tmp_path)
        path = tmp_path / "above" / "foreign"
    with pytest.raises(EngineFileError, match="there is a symbolic link instead of a directory"):
        CALLS[call](storage, str(path))
    assert listing(foreign) == before


@pytest.mark.parametrize("call", CALLS)
def test_nothing_outside_of_the_directories_is_touched(storage, foreign, tmp_path, call):
    before = listing(foreign)
    storage.confine([str(tmp_path / "allowed"), str(tmp_path / "foreign-too")])
    with pytest.raises(EngineError, match="is not under an allowed directory; start the server with --allow-path DIR"):
        CALLS[call](storage, str(foreign))
    assert listing(foreign) == before


@pytest.mark.parametrize("call", sorted(CALLS.keys() - {"open"}))
def test_a_link_that_comes_where_nothing_was_is_not_followed(storage, foreign, tmp_path, monkeypatch, call):
    before = listing(foreign)

    def missing(path):
        Path(path).symlink_to(foreign)
        raise FileNotFoundError(path)

    monkeypatch.setattr(leveldb_storage, "DirectoryHandle", missing)
    with suppress(EngineError):
        assert CALLS[call](storage, str(tmp_path / "db")) is not True
    assert listing(foreign) == before


def test_every_call_with_a_path_is_tried_here():
    methods = inspect.getmembers(Storage, inspect.isfunction)
    calls = {name for name, method in methods if "path" in inspect.signature(method).parameters}
    assert calls - {"resolve"} == set(CALLS)


def test_an_open_database_stays_where_it_is_whatever_its_path_leads_to(storage, foreign, tmp_path):
    before = listing(foreign)
    with storage.open(str(tmp_path / "db"), OPTIONS) as engine:
        (tmp_path / "db").rename(tmp_path / "moved")
        (tmp_path / "db").symlink_to(foreign)
        for number in range(20):
            engine.write([(PUT, b"%d" % number, os.urandom(1 << 16))])
        engine.compact()
        assert engine.get(b"7") is not None
        assert engine.approximate_size() > 1 << 20
    assert listing(foreign) == before
    with storage.open(str(tmp_path / "moved"), OPTIONS) as engine:
        assert engine.get(b"19") is not None


def test_a_link_that_is_swapped_never_opens_or_empties_another(storage, foreign, tmp_path):
    path, link, stop, swaps = tmp_path / "db", tmp_path / "link", threading.Event(), []
    path.mkdir()
    link.symlink_to(foreign)

    def swap():
        while not stop.is_set():
            with suppress(FileNotFoundError):  # between a destroy and the next open there is no directory
                swap_names(path, link)
                swaps.append(1)

    swapping = threading.Thread(target=swap)
    swapping.start()
    seen = set()
    try:
        for _ in range(200):
            with suppress(EngineError), storage.open(str(path), OPTIONS) as engine:
                seen.add(engine.get(b"k"))
            with suppress(EngineError):
                storage.destroy(str(path))
    finally:
        stop.set()
        swapping.join()
    assert seen <= {None}
    assert len(swaps) > 10
    with storage.open(str(foreign), OPTIONS) as engine:
        assert engine.get(b"k") == b"secret"


def test_new_directories_are_their_owner_s_alone_whatever_the_umask(storage, tmp_path):
    before = os.umask(0)
    try:
        fill(storage, tmp_path / "db")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "db").stat().st_mode) == 0o700


def test_a_probe_for_room_follows_no_link(storage, tmp_path):
    fill(storage, tmp_path / "db")
    (tmp_path / "mine").write_text("precious")
    (tmp_path / "db" / "room.tmp").symlink_to(tmp_path / "mine")
    storage.check_free_space(str(tmp_path / "db"))
    assert (tmp_path / "mine").read_text() == "precious"


def test_errors_name_the_path_and_not_the_descriptor(storage, tmp_path):
    path = tmp_path / "db"
    fill(storage, path)
    (path / "CURRENT").write_text("MANIFEST-999999\n")
    with pytest.raises(EngineError) as caught:
        storage.open(str(path), OPTIONS)
    assert str(path) in str(caught.value)
    assert "/proc/" not in str(caught.value)
    assert str(tmp_path) not in caught.value.client_message


def test_a_directory_that_was_let_go_of_twice_is_closed_once(tmp_path):
    directory = DirectoryHandle(str(tmp_path))
    assert os.path.samefile(directory.name, tmp_path)
    directory.close()
    directory.close()
    os.close(open_directory("/"))
