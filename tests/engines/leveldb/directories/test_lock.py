"""Who may open a LevelDB directory: LOCK is held under flock(2) and fcntl(2), against processes and against ourselves."""

import fcntl
import multiprocessing
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from pyelevator.commands import PUT
from pyelevator.engines.base import Bounds, EngineError
from pyelevator.engines.leveldb import LevelDbStorage, backup
from pyelevator.engines.leveldb.binding.library import load_binding
from support.forking import forks_with_threads
from support.leveldb_files import checksums
from support.optional import unwrap

plyvel = load_binding()

HOLD = """
import fcntl, sys
file = open(sys.argv[1] + "/LOCK", "a")
getattr(fcntl, sys.argv[2])(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
print("held", flush=True)
sys.stdin.read()
"""
TRY = """
import fcntl, sys
for kind in ("flock", "lockf"):
    with open(sys.argv[1] + "/LOCK", "a") as file:
        try:
            getattr(fcntl, kind)(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            print(kind, "free")
        except OSError:
            print(kind, "held")
"""


@pytest.fixture
def storage():
    return LevelDbStorage()


@pytest.fixture
def path(tmp_path, storage):
    with storage.open(str(tmp_path / "db"), {}) as engine:
        engine.write([(PUT, b"k", b"v")])
    return str(tmp_path / "db")


@contextmanager
def held_elsewhere(path, kind):
    """Another process holds one of the locks."""
    command = [sys.executable, "-c", HOLD, path, kind]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert unwrap(other.stdout).readline() == b"held\n"
        yield
        other.communicate()


def seen_from_elsewhere(path):
    return subprocess.run([sys.executable, "-c", TRY, path], capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )


def everything(storage, path):
    return {
        "open": lambda: storage.open(path, {}),
        "repair": lambda: storage.repair(path, {}),
        "destroy": lambda: storage.destroy(path),
        "prepare": lambda: storage.prepare(path),
    }


@pytest.mark.parametrize("kind", ["flock", "lockf"])
@pytest.mark.parametrize("call", ["open", "repair", "destroy", "prepare"])
def test_what_another_process_holds_is_in_use_and_untouched(storage, path, kind, call):
    with held_elsewhere(path, kind):
        before = checksums(path)
        with pytest.raises(EngineError, match="is in use by another process"):
            everything(storage, path)[call]()
        assert checksums(path) == before
    everything(storage, path)[call]()


def test_an_open_database_is_held_under_both_locks_until_it_has_closed(storage, path):
    engine = storage.open(path, {})
    assert seen_from_elsewhere(path)[:2] == ["flock held", "lockf held"]
    engine.close()
    assert seen_from_elsewhere(path)[:2] == ["flock free", "lockf free"]


@pytest.mark.parametrize("call", ["open", "repair", "destroy", "prepare"])
def test_a_refused_second_opening_releases_no_lock(storage, path, call):
    with storage.open(path, {}):
        for again in (storage, LevelDbStorage()):
            with pytest.raises(EngineError, match="is open already"):
                everything(again, path)[call]()
        assert seen_from_elsewhere(path)[:2] == ["flock held", "lockf held"]


@pytest.mark.parametrize("call", ["open", "repair", "destroy"])
def test_a_database_open_by_another_library_of_the_process_is_refused(storage, path, call):
    with plyvel.DB(path) as db:
        with pytest.raises(EngineError, match="is open already"):
            everything(storage, path)[call]()
        assert seen_from_elsewhere(path)[1] == "lockf held"
        db.put(b"k", b"w")
    with storage.open(path, {}) as engine:
        assert engine.get(b"k") == b"w"


def test_one_database_under_two_spellings_is_opened_once(storage, path, tmp_path):
    (tmp_path / "link").symlink_to(path)
    (tmp_path / "copy").mkdir()
    os.link(Path(path, "LOCK"), tmp_path / "copy" / "LOCK")  # as a bind mount shows it: the same file elsewhere
    with storage.open(path, {}):
        for spelling in (str(tmp_path / "link"), path + "/", f"{tmp_path}/./db", str(tmp_path / "copy")):
            with pytest.raises(EngineError, match="is open already"):
                storage.open(storage.resolve(spelling), {})


def test_a_second_backup_to_one_place_is_refused_while_the_first_runs(storage, path, tmp_path, monkeypatch):
    target, seen = str(tmp_path / "backup"), []
    with storage.open(path, {}) as engine:
        cut = backup.cut

        def cut_during_another(*directories):
            with pytest.raises(EngineError, match=r"another backup to .*/backup is under way"):
                engine.backup(target)
            seen.append(os.path.lexists(target))
            return cut(*directories)

        monkeypatch.setattr(backup, "cut", cut_during_another)
        engine.backup(target)
    assert seen == [False]
    assert os.path.lexists(target)


def test_a_repair_is_held_while_it_works(storage, path, monkeypatch):
    seen = []
    merge = "pyelevator.engines.leveldb.repair.RepairLibrary.merge"
    monkeypatch.setattr(merge, lambda *_: seen.extend(seen_from_elsewhere(path)[:2]) or True)
    storage.repair(path, {})
    assert seen == ["flock held", "lockf held"]


def _wait(event):
    event.wait(60)


@forks_with_threads
def test_a_forked_child_holds_no_lock_after_the_database_closed(storage, path):
    context = multiprocessing.get_context("fork")
    engine, end = storage.open(path, {}), context.Event()
    child = context.Process(target=_wait, args=(end,))
    child.start()
    try:
        assert seen_from_elsewhere(path)[:2] == ["flock held", "lockf held"]
        engine.close()
        storage.open(path, {}).close()
        assert seen_from_elsewhere(path)[:2] == ["flock free", "lockf free"]
    finally:
        end.set()
        child.join()


def test_an_engine_that_was_dropped_without_close_holds_nothing(storage, path):
    engine = storage.open(path, {})
    del engine
    with storage.open(path, {}) as engine:
        assert list(engine.scan(Bounds())) == [(b"k", b"v")]


def test_a_refused_opening_leaves_no_lock(storage, path):
    Path(path, "CURRENT").write_text("MANIFEST-000099\n")
    with pytest.raises(EngineError, match="is damaged"):
        storage.open(path, {})
    with Path(path, "LOCK").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="there is no list of descriptors")
def test_closed_databases_leave_no_descriptors(storage, path):
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        storage.open(path, {}).close()
    assert len(os.listdir("/proc/self/fd")) == before
