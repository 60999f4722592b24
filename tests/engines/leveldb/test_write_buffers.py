from contextlib import ExitStack

import pytest

from pyelevator.application import Application, Policy
from pyelevator.application.catalog import Catalog
from pyelevator.commands import PUT
from pyelevator.engines.leveldb import LevelDbStorage
from pyelevator.engines.leveldb.write_buffers import WriteBuffers

MIB = 1 << 20


def opened(storage, folder, options=None):
    return storage.open(str(folder), options or {})


def is_in_memory(engine, folder, size):
    """Return True if so many bytes fit into the write buffer: then there is no table yet."""
    for number in range(size // 100_000):
        engine.write([(PUT, b"%d" % number, b"v" * 100_000)])
    engine.write([])
    return not list(folder.glob("*.ldb"))


def sizes(buffers, count):
    return [buffers.open() // MIB for _ in range(count)]


def test_the_first_databases_have_64_mib_and_the_last_ones_4():
    assert sizes(WriteBuffers(512 * MIB), 9) == [64, 64, 64, 32, 16, 8, 4, 4, 4]


def test_no_memory_for_write_buffers_leaves_what_leveldb_has():
    assert sizes(WriteBuffers(0), 2) == [4, 4]


def test_a_size_of_its_own_counts_too():
    buffers = WriteBuffers(512 * MIB)
    assert buffers.open(192 * MIB) == 192 * MIB
    assert sizes(buffers, 2) == [32, 16]


def test_a_closed_database_gives_its_memory_back():
    buffers = WriteBuffers(128 * MIB)
    first = buffers.open()
    assert buffers.open() == 16 * MIB
    buffers.close(first)
    buffers.close(16 * MIB)
    assert (buffers.used, buffers.open()) == (0, first)


def test_a_database_without_a_size_holds_30_mb_in_memory(tmp_path):
    with opened(LevelDbStorage(), tmp_path / "db") as engine:
        assert is_in_memory(engine, tmp_path / "db", 30_000_000)


@pytest.mark.parametrize(
    "options",
    [
        ({"write_buffer_size": MIB}, {}),
        ({}, {"write_buffer_size": MIB}),
        ({"write_buffer_size": MIB}, {"block_size": 4096}),
    ],
    ids=["of the server", "of the database", "of the server beside others"],
)
def test_a_size_that_was_asked_for_is_kept(tmp_path, options):
    defaults, own = options
    with opened(LevelDbStorage(defaults), tmp_path / "db", own) as engine:
        assert not is_in_memory(engine, tmp_path / "db", 5_000_000)


def test_open_databases_share_the_memory_and_give_it_back(tmp_path):
    storage = LevelDbStorage(write_buffers=16 * MIB)
    with ExitStack() as stack:
        for number in range(3):
            stack.enter_context(opened(storage, tmp_path / str(number)))
        assert storage.write_buffers.used == 24 * MIB  # none below LevelDB's own two times 4 MiB
    assert storage.write_buffers.used == 0


def test_a_database_that_does_not_open_takes_no_memory(tmp_path):
    storage = LevelDbStorage()
    (tmp_path / "file").write_text("")
    with pytest.raises(Exception, match="file"):
        opened(storage, tmp_path / "file")
    assert storage.write_buffers.used == 0


def test_a_backup_returns_the_memory_of_its_copy(tmp_path):
    storage = LevelDbStorage()
    with opened(storage, tmp_path / "db") as engine:
        before = storage.write_buffers.used
        engine.backup(str(tmp_path / "copy"))
        assert storage.write_buffers.used == before == 128 * MIB


def test_the_size_is_chosen_at_each_opening_and_not_recorded(tmp_path):
    application = Application.on_leveldb(str(tmp_path), policy=Policy(write_buffers=MIB))
    catalog: Catalog = application.catalog
    with catalog.get_database(catalog.uid_of("default")):
        pass
    application.close()
    assert "write_buffer_size" not in "".join(file.read_text() for file in tmp_path.glob("*.json"))
