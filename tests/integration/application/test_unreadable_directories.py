"""A catalog whose databases, or whose store file, cannot be read: one line in the log, and the others are served."""

import json
import logging
from pathlib import Path

import pytest

from pyelevator.application import Application, Catalog, StoreError
from pyelevator.commands import DbList, Get
from pyelevator.engines.base import EngineFileError
from pyelevator.engines.leveldb import LevelDbStorage
from pyelevator.errors import ErrorCode
from pyelevator.messages import Request

FAILURES = {
    "engine": EngineFileError("[Errno 5] Input/output error: '/bad'"),
    "system": OSError(5, "Input/output error"),
}


class Failing(LevelDbStorage):
    """A storage that cannot look at what is called bad."""

    def __init__(self, failure):
        super().__init__()
        self.failure = failure

    def exists(self, path):
        if path.endswith("bad"):
            raise self.failure
        return super().exists(path)


@pytest.fixture
def data(tmp_path):
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def store(data, *names):
    content = {name: {"path": str(data / name), "uid": name, "options": {}} for name in names}
    (data / "store.json").write_text(json.dumps(content))


@pytest.mark.parametrize("failure", FAILURES)
def test_a_disk_that_fails_under_one_database_stops_no_other(reopened, data, caplog, failure):
    for name in ("default", "good", "bad"):
        with LevelDbStorage().open(str(data / name), {}):
            pass
    store(data, "default", "good", "bad")
    with caplog.at_level(logging.WARNING, "pyelevator.catalog"):
        catalog = reopened(storage=Failing(FAILURES[failure]))
    assert [record.getMessage() for record in caplog.records] == [
        f"the database at {data}/bad cannot be used, the others are: {FAILURES[failure]}"
    ]
    assert catalog.names() == ["default", "good", "bad"]
    with catalog.get_database("good"):
        pass
    with pytest.raises((EngineFileError, OSError), match="Input/output error"), catalog.get_database("bad"):
        pass
    with pytest.raises((EngineFileError, OSError), match="Input/output error"):
        catalog.drop("bad")
    catalog.forget("bad")
    assert catalog.names() == ["default", "good"]


@pytest.mark.parametrize("failure", FAILURES)
def test_the_failure_is_the_response_to_its_use(data, failure):
    store(data, "default", "bad")
    application = Application(Catalog(Failing(FAILURES[failure]), str(data)))
    answer = application(Request(Get("k"), "bad", 7))
    assert (answer.code, "Input/output error" in answer.message) == (ErrorCode.OS, True)
    application.close()


@pytest.mark.parametrize("failure", FAILURES)
def test_without_a_store_file_unreadable_directories_are_ignored(reopened, data, caplog, failure):
    for name in ("good", "bad"):
        with LevelDbStorage().open(str(data / name), {}):
            pass
    with caplog.at_level(logging.WARNING, "pyelevator.catalog"):
        catalog = reopened(storage=Failing(FAILURES[failure]))
    assert catalog.names() == ["default", "good"]
    lines = [record.getMessage() for record in caplog.records]
    assert lines.count(f"ignoring {data}/bad, which cannot be read: {FAILURES[failure]}") == 1


@pytest.mark.parametrize(
    "entry",
    [
        {"\ud800": {"path": "/x", "uid": "u"}},
        {"x": {"path": "/x", "uid": "\ud800"}},
        {"u": {"name": "\ud800", "uid": "u", "path": "/x"}},
    ],
    ids=["name", "uid", "flat"],
)
def test_a_name_that_cannot_be_sent_does_not_hide_the_others(data, caplog, entry):
    (data / "store.json").write_text(json.dumps(entry))
    with caplog.at_level(logging.WARNING, "pyelevator.catalog"):
        application = Application.on_leveldb(str(data))
    assert application(Request(DbList(), id=7)).payload == [b"default"]
    assert ["is no text" in record.getMessage() for record in caplog.records] == [True]
    application.close()


def test_a_store_file_that_may_not_be_read_says_so(reopened, data, monkeypatch):
    store(data, "default")
    monkeypatch.setattr(Path, "read_bytes", lambda _: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
    with pytest.raises(StoreError, match=f"^{data}/store.json cannot be read: Permission denied$"):
        reopened()


def test_a_store_file_that_cannot_be_says_so(reopened, tmp_path):
    with pytest.raises(StoreError, match=r"x cannot be read: File name too long$"):
        reopened(store=str(tmp_path / ("x" * 300)))
