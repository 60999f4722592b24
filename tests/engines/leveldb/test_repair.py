"""What a repair brings back, what it sets aside, and what it leaves when it fails or is interrupted."""

import os
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest

from pyelevator.commands import PUT
from pyelevator.engines.base import Bounds, EngineDamaged, EngineError, EngineFileError, EngineForeign
from pyelevator.engines.leveldb import LevelDbStorage, repair
from pyelevator.engines.leveldb.binding.library import load_binding
from pyelevator.engines.progress import reporting
from support.leveldb_files import blocks_of, checksums

plyvel = load_binding()

ROWS = [(b"%05d" % i, b"value %d" % i * 10) for i in range(2000)]
PLAIN = {"compression": None}


@pytest.fixture
def storage():
    return LevelDbStorage()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "db"


def fill(path, rows, *, compact=True, **options):
    with plyvel.DB(str(path), create_if_missing=True, **PLAIN, **options) as db:
        with db.write_batch() as batch:
            for key, value in rows:
                batch.put(key, value)
        if compact:
            db.compact_range(start=b"", stop=b"\xff" * 9)
    db.close()


def tables(path):
    return sorted(path.glob("*.ldb"))


@pytest.fixture
def many(path):
    """A database of several tables."""
    fill(path, ROWS, max_file_size=1 << 20, write_buffer_size=1 << 16)
    fill(path, [(key + b"/", value * 20) for key, value in ROWS], max_file_size=1 << 20)
    assert len(tables(path)) >= 3
    return path


def rows(storage, path):
    """All rows, after it is sure that every way to read them agrees."""
    with storage.open(str(path), {}) as engine:
        found = list(engine.scan(Bounds()))
        assert found == list(engine.scan(Bounds(reverse=True)))[::-1]
        assert [engine.get(key) for key, _ in found] == [value for _, value in found]
        assert list(engine.collect([key for key, _ in found])) == [value for _, value in found]
        return found


# Files that are links, as git-annex leaves them


@pytest.mark.parametrize("target", ["../elsewhere/{}", "{root}/elsewhere/{}"], ids=["relative", "absolute"])
def test_a_repair_reads_files_that_are_links_and_leaves_their_targets(storage, path, tmp_path, target):
    fill(path, ROWS)
    fill(path, [(b"later", b"in the log")], compact=False)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for file in [*tables(path), *path.glob("*.log")]:
        shutil.move(file, elsewhere / file.name)
        file.symlink_to(target.format(file.name, root=tmp_path))
    before = checksums(elsewhere)
    report = storage.repair(str(path), {})
    assert (report.set_aside, report.lost) == ((), ())
    assert rows(storage, path) == [*ROWS, (b"later", b"in the log")]
    assert checksums(elsewhere) == before


@pytest.mark.parametrize("make", [Path.touch, lambda lost: lost.symlink_to("nowhere")], ids=["file", "dangling link"])
def test_a_repair_with_no_place_for_what_it_sets_aside_changes_nothing(storage, path, make):
    fill(path, ROWS)
    make(path / "lost")
    before = checksums(path)
    with pytest.raises(EngineError, match=f"{path}/lost is no directory, and what a repair sets aside goes there"):
        storage.repair(str(path), {})
    assert checksums(path) == before


# Healthy databases of several levels


def layered(path):
    """Tables whose numbers tell the wrong story: an old one was compacted after a young one was written.

    ``changed`` is new at last, ``deleted`` is gone; tables of level 2, 1 and 0, of which that of level 1, an old one,
    gets the highest number by a compaction of its own.
    """

    def flushed(*ops):
        with plyvel.DB(str(path), create_if_missing=True, **PLAIN) as db:
            for key, value in ops:
                db.delete(key) if value is None else db.put(key, value)
        db.close()

    flushed((b"a", b"0"), (b"changed", b"oldest"), (b"deleted", b"there"), (b"z", b"0"))
    with plyvel.DB(str(path), **PLAIN) as db:
        db.compact_range(start=b"", stop=b"\xff")
    db.close()
    flushed((b"b", b"1"), (b"changed", b"old"), (b"deleted", b"there again"))
    flushed((b"changed", b"new"), (b"deleted", None))
    flushed()  # what was in the log is in a table now
    assert len(tables(path)) == 3


def test_after_a_repair_all_reads_agree_on_the_newest_version(storage, path):
    layered(path)
    newest_first(path)
    storage.repair(str(path), {})
    with storage.open(str(path), {}) as engine:
        assert (engine.get(b"changed"), engine.get(b"deleted")) == (b"new", None)
        assert list(engine.collect([b"changed", b"deleted"])) == [b"new", None]
        assert list(engine.scan(Bounds())) == [(b"a", b"0"), (b"b", b"1"), (b"changed", b"new"), (b"z", b"0")]


def newest_first(path):
    """Gives an old table a number above that of every other one, as a compaction of old data does; LevelDB's repair
    keeps the numbers, and goes by them. The manifest is lost, so that all tables count."""
    by_age = tables(path)
    by_age[-2].rename(path / "000900.ldb")
    for file in [*path.glob("MANIFEST-*"), path / "CURRENT"]:
        file.unlink()


