"""Backups of an open LevelDB: of one moment under load, linked where that goes, complete or not there at all."""

import errno
import os
import random
import signal
import subprocess
import sys
import threading
from itertools import count

import pytest

from pyelevator.commands import DELETE, PUT
from pyelevator.engines.base import Bounds, EngineError
from pyelevator.engines.leveldb import LevelDbStorage, backup
from pyelevator.engines.progress import reporting
from pyelevator.reports import BackupReport
from support.optional import unwrap

KEYS = [b"%05d" % number for number in range(500)]
SMALL = {"write_buffer_size": 1 << 16, "max_file_size": 1 << 20, "compression": None}
"""Logs and tables are small, so that there are many of them and compactions all the time."""


@pytest.fixture
def storage():
    return LevelDbStorage()


@pytest.fixture
def engine(storage, tmp_path):
    with storage.open(str(tmp_path / "db"), SMALL) as engine:
        yield engine


def write_version(engine, version):
    """Each batch gives all keys one version, and so a moment of the history has one."""
    engine.write([(PUT, key, b"%08d" % version + os.urandom(200)) for key in KEYS])


def versions(storage, path):
    with storage.open(str(path), SMALL) as copy:
        pairs = list(copy.scan(Bounds()))
        assert copy.multi_get(KEYS) == [value for _, value in pairs]
    assert [key for key, _ in pairs] == KEYS
    return {value[:8] for _, value in pairs}


@pytest.fixture
def writer(engine):
    done = threading.Event()
    write_version(engine, 0)

    def write():
        for version in count(1):
            if done.is_set():
                return
            write_version(engine, version)

    thread = threading.Thread(target=write)
    thread.start()
    yield
    done.set()
    thread.join()


@pytest.mark.usefixtures("writer")
@pytest.mark.parametrize("links", [True, False])
def test_a_backup_under_load_is_of_one_moment(storage, engine, tmp_path, monkeypatch, links):
    if not links:
        monkeypatch.setattr(os, "link", no_link)
    moments = []
    for number in range(8):
        engine.backup(str(tmp_path / f"backup-{number}"))
        moments += versions(storage, tmp_path / f"backup-{number}")
    assert len(moments) == 8
    assert moments == sorted(moments)


def no_link(*_, **__):
    raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))


def test_tables_are_links_and_what_is_in_the_log_is_there(storage, engine, tmp_path):
    for version in range(20):
        write_version(engine, version)
    engine.compact()
    write_version(engine, 20)
    report = engine.backup(str(tmp_path / "backup"))
    tables = {os.stat(path).st_ino for path in (tmp_path / "db").glob("*.ldb")}
    linked = [path for path in (tmp_path / "backup").glob("*.ldb") if os.stat(path).st_ino in tables]
    assert linked
    assert report.linked == sum(os.stat(path).st_size for path in linked)
    assert report.size == sum(path.stat().st_size for path in (tmp_path / "backup").iterdir())
    assert versions(storage, tmp_path / "backup") == {b"00000020"}


def test_a_backup_does_not_change_with_the_database(storage, engine, tmp_path):
    write_version(engine, 1)
    engine.compact()
    engine.backup(str(tmp_path / "backup"))
    engine.write([(DELETE, key) for key in KEYS])
    engine.compact()
    assert versions(storage, tmp_path / "backup") == {b"00000001"}
    with storage.open(str(tmp_path / "backup"), SMALL) as copy:
        copy.write([(PUT, b"new", b"")])
        copy.compact()
    assert list(engine.scan(Bounds())) == []


def test_an_empty_database_has_a_backup(storage, engine, tmp_path):
    assert isinstance(engine.backup(str(tmp_path / "backup")), BackupReport)
    with storage.open(str(tmp_path / "backup"), {}) as copy:
        assert list(copy.scan(Bounds())) == []


def test_without_links_it_is_copied_and_says_so(storage, engine, tmp_path, monkeypatch):
    write_version(engine, 1)
    engine.compact()
    monkeypatch.setattr(os, "link", no_link)
    report = engine.backup(str(tmp_path / "backup"))
    assert (report.linked, report.size > 100_000) == (0, True)
    assert versions(storage, tmp_path / "backup") == {b"00000001"}


