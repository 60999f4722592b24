"""Engines that a URL names, those of other packages among them."""

import sys
from importlib.metadata import EntryPoint, EntryPoints
from typing import Any

import pytest

from pyelevator.client import Elevator
from pyelevator.config import values
from pyelevator.engines import urls
from pyelevator.engines.memory import MemoryStorage
from pyelevator.errors import MissingExtra, UsageError
from pyelevator.testing.servers import ServerProcess


def open_other(url):
    storage: Any = MemoryStorage()
    storage.url = url
    return storage


@pytest.fixture
def announced(monkeypatch):
    """Let a package announce an engine for other:// URLs."""
    monkeypatch.setitem(sys.modules, "other_engine", sys.modules[__name__])
    points = EntryPoints([EntryPoint("other", "other_engine:open_other", urls.GROUP)])
    monkeypatch.setattr(urls, "entry_points", points.select)


def test_an_engine_of_another_package_is_opened_by_its_scheme(announced):
    storage: Any = urls.open_storage("other://somewhere")
    assert storage.url == "other://somewhere"
    assert urls.engine_schemes() == ["other", "postgres", "postgresql"]
    assert values.engine("other://somewhere") == "other://somewhere"


def test_a_server_process_serves_an_engine_of_an_installed_package(tmp_path, monkeypatch):
    (tmp_path / "other_engine.py").write_text(
        "from pyelevator.engines.memory import MemoryStorage\n"
        "def open_other(url):\n"
        "    print('opening', url, flush=True)\n"
        "    return MemoryStorage()\n"
    )
    (tmp_path / "other_engine-1.0.dist-info").mkdir()
    (tmp_path / "other_engine-1.0.dist-info" / "METADATA").write_text("Name: other-engine\nVersion: 1.0\n")
    (tmp_path / "other_engine-1.0.dist-info" / "entry_points.txt").write_text(
        "[pyelevator.engines]\nother = other_engine:open_other\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with ServerProcess(engine="other://somewhere") as server, Elevator.from_url(server.url) as client:
        client.Put("k", "v")
        assert client.Get("k") == "v"
        assert "opening other://somewhere" in server.output


def test_an_unknown_scheme_is_refused_with_those_that_there_are():
    with pytest.raises(UsageError, match="there is no engine 'cassandra'; there are postgres, postgresql"):
        urls.open_storage("cassandra://somewhere")
    with pytest.raises(ValueError, match="must be one of leveldb, memory, or the URL of an engine: postgres://"):
        values.engine("cassandra://somewhere")


def test_without_psycopg_the_extra_is_named(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("pyelevator.engines.postgresql")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtra, match=r"pip install 'pyelevator\[postgres\]'"):
        urls.open_storage("postgresql://db.example/data")