def test_leveldbs_own_repair_makes_such_reads_disagree(path):
    """So the test above can fail."""
    layered(path)
    newest_first(path)
    plyvel.repair_db(str(path))
    with plyvel.DB(str(path)) as db:
        assert (db.get(b"changed"), dict(db)[b"changed"]) == (b"old", b"new")
        assert (db.get(b"deleted"), b"deleted" in dict(db)) == (b"there again", False)


@pytest.mark.parametrize("again", [1, 3])
def test_a_repair_of_a_sound_database_sets_nothing_aside(storage, many, again):
    before = rows(storage, many)
    for _ in range(again):
        report = storage.repair(str(many), PLAIN)
        assert report.set_aside == report.lost == ()
        assert report.kept
        assert report.size > sum(len(value) for _, value in before)
    assert rows(storage, many) == before
    assert not (many / "lost").exists()


def test_a_repair_brings_nothing_back_that_an_obsolete_table_holds(storage, path):
    fill(path, [(b"deleted", b"1"), (b"k", b"1")])
    (table,) = tables(path)
    kept = table.read_bytes()
    with plyvel.DB(str(path)) as db:
        db.delete(b"deleted")
        db.put(b"k", b"2")
        db.compact_range(start=b"", stop=b"\xff")
    db.close()
    table.write_bytes(kept)  # as a machine that was killed leaves it
    report = storage.repair(str(path), {})
    assert rows(storage, path) == [(b"k", b"2")]
    assert report.set_aside == (f"lost/{table.name}",)
    assert (path / "lost" / table.name).read_bytes() == kept


# Damage


def flip(file, position):
    content = bytearray(file.read_bytes())
    content[position] ^= 1
    file.write_bytes(content)


def test_a_damaged_block_costs_its_rows_and_the_table_is_set_aside(storage, many):
    before, table = rows(storage, many), tables(many)[1]
    flip(table, blocks_of(table)[3].offset + 20)
    damaged = table.read_bytes()
    report = storage.repair(str(many), PLAIN)
    after = rows(storage, many)
    assert 0 < len(before) - len(after) < 200
    assert set(after) < set(before)
    assert report.set_aside == (f"lost/{table.name}",)
    assert report.lost == ()
    assert table.name in report.kept
    assert (many / "lost" / table.name).read_bytes() == damaged


def test_a_table_of_which_nothing_can_be_read_is_lost_and_said_so(storage, many):
    before = rows(storage, many)
    table = min(tables(many), key=lambda file: file.stat().st_size)
    flip(table, table.stat().st_size - 1)
    report = storage.repair(str(many), PLAIN)
    assert report.lost == report.set_aside == (f"lost/{table.name}",)
    assert table.name not in report.kept
    assert set(rows(storage, many)) < set(before)


def test_a_repair_goes_on_without_most_tables_only_with_force(storage, many):
    last = tables(many)[-1]
    for file in tables(many)[:-1]:
        file.unlink()
    before = checksums(many)
    with pytest.raises(EngineError, match=r"would go on without \d of \d tables, which are not there; nothing was"):
        storage.repair(str(many), {})
    assert checksums(many) == before
    assert last.name in storage.repair(str(many), {}, force=True).kept


@pytest.mark.parametrize("damage", ["footer", "empty", "cut off"])
def test_a_repair_that_would_set_most_aside_stops_and_changes_nothing(storage, many, damage):
    for table in tables(many):
        content = table.read_bytes()
        table.write_bytes({"footer": content[:-8] + bytes(8), "empty": b"", "cut off": content[:-100]}[damage])
    before = checksums(many)
    with pytest.raises(
        EngineError, match=r"would set aside (\d+) of \1 tables .* nothing was changed.*repairdb\(force=True\)"
    ):
        storage.repair(str(many), {})
    assert checksums(many) == before


def test_with_force_it_goes_on_and_keeps_what_it_set_aside(storage, many):
    for table in tables(many):
        flip(table, table.stat().st_size - 1)
    contents = {table.name: table.read_bytes() for table in tables(many)}
    report = storage.repair(str(many), {}, force=True)
    assert set(report.lost) == {f"lost/{name}" for name in contents}
    assert rows(storage, many) == []
    assert {name: (many / "lost" / name).read_bytes() for name in contents} == contents
    storage.destroy(str(many))
    assert {file.name for file in (many / "lost").iterdir()} == set(contents)


def test_what_is_set_aside_never_overwrites_what_was(storage, many):
    (many / "lost").mkdir()
    table = tables(many)[0]
    (many / "lost" / table.name).write_text("from before")
    flip(table, blocks_of(table)[0].offset)
    report = storage.repair(str(many), PLAIN)
    assert report.set_aside == (f"lost/{table.name}.2",)
    assert (many / "lost" / table.name).read_text() == "from before"


