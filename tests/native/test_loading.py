"""Which library opens a LevelDB, and what the environment has to say about it."""

import subprocess
import sys

import pytest

from pyelevator import native
from pyelevator.engines.leveldb import LevelDbStorage
from pyelevator.engines.leveldb.binding.loading import load_binding, load_library
from pyelevator.errors import MissingExtra
from pyelevator.testing.servers import ServerProcess


def test_1_insists_on_the_extension(monkeypatch):
    load_binding()
    monkeypatch.setenv("PYELEVATOR_NATIVE", "1")
    assert load_library().__name__ == "pyelevator_native.leveldb"


def test_0_leaves_it_out(monkeypatch):
    monkeypatch.setenv("PYELEVATOR_NATIVE", "0")
    assert load_library() is load_binding()
    assert native.load_native("pages") is None


def test_a_binding_that_the_program_uses_itself_comes_first(monkeypatch):
    monkeypatch.delenv("PYELEVATOR_NATIVE", raising=False)
    assert load_library() is load_binding()


def test_the_extension_is_used_where_it_is_installed(monkeypatch):
    monkeypatch.delenv("PYELEVATOR_NATIVE", raising=False)
    program = "from pyelevator.engines.leveldb.binding.loading import load_library; print(load_library().__name__)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "pyelevator_native.leveldb\n"


@pytest.fixture
def missing(monkeypatch):
    """An interpreter without the extension."""
    monkeypatch.setitem(sys.modules, "pyelevator_native", None)
    monkeypatch.setitem(sys.modules, "pyelevator_native.pages", None)


@pytest.mark.usefixtures("missing")
def test_without_it_nothing_is_used(monkeypatch):
    monkeypatch.delenv("PYELEVATOR_NATIVE", raising=False)
    assert native.load_native("pages") is None


@pytest.mark.usefixtures("missing")
def test_insisting_without_it_says_how_to_build_it(monkeypatch):
    monkeypatch.setenv("PYELEVATOR_NATIVE", "1")
    with pytest.raises(MissingExtra, match="build it with: make native"):
        native.load_native("pages")


@pytest.mark.parametrize(("wanted", "said"), [("0", "leveldb)"), ("1", "leveldb, native)")])
def test_the_first_line_of_a_server_says_whether_it_uses_it(tmp_path, monkeypatch, wanted, said):
    monkeypatch.setenv("PYELEVATOR_NATIVE", wanted)
    with ServerProcess(data=tmp_path) as server:
        assert server.output.partition("\n")[0].endswith(f"data {tmp_path}, {said}")


@pytest.mark.parametrize(("wanted", "name"), [("0", load_binding().__name__.replace("_", "-")), ("1", "native")])
def test_stats_say_which_library_reads_a_database(tmp_path, monkeypatch, wanted, name):
    monkeypatch.setenv("PYELEVATOR_NATIVE", wanted)
    with LevelDbStorage().open(str(tmp_path / "db"), {}) as engine:
        assert engine.stats().library == name
