"""What the catalog keeps on disk: store files of three kinds, absolute paths, symlinks, locks, crashes."""

import json
import logging
import os
from pathlib import Path

import pytest

from pyelevator.application import Catalog, CatalogError, CatalogLocked, StoreError
from pyelevator.commands import PUT
from pyelevator.engines.base import EngineError, EngineFileError
from pyelevator.engines.leveldb import LevelDbStorage
from pyelevator.errors import DatabaseError

UID = "6c66e7d0-9cc4-444d-a23f-2404fcf28c32"
OTHER = "35f9ade4-ad23-4f44-804a-e39439784527"


@pytest.fixture
def data(tmp_path):
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def leveldb(path, value=b"v"):
    """A LevelDB with one pair, as another program left it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    storage = LevelDbStorage()
    with storage.open(storage.resolve(str(path)), {}) as engine:
        engine.write([(PUT, b"k", value)])
    return str(path)


def get(catalog, name):
    with catalog.get_database(catalog.uid_of(name)) as engine:
        return engine.get(b"k")


def store(data, content, name="store.json"):
    (data / name).write_text(json.dumps(content))


def stored(data):
    return json.loads((data / "store.json").read_text())


# Store files


def test_the_store_file_has_the_classic_shape(reopened, data):
    catalog = reopened()
    catalog.create("x", {"block_size": 8192, "cache_size": 1024, "create_if_missing": True})
    assert stored(data) == {
        "default": {"path": str(data / "default"), "uid": catalog.uid_of("default"), "options": {}},
        "x": {
            "path": str(data / "x"),
            "uid": catalog.uid_of("x"),
            "options": {"block_size": 8192, "lru_cache_size": 1024},
        },
    }


def test_everything_survives_a_restart(reopened, tmp_path):
    catalog = reopened()
    for name in ("zoo", "alpha", "f\udcff", str(tmp_path / "outside")):
        catalog.create(name)
    names, uids = catalog.names(), [catalog.uid_of(name) for name in catalog.names()]
    catalog.drop("alpha")
    again = reopened()
    assert again.names() == ["default", "zoo", "f\udcff", str(tmp_path / "outside")]
    assert [again.uid_of(name) for name in again.names()] == [
        uid for name, uid in zip(names, uids, strict=True) if name != "alpha"
    ]


def test_a_restart_without_changes_writes_nothing(reopened, data):
    reopened()
    before = (data / "store.json").stat().st_ino
    reopened()
    assert (data / "store.json").stat().st_ino == before


def test_a_classic_data_directory_just_opens(reopened, data, caplog):
    leveldb(data / "default", b"1")
    outside = leveldb(data.parent / "x" / "db", b"2")
    store(
        data,
        {
            outside: {"path": outside, "uid": OTHER, "options": {"create_if_missing": True, "block_size": 4096}},
            "": {"path": str(data), "uid": "nameless"},
            "default": {"path": str(data / "default"), "uid": UID, "options": {"lru_cache_size": 1 << 20}},
        },
    )
    with caplog.at_level(logging.WARNING):
        catalog = reopened()
    assert catalog.names() == ["default", outside]
    assert (catalog.uid_of("default"), catalog.uid_of(outside)) == (UID, OTHER)
    assert (get(catalog, "default"), get(catalog, outside)) == (b"1", b"2")
    assert [record.getMessage() for record in caplog.records] == [f"ignoring the database without a name at {data}"]


@pytest.mark.parametrize("name", ["store", "store.json"])
def test_a_flat_data_directory_just_opens(reopened, data, name):
    leveldb(data / "default", b"1")
    leveldb(data / "db1", b"2")
    content = {
        UID: {"name": "default", "uid": UID, "path": str(data / "default")},
        OTHER: {"name": "db1", "uid": OTHER, "path": str(data / "db1")},
    }
    store(data, content, name)
    catalog = reopened()
    assert (catalog.uid_of("default"), catalog.uid_of("db1")) == (UID, OTHER)
    assert (get(catalog, "default"), get(catalog, "db1")) == (b"1", b"2")
    catalog.create("new")
    assert list(stored(data)) == ["default", "db1", "new"]
    if name == "store":
        assert json.loads((data / "store").read_text()) == content


def test_another_store_file_may_be_named(reopened, data, tmp_path):
    reopened(store=str(tmp_path / "catalog.json")).create("x")
    assert list(json.loads((tmp_path / "catalog.json").read_text())) == ["default", "x"]
    assert not (data / "store.json").exists()
    assert reopened(store=str(tmp_path / "catalog.json")).names() == ["default", "x"]


@pytest.mark.parametrize("recorded", ["/gone/elevator/{}", "./data/{}", "{}"], ids=["moved", "relative", "plain"])
def test_a_moved_data_directory_opens(reopened, data, recorded):
    leveldb(data / "default", b"1")
    leveldb(data / "x", b"2")
    store(data, {name: {"path": recorded.format(name), "uid": name, "options": {}} for name in ("default", "x")})
    catalog = reopened()
    assert (get(catalog, "default"), get(catalog, "x")) == (b"1", b"2")
    assert stored(data)["x"] == {"path": str(data / "x"), "uid": "x", "options": {}}


def test_a_copied_data_directory_does_not_open_the_original(reopened, data, tmp_path):
    original = leveldb(tmp_path / "original" / "default", b"original")
    leveldb(data / "default", b"copy")
    store(data, {"default": {"path": original, "uid": UID}})
    assert get(reopened(), "default") == b"copy"


def test_a_renamed_database_is_found_by_its_directory(reopened, data):
    leveldb(data / "directory", b"1")
    store(data, {"name": {"path": "/gone/directory", "uid": UID}})
    assert get(reopened(), "name") == b"1"


def test_without_a_store_file_the_databases_are_found_by_their_directories(reopened, data):
    leveldb(data / "default", b"1")
    leveldb(data / "b", b"2")
    leveldb(data / ".hidden")
    (data / "notes").mkdir()
    catalog = reopened()
    assert catalog.names() == ["default", "b"]
    assert (get(catalog, "default"), get(catalog, "b")) == (b"1", b"2")
    uid = catalog.uid_of("b")
    assert reopened().uid_of("b") == uid


@pytest.mark.parametrize(
    "content",
    [
        " ",
        "not json",
        "[]",
        '"x"',
        '{"x": []}',
        '{"x": {}}',
        '{"x": {"path": "/x"}}',
        '{"x": {"uid": 1, "path": "/x"}}',
        '{"x": {"uid": "u", "path": "/x", "options": [1]}}',
        "\xff",
        "[" * 100_000,
    ],
    ids=lambda content: repr(content)[:20],
)
def test_a_broken_store_file_is_an_error_and_stays(data, reopened, content):
    (data / "store.json").write_text(content, encoding="latin-1")
    with pytest.raises(StoreError, match=r"store\.json is not a store file"):
        reopened()
    assert (data / "store.json").read_text(encoding="latin-1") == content
    (data / "store.json").unlink()
    assert reopened().names() == ["default"]


@pytest.mark.parametrize("name", ["store.json", "store"])
def test_an_empty_store_file_is_a_missing_one(reopened, data, caplog, name):
    leveldb(data / "x", b"1")
    (data / name).touch()
    with caplog.at_level(logging.WARNING):
        catalog = reopened()
    assert (catalog.names(), get(catalog, "x")) == (["default", "x"], b"1")
    assert list(stored(data)) == ["x", "default"]
    assert caplog.records[0].getMessage() == (
        f"{data / name} is empty, and taken for missing: an old server was interrupted while it wrote it"
    )


def test_an_empty_store_file_does_not_hide_an_older_one(reopened, data):
    leveldb(data / "x", b"1")
    (data / "store.json").touch()
    store(data, {"x": {"path": str(data / "x"), "uid": UID}}, "store")
    assert reopened().uid_of("x") == UID


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "BOM"])
def test_raw_bytes_in_a_store_file_are_read(reopened, data, mark):
    leveldb(data / "a\udcffb", b"1")
    leveldb(data / "caf\u00e9", b"2")
    (data / "store.json").write_bytes(
        mark
        + b'{"a\xffb":{"path":"\\/old\\/a\xffb","uid":"1","options":{}},"caf\\u00e9":{"path":"caf\xc3\xa9","uid":"2"}}'
    )
    catalog = reopened()
    assert catalog.names() == ["default", "a\udcffb", "caf\u00e9"]
    assert (get(catalog, "a\udcffb"), get(catalog, "caf\u00e9")) == (b"1", b"2")


# Relative paths


RELATIVE = {"rel/sub": {"path": "rel/sub", "uid": UID, "options": {}}}


def test_a_relative_path_is_looked_for_in_the_working_directory(reopened, data, tmp_path, monkeypatch):
    leveldb(tmp_path / "rel" / "sub", b"1")
    store(data, RELATIVE)
    monkeypatch.chdir(tmp_path)
    catalog = reopened()
    assert (catalog.uid_of("rel/sub"), get(catalog, "rel/sub")) == (UID, b"1")
    assert stored(data)["rel/sub"]["path"] == str(tmp_path / "rel" / "sub")


@pytest.mark.parametrize("root", ["data", "./data"])
def test_paths_of_other_databases_show_the_old_working_directory(reopened, data, tmp_path, monkeypatch, root):
    leveldb(tmp_path / "rel" / "sub", b"1")
    leveldb(data / "default", b"2")
    store(data, RELATIVE | {"default": {"path": f"{root}/default", "uid": OTHER}})
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert get(reopened(), "rel/sub") == b"1"


def test_a_relative_path_that_leads_nowhere_stays_as_recorded(reopened, data, tmp_path, monkeypatch, caplog):
    store(data, RELATIVE)
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        with caplog.at_level(logging.WARNING):
            catalog = reopened()
        assert f"the database rel/sub cannot be used, the others are: its files are gone ({tmp_path}/rel/sub)" in (
            caplog.messages
        )
        with pytest.raises(DatabaseError, match="its files are gone"):
            get(catalog, "rel/sub")
        catalog.create("new")
        catalog.drop("new")
        assert stored(data)["rel/sub"] == {"path": "rel/sub", "uid": UID, "options": {}}
    leveldb(tmp_path / "rel" / "sub", b"1")
    assert get(reopened(), "rel/sub") == b"1"


def test_a_relative_path_that_is_not_allowed_stays_as_recorded(reopened, data, tmp_path, monkeypatch):
    leveldb(tmp_path / "rel" / "sub", b"1")
    store(data, RELATIVE)
    monkeypatch.chdir(tmp_path)
    catalog = reopened(allowed_roots=())
    with pytest.raises(EngineError, match="--allow-path"):
        get(catalog, "rel/sub")
    assert stored(data)["rel/sub"]["path"] == "rel/sub"
    assert get(reopened(allowed_roots=(str(tmp_path),)), "rel/sub") == b"1"


def test_a_restart_with_a_path_that_leads_nowhere_writes_nothing(reopened, data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store(data, RELATIVE)
    reopened()
    before = (data / "store.json").stat().st_ino
    reopened()
    assert (data / "store.json").stat().st_ino == before


def test_databases_that_an_old_server_listed_twice_are_listed_once(reopened, data, caplog):
    path = leveldb(data.parent / "x" / "db")
    store(data, {path: {"path": path, "uid": UID}, path + "/": {"path": path + "/", "uid": OTHER}})
    with caplog.at_level(logging.WARNING):
        catalog = reopened()
    assert catalog.names() == ["default", path]
    assert catalog.uid_of(path + "/") == UID
    assert caplog.records[0].getMessage() == (
        f"ignoring the database {path}/ at {path}: its name, uid or path is another one's"
    )


def test_a_crash_before_the_rename_leaves_the_old_store(reopened, data, monkeypatch):
    reopened()
    before = (data / "store.json").read_bytes()
    catalog = reopened()

    def crash(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", crash)
    with pytest.raises(OSError, match="No space left"):
        catalog.create("x")
    monkeypatch.undo()
    assert (data / "store.json").read_bytes() == before
    assert catalog.names() == ["default"]
    assert not (data / "x").exists()
    catalog.create("x")
    assert reopened().names() == ["default", "x"]


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), PermissionError(13, "Permission denied")])
def test_a_drop_that_cannot_be_recorded_changes_nothing(reopened, data, monkeypatch, error):
    catalog = reopened()
    leveldb(data / "x")
    catalog.create("x")
    monkeypatch.setattr(os, "fsync", lambda *_: (_ for _ in ()).throw(error))
    with pytest.raises(OSError, match=error.strerror):
        catalog.drop("x", force=True)
    monkeypatch.undo()
    assert catalog.names() == list(stored(data)) == ["default", "x"]
    assert get(catalog, "x") == b"v"
    catalog.drop("x", force=True)
    assert reopened().names() == ["default"]
    assert sorted(file.name for file in data.iterdir()) == ["default", "elevator.lock", "store.json"]


def test_a_drop_whose_files_cannot_be_removed_leaves_the_database_listed(reopened, data, monkeypatch):
    catalog = reopened()
    catalog.create("x")
    monkeypatch.setattr(LevelDbStorage, "destroy", lambda *_, **__: (_ for _ in ()).throw(EngineFileError("busy")))
    with pytest.raises(EngineFileError):
        catalog.drop("x")
    monkeypatch.undo()
    assert catalog.names() == list(stored(data)) == ["default", "x"]
    catalog.drop("x")
    assert reopened().names() == ["default"]


def test_a_drop_on_a_full_disk_frees_the_space_that_recording_it_takes(reopened, data, monkeypatch):
    catalog = reopened()
    leveldb(data / "x")
    catalog.create("x")
    fsync = os.fsync

    def full_while_x_is_there(handle):
        if (data / "x").exists():
            raise OSError(28, "No space left on device")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", full_while_x_is_there)
    catalog.drop("x", force=True)
    monkeypatch.undo()
    assert catalog.names() == reopened().names() == ["default"]


# Files that vanished


def test_a_database_without_its_files_reports_that_and_can_be_dropped(reopened, data):
    store(data, {"x": {"path": "/gone/x", "uid": UID}})
    catalog = reopened()
    assert catalog.names() == ["default", "x"]
    for call in (lambda: get(catalog, "x"), lambda: catalog.mount("x"), lambda: catalog.repair(UID)):
        with pytest.raises(DatabaseError, match=r"^Database x: its files are gone$"):
            call()
    assert not Path("/gone").exists()
    catalog.drop("x")
    assert catalog.names() == ["default"]


def test_a_damaged_database_opens_after_repair(reopened, data):
    leveldb(data / "x")
    (data / "x" / "CURRENT").unlink()
    catalog = reopened()
    with pytest.raises(Exception, match="is damaged; repair it with repairdb"):
        get(catalog, "x")
    catalog.repair(catalog.uid_of("x"))
    assert get(catalog, "x") == b"v"


# Locks


def test_a_second_server_on_the_directory_is_refused_in_one_line(reopened, data):
    catalog = reopened()
    with pytest.raises(CatalogLocked) as caught:
        Catalog(LevelDbStorage(), str(data))
    assert str(caught.value) == (f"{data} is in use by another server; stop that one, or choose another --data")
    catalog.close()
    Catalog(LevelDbStorage(), str(data)).close()


def test_a_directory_that_cannot_be_used_says_so(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(CatalogError, match="cannot be used: "):
        Catalog(LevelDbStorage(), str(tmp_path / "file"))


# Absolute paths


def test_an_existing_leveldb_is_registered_with_its_data(reopened, tmp_path):
    path = leveldb(tmp_path / "existing")
    catalog = reopened()
    catalog.create(path)
    assert catalog.names() == ["default", path]
    assert get(catalog, path) == b"v"


def test_one_leveldb_has_one_name_whatever_the_spelling(reopened, tmp_path):
    path = leveldb(tmp_path / "existing")
    (tmp_path / "link").symlink_to(path)
    catalog = reopened()
    catalog.create(path)
    for spelling in (path, path + "/", str(tmp_path / "link"), f"{tmp_path}//./existing"):
        with pytest.raises(DatabaseError, match="already exists"):
            catalog.create(spelling)
        assert catalog.uid_of(spelling) == catalog.uid_of(path)
    catalog.drop(path + "/", force=True)
    assert catalog.names() == ["default"]


def test_drop_leaves_foreign_files(reopened, tmp_path):
    path = leveldb(tmp_path / "existing")
    (tmp_path / "existing" / "notes.txt").write_text("mine")
    catalog = reopened()
    catalog.create(path)
    catalog.drop(path, force=True)
    assert [file.name for file in (tmp_path / "existing").iterdir()] == ["notes.txt"]


def test_drop_removes_an_empty_directory(reopened, data):
    catalog = reopened()
    catalog.create("x")
    catalog.drop("x")
    assert sorted(file.name for file in data.iterdir()) == ["default", "elevator.lock", "store.json"]


def test_a_missing_parent_is_an_os_error_and_leaves_nothing(reopened, tmp_path):
    catalog = reopened()
    with pytest.raises(EngineFileError, match="No such file or directory"):
        catalog.create(str(tmp_path / "no" / "db"))
    assert catalog.names() == ["default"]
    assert not (tmp_path / "no").exists()


def test_absolute_paths_must_lie_under_an_allowed_root(reopened, tmp_path):
    (tmp_path / "allowed").mkdir()
    (tmp_path / "allowed" / "link").symlink_to(tmp_path)
    catalog = reopened(allowed_roots=[str(tmp_path / "allowed") + "/"])
    catalog.create(str(tmp_path / "allowed" / "db"))
    for path in (tmp_path / "db", tmp_path / "allowed2", tmp_path / "allowed" / "link" / "db"):
        with pytest.raises(DatabaseError, match="not under an allowed directory"):
            catalog.create(str(path))
    assert catalog.names() == ["default", str(tmp_path / "allowed" / "db")]


def test_no_allowed_root_means_plain_names_only(reopened, tmp_path):
    catalog = reopened(allowed_roots=())
    catalog.create("x")
    with pytest.raises(DatabaseError, match="not under an allowed directory"):
        catalog.create(str(tmp_path / "db"))


@pytest.mark.parametrize("inside", ["", "/", "/x", "/default/x", "/store.json"])
def test_paths_into_the_data_directory_are_refused(reopened, data, tmp_path, inside):
    (tmp_path / "link").symlink_to(data)
    catalog = reopened()
    for path in (f"{data}{inside}", f"{tmp_path}/link{inside}"):
        with pytest.raises(DatabaseError, match="is in the data directory"):
            catalog.create(path)
    with pytest.raises(DatabaseError, match="already exists"):
        catalog.create(str(data / "default"))


def test_a_symlink_in_the_data_directory_leads_only_to_allowed_places(reopened, data, tmp_path):
    (data / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DatabaseError, match="not under an allowed directory"):
        reopened(allowed_roots=()).create("link")
    reopened(allowed_roots=[str(tmp_path)]).create("link")
    assert (tmp_path / "elsewhere" / "CURRENT").is_file()


@pytest.mark.parametrize("name", ["store.json", "elevator.lock"])
def test_names_of_our_own_files_are_reserved(reopened, name):
    with pytest.raises(DatabaseError, match="reserved"):
        reopened().create(name)


def test_a_directory_that_holds_the_data_directory_is_no_database(reopened, data):
    catalog = reopened()
    for name in ("/", str(data.parent)):
        with pytest.raises(DatabaseError, match="holds the data directory"):
            catalog.create(name)
    assert catalog.names() == ["default"]


# Allowed directories, after the creation


USES = {
    "mount": lambda catalog, name: catalog.mount(name),
    "use": lambda catalog, name: catalog.get_database(catalog.uid_of(name)).__enter__(),
    "repair": lambda catalog, name: catalog.repair(catalog.uid_of(name)),
    "drop": lambda catalog, name: catalog.drop(name, force=True),
}


def swapped(tmp_path):
    """A database in an allowed directory, in whose place there is a link to another one."""
    (tmp_path / "allowed").mkdir()
    name = str(tmp_path / "allowed" / "db")
    foreign = leveldb(tmp_path / "foreign")
    return name, Path(foreign)


def files(path):
    return sorted((file.name, file.stat().st_size) for file in path.iterdir())


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("restarted", [False, True])
def test_a_link_in_place_of_an_allowed_database_leads_nowhere(reopened, tmp_path, use, restarted):
    name, foreign = swapped(tmp_path)
    catalog = reopened(allowed_roots=[str(tmp_path / "allowed")])
    catalog.create(name)
    catalog.unmount(name)
    Path(name).rename(tmp_path / "away")
    Path(name).symlink_to(foreign)
    before = files(foreign)
    if restarted:
        catalog = reopened(allowed_roots=[str(tmp_path / "allowed")])
    with pytest.raises((DatabaseError, EngineError)):
        USES[use](catalog, name)
    assert files(foreign) == before


@pytest.mark.parametrize("use", USES)
def test_what_is_no_longer_allowed_is_not_used_any_more(reopened, tmp_path, use):
    name, _ = swapped(tmp_path)
    reopened(allowed_roots=[str(tmp_path / "allowed")]).create(name)
    before = files(Path(name))
    catalog = reopened(allowed_roots=[])
    with pytest.raises((DatabaseError, EngineError), match="is not under an allowed directory"):
        USES[use](catalog, name)
    assert files(Path(name)) == before


def test_a_path_outside_is_refused_before_it_is_looked_up(reopened, tmp_path, monkeypatch):
    catalog, looked = reopened(allowed_roots=[str(tmp_path / "allowed")]), []
    resolve = LevelDbStorage.resolve
    monkeypatch.setattr(LevelDbStorage, "resolve", lambda self, path: looked.append(path) or resolve(self, path))
    with pytest.raises(DatabaseError, match="is not under an allowed directory"):
        catalog.create("/etc/elsewhere")
    with pytest.raises(DatabaseError, match="doesn't exist"):
        catalog.uid_of("/etc/elsewhere")
    assert "/etc/elsewhere" not in looked
