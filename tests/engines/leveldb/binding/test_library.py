"""The choice of the binding to LevelDB: one in each process, and the one that has wheels for this Python."""

import subprocess
import sys
from types import ModuleType

import pytest

from pyelevator.engines.leveldb.binding.library import binding_names, load_binding

LOADED = ModuleType("stand-in")


@pytest.mark.parametrize(
    ("version", "first"),
    [((3, 11), "plyvel"), ((3, 12), "plyvel_next"), ((3, 14), "plyvel_next"), ((3, 15), "plyvel"), ((4, 0), "plyvel")],
)
def test_the_binding_with_wheels_for_a_python_comes_first(version, first):
    assert binding_names(version, {})[0] == first


@pytest.mark.parametrize("version", [(3, 11), (3, 13), (3, 15)])
@pytest.mark.parametrize("name", ["plyvel", "plyvel_next"])
def test_a_binding_that_is_imported_already_comes_first(version, name):
    assert binding_names(version, {name: LOADED})[0] == name


def test_a_binding_that_cannot_be_imported_is_no_loaded_one():
    assert binding_names((3, 11), {"plyvel_next": None})[0] == "plyvel"


def test_both_bindings_are_tried(monkeypatch):
    monkeypatch.setitem(sys.modules, "plyvel", None)
    monkeypatch.setitem(sys.modules, "plyvel_next", LOADED)
    assert load_binding() is LOADED


def test_a_server_on_leveldb_has_one_binding_in_its_process(tmp_path):
    program = (
        "import sys; from pyelevator.application import Application\n"
        "Application.on_leveldb(sys.argv[1]).close()\n"
        "print(len({'plyvel', 'plyvel_next', 'pyelevator_native.leveldb'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program, tmp_path], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"
