"""Databases that were there before the server: adopted, recorded, forgotten, and never destroyed unasked."""

import json
import logging
from contextlib import closing
from pathlib import Path

import pytest

from pyelevator.application import Application, Policy, StoreError
from pyelevator.codec import ClassicCodec
from pyelevator.commands import PUT, DbCreate, DbDrop, DbForget, DbList, Exists, Get, MGet, Pipeline, Range
from pyelevator.engines.base import Bounds, EngineDamaged, OptionTypeError, OptionValueError
from pyelevator.engines.leveldb import LevelDbStorage
from pyelevator.engines.leveldb.binding.library import load_binding
from pyelevator.engines.leveldb.inspection import inspect
from pyelevator.errors import DatabaseError, ErrorCode, ServerRuntimeError
from pyelevator.messages import Request

plyvel = load_binding()

ADOPTED = "was there before this server, and its files are another program's; forgetdb takes it off the list"
NEVER_OPENED = "has never opened, so its files may be another program's and are left as they are"


def leveldb(path, pairs=((b"k", b"v"),)):
    """A LevelDB as another program left it; its path."""
    storage = LevelDbStorage()
    with storage.open(storage.resolve(str(path)), {}) as engine:
        engine.write([(PUT, *pair) for pair in pairs])
    return str(path)


def damaged(path):
    """A LevelDB that does not open, as its log is missing; its path."""
    leveldb(path)
    leveldb(path, [])  # what was in the log is in a table now
    next(path.glob("*.log")).unlink()
    return str(path)


def content(path):
    """What lies below a directory."""
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def stored(catalog_directory):
    return json.loads((catalog_directory / "store.json").read_text())


def get(catalog, name):
    with catalog.get_database(catalog.uid_of(name)) as engine:
        return engine.get(b"k")


@pytest.fixture
def data(tmp_path):
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


# Adopting


def test_what_was_there_is_recorded_as_adopted_over_restarts(reopened, data, tmp_path):
    path = leveldb(tmp_path / "theirs")
    reopened().create(path)
    assert "adopted" not in stored(data)[path]  # what is named by its path is taken for adopted unless it says not
    assert get(reopened(), path) == b"v"
    with pytest.raises(DatabaseError, match=ADOPTED):
        reopened().drop(path)


def test_what_the_server_made_is_its_own_over_restarts(reopened, data, tmp_path):
    path = str(tmp_path / "ours")
    reopened().create(path)
    assert stored(data)[path]["adopted"] is False
    reopened().drop(path)
    assert not (tmp_path / "ours").exists()


def test_a_directory_in_the_data_directory_is_adopted_by_its_name(reopened, data):
    leveldb(data / "copy")
    reopened()
    (data / "store.json").write_text(json.dumps({"default": stored(data)["default"]}))
    catalog = reopened()
    catalog.create("copy")
    assert stored(data)["copy"]["adopted"] is True
    with pytest.raises(DatabaseError, match=ADOPTED):
        catalog.drop("copy")
    assert get(catalog, "copy") == b"v"


def test_a_path_in_an_old_store_file_is_dropped_only_with_force(reopened, data, tmp_path):
    path = leveldb(tmp_path / "theirs")
    leveldb(data / "x")
    places: dict[str, Path] = {path: path, "x": data / "x"}
    old = {name: {"path": str(place), "uid": name, "options": {}} for name, place in places.items()}
    (data / "store.json").write_text(json.dumps(old))
    catalog = reopened()
    with pytest.raises(DatabaseError, match=ADOPTED):
        catalog.drop(path)
    assert get(catalog, path) == b"v"
    catalog.drop("x")
    catalog.drop(path, force=True)
    assert catalog.names() == ["default"]
    assert not (tmp_path / "theirs").exists()


@pytest.mark.parametrize("field", ["adopted", "opened"])
@pytest.mark.parametrize("value", [None, 1, "true", []])
def test_a_store_file_with_a_wrong_flag_is_refused(reopened, data, field, value):
    (data / "store.json").write_text(json.dumps({"x": {"path": "/x", "uid": "u", field: value}}))
    with pytest.raises(StoreError, match="is not a store file"):
        reopened()


