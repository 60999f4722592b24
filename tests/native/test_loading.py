"""Which library opens a LevelDB, and what the environment has to say about it."""

import logging
import re
import subprocess
import sys
from hashlib import sha256

import pyelevator_native
import pytest
from pyelevator_native import leveldb, messages, pages

from pyelevator import native
from pyelevator.engines.leveldb import LevelDbStorage
from pyelevator.engines.leveldb.binding.library import load_binding, load_library
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
    program = "from pyelevator.engines.leveldb.binding.library import load_library; print(load_library().__name__)"
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


@pytest.fixture(params=[None, native.API - 1, native.API + 1], ids=["first", "older", "newer"])
def other_build(request, monkeypatch):
    """An extension that was built from other sources; the first builds did not say their number."""
    native._warn_of_build.cache_clear()
    if request.param is None:
        monkeypatch.delattr(pyelevator_native, "API")
    else:
        monkeypatch.setattr(pyelevator_native, "API", request.param)
    return "newer" if (request.param or 0) > native.API else "older"


def test_a_build_of_other_sources_is_left_out_with_one_warning(other_build, monkeypatch, caplog):
    monkeypatch.delenv("PYELEVATOR_NATIVE", raising=False)
    with caplog.at_level(logging.WARNING, "pyelevator.native"):
        assert [native.load_native(name) for name in ("pages", "messages", "leveldb", "leveldb")] == [None] * 4
    (stated,) = caplog.messages
    assert f"it was built from {other_build} sources" in stated
    assert stated.endswith("build it again with: make native")


def test_a_required_build_of_other_sources_is_an_error_with_advice(other_build, monkeypatch):
    monkeypatch.setenv("PYELEVATOR_NATIVE", "1")
    with pytest.raises(MissingExtra, match=rf"from {other_build} sources, with API .*; build it with: make native"):
        native.load_native("pages")


ARGUMENT = r"\w+(?=[,=)])"  # of the signature with which a docstring begins


def offered():
    """What the modules offer: the names and arguments of their functions, classes and methods."""
    for module in (leveldb, messages, pages):
        for name, found in sorted(vars(module).items()):
            if getattr(found, "__module__", "") == module.__name__ and not name.startswith("_"):
                members = sorted(vars(found).items()) if isinstance(found, type) else ()
                for each in (found, *[member for key, member in members if not key.startswith("_")]):
                    stated = (each.__doc__ or "").partition("\n")[0]
                    yield f"{name}.{getattr(each, '__name__', '')} {re.findall(ARGUMENT, stated)}"


def test_what_is_offered_changes_with_its_number():
    """To change it, raise API in both packages: a build of before must not be called as if it were of now."""
    digest = sha256("\n".join(offered()).encode()).hexdigest()[:16]
    assert (pyelevator_native.API, digest) == (native.API, "91fbab293b6f835c")


@pytest.mark.parametrize(("wanted", "stated"), [("0", "leveldb)"), ("1", "leveldb, native)")])
def test_the_first_line_of_a_server_says_whether_it_uses_it(tmp_path, monkeypatch, wanted, stated):
    monkeypatch.setenv("PYELEVATOR_NATIVE", wanted)
    with ServerProcess(data=tmp_path) as server:
        assert server.output.partition("\n")[0].endswith(f"data {tmp_path}, {stated}")


@pytest.mark.parametrize(("wanted", "name"), [("0", load_binding().__name__.replace("_", "-")), ("1", "native")])
def test_stats_say_which_library_reads_a_database(tmp_path, monkeypatch, wanted, name):
    monkeypatch.setenv("PYELEVATOR_NATIVE", wanted)
    with LevelDbStorage().open(str(tmp_path / "db"), {}) as engine:
        assert engine.stats().library == name
