"""Links and pipes in the directory of a database, with names that the engine uses."""

import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from pyelevator.commands import PUT
from pyelevator.engines.base import EngineError, EngineForeign
from pyelevator.engines.leveldb import LevelDbStorage

OPTIONS: dict[str, Any] = {}
REPAIRS = ["pyelevator-repair.partial", "pyelevator-repair.complete", "pyelevator-repair.moving"]


def fill(path, value=b"v"):
    with LevelDbStorage().open(str(path), OPTIONS) as engine:
        engine.write([(PUT, b"k", value)])


def listing(path):
    return sorted((file.name, file.read_bytes()) for file in path.iterdir())


@pytest.fixture
def foreign(tmp_path):
    """Another database."""
    fill(tmp_path / "foreign", b"secret")
    return tmp_path / "foreign"


@pytest.fixture
def linked(tmp_path, foreign):
    """A directory in which every file is a link to the one of the other database."""
    path = tmp_path / "allowed" / "db"
    path.mkdir(parents=True)
    for file in foreign.iterdir():
        if not file.name.startswith("LO"):  # LOCK and LOG
            (path / file.name).symlink_to(file)
    return path


CALLS = {
    "open": lambda storage, path: storage.open(path, OPTIONS),
    "exists": lambda storage, path: storage.exists(path),
    "repair": lambda storage, path: storage.repair(path, OPTIONS, force=True),
    "destroy": lambda storage, path: storage.destroy(path),
    "prepare": lambda storage, path: storage.prepare(path),
    "detect_options": lambda storage, path: storage.detect_options(path),
}


@pytest.mark.parametrize("call", CALLS)
def test_files_of_a_confined_database_are_no_links(tmp_path, foreign, linked, call):
    before, storage = listing(foreign), LevelDbStorage()
    storage.confine([str(tmp_path)])
    with pytest.raises(
        EngineForeign, match=f"{linked} holds symbolic links \\(000003.log, CURRENT, MANIFEST-000002\\)"
    ):
        CALLS[call](storage, str(linked))
    assert listing(foreign) == before


def test_files_may_be_links_where_every_path_is_allowed(linked):
    with LevelDbStorage().open(str(linked), OPTIONS) as engine:
        assert engine.get(b"k") == b"secret"


def test_no_link_is_followed_to_mark_a_creation(tmp_path):
    path = tmp_path / "db"
    path.mkdir()
    (path / "pyelevator-creating").symlink_to(tmp_path / "elsewhere")
    fill(path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["db"]


@pytest.mark.parametrize("call", ["repair", "destroy"])
@pytest.mark.parametrize("name", REPAIRS)
def test_a_link_instead_of_a_repair_gives_nothing_away(tmp_path, foreign, name, call):
    (foreign / "lost").mkdir()
    (foreign / "lost" / "000012.log").write_bytes(b"set aside")
    before = [file.name for file in foreign.rglob("*")]
    path = tmp_path / "db"
    fill(path)
    (path / name).symlink_to(foreign)
    with suppress(EngineError):  # what is in the way may be refused
        CALLS[call](LevelDbStorage(), str(path))
    assert [file.name for file in foreign.rglob("*")] == before


@pytest.mark.parametrize("call", ["repair", "destroy"])
def test_nothing_is_set_aside_in_a_directory_of_others(tmp_path, foreign, call):
    before, path = listing(foreign), tmp_path / "db"
    fill(path)
    (path / "pyelevator-repair.complete" / "lost").mkdir(parents=True)
    (path / "pyelevator-repair.complete" / "lost" / "000012.log").write_bytes(b"set aside")
    (path / "lost").symlink_to(foreign)
    with pytest.raises(EngineError, match=f"{path}/lost is no directory"):
        CALLS[call](LevelDbStorage(), str(path))
    assert listing(foreign) == before


@pytest.mark.parametrize("call", ["open", "repair", "destroy"])
@pytest.mark.parametrize("name", REPAIRS)
def test_a_pipe_instead_of_a_repair_is_not_waited_for(tmp_path, name, call):
    path, ended = tmp_path / "db", threading.Event()
    fill(path)
    os.mkfifo(path / name)

    def run():
        with suppress(EngineError):
            result = CALLS[call](LevelDbStorage(), str(path))
            if call == "open":
                result.close()
        ended.set()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    waited = not ended.wait(30)
    if waited:  # let it end all the same
        os.close(os.open(path / name, os.O_RDWR))
    assert not waited
    thread.join()
    assert Path(path, name).is_fifo()