# Forgetting


def test_a_forgotten_database_is_off_the_list_and_untouched(reopened, tmp_path):
    path = leveldb(tmp_path / "theirs")
    (tmp_path / "theirs" / "notes.txt").write_text("mine")
    catalog = reopened()
    catalog.create(path)
    uid = catalog.uid_of(path)
    assert get(catalog, path) == b"v"
    catalog.unmount(path)
    before = content(tmp_path / "theirs")
    catalog.forget(path)
    assert content(tmp_path / "theirs") == before
    assert catalog.names() == reopened().names() == ["default"]
    with pytest.raises(ServerRuntimeError, match="doesn't exist"):
        catalog.get_database(uid)


def test_an_open_database_is_closed_before_it_is_forgotten(reopened, tmp_path):
    path = leveldb(tmp_path / "theirs")
    catalog = reopened()
    catalog.create(path)
    database = catalog.get_database(catalog.uid_of(path))
    catalog.forget(path)
    with LevelDbStorage().open(path, {}) as engine:
        assert engine.get(b"k") == b"v"
    with pytest.raises(ServerRuntimeError, match="doesn't exist"), database:
        pass


def test_a_forgotten_database_can_be_adopted_again(catalog):
    catalog.create("x")
    with catalog.get_database(catalog.uid_of("x")) as engine:
        engine.write([(PUT, b"k", b"v")])
    catalog.forget("x")
    with pytest.raises(DatabaseError, match="does not exist"):
        catalog.forget("x")
    catalog.create("x")
    assert get(catalog, "x") == b"v"
    with pytest.raises(DatabaseError, match=ADOPTED):
        catalog.drop("x")
    catalog.drop("x", force=True)
    assert catalog.names() == ["default"]


def test_default_cannot_be_forgotten(catalog):
    with pytest.raises(DatabaseError, match="Database default is always there, and cannot be forgotten"):
        catalog.forget("default")
    assert catalog.names() == ["default"]


