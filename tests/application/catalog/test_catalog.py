"""Names, uids, mounting and dropping, over both storages."""

import pytest

from pyelevator.application import Catalog
from pyelevator.commands import PUT
from pyelevator.engines.base import Bounds, EngineError, OptionTypeError
from pyelevator.engines.memory import MemoryStorage
from pyelevator.errors import DatabaseError, ServerRuntimeError, UsageError


def put(catalog, name, value=b"v"):
    with catalog.get_database(catalog.uid_of(name)) as engine:
        engine.write([(PUT, b"k", value)])


def get(catalog, name):
    with catalog.get_database(catalog.uid_of(name)) as engine:
        return engine.get(b"k")


def test_default_is_there_from_the_beginning(catalog):
    assert catalog.names() == ["default"]
    assert get(catalog, "default") is None


def test_names_are_listed_default_first_then_as_created(catalog):
    for name in ("zoo", "alpha", "default2"):
        catalog.create(name)
    assert catalog.names() == ["default", "zoo", "alpha", "default2"]


def test_databases_are_separate(catalog):
    catalog.create("other")
    put(catalog, "default", b"1")
    put(catalog, "other", b"2")
    assert (get(catalog, "default"), get(catalog, "other")) == (b"1", b"2")


def test_every_database_has_its_own_uid(catalog):
    catalog.create("other")
    assert catalog.uid_of("default") != catalog.uid_of("other")
    assert len(catalog.uid_of("default")) == 36


def test_creating_what_is_there_is_refused(catalog):
    catalog.create("x")
    for name in ("x", "default"):
        with pytest.raises(DatabaseError, match=f"^Database {name} already exists$"):
            catalog.create(name)


@pytest.mark.parametrize("call", ["drop", "mount", "unmount"])
def test_an_unknown_name_does_not_exist(catalog, call):
    with pytest.raises(DatabaseError, match=r"^Database nope does not exist$"):
        getattr(catalog, call)("nope")


@pytest.mark.parametrize("name", ["nope", "", "/nope", "/\0", "/\ud800"])
def test_connecting_to_an_unknown_name_has_the_old_text(catalog, name):
    with pytest.raises(DatabaseError, match=f"^Database {name} doesn't exist$"):
        catalog.uid_of(name)


@pytest.mark.parametrize(("uid", "text"), [("nouid", "nouid"), (None, r"\(no uid\)")])
def test_an_unknown_uid_does_not_exist(catalog, uid, text):
    for call in (catalog.get_database, catalog.repair):
        with pytest.raises(ServerRuntimeError, match=f"^Database {text} doesn't exist$"):
            call(uid)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("", "A database needs a name"),
        ("a\0b", "NUL"),
        ("/tmp/a\0b", "NUL"),
        ("\ud800", "file name"),
        (".", "^Canno't create database from relative path$"),
        ("..", "^Canno't create database from relative path$"),
        (".hidden", "^Canno't create database from relative path$"),
        ("./rel", "^Canno't create database from relative path$"),
        ("../rel", "^Canno't create database from relative path$"),
        ("a/b", "^Canno't create database from relative path$"),
        ("a/../../b", "^Canno't create database from relative path$"),
        ("a/", "^Canno't create database from relative path$"),
        ("/tmp/../etc", r"'\.\.'"),
    ],
)
def test_names_that_mean_nothing_or_climb_are_refused(catalog, name, text):
    with pytest.raises(DatabaseError, match=text):
        catalog.create(name)
    assert catalog.names() == ["default"]


def test_mounting_and_unmounting_are_idempotent_and_keep_the_data(catalog):
    put(catalog, "default")
    for call in (catalog.mount, catalog.mount, catalog.unmount, catalog.unmount):
        call("default")
        assert get(catalog, "default") == b"v"


def test_an_engine_is_at_hand_while_the_database_is_mounted(catalog):
    database = catalog.get_database(catalog.uid_of("default"))
    catalog.mount("default")
    assert database.engine
    catalog.unmount("default")
    assert not database.engine


def test_repair_keeps_the_data_and_closes_the_database(catalog):
    put(catalog, "default")
    catalog.repair(catalog.uid_of("default"))
    assert not catalog.get_database(catalog.uid_of("default")).engine
    assert get(catalog, "default") == b"v"


def test_a_dropped_database_does_not_exist_and_its_name_is_free(catalog):
    catalog.create("x")
    put(catalog, "x")
    uid = catalog.uid_of("x")
    catalog.drop("x")
    assert catalog.names() == ["default"]
    with pytest.raises(ServerRuntimeError):
        catalog.get_database(uid)
    catalog.create("x")
    assert catalog.uid_of("x") != uid
    assert get(catalog, "x") is None


def test_a_lease_of_a_database_found_before_its_drop_fails(catalog):
    catalog.create("x")
    database = catalog.get_database(catalog.uid_of("x"))
    catalog.drop("x")
    with pytest.raises(ServerRuntimeError, match="doesn't exist"), database:
        pass


def test_dropping_default_empties_it_and_keeps_its_uid(catalog):
    put(catalog, "default")
    uid = catalog.uid_of("default")
    catalog.drop("default")
    assert catalog.names() == ["default"]
    assert catalog.uid_of("default") == uid
    assert get(catalog, "default") is None


def test_wrong_options_create_nothing(catalog):
    with pytest.raises(OptionTypeError):
        catalog.create("x", {"block_size": "big"})
    assert catalog.names() == ["default"]
    catalog.create("x", {"block_size": 8192})


def test_what_fails_to_open_is_not_created(monkeypatch):
    storage = MemoryStorage()
    catalog = Catalog(storage)
    monkeypatch.setattr(storage, "open", _refuse)
    with pytest.raises(EngineError):
        catalog.create("x")
    assert catalog.names() == ["default"]
    monkeypatch.undo()
    catalog.create("x")


def _refuse(path, options):
    raise EngineError("full")


def test_after_close_there_is_no_database(catalog):
    uid = catalog.uid_of("default")
    database = catalog.get_database(uid)
    catalog.close()
    with pytest.raises(ServerRuntimeError):
        catalog.get_database(uid)
    with pytest.raises(ServerRuntimeError), database:
        pass


def test_memory_needs_no_directory_and_knows_paths_by_their_spelling():
    catalog = Catalog(MemoryStorage())
    catalog.create("/path/to/db")
    assert catalog.names() == ["default", "/path/to/db"]
    with pytest.raises(DatabaseError, match="already exists"):
        catalog.create("/path/to//db/")
    assert catalog.uid_of("/path/to/db/") == catalog.uid_of("/path/to/db")
    with catalog.get_database(catalog.uid_of("/path/to/db")) as engine:
        assert list(engine.scan(Bounds())) == []


def test_memory_writes_no_file(tmp_path):
    Catalog(MemoryStorage(), str(tmp_path / "data")).create("x")
    assert list(tmp_path.iterdir()) == []


def test_files_need_a_directory():
    from pyelevator.engines.leveldb import LevelDbStorage

    with pytest.raises(UsageError, match="data directory"):
        Catalog(LevelDbStorage())
