"""Directories that others made: what createdb refuses, adopts and takes back; nothing of others is touched."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pyelevator.application import Catalog
from pyelevator.commands import PUT
from pyelevator.engines.base import Bounds, EngineDamaged, EngineError, EngineForeign
from pyelevator.engines.leveldb import LevelDbStorage
from pyelevator.engines.leveldb.binding.library import load_binding
from pyelevator.errors import DatabaseError
from support.leveldb_files import LFS_POINTER, MERGE_MARKERS, checksums, comparator, place_manifest, set_block_type
from support.optional import unwrap

plyvel = load_binding()

ROWS = [(b"%05d" % i, b"v" * 100) for i in range(500)]


@pytest.fixture
def storage():
    return LevelDbStorage()


@pytest.fixture
def catalog(tmp_path):
    catalog = Catalog(LevelDbStorage(), str(tmp_path / "data"))
    yield catalog
    catalog.close()


@pytest.fixture
def theirs(tmp_path):
    """A directory of another program."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    return folder


def leveldb(folder, rows=ROWS, **options):
    with plyvel.DB(str(folder), create_if_missing=True, **options) as db:
        for key, value in rows:
            db.put(key, value)
        db.compact_range(start=b"", stop=b"\xff" * 9)
    db.close()
    return folder


def fill(folder, names):
    for name in names:
        (folder / name).write_text(f"this is {name}\n")


OCCUPIED = [
    ["1.log", "2.log", "10.log"],
    ["1.sst", "2.ldb", "readme.txt"],
    ["20240101.log", "20240102.log"],
    ["00000001.log"],
    ["CURRENT"],
    ["CURRENT", "MANIFEST-000001"],
    ["MANIFEST-1", "notes"],
    ["LOG"],
    ["LOG.old", "app.log"],
    ["LOCK"],
    ["7.dbtmp"],
    ["18446744073709551615.log"],
]


@pytest.mark.parametrize("names", OCCUPIED, ids="-".join)
def test_createdb_refuses_names_of_leveldbs_and_touches_nothing(catalog, theirs, names):
    fill(theirs, names)
    before = checksums(theirs)
    for _ in range(2):
        with pytest.raises(
            EngineForeign, match="which LevelDB would take for its own and delete; choose another directory"
        ):
            catalog.create(str(theirs))
        assert checksums(theirs) == before
    assert catalog.names() == ["default"]


@pytest.mark.parametrize(
    "names", [[], ["readme.txt"], ["x.log", "LOG.1", "1.txt", "MANIFEST", "1.sst.bak"]], ids="-".join
)
def test_createdb_among_other_names_succeeds_and_leaves_them(catalog, theirs, names):
    fill(theirs, names)
    before = checksums(theirs)
    catalog.create(str(theirs))
    with catalog.get_database(catalog.uid_of(str(theirs))) as engine:
        engine.write([(PUT, b"k", b"v")])
    catalog.drop(str(theirs), force=True)
    assert checksums(theirs) == before if names else True


def test_what_fails_takes_back_only_what_it_made(catalog, theirs, monkeypatch):
    fill(theirs, ["readme.txt"])
    before = checksums(theirs)
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space left"):
        catalog.create(str(theirs))
    assert checksums(theirs) == before


def test_an_empty_directory_that_was_there_stays_after_a_failure(catalog, theirs, monkeypatch):
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space left"):
        catalog.create(str(theirs))
    assert theirs.is_dir()
    assert checksums(theirs) == {}
    with pytest.raises(OSError, match="No space left"):
        catalog.create(str(theirs / "new"))
    assert not (theirs / "new").exists()


def test_an_adopted_database_stays_after_a_failure(catalog, theirs, monkeypatch):
    leveldb(theirs)
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space left"):
        catalog.create(str(theirs))
    monkeypatch.undo()
    catalog.create(str(theirs))
    with catalog.get_database(catalog.uid_of(str(theirs))) as engine:
        assert list(engine.scan(Bounds())) == ROWS


def rocksdb(folder):
    leveldb(folder)
    (folder / "IDENTITY").write_text("5f2b1c9e-2f5b\n")
    (folder / "OPTIONS-000007").write_text("[Version]\n")


def mojang(folder):
    leveldb(folder)
    for table in folder.glob("*.ldb"):
        set_block_type(table, 4)


def chromium(folder):
    leveldb(folder, comparator=lambda a, b: (a > b) - (a < b), comparator_name=b"idb_cmp1")


