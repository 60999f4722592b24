"""Names of tables: of seven digits, as a database has them after a million tables, and .sst, as LevelDB gave them before 1.14."""

import pytest

from pyelevator.commands import DELETE, PUT
from pyelevator.engines.base import Bounds
from pyelevator.engines.leveldb import LevelDbStorage
from pyelevator.engines.leveldb.binding.library import load_binding
from pyelevator.engines.leveldb.inspection import inspect

plyvel = load_binding()


@pytest.fixture(
    params=[("1000000.ldb", "MANIFEST-1??????"), ("000005.sst", "MANIFEST-??????")], ids=["seven-digits", "sst"]
)
def database(tmp_path, request):
    """A database of one table of that name, whose manifest LevelDB's own repair writes, and of one log."""
    path = tmp_path / "db"
    name, manifest = request.param
    storage = LevelDbStorage()
    for _ in range(2):  # the second opening moves the log into a table
        with storage.open(str(path), {}) as engine:
            if not list(engine.scan(Bounds())):
                engine.write([(PUT, b"", b"value of the empty key"), (PUT, b"deleted", b"1"), (PUT, b"first", b"1")])
    (table,) = path.glob("*.ldb")
    table.rename(path / name)
    plyvel.repair_db(str(path))
    with storage.open(str(path), {}) as engine:
        engine.write([(DELETE, b"deleted"), (PUT, b"second", b"2")])
    assert (path / name).exists()
    assert list(path.glob(manifest))
    return path


PAIRS = [(b"", b"value of the empty key"), (b"first", b"1"), (b"second", b"2")]


def test_tables_of_either_name_are_read(database):
    assert inspect(str(database)).is_valid
    with LevelDbStorage().open(str(database), {}) as engine:
        assert list(engine.scan(Bounds())) == PAIRS


def test_tables_of_either_name_are_in_a_backup(database, tmp_path):
    with LevelDbStorage().open(str(database), {}) as engine:
        engine.backup(str(tmp_path / "backup"))
    with LevelDbStorage().open(str(tmp_path / "backup"), {}) as copy:
        assert list(copy.scan(Bounds())) == PAIRS


def test_tables_of_either_name_are_repaired(database):
    (database / "CURRENT").unlink()
    LevelDbStorage().repair(str(database), {})
    with LevelDbStorage().open(str(database), {}) as engine:
        assert list(engine.scan(Bounds())) == PAIRS
