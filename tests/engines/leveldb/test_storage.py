"""The LevelDB engine: the public suite, and what only LevelDB does: files, damage, locks."""

import os
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest

from pyelevator.commands import DELETE, PUT
from pyelevator.engines import leveldb
from pyelevator.engines.base import Bounds, EngineDamaged, EngineError, EngineFileError
from pyelevator.engines.leveldb import LevelDbStorage, backup
from pyelevator.engines.leveldb.binding.library import DISTRIBUTIONS, load_binding
from pyelevator.errors import MissingExtra
from pyelevator.testing.engine_updates import UpdatingEngineConformance
from support.damage import flip, last_block
from support.optional import unwrap

PAIRS = [(b"%05d" % i, os.urandom(100)) for i in range(5000)]


class TestConformance(UpdatingEngineConformance):
    @pytest.fixture
    def storage(self):
        return LevelDbStorage()

    def damage(self, path):
        flip(max(Path(path).glob("*.ldb")), last_block)


@pytest.fixture
def storage():
    return LevelDbStorage()


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "db")


@pytest.fixture
def filled(storage, path):
    """The path of a closed database whose pairs lie in tables, not in the log."""
    with storage.open(path, {}) as engine:
        engine.write([(PUT, key, value) for key, value in PAIRS])
        engine.compact()
    return path


POINT_READS = {
    "get": lambda reader: reader.get(PAIRS[7][0]),
    "get of no key": lambda reader: reader.get(b"00007x"),
    "multi_get": lambda reader: reader.multi_get([b"a", PAIRS[7][0], b"z"]),
    "iter_values far": lambda reader: list(reader.iter_values([PAIRS[0][0], PAIRS[-1][0]])),
    "iter_values near": lambda reader: list(reader.iter_values([PAIRS[7][0], PAIRS[8][0]])),
    "iter_values nothing": lambda reader: list(reader.iter_values([b"00007x", b"00007y"])),
}


@pytest.mark.parametrize("read", POINT_READS)
@pytest.mark.parametrize("of_snapshot", [False, True], ids=["engine", "snapshot"])
def test_a_table_that_is_removed_while_open_is_no_missing_key(storage, filled, read, of_snapshot):
    with storage.open(filled, {}) as engine:
        reader = engine.snapshot() if of_snapshot else engine
        assert reader.get(b"99999") is None  # beside the tables, and the directory is known as it is now
        (table, *_) = files(filled, "*.ldb")
        for file in files(filled, "*.ldb"):
            file.unlink()
        with pytest.raises(EngineFileError, match=f"No such file or directory: {filled} .*{table.name}"):
            POINT_READS[read](reader)


def test_missing_keys_are_missing_while_compactions_replace_tables(storage, path):
    with storage.open(path, {"write_buffer_size": 65536}) as engine:
        for i in range(300):
            engine.write([(PUT, b"%05d" % (i * 7919 % 100_000), os.urandom(2000))])
            assert engine.get(b"none") is None
            assert engine.multi_get([b"none", b"zero"]) == [None, None]
    assert len(files(path, "*.ldb")) > 1


OTHER_PROCESS = f"""
import sys, {load_binding().__name__} as binding
database = binding.DB(sys.argv[1], create_if_missing=True)
print(1, flush=True)
input()
"""


def files(path, pattern):
    return sorted(Path(path).glob(pattern))


def read(storage, path):
    with storage.open(path, {}) as engine:
        return list(engine.scan(Bounds()))


def test_without_a_binding_the_extra_is_named(monkeypatch):
    monkeypatch.setenv("PYELEVATOR_NATIVE", "0")
    for name in DISTRIBUTIONS:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(
        MissingExtra, match=r"needs plyvel(-next)?; install it with: pip install 'pyelevator\[server\]'$"
    ):
        LevelDbStorage()


# Damage


def test_a_database_without_current_is_damaged_and_left_as_it_is(storage, filled):
    Path(filled, "CURRENT").unlink()
    tables = files(filled, "*.ldb")
    with pytest.raises(EngineError, match="is damaged; repair it with repairdb"):
        storage.open(filled, {})
    assert storage.exists(filled)
    assert files(filled, "*.ldb") == tables


@pytest.mark.parametrize("lost", [["CURRENT"], ["MANIFEST-*"], ["CURRENT", "MANIFEST-*"]])
def test_repair_brings_everything_back_without_current_or_manifest(storage, filled, lost):
    for pattern in lost:
        for file in files(filled, pattern):
            file.unlink()
    with pytest.raises(EngineError, match="is damaged; repair it with repairdb"):
        storage.open(filled, {})
    storage.repair(filled, {})
    assert read(storage, filled) == PAIRS