def pointers(folder):
    leveldb(folder)
    for table in folder.glob("*.ldb"):
        table.write_bytes(LFS_POINTER)


def merged(folder):
    leveldb(folder)
    (folder / "CURRENT").write_bytes(MERGE_MARKERS)


def foreign_files(folder):
    leveldb(folder)
    fill(folder, ["1.log", "20240101.log"])


def old_manifest(folder):
    leveldb(folder)
    place_manifest(folder.parent / "other", comparator(b"idb_cmp1"), number=1)
    shutil.copy(folder.parent / "other" / "MANIFEST-000001", folder)


FOREIGN = {
    rocksdb: "made by RocksDB",
    mojang: "made with a compression that this LevelDB lacks",
    chromium: "keys are in the order 'idb_cmp1' of Chromium's IndexedDB",
    old_manifest: "keys are in the order 'idb_cmp1' of Chromium's IndexedDB",
    pointers: "a git-lfs pointer, not the data",
    merged: "two versions between git's merge markers",
    foreign_files: "holds 1.log, 20240101.log, which LevelDB would take for its own and delete",
}


@pytest.mark.parametrize("make", FOREIGN, ids=lambda make: make.__name__)
def test_createdb_names_what_is_another_programs_and_touches_nothing(catalog, theirs, make):
    make(theirs)
    before = checksums(theirs)
    for _ in range(2):
        with pytest.raises(EngineForeign, match=FOREIGN[make]) as refused:
            catalog.create(str(theirs))
        assert "repairdb" not in str(refused.value)
        assert str(theirs) in str(refused.value)
        assert checksums(theirs) == before
    assert catalog.names() == ["default"]


@pytest.mark.parametrize("make", FOREIGN, ids=lambda make: make.__name__)
@pytest.mark.parametrize("force", [False, True])
def test_neither_repair_nor_destroy_touch_what_is_another_programs(storage, theirs, make, force):
    make(theirs)
    before = checksums(theirs)
    if make is foreign_files:
        storage.destroy(str(theirs), set_aside=force)
        assert set(checksums(theirs)) == {"1.log", "20240101.log"}
        return
    with pytest.raises(EngineForeign, match="a repair would lose it, so nothing was changed"):
        storage.repair(str(theirs), {}, force=force)
    with pytest.raises(EngineForeign, match="its files are not removed"):
        storage.destroy(str(theirs), set_aside=force)
    with pytest.raises(EngineForeign, match=FOREIGN[make]):
        storage.open(str(theirs), {})
    assert checksums(theirs) == before


@pytest.mark.parametrize("names", OCCUPIED, ids="-".join)
def test_no_repair_touches_files_that_only_have_the_names(storage, theirs, names):
    fill(theirs, names)
    before = checksums(theirs)
    with pytest.raises(EngineError, match=r"nothing in it is surely LevelDB's|there is no database"):
        storage.repair(str(theirs), {})
    assert checksums(theirs) == before


@pytest.mark.parametrize("names", [names for names in OCCUPIED if names[0][0] not in "L7"], ids="-".join)
def test_no_dropping_removes_files_that_only_have_the_names(storage, theirs, names):
    fill(theirs, names)
    before = checksums(theirs)
    with pytest.raises(EngineForeign, match="which LevelDB would take for its own"):
        storage.destroy(str(theirs), set_aside=True)
    assert checksums(theirs) == before


def test_refused_openings_do_not_rotate_another_program_s_log(storage, theirs):
    leveldb(theirs)
    (theirs / "LOG.old").write_text("what it said before\n")
    with plyvel.DB(str(theirs)):
        before = {name: (theirs / name).read_bytes() for name in ("LOG", "LOG.old")}
        for _ in range(2):
            with pytest.raises(EngineError, match="is open already"):
                storage.open(str(theirs), {})
        assert {name: (theirs / name).read_bytes() for name in before} == before


# Incomplete copies


def grown(folder):
    """A database whose manifest, as it was first, counts on a log that is not there any more; and the first files."""
    with plyvel.DB(str(folder), create_if_missing=True, write_buffer_size=1 << 16) as db:
        db.put(b"first", b"1")
        early = {name: (folder / name).read_bytes() for name in ("CURRENT", _manifest(folder).name)}
        for i in range(3000):
            db.put(b"%05d" % i, b"v" * 100)
    db.close()
    return early


def _manifest(folder):
    return next(folder.glob("MANIFEST-*"))