def test_a_forgetting_that_cannot_be_recorded_changes_nothing(reopened, tmp_path, monkeypatch):
    path = leveldb(tmp_path / "theirs")
    catalog = reopened()
    catalog.create(path)
    monkeypatch.setattr("os.fsync", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space left"):
        catalog.forget(path)
    monkeypatch.undo()
    assert get(catalog, path) == b"v"
    catalog.forget(path)
    assert catalog.names() == ["default"]


def test_a_database_without_its_directory_can_be_forgotten(reopened, tmp_path):
    path = leveldb(tmp_path / "theirs")
    catalog = reopened()
    catalog.create(path)
    catalog.unmount(path)
    (tmp_path / "theirs").rename(tmp_path / "moved")
    catalog.forget(path)
    assert reopened().names() == ["default"]


# What has never opened


def test_a_database_that_never_opened_is_not_destroyed_with_force(reopened, data, tmp_path):
    path = damaged(tmp_path / "theirs")
    before = content(tmp_path / "theirs")
    reopened().create(path)
    assert stored(data)[path]["opened"] is False
    for _ in range(2):
        catalog = reopened()
        with pytest.raises(DatabaseError, match=NEVER_OPENED):
            catalog.drop(path, force=True)
        assert content(tmp_path / "theirs") == before
    catalog.forget(path)
    assert content(tmp_path / "theirs") == before
    assert catalog.names() == ["default"]


def test_what_opened_after_a_repair_can_be_dropped(reopened, data, tmp_path):
    path = damaged(tmp_path / "theirs")
    catalog = reopened()
    catalog.create(path)
    catalog.repair(catalog.uid_of(path))
    assert get(catalog, path) == b"v"
    assert "opened" not in stored(data)[path]
    reopened().drop(path, force=True)
    assert not (tmp_path / "theirs").exists()


def test_a_first_opening_that_cannot_be_recorded_is_an_opening(reopened, tmp_path, monkeypatch, caplog):
    path = damaged(tmp_path / "theirs")
    catalog = reopened()
    catalog.create(path)
    catalog.repair(catalog.uid_of(path))
    monkeypatch.setattr("os.fsync", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    caplog.clear()
    with caplog.at_level(logging.WARNING, "pyelevator.catalog"):
        assert get(catalog, path) == b"v"
    assert [record.getMessage() for record in caplog.records] == [
        "the catalog could not be written: [Errno 28] No space left on device"
    ]


def test_a_default_that_never_opened_is_not_emptied(reopened, data):
    damaged(data / "default")
    before = content(data / "default")
    catalog = reopened()
    with pytest.raises(DatabaseError, match=NEVER_OPENED):
        catalog.drop("default", force=True)
    assert content(data / "default") == before


def test_an_opened_database_that_was_damaged_later_can_be_dropped(reopened, data):
    catalog = reopened()
    catalog.create("x")
    catalog.unmount("x")
    (data / "x" / "CURRENT").unlink()
    catalog.drop("x")
    assert catalog.names() == ["default"]


# Options


def test_an_option_that_does_not_exist_creates_nothing(catalog):
    with pytest.raises(OptionValueError, match="there is no option 'blok_size'; did you mean block_size"):
        catalog.create("x", {"blok_size": 3})
    assert catalog.names() == ["default"]
    catalog.create("x", {"blok_size": 3}, tolerant=True)
    assert catalog.names() == ["default", "x"]


def test_a_default_option_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(OptionValueError, match="there is no option 'blok_size'; did you mean block_size"):
        Application.on_leveldb(str(tmp_path / "data"), default_options={"blok_size": 3})


def test_create_if_missing_false_only_adopts(reopened, tmp_path):
    catalog = reopened()
    for name in (str(tmp_path / "missing"), "missing"):
        with pytest.raises(DatabaseError, match=f"^There is no database at {name}, and create_if_missing is False$"):
            catalog.create(name, {"create_if_missing": False})
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatabaseError, match="There is no database at"):
        catalog.create(str(tmp_path / "empty"), {"create_if_missing": False})
    assert list((tmp_path / "empty").iterdir()) == []
    assert not (tmp_path / "missing").exists()
    path = leveldb(tmp_path / "theirs")
    catalog.create(path, {"create_if_missing": False})
    assert get(catalog, path) == b"v"


def test_error_if_exists_never_adopts(reopened, tmp_path):
    path = leveldb(tmp_path / "theirs")
    before = content(tmp_path / "theirs")
    catalog = reopened()
    with pytest.raises(DatabaseError, match=f"There is a database at {path} already, and error_if_exists is True"):
        catalog.create(path, {"error_if_exists": True})
    assert content(tmp_path / "theirs") == before
    catalog.create(str(tmp_path / "new"), {"error_if_exists": True})
    assert catalog.names() == ["default", str(tmp_path / "new")]


def test_creation_options_are_bools_and_not_recorded(reopened, data):
    catalog = reopened()
    with pytest.raises(OptionTypeError, match="option create_if_missing must be a boolean"):
        catalog.create("x", {"create_if_missing": 0})
    catalog.create("x", {"create_if_missing": True, "error_if_exists": False})
    assert stored(data)["x"]["options"] == {}


@pytest.mark.parametrize(("number", "code"), [(None, None), (7, ErrorCode.VALUE)])
def test_only_clients_without_ids_may_misspell_options(number, code):
    application, codec = Application.in_memory(), ClassicCodec()
    uid = application.catalog.uid_of("default")
    frames = codec.encode_request(Request(DbCreate("x", {"blok_size": 3, "block_size": 4096}), uid, number))
    assert application(codec.decode_request(frames)).code is code
    assert ("x" in application.catalog.names()) == (code is None)


def test_the_tolerance_of_a_client_without_ids_travels_on_with_an_id():
    codec = ClassicCodec()
    old = codec.decode_request(codec.encode_request(Request(DbCreate("x", {"blok_size": 3}))))
    passed_on = codec.decode_request(codec.encode_request(Request(old.command, id=7)))
    assert isinstance(passed_on.command, DbCreate)
    assert passed_on.command.tolerant is True


# As commands


def test_the_commands_drop_with_force_and_forget(application, ask):
    for command in (DbCreate("x"), DbForget("x"), DbCreate("x")):
        assert ask(command).code is None
    refused = ask(DbDrop("x"))
    assert (refused.code, "forgetdb" in refused.message) == (ErrorCode.DATABASE, True)
    assert ask(DbDrop("x", force=True)).code is None
    assert ask(DbForget("x")).message == "Database x does not exist"
    assert ask(DbList()).payload == [b"default"]


def test_a_damaged_database_is_named_in_the_error_of_its_use(reopened, tmp_path):
    path = damaged(tmp_path / "theirs")
    catalog = reopened()
    catalog.create(path)
    with pytest.raises(EngineDamaged, match=path):
        get(catalog, path)


# Giving it back


def test_unused_adopted_databases_are_closed_and_others_stay_open(reopened, tmp_path):
    path = leveldb(tmp_path / "theirs")
    catalog = reopened()
    catalog.create(path)
    catalog.create("ours")
    databases = [catalog.get_database(catalog.uid_of(name)) for name in (path, "ours")]
    assert [database.engine is None for database in databases] == [False, False]
    catalog.unmount_idle(None, 60)
    assert [database.engine is None for database in databases] == [False, False]
    catalog.unmount_idle(None, -1)  # as after any time
    assert [database.engine is None for database in databases] == [True, False]
    catalog.unmount_idle(-1, None)
    assert [database.engine is None for database in databases] == [True, True]
    assert get(catalog, path) == b"v"


def test_the_shorter_time_holds_for_an_adopted_database(reopened, tmp_path):
    path = leveldb(tmp_path / "theirs")
    catalog = reopened()
    catalog.create(path)
    database = catalog.get_database(catalog.uid_of(path))
    catalog.unmount_idle(-1, 60)
    assert database.engine is None


def test_an_adopted_database_is_closed_after_a_minute_by_default():
    assert Policy().idle_unmount_adopted == 60.0
    assert Application.in_memory().maintenance_interval == 5.0
    assert Application.in_memory(Policy(idle_unmount_adopted=2)).maintenance_interval == 0.5


# Compression


def rows(count=2000):
    """Pairs that Snappy makes smaller."""
    return [(b"%06d" % number, b"value " * 20) for number in range(count)]


def in_tables(path, compression):
    """A LevelDB whose pairs lie in tables."""
    with plyvel.DB(str(path), create_if_missing=True, compression=compression) as database:
        for key, value in rows():
            database.put(key, value)
        database.compact_range(start=b"", stop=b"\xff")
    return str(path)


def in_the_log(path, _=None):
    """A LevelDB whose pairs lie in its log."""
    with plyvel.DB(str(path), create_if_missing=True) as database:
        for key, value in rows():
            database.put(key, value)
    return str(path)


def block_types(path):
    return set(inspect(path, thorough=True).block_types)


def used(catalog, name):
    """Makes LevelDB write: the log becomes a table, and then all tables new ones."""
    with catalog.get_database(catalog.uid_of(name)) as engine:
        engine.write([(PUT, b"k", b"v" * 1000)])
        engine.compact()
    catalog.unmount(name)


@pytest.mark.parametrize(
    ("make", "made_with", "kept"),
    [(in_tables, "snappy", "snappy"), (in_tables, None, None), (in_the_log, None, None)],
    ids=["snappy", "none", "log only"],
)
def test_an_adopted_database_keeps_the_compression_of_its_tables(reopened, data, tmp_path, make, made_with, kept):
    path = make(tmp_path / "theirs", made_with)
    catalog = reopened(storage=LevelDbStorage({"compression": True}))
    catalog.create(path, {"block_size": 4096})
    assert stored(data)[path]["options"] == {"compression": kept, "block_size": 4096}
    used(catalog, path)
    used(reopened(), path)
    assert (1 in block_types(path)) is (kept == "snappy")


def test_a_database_of_the_server_s_own_is_compressed(reopened, data, tmp_path):
    path = str(tmp_path / "ours")
    catalog = reopened()
    catalog.create(path)
    with catalog.get_database(catalog.uid_of(path)) as engine:
        engine.write([(PUT, *pair) for pair in rows()])
    used(catalog, path)
    assert stored(data)[path]["options"] == {}
    assert 1 in block_types(path)


def test_an_explicit_compression_is_used(reopened, data, tmp_path):
    path = in_tables(tmp_path / "theirs", None)
    catalog = reopened()
    catalog.create(path, {"compression": True})
    used(catalog, path)
    assert stored(data)[path]["options"] == {"compression": "snappy"}
    assert 1 in block_types(path)


def test_a_path_in_an_old_store_file_keeps_its_compression(reopened, data, tmp_path):
    path = in_the_log(tmp_path / "theirs")
    (data / "store.json").write_text(json.dumps({path: {"path": path, "uid": "u", "options": {"block_size": 4096}}}))
    used(reopened(), path)
    assert stored(data)[path]["options"] == {"compression": None, "block_size": 4096}
    assert block_types(path) == {0}


def test_a_repair_of_an_adopted_database_keeps_its_compression(reopened, data, tmp_path):
    path = in_tables(tmp_path / "theirs", None)
    (tmp_path / "theirs" / "CURRENT").unlink()
    (data / "store.json").write_text(json.dumps({path: {"path": path, "uid": "u", "options": {}}}))
    catalog = reopened()
    catalog.repair("u")
    used(catalog, path)
    with catalog.get_database("u") as engine:
        assert engine.multi_get([b"000000", b"001999", b"k"]) == [b"value " * 20, b"value " * 20, b"v" * 1000]
    assert block_types(path) == {0}


def test_reads_of_an_adopted_log_leave_no_compressed_block(reopened, tmp_path):
    path = in_the_log(tmp_path / "theirs")
    catalog = reopened()
    catalog.create(path)
    for _ in range(3):
        with catalog.get_database(catalog.uid_of(path)) as engine:
            assert len(list(engine.scan(Bounds()))) == len(rows())
        catalog.unmount(path)
    catalog.forget(path)
    assert block_types(path) == {0}


# What clients are told


def test_errors_name_the_path_only_of_a_database_named_by_it(tmp_path, data):
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "1.log").write_text("started\n")
    path = damaged(tmp_path / "damaged")
    damaged(data / "default")
    application = Application.on_leveldb(str(data))
    try:
        refused = application(Request(DbCreate(str(theirs))))
        assert f"{theirs} is no LevelDB that can be opened" in refused.message
        assert application(Request(DbCreate(path))).code is None
        for name, reported in ((path, f"{path} is damaged"), ("default", "the database is damaged")):
            get = Request(Get("k"), application.catalog.uid_of(name))
            for answer in (application(get), application.try_handle(get) or application(get)):
                assert answer.message.startswith(reported)
    finally:
        application.close()


@pytest.mark.parametrize("command", [Get("k"), Exists("k"), MGet(["k"]), Range()], ids=lambda one: one.verb)
def test_errors_in_a_pipeline_name_the_path_like_all_others(tmp_path, data, command):
    path = str(tmp_path / "theirs")
    with plyvel.DB(path, create_if_missing=True) as db:
        db.put(b"k", b"v")
        db.compact_range(start=b"", stop=b"z")
    with closing(Application.on_leveldb(str(data))) as application:
        assert application(Request(DbCreate(path))).code is None
        for table in Path(path).glob("*.ldb"):
            table.unlink()
        alone = application(Request(command, application.catalog.uid_of(path)))
        (answer,) = application(Request(Pipeline([command]), application.catalog.uid_of(path))).payload
        assert f"No such file or directory: {path}" in alone.message
        assert answer.message == alone.message
