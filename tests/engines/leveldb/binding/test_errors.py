"""What is said of failures: what it is, what to do, and always the path."""

import pytest

from pyelevator.commands import PUT
from pyelevator.engines.base import Bounds, EngineDamaged, EngineError, EngineFileError, EngineForeign
from pyelevator.engines.leveldb import LevelDbStorage
from pyelevator.engines.leveldb.binding.errors import ErrorTranslator
from support.leveldb_files import blocks_of, set_block_type

TEXTS = [
    ("Corruption: block checksum mismatch", EngineDamaged, "/db is damaged; repair it with repairdb"),
    ("IO error: /db/000005.ldb: Invalid argument", EngineDamaged, "/db is damaged; repair it with repairdb"),
    ("Corruption: bad block type", EngineForeign, "/db has blocks of a compression that this LevelDB lacks"),
    (
        "Invalid argument: idb_cmp1 does not match existing comparator : leveldb.BytewiseComparator",
        EngineForeign,
        "/db is in another order of keys than bytewise",
    ),
    ("IO error: /db/LOCK: Permission denied", EngineFileError, "/db: IO error: /db/LOCK: Permission denied"),
    ("IO error: 000007.log: No space left on device", EngineFileError, "/db: the disk is full"),
    ("IO error: Too many open files", EngineFileError, "/db: IO error: Too many open files"),
    ("something new", EngineError, "/db: something new"),
]


@pytest.mark.parametrize(("text", "kind", "reported"), TEXTS)
def test_each_failure_is_reported_with_the_path(text, kind, reported):
    with pytest.raises(kind) as caught, ErrorTranslator("/db"):
        raise OSError(text)
    assert str(caught.value).startswith(reported)
    assert type(caught.value) is kind


@pytest.fixture
def filled(tmp_path):
    path = tmp_path / "db"
    with LevelDbStorage().open(str(path), {"compression": False}) as engine:
        engine.write([(PUT, b"%05d" % i, b"v" * 300) for i in range(2000)])
        engine.compact()
    return path


def test_one_block_of_another_compression_is_named_when_it_is_read(filled):
    (table,) = filled.glob("*.ldb")
    set_block_type(table, 4, blocks_of(table)[-3:-2])  # behind those that are looked at before
    storage = LevelDbStorage()
    with storage.open(str(filled), {}) as engine:
        with pytest.raises(EngineForeign, match="has blocks of a compression that this LevelDB lacks"):
            list(engine.scan(Bounds()))
    with pytest.raises(EngineForeign, match="a repair would lose it, so nothing was changed"):
        storage.repair(str(filled), {})


def test_an_empty_table_is_damage_and_says_what_to_do(filled):
    (table,) = filled.glob("*.ldb")
    table.write_bytes(b"")
    with pytest.raises(EngineDamaged, match="is damaged; repair it with repairdb") as caught:
        with LevelDbStorage().open(str(filled), {}) as engine:
            engine.get(b"00001")
    assert str(filled) in str(caught.value)
