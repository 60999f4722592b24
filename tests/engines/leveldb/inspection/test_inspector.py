"""What a directory is, told without opening it; against directories that LevelDB itself has written."""

import os
import random

import pytest

from pyelevator.engines.leveldb.binding.library import load_binding
from pyelevator.engines.leveldb.format import FormatError
from pyelevator.engines.leveldb.format.file_names import FileKind, parse_file_name
from pyelevator.engines.leveldb.format.log_records import read_records
from pyelevator.engines.leveldb.format.snappy import decompress_prefix
from pyelevator.engines.leveldb.inspection import inspect
from support.leveldb_files import (
    ANNEX_POINTER,
    LFS_POINTER,
    MERGE_MARKERS,
    blocks_of,
    checksums,
    comparator,
    manifest,
    place_manifest,
    set_block_type,
)
from support.optional import unwrap

plyvel = load_binding()

ROWS = [(b"%05d" % i, b"value %d " % i * 10) for i in range(3000)]
BYTEWISE = b"leveldb.BytewiseComparator"


def make(path, *, compression=None, compact=True, rows=ROWS, **options):
    with plyvel.DB(str(path), create_if_missing=True, compression=compression, **options) as db:
        with db.write_batch() as batch:
            for key, value in rows:
                batch.put(key, value)
        if compact:
            db.compact_range(start=b"", stop=b"\xff" * 8)
    db.close()
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "db"


@pytest.fixture
def db(path):
    return make(path)


def table_of(db):
    return max(db.glob("*.ldb"))


def manifest_of(db):
    return next(db.glob("MANIFEST-*"))


# Sound ones


@pytest.mark.parametrize("thorough", [False, True])
@pytest.mark.parametrize("compression", [None, "snappy"])
def test_a_sound_database_is_valid_and_shows_its_compression(path, compression, thorough):
    seen = inspect(str(make(path, compression=compression)), thorough=thorough)
    assert (seen.is_valid, seen.foreign, seen.damage, seen.incomplete, seen.lookalikes) == (True, None, None, None, ())
    assert seen.compression == compression
    assert seen.is_leveldb
    assert unwrap(seen.manifest).comparator == "leveldb.BytewiseComparator"
    assert unwrap(seen.manifest).tables == {int(file.stem) for file in path.glob("*.ldb")}


def test_a_thorough_inspection_counts_every_block(db):
    assert sum(inspect(str(db), thorough=True).block_types.values()) == sum(
        len(blocks_of(table)) + 1 for table in db.glob("*.ldb")
    )


@pytest.mark.parametrize("compression", [None, "snappy"])
def test_a_database_with_a_log_and_no_tables_shows_no_compression(path, compression):
    seen = inspect(str(make(path, compression=compression, compact=False, rows=ROWS[:5])))
    assert seen.is_valid
    assert seen.compression is None
    assert dict(seen.block_types) == {}


def test_an_open_database_is_valid_too(path):
    with plyvel.DB(str(path), create_if_missing=True) as db:
        db.put(b"k", b"v")
        assert inspect(str(path)).is_valid


def test_after_many_openings_it_is_valid(db):
    for _ in range(5):
        make(db, rows=ROWS[:10])
    seen = inspect(str(db))
    assert (seen.is_valid, seen.incomplete) == (True, None)


def test_nothing_is_written_or_locked(db):
    (db / "LOCK").unlink()
    before = checksums(db)
    inspect(str(db), thorough=True)
    assert checksums(db) == before


def test_a_directory_that_is_missing_or_empty_is_empty(tmp_path):
    assert inspect(str(tmp_path)).files == ()
    assert inspect(str(tmp_path / "none")).files == ()