def test_repair_brings_back_what_a_damaged_table_still_holds(storage, filled):
    table = files(filled, "*.ldb")[0]
    content = bytearray(table.read_bytes())
    content[100:200] = b"\0" * 100
    table.write_bytes(content)
    for file in files(filled, "MANIFEST-*"):
        file.unlink()
    storage.repair(filled, {})
    found = read(storage, filled)
    assert len(PAIRS) - 100 < len(found) < len(PAIRS)
    assert set(found) < set(PAIRS)


def test_reading_a_damaged_block_says_so(storage, filled):
    table = files(filled, "*.ldb")[0]
    content = bytearray(table.read_bytes())
    content[100:200] = b"\0" * 100
    table.write_bytes(content)
    with storage.open(filled, {"paranoid_checks": True}) as engine:
        with pytest.raises(EngineError, match="is damaged; repair it with repairdb") as caught:
            list(engine.scan(Bounds()))
        assert type(caught.value.__cause__).__name__ == "CorruptionError"
        with pytest.raises(EngineError, match="is damaged; repair it with repairdb"):
            engine.get(PAIRS[0][0])


def test_a_damaged_block_ends_chunks_with_an_engine_error(storage, filled):
    table = files(filled, "*.ldb")[0]
    content = bytearray(table.read_bytes())
    content[100_000:100_100] = b"\0" * 100
    table.write_bytes(content)
    with storage.open(filled, {}) as engine:
        chunks = engine.chunks(Bounds())
        assert chunks.read(2, 1000) == (PAIRS[:2], 210)
        with pytest.raises(EngineError, match="is damaged; repair it with repairdb") as caught, chunks:
            chunks.read(10_000, 10_000_000)
        assert chunks.read(1, 1) == ([], 0)
        assert type(caught.value.__cause__).__name__ == "CorruptionError"


@pytest.mark.parametrize("share", [0, 0.5])
def test_a_table_that_is_cut_off_is_damaged(storage, filled, share):
    table = max(files(filled, "*.ldb"))
    table.write_bytes(table.read_bytes()[: int(table.stat().st_size * share)])
    with storage.open(filled, {}) as engine:
        with pytest.raises(
            EngineDamaged,
            match=r"is damaged; repair it with repairdb, or `elevator repair NAME` \(a table is cut off: ",
        ):
            engine.get(PAIRS[0][0])


def test_a_backup_of_a_damaged_block_fails_and_leaves_nothing(storage, filled, tmp_path):
    flip(max(files(filled, "*.ldb")), last_block)
    with storage.open(filled, {}) as engine:
        with pytest.raises(EngineDamaged, match="is damaged; repair it with repairdb"):
            engine.backup(str(tmp_path / "backup"))
    assert not (tmp_path / "backup").exists()


def test_a_compaction_that_cannot_read_says_so(storage, filled):
    with storage.open(filled, {}) as engine:
        engine.write([(PUT, key, b"new") for key, _ in PAIRS])
    for table in files(filled, "*.ldb"):
        flip(table, last_block)
    with storage.open(filled, {}) as engine, pytest.raises(EngineDamaged, match="checksum mismatch"):
        engine.compact()


@pytest.mark.parametrize("bounds", [Bounds(), Bounds(start=PAIRS[1][0], reverse=True)], ids=str)
def test_chunked_scans_keep_their_files_until_they_are_closed(storage, filled, bounds):
    read_from = files(filled, "*.ldb")
    with storage.open(filled, {}) as engine:
        chunks = engine.chunks(bounds)
        chunks.read(1, 1)
        _rewrite(engine, b"1")
        assert set(read_from) <= set(files(filled, "*.ldb"))
        chunks.close()
        _rewrite(engine, b"2")
        assert not set(read_from) & set(files(filled, "*.ldb"))


def _rewrite(engine, value):
    engine.write([(PUT, key, value) for key, _ in PAIRS])
    engine.compact()