@pytest.mark.parametrize("what", ["file", "directory", "link", "nothing at the end of a link"])
def test_what_is_there_is_not_replaced(engine, tmp_path, what):
    target = tmp_path / "backup"
    make = {
        "file": target.touch,
        "directory": target.mkdir,
        "link": lambda: target.symlink_to(tmp_path),
        "nothing at the end of a link": lambda: target.symlink_to(tmp_path / "db"),
    }
    make[what]()
    with pytest.raises(EngineError, match="exists already; a backup goes into a new directory"):
        engine.backup(str(target))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup", "db"]


def test_a_directory_that_cannot_be_written_is_an_error(engine, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(EngineError, match="Not a directory"):
        engine.backup(str(tmp_path / "file" / "backup"))


def test_no_link_is_followed_on_the_way(engine, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    engine._storage.resolve = lambda path: path  # as if the link had come after the path was resolved
    with pytest.raises(EngineError, match="there is a symbolic link instead of a directory"):
        engine.backup(str(tmp_path / "link" / "backup"))
    assert list((tmp_path / "real").iterdir()) == []


def test_a_table_that_is_a_link_is_copied(storage, engine, tmp_path):
    write_version(engine, 1)
    engine.compact()
    (table,) = (tmp_path / "db").glob("*.ldb")
    table.rename(tmp_path / "elsewhere")
    table.symlink_to(tmp_path / "elsewhere")
    assert engine.backup(str(tmp_path / "backup")).linked == 0
    assert versions(storage, tmp_path / "backup") == {b"00000001"}


def test_a_compaction_that_comes_in_between_is_noticed(storage, engine, tmp_path, monkeypatch):
    write_version(engine, 1)
    listdir, compactions = os.listdir, list[str]()

    def compact_then_list(path):
        if len(compactions) < 3:
            compactions.append(path)
            engine._source.compact_range()  # behind the engine's back, which holds its own lock
        return listdir(path)

    monkeypatch.setattr(os, "listdir", compact_then_list)
    engine.backup(str(tmp_path / "backup"))
    monkeypatch.undo()
    assert len(compactions) == 3
    assert versions(storage, tmp_path / "backup") == {b"00000001"}


def test_files_that_never_stay_are_an_error(engine, tmp_path, monkeypatch):
    monkeypatch.setattr(backup, "_try_cut", lambda *_: None)
    with pytest.raises(EngineError, match="change too quickly for a backup; try again"):
        engine.backup(str(tmp_path / "backup"))


def test_a_backup_reports_how_far_it_is(engine, tmp_path):
    for version in range(5):
        write_version(engine, version)
    engine.compact()
    reported = []
    with reporting(lambda *report: reported.append(report)):
        engine.backup(str(tmp_path / "backup"))
    total = reported[-1][1]
    assert reported[-1] == (total, total)
    assert total > 50_000
    assert [done for done, _ in reported] == sorted(done for done, _ in reported)


BACK_UP = """
import os, sys
from pyelevator.commands import PUT
from pyelevator.engines.leveldb import LevelDbStorage
with LevelDbStorage().open(sys.argv[1], {"write_buffer_size": 1 << 16}) as engine:
    for number in range(1000):
        engine.write([(PUT, b"%05d" % key, b"%08d" % number) for key in range(500)])
        print(number, flush=True)
        engine.backup(f"{sys.argv[2]}/{number:04}")
"""


@pytest.mark.parametrize("seed", range(4))
def test_a_killed_backup_is_complete_or_not_there(storage, tmp_path, seed):
    command = [sys.executable, "-c", BACK_UP, str(tmp_path / "db"), str(tmp_path / "backups")]
    rng = random.Random(seed)
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        for _ in range(rng.randrange(1, 8)):
            unwrap(process.stdout).readline()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(rng.random() / 20)
        process.send_signal(signal.SIGKILL)
    found = sorted((tmp_path / "backups").iterdir())
    for path in found:
        if not path.name.startswith("."):
            assert versions(storage, path) == {b"%08d" % int(path.name)}
    for partial in [path for path in found if path.name.startswith(".")]:
        with storage.open(str(tmp_path / "db"), SMALL) as engine:
            engine.backup(str(tmp_path / "backups" / partial.name[1:-8]))
        assert not partial.exists()