@pytest.mark.parametrize("content", [b"", b"\0" * 16, b"MANIFEST-0", b"MANIFEST-000099\n", b"MANIFGST-000004\n"])
def test_a_damaged_current_costs_nothing_and_is_set_aside(storage, many, content):
    before = rows(storage, many)
    (many / "CURRENT").write_bytes(content)
    with pytest.raises(EngineDamaged, match="repair it with repairdb"):
        storage.open(str(many), {})
    report = storage.repair(str(many), PLAIN)
    assert rows(storage, many) == before
    assert "lost/CURRENT" in report.set_aside


def test_a_damaged_log_gives_what_can_be_read_and_is_set_aside(storage, path):
    with storage.open(str(path), {}) as engine:
        for i in range(200):
            engine.write([(PUT, b"%03d" % i, b"v" * 1000)])
        saved = {file.name: file.read_bytes() for file in path.iterdir() if file.is_file()}
    shutil.rmtree(path)
    path.mkdir()
    for name, content in saved.items():
        (path / name).write_bytes(content)
    (log,) = path.glob("*.log")
    flip(log, 40_000)
    with pytest.raises(EngineDamaged):
        storage.open(str(path), {})
    report = storage.repair(str(path), {})
    assert report.set_aside == (f"lost/{log.name}",)
    assert 100 < len(rows(storage, path)) < 200


def test_a_database_of_nothing_but_rubbish_is_repaired_only_with_force(storage, path):
    fill(path, [])
    for file in [*path.glob("MANIFEST-*"), path / "CURRENT"]:
        file.write_bytes(b"\x5a" * 50)
    before = checksums(path)
    with pytest.raises(EngineForeign, match="nothing in it is surely LevelDB's; nothing was changed"):
        storage.repair(str(path), {})
    assert checksums(path) == before
    storage.repair(str(path), {}, force=True)
    assert rows(storage, path) == []


# Failures and interruptions


@contextmanager
def failing(monkeypatch, owner, name, error):
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, lambda *_, **__: (_ for _ in ()).throw(error))
        yield


FULL = OSError(28, "No space left on device")


@pytest.mark.parametrize("step", ["_link", "sync_directory"])
def test_a_repair_that_fails_leaves_everything_as_it_was(storage, many, monkeypatch, step):
    before = checksums(many)
    with failing(monkeypatch, repair, step, FULL), pytest.raises(EngineFileError, match="the disk is full"):
        storage.repair(str(many), {})
    assert checksums(many) == before


class Killed(BaseException):
    """The process is gone."""


def killed_at(monkeypatch, number):
    """Ends the repair at the n-th file that is renamed or removed once the repaired database is complete."""
    count = 0
    real = {name: getattr(Path, name) for name in ("rename", "unlink")}

    def step(name):
        def call(self, *args, **kwargs):
            nonlocal count
            if "partial" not in str(self):
                count += 1
                if count > number:
                    raise Killed
            return real[name](self, *args, **kwargs)

        return call

    for name in real:
        monkeypatch.setattr(Path, name, step(name))


@pytest.mark.parametrize("number", range(0, 14))
def test_a_repair_that_is_killed_anywhere_is_ended_by_the_next_one(storage, many, monkeypatch, number):
    before, table = rows(storage, many), tables(many)[1]
    flip(table, blocks_of(table)[3].offset + 20)
    damaged = table.read_bytes()
    with monkeypatch.context() as patch:
        killed_at(patch, number)
        with pytest.raises(Killed):
            storage.repair(str(many), PLAIN)
    with pytest.raises(EngineDamaged, match=r"repairdb, or `elevator repair NAME` \(a repair was interrupted\)"):
        storage.open(str(many), {})
    assert storage.exists(str(many))
    storage.repair(str(many), PLAIN)
    assert 0 < len(before) - len(rows(storage, many)) < 200
    assert (many / "lost" / table.name).read_bytes() == damaged
    assert not list(many.glob("pyelevator-*"))


@pytest.mark.parametrize("number", [0, 3, 9])
def test_an_interrupted_repair_can_be_dropped_and_what_it_set_aside_stays(storage, many, monkeypatch, number):
    table = tables(many)[1]
    flip(table, blocks_of(table)[3].offset + 20)
    with monkeypatch.context() as patch:
        killed_at(patch, number)
        with pytest.raises(Killed):
            storage.repair(str(many), PLAIN)
    storage.destroy(str(many))
    assert [str(file.relative_to(many)) for file in sorted(many.rglob("*"))] == ["lost", f"lost/{table.name}"]


def test_the_next_opening_removes_an_interrupted_repair(storage, many):
    before = rows(storage, many)
    (many / "pyelevator-repair.partial").mkdir()
    os.link(tables(many)[0], many / "pyelevator-repair.partial" / "000005.ldb")
    assert rows(storage, many) == before
    assert not list(many.glob("pyelevator-*"))


def test_a_repair_reports_how_far_it_is(storage, tmp_path):
    fill(tmp_path / "db", [(b"%05d" % number, b"v" * 100) for number in range(2000)])
    reported = []
    with reporting(lambda *reported_now: reported.append(reported_now)):
        storage.repair(str(tmp_path / "db"), {})
    total = reported[-1][1]
    assert total > 0
    assert (reported[0], reported[-1]) == ((0, total), (total, total))
    assert [done for done, _ in reported] == sorted(done for done, _ in reported)