def test_a_database_that_another_process_holds_is_in_use(storage, path):
    with subprocess.Popen(
        [sys.executable, "-c", OTHER_PROCESS, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert unwrap(other.stdout).readline() == b"1\n"
        calls = (lambda: storage.open(path, {}), lambda: storage.repair(path, {}), lambda: storage.destroy(path))
        for call in calls:
            with pytest.raises(EngineError, match="is in use by another process"):
                call()
        other.communicate(b"\n")
    assert read(storage, path) == []


# Files


def test_a_missing_parent_is_a_file_error(storage, tmp_path):
    with pytest.raises(EngineFileError, match="No such file or directory"):
        storage.open(str(tmp_path / "no" / "db"), {})


def test_a_file_in_the_place_of_a_database_is_an_engine_error(storage, tmp_path):
    (tmp_path / "db").write_text("mine")
    assert not storage.exists(str(tmp_path / "db"))
    with pytest.raises(EngineError):
        storage.open(str(tmp_path / "db"), {})
    storage.destroy(str(tmp_path / "db"))
    assert (tmp_path / "db").read_text() == "mine"


def test_destroy_keeps_files_that_repairs_set_aside_by_default(storage, filled):
    (log,) = files(filled, "*.log")
    log.write_bytes(b"\x5a" * 1000)
    storage.repair(filled, {})
    storage.destroy(filled)
    assert [str(file.relative_to(filled)) for file in Path(filled).rglob("*")] == ["lost", f"lost/{log.name}"]
    assert not storage.exists(filled)
    storage.destroy(filled, set_aside=True)
    assert not Path(filled).exists()


def test_destroy_removes_the_directory_if_nothing_was_set_aside(storage, filled):
    storage.repair(filled, {})
    storage.destroy(filled)
    assert not Path(filled).exists()


@pytest.mark.parametrize("set_aside", [False, True])
def test_destroy_leaves_foreign_files(storage, filled, set_aside):
    storage.repair(filled, {})
    Path(filled, "lost").mkdir()
    mine = ["notes.txt", "app.log", "lost/notes.txt", "lost/12.log", "lost/7.sst.2", "backup.ldb", "CURRENT.old"]
    for name in mine:
        Path(filled, name).write_text("mine")
    storage.destroy(filled, set_aside=set_aside)
    assert sorted(str(file.relative_to(filled)) for file in Path(filled).rglob("*.*")) == sorted(mine)
    assert not storage.exists(filled)


def test_destroy_keeps_the_target_of_a_link_called_lost(storage, filled, tmp_path):
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "000012.log").write_text("theirs")
    Path(filled, "lost").symlink_to(tmp_path / "theirs")
    storage.destroy(filled, set_aside=True)
    assert (tmp_path / "theirs" / "000012.log").read_text() == "theirs"


def test_destroy_leaves_another_database_called_lost(storage, filled):
    with storage.open(filled + "/lost", {}) as engine:
        engine.write([(PUT, b"k", b"v")])
    storage.destroy(filled)
    assert read(storage, filled + "/lost") == [(b"k", b"v")]


def test_paths_may_hold_any_bytes(storage, tmp_path):
    path = storage.resolve(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))
    storage.open(path, {}).close()
    assert storage.exists(path)
    assert os.listdir(os.fsencode(tmp_path)) == [b"\xff"]


def test_a_path_resolves_to_one_spelling(storage, filled, tmp_path):
    (tmp_path / "link").symlink_to(filled)
    for spelling in (filled + "/", str(tmp_path / "link"), f"{tmp_path}/./db"):
        assert storage.resolve(spelling) == filled


@pytest.mark.parametrize("links", [True, False])
def test_a_failed_backup_leaves_nothing(storage, filled, tmp_path, monkeypatch, links):
    with storage.open(filled, {}) as engine:
        monkeypatch.setattr(backup, "_write_new" if links else "cut", _full_disk if links else _no_links)
        monkeypatch.setattr(leveldb.LevelDbEngine, "write", _full_disk)
        with pytest.raises(EngineError, match="full"):
            engine.backup(str(tmp_path / "backup"))
    assert [path.name for path in tmp_path.iterdir()] == ["db"]


def _full_disk(*_, **__):
    raise EngineError("full")


def _no_links(*_):
    raise backup.CannotLink


def test_options_reach_leveldb(storage, path):
    options = {"compression": None, "block_cache_size": 4096, "bloom_filter_bits": 10, "create_if_missing": False}
    with storage.open(path, options) as engine:
        engine.write([(PUT, b"k", b"x" * 200_000)])
        engine.compact()
        assert engine.approximate_size() > 200_000
    assert storage.exists(path)


def test_compact_gives_space_back(storage, filled):
    with storage.open(filled, {}) as engine:
        engine.write([(DELETE, key) for key, _ in PAIRS])
        engine.compact()
    with storage.open(filled, {}) as engine:
        assert engine.approximate_size() < 100_000


# The end of a log, as a machine that was killed may leave it

BATCHES = [[(PUT, b"%03d/%d" % (number, part), b"v" * 500) for part in range(3)] for number in range(100)]


@pytest.fixture
def log(storage, path):
    """The log of a database that holds all of its writes; and a copy of its bytes."""
    with storage.open(path, {}) as engine:
        for batch in BATCHES:
            engine.write(batch)
        (file,) = files(path, "*.log")
        content = file.read_bytes()
        saved = [(other, other.read_bytes()) for other in Path(path).iterdir() if other.is_file()]
    for other in Path(path).iterdir():
        other.unlink()
    for other, there in saved:
        other.write_bytes(there)
    return file, content


def prefix_of_batches(pairs):
    """How many of the batches are there, if these are the first ones and whole; otherwise None."""
    number, rest = divmod(len(pairs), 3)
    expected = [(op[1], op[2]) for batch in BATCHES[:number] for op in batch]
    return number if not rest and pairs == expected else None