def test_a_file_is_an_os_error(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(NotADirectoryError):
        inspect(str(tmp_path / "file"))


# Names


@pytest.mark.parametrize(
    ("name", "kind", "number", "canonical"),
    [
        ("CURRENT", FileKind.CURRENT, 0, True),
        ("LOCK", FileKind.LOCK, 0, True),
        ("LOG", FileKind.INFO_LOG, 0, True),
        ("LOG.old", FileKind.INFO_LOG, 0, True),
        ("MANIFEST-000012", FileKind.MANIFEST, 12, True),
        ("MANIFEST-7", FileKind.MANIFEST, 7, False),
        ("000005.log", FileKind.LOG, 5, True),
        ("1.log", FileKind.LOG, 1, False),
        ("20240101.log", FileKind.LOG, 20240101, True),
        ("0000005.sst", FileKind.TABLE, 5, False),
        ("18446744073709551615.ldb", FileKind.TABLE, (1 << 64) - 1, True),
        ("000003.dbtmp", FileKind.TEMPORARY, 3, True),
    ],
)
def test_names_that_leveldb_takes(name, kind, number, canonical):
    parsed = parse_file_name(name)
    assert parsed is not None
    assert (parsed.kind, parsed.number, parsed.canonical) == (kind, number, canonical)


@pytest.mark.parametrize(
    "name",
    [
        "18446744073709551616.log",
        "x.log",
        "1.txt",
        "1",
        "MANIFEST-",
        "MANIFEST-1.log",
        "LOG.1",
        "\u0661.log",
        "1.log\n",
        "-1.log",
    ],
)
def test_names_that_leveldb_ignores(name):
    assert parse_file_name(name) is None


@pytest.mark.parametrize(
    "name", ["1.log", "0000012.ldb", "7.sst", "99.dbtmp", "MANIFEST-4", "20240101.log", "777777.sst"]
)
def test_other_files_with_names_of_leveldb_are_lookalikes(db, name):
    (db / name).write_text("started\nended\n")
    seen = inspect(str(db))
    assert seen.lookalikes == (name,)
    assert seen.is_valid


def test_an_own_log_is_never_a_lookalike(db):
    (log,) = db.glob("*.log")
    for content in (b"", b"\0" * 100, os.urandom(8) + b"\x01\xff\x00" + os.urandom(100)):
        log.write_bytes(content)
        assert inspect(str(db)).lookalikes == ()


# Damage


@pytest.mark.parametrize(
    "content", [b"", b"MANIFEST-", b"\0" * 16, b"v1.2\n", b"MANIFEST-000004\r\n", b"MANIFEST-000004"]
)
def test_a_current_that_names_no_manifest_is_shown(db, content):
    (db / "CURRENT").write_bytes(content)
    seen = inspect(str(db))
    assert seen.damage == f"CURRENT names no manifest, it holds {content!r}".replace("holds b", "holds ")
    assert (seen.is_valid, seen.foreign, seen.is_leveldb) == (False, None, True)


def test_a_missing_current_or_manifest_is_named(db):
    name = manifest_of(db).name
    manifest_of(db).unlink()
    assert inspect(str(db)).damage == f"CURRENT names {name}, which is missing"
    (db / "CURRENT").unlink()
    assert inspect(str(db)).damage == "CURRENT is missing"
    assert inspect(str(db)).is_leveldb


@pytest.mark.parametrize(
    "content", [b"", b"\0" * 500, b"\x5a" * 500, b"a text\n" * 50, random.Random(1).randbytes(100)]
)
def test_a_manifest_of_rubbish_is_damaged_and_not_foreign(db, content):
    manifest_of(db).write_bytes(content)
    seen = inspect(str(db))
    assert unwrap(seen.damage).startswith(f"{manifest_of(db).name} is damaged: ")
    assert (seen.is_valid, seen.foreign) == (False, None)


def test_no_flipped_bit_of_a_manifest_makes_it_foreign(db):
    content = manifest_of(db).read_bytes()
    for position in range(len(content)):
        changed = bytearray(content)
        changed[position] ^= 1 << position % 8
        manifest_of(db).write_bytes(changed)
        assert inspect(str(db)).foreign is None, position


@pytest.mark.parametrize("name", ["1.log", "2.ldb", "LOG", "LOCK", "MANIFEST-1", "8.dbtmp", "12345678.log"])
def test_names_alone_prove_nothing(path, name):
    path.mkdir()
    (path / name).write_text("mine")
    seen = inspect(str(path))
    assert (seen.files == (), seen.is_valid, seen.is_leveldb, seen.damage) == (
        False,
        False,
        False,
        "CURRENT is missing",
    )


@pytest.mark.parametrize("pattern", ["*.ldb", "*.log"])
def test_a_table_or_a_log_alone_proves_a_leveldb(path, pattern):
    make(path, compact=pattern == "*.ldb", rows=ROWS[:100])
    for file in set(path.iterdir()) - set(path.glob(pattern)):
        file.unlink()
    assert inspect(str(path)).is_leveldb


@pytest.mark.parametrize("name", ["CURRENT", "000099.log", "000098.ldb"])
def test_a_pipe_is_no_file_and_is_not_waited_for(db, name):
    (db / name).unlink(missing_ok=True)
    os.mkfifo(db / name)
    assert inspect(str(db), thorough=True).foreign is None


def test_a_directory_in_the_place_of_current_is_damage(db):
    (db / "CURRENT").unlink()
    (db / "CURRENT").mkdir()
    assert inspect(str(db)).damage == "CURRENT is no file"


@pytest.mark.parametrize("damage", [b"", b"\x5a" * 1000, b"\0" * 48])
def test_a_damaged_table_is_not_foreign(db, damage):
    for table in db.glob("*.ldb"):
        table.write_bytes(damage)
    seen = inspect(str(db), thorough=True)
    assert (seen.foreign, seen.is_valid) == (None, True)


def test_rubbish_in_a_table_is_not_foreign(db):
    table = table_of(db)
    content = table.read_bytes()
    for position in range(0, len(content), len(content) // 200):
        changed = bytearray(content)
        changed[position : position + 9] = b"\xff" * 9
        table.write_bytes(changed)
        assert inspect(str(db), thorough=True).foreign is None
    for position in range(len(content) - 48, len(content)):
        table.write_bytes(content[:position] + b"\xff" + content[position + 1 :])
        assert inspect(str(db), thorough=True).foreign is None


# Incomplete copies


def test_a_log_that_is_not_there_is_missed(db):
    (log,) = db.glob("*.log")
    log.unlink()
    assert inspect(str(db)).incomplete == f"its manifest counts on {log.name}, which is not there"


def test_a_table_that_is_not_there_is_missed(db):
    table_of(db).unlink()
    assert "which is not there" in unwrap(inspect(str(db)).incomplete)


# Other programs


@pytest.mark.parametrize("name", ["OPTIONS-000007", "IDENTITY"])
def test_files_of_rocksdbs_are_named(db, name):
    (db / name).write_text("x")
    assert inspect(str(db)).foreign == f"made by RocksDB ({name})"


def test_a_manifest_entry_that_leveldb_does_not_have_is_foreign(path):
    place_manifest(path, comparator(BYTEWISE), b"\xc8\x01\x00")
    assert inspect(str(path)).foreign == (
        "made by another program than LevelDB, such as RocksDB (MANIFEST-000004 has an entry of kind 200)"
    )


def test_the_footer_of_rocksdbs_tables_is_foreign(db):
    table = table_of(db)
    table.write_bytes(table.read_bytes()[:-8] + (0x88E241B785F4CFF7).to_bytes(8, "little"))
    assert inspect(str(db), thorough=True).foreign == f"made by RocksDB ({table.name})"


def test_another_order_of_keys_is_explained(path):
    make(path, comparator=lambda a, b: (a > b) - (a < b), comparator_name=b"idb_cmp1")
    assert inspect(str(path)).foreign == (
        "not in bytewise order, as this server's databases are: its keys are in the order 'idb_cmp1' of Chromium's "
        f"IndexedDB ({manifest_of(path).name}), which only that program knows; nothing in it is damaged"
    )


def test_another_order_is_found_in_an_old_manifest_too(db):
    (db / "MANIFEST-000001").write_bytes(manifest(comparator(b"other.Order")))
    assert "'other.Order' of the program that made it (MANIFEST-000001)" in unwrap(inspect(str(db)).foreign)


@pytest.mark.parametrize(
    ("kind", "words"),
    [(2, "zstd, or Mojang's zlib"), (4, "Mojang's raw zlib, or LZ4"), (9, "of another program")],
)
@pytest.mark.parametrize("thorough", [False, True])
def test_a_compression_that_leveldb_lacks_is_named(db, kind, words, thorough):
    for table in db.glob("*.ldb"):
        set_block_type(table, kind)
    seen = inspect(str(db), thorough=thorough)
    assert seen.foreign == (
        f"made with a compression that this LevelDB lacks: {min(db.glob('*.ldb')).name} has blocks of type {kind} "
        f"({words}); nothing in it is damaged"
    )


def test_one_foreign_block_is_found_by_a_thorough_inspection(db):
    table = table_of(db)
    set_block_type(table, 4, blocks_of(table)[-1:])
    assert "blocks of type 4" in unwrap(inspect(str(db), thorough=True).foreign)


def test_a_damaged_type_is_no_other_compression(db):
    set_block_type(table_of(db), 4, sound=False)
    assert inspect(str(db), thorough=True).foreign is None


POINTERS = {
    "a git-lfs pointer, not the data": LFS_POINTER,
    "a git-annex pointer, not the data": ANNEX_POINTER,
    "two versions between git's merge markers": MERGE_MARKERS,
}


@pytest.mark.parametrize("words", POINTERS)
@pytest.mark.parametrize("pattern", ["CURRENT", "MANIFEST-*", "*.ldb", "*.log"])
def test_placeholders_of_the_data_are_named(db, words, pattern):
    for file in db.glob(pattern):
        file.write_bytes(POINTERS[words])
    assert unwrap(inspect(str(db)).foreign).startswith(f"not all there: {min(db.glob(pattern)).name} is {words}")


@pytest.mark.parametrize("pattern", ["CURRENT", "MANIFEST-*", "*.ldb", "*.log"])
def test_a_link_of_git_annex_whose_content_was_not_fetched_is_named(db, pattern):
    for file in db.glob(pattern):
        file.unlink()
        file.symlink_to("../.git/annex/objects/Xx/Yy/SHA256E-s20--abc/SHA256E-s20--abc")
    assert "is a git-annex pointer, not the data" in unwrap(inspect(str(db)).foreign)


# Formats


def test_records_are_read_as_leveldb_writes_them_across_blocks(path):
    rows = [(b"%d" % i, bytes([i]) * 20_000) for i in range(20)]
    with plyvel.DB(str(path), create_if_missing=True) as db:
        for key, value in rows:
            db.put(key, value)
        (log,) = path.glob("*.log")
        records = list(read_records(log.read_bytes()))
    assert [record.payload[-20_000:] for record in records] == [value for _, value in rows]
    assert all(record.is_sound() for record in records)


def test_a_record_that_is_cut_off_is_none():
    complete = manifest(b"abc", b"def")
    assert [record.payload for record in read_records(complete[:-1])] == [b"abc"]


def test_a_record_that_crosses_its_block_is_an_error():
    with pytest.raises(FormatError, match="longer than its block"):
        list(read_records(b"\0\0\0\0\xff\xff\x01" + b"x" * 10))


def test_snappy_is_read_as_leveldb_writes_it(path):
    """The index of a table with Snappy leads to its blocks, which a table without has as well."""
    plain, packed = make(path), make(path.with_name("packed"), compression="snappy")
    assert len(blocks_of(table_of(plain))) > 10
    assert len(blocks_of(table_of(packed))) == len(blocks_of(table_of(plain)))


@pytest.mark.parametrize(
    "data", [b"", b"\xff", b"\x05\x01\x05", b"\xff\xff\xff\xff\x0f\xfc", random.Random(1).randbytes(50)]
)
def test_snappy_that_is_damaged_ends_early(data):
    assert len(decompress_prefix(data, None)) < 5000