@pytest.fixture
def copy(theirs):
    """A copy of a live directory: an early manifest with later tables and logs."""
    for name, content in grown(theirs).items():
        (theirs / name).write_bytes(content)
    return theirs


def test_an_incomplete_copy_is_reported_and_untouched(storage, copy):
    before = checksums(copy)
    with pytest.raises(
        EngineDamaged, match=r"its manifest counts on \d{6}\.log, which is not there; if this is a copy"
    ):
        storage.open(str(copy), {})
    assert checksums(copy) == before


def test_createdb_registers_an_incomplete_copy_which_says_so_in_its_use(catalog, copy):
    before = checksums(copy)
    catalog.create(str(copy))
    assert checksums(copy) == before
    with pytest.raises(EngineDamaged, match="which is not there"), catalog.get_database(catalog.uid_of(str(copy))):
        pass
    assert checksums(copy) == before


def test_a_repair_of_an_incomplete_copy_keeps_unnamed_tables(storage, copy):
    tables = sorted(file.name for file in copy.glob("*.ldb"))
    report = storage.repair(str(copy), {})
    assert set(tables) <= set(report.kept)
    with storage.open(str(copy), {}) as engine:
        assert engine.get(b"first") == b"1"
        assert engine.get(b"00000") == b"v" * 100


def with_the_log_of_its_manifest(folder):
    """A copy whose manifest is early, and whose log was still there; later tables hold what later logs did."""
    with plyvel.DB(str(folder), create_if_missing=True, write_buffer_size=1 << 16) as db:
        db.put(b"first", b"1")
        early = {
            file.name: file.read_bytes()
            for pattern in ("CURRENT", "MANIFEST-*", "*.log")
            for file in folder.glob(pattern)
        }
        for i in range(3000):
            db.put(b"%05d" % i, os.urandom(100))
    db.close()
    for name, content in early.items():
        (folder / name).write_bytes(content)


def test_a_table_newer_than_the_manifest_is_reported(storage, theirs):
    with_the_log_of_its_manifest(theirs)
    before = checksums(theirs)
    with pytest.raises(
        EngineDamaged, match=r"its manifest does not name \d+\.ldb, which holds writes that are in no log"
    ):
        storage.open(str(theirs), {})
    assert checksums(theirs) == before
    storage.repair(str(theirs), {})
    with storage.open(str(theirs), {}) as engine:
        assert len(list(engine.scan(Bounds()))) > 2500


KILLED = """
import os, sys
from pyelevator.engines.leveldb.binding.library import load_binding
plyvel = load_binding()
db = plyvel.DB(sys.argv[1], create_if_missing=True, write_buffer_size=1 << 16)
for i in range(100_000):
    db.put(b"%06d" % (i * 7919 % 100_000), os.urandom(100))
    if i % 100 == 0:
        print(i, flush=True)
"""


def test_tables_that_a_killed_process_leaves_are_no_sign_of_a_copy(storage, theirs):
    for number in range(12):
        folder = theirs / str(number)
        process = subprocess.Popen([sys.executable, "-c", KILLED, folder], stdout=subprocess.PIPE)
        while int(unwrap(process.stdout).readline()) < 700 * (number + 1):
            pass
        process.kill()
        process.communicate()
        storage.open(str(folder), {}).close()


def test_a_missing_table_is_reported(storage, theirs):
    leveldb(theirs)
    next(theirs.glob("*.ldb")).unlink()
    before = checksums(theirs)
    with pytest.raises(EngineDamaged, match=r"\.ldb, which is not there"):
        storage.open(str(theirs), {})
    assert checksums(theirs) == before


# An interrupted beginning


def test_a_beginning_that_was_interrupted_is_begun_again(catalog, theirs):
    fill(theirs, ["LOCK", "LOG", "000001.dbtmp"])
    (theirs / "pyelevator-creating").touch()
    catalog.create(str(theirs))
    with catalog.get_database(catalog.uid_of(str(theirs))) as engine:
        engine.write([(PUT, b"k", b"v")])
        assert engine.get(b"k") == b"v"
    assert not (theirs / "pyelevator-creating").exists()


def test_a_directory_with_a_plain_name_is_inspected_too(catalog, tmp_path):
    folder = Path(tmp_path / "data" / "x")
    folder.mkdir()
    fill(folder, ["1.log"])
    before = checksums(folder)
    with pytest.raises((EngineForeign, DatabaseError)):
        catalog.create("x")
    assert checksums(folder) == before