@pytest.mark.parametrize("cut", range(0, 101, 5))
def test_a_log_that_was_cut_anywhere_gives_the_batches_before_that(storage, path, log, cut):
    file, content = log
    kept = len(content) * cut // 100
    file.write_bytes(content[:kept])
    number = prefix_of_batches(read(storage, path))
    assert number is not None
    assert number >= kept // 1560 - 1  # a batch takes 1,554 bytes, or more at the end of a block


@pytest.mark.parametrize("filling", [b"\0", b"\x5a"])
@pytest.mark.parametrize("cut", [10, 50, 99])
def test_a_log_without_its_end_has_the_batches_before_it_after_a_repair(storage, path, log, filling, cut):
    file, content = log
    kept = len(content) * cut // 100
    file.write_bytes(content[:kept] + filling * (len(content) - kept))
    try:
        pairs = read(storage, path)
    except EngineDamaged:
        storage.repair(path, {})
        pairs = read(storage, path)
    number = prefix_of_batches(pairs)
    assert number is not None
    assert number >= kept // 1560 - 1


# Many keys


@pytest.fixture
def spread(storage, path):
    """A thousand pairs, of which every seventh key is missing, in table files."""
    pairs = [(b"%04d" % i, bytes([i % 251]) * 300) for i in range(1000) if i % 7]
    with storage.open(path, {}) as engine:
        engine.write([(PUT, key, value) for key, value in pairs])
        engine.compact()
        yield engine, dict(pairs)


def values_read(engine, keys):
    return list(chain.from_iterable(engine.iter_values(keys)))


@pytest.mark.parametrize("far", [-1, 1 << 40], ids=["points", "walk"])
@pytest.mark.parametrize("step", [1, 2, 9, 400])
def test_point_reads_and_one_iterator_find_the_same_values(spread, monkeypatch, far, step):
    engine, model = spread
    monkeypatch.setattr("pyelevator.engines.leveldb.binding.reader.SCAN_MAX_GAP", far)
    keys = [b"", *(b"%04d" % i for i in range(0, 1000, step)), b"9999", b"zz"]
    assert values_read(engine, keys) == [model.get(key) for key in keys]


@pytest.mark.parametrize("far", [-1, 1 << 40], ids=["points", "walk"])
@pytest.mark.parametrize("start", [100, 20_000])
@pytest.mark.parametrize("step", [1, 7])
def test_picking_from_a_damaged_block_says_so(storage, filled, monkeypatch, far, start, step):
    monkeypatch.setattr("pyelevator.engines.leveldb.binding.reader.SCAN_MAX_GAP", far)
    table = files(filled, "*.ldb")[0]
    content = bytearray(table.read_bytes())
    content[start : start + 100] = b"\0" * 100
    table.write_bytes(content)
    with storage.open(filled, {"paranoid_checks": True}) as engine:
        with pytest.raises(EngineError, match="is damaged; repair it with repairdb"):
            values_read(engine, [key for key, _ in PAIRS[::step]])


def test_iter_values_that_is_closed_early_leaves_nothing_open(spread):
    engine, model = spread
    chunks = engine.iter_values(sorted(model))
    assert next(chunks)[0] == model[min(model)]
    chunks.close()
    engine.close()


def test_figures_hold_levels_properties_and_both_sizes(storage, path):
    with storage.open(path, {}) as engine:
        engine.write([(PUT, key, value) for key, value in PAIRS])
        engine.compact()
        found = engine.stats()
    assert sum(level.tables for level in found.levels) > 0
    assert {level.level for level in found.levels} <= set(range(7))
    assert 500_000 < found.approximate_size <= found.size
    assert found.properties["leveldb.stats"].splitlines()[1].split()[:2] == ["Level", "Files"]
    assert int(found.properties["leveldb.approximate-memory-usage"]) > 0


def test_figures_hold_no_keys(storage, path):
    with storage.open(path, {}) as engine:
        engine.write([(PUT, b"secret-key", b"secret-value")])
        engine.compact()
        assert "secret" not in repr(engine.stats())


def test_figures_count_what_the_row_cache_had(storage, path):
    with storage.open(path, {}) as engine:
        engine.write([(PUT, b"a", b"1"), (PUT, b"b", b"2")])
        assert engine.stats().cache.hit_rate is None
        engine.multi_get([b"a", b"b"], fill_cache=True)
        engine.multi_get([b"a", b"b"])
        engine.multi_get([b"a", b"missing"])
        cache = engine.stats().cache
        assert (cache.hits, cache.misses, cache.hit_rate) == (3, 3, 0.5)
        assert 300 < cache.bytes < 1000 < cache.max_bytes
    with storage.open(path, {}) as engine:
        assert engine.stats().cache.bytes == 0
