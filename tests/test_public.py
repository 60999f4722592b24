"""The public names: that they stay, are documented, and do not cost more than they must."""

import importlib
import inspect
import pkgutil
import subprocess
import sys

import pytest

import pyelevator
from pyelevator import Elevator, WriteBatch
from pyelevator.application import Application
from pyelevator.server import Server
from support.programs import WAIT_TIMEOUT

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(pyelevator.__path__, "pyelevator.")
    if not module.name.endswith("__main__")
)
DATABASES = [
    "connect",
    "disconnect",
    "listdb",
    "createdb",
    "dropdb",
    "forgetdb",
    "repairdb",
    "mount",
    "unmount",
    "ping",
    "stats",
    "backup",
    "compact",
    "sizes",
    "progress",
    "slowlog",
]
DATA = ["Get", "Put", "Delete", "Exists", "MGet", "Range", "Slice", "RangeIter", "WriteBatch"]
METHODS = DATABASES + DATA


def test_the_documented_methods_are_there():
    assert [name for name in METHODS if not callable(getattr(Elevator, name, None))] == []
    assert [name for name in ("Put", "Delete", "Write", "connect") if not callable(getattr(WriteBatch, name))] == []


@pytest.mark.parametrize("name", METHODS)
def test_every_method_that_asks_the_server_takes_a_timeout_by_keyword(name):
    parameter = inspect.signature(getattr(Elevator, name)).parameters["timeout"]
    assert parameter.kind is inspect.Parameter.KEYWORD_ONLY


def test_elevator_and_writebatch_take_the_same_arguments():
    assert inspect.signature(Elevator) == inspect.signature(WriteBatch)


def test_the_constructor_s_defaults_are_the_documented_ones():
    parameters = inspect.signature(Elevator).parameters
    defaults = {name: parameters[name].default for name in parameters}
    assert defaults["db_name"] is None
    assert defaults["transport"] == "tcp"
    assert defaults["endpoint"] == "127.0.0.1:4141"
    assert defaults["auto_connect"] is True
    assert defaults["encoding"] == "utf-8"
    assert defaults["dialect"] == "classic"


def without_docstring(module):
    """The module itself, its classes, functions and methods with public names that have no docstring."""
    loaded = importlib.import_module(module)
    bare = [] if loaded.__doc__ else [module]
    for name, thing in vars(loaded).items():
        if name.startswith("_") or getattr(thing, "__module__", None) != module:
            continue
        if inspect.isclass(thing) or inspect.isfunction(thing):
            bare += [] if inspect.getdoc(thing) else [f"{module}.{name}"]
        if inspect.isclass(thing):
            methods = [m for m, f in vars(thing).items() if not m.startswith(("_", "test_")) and inspect.isfunction(f)]
            bare += [f"{module}.{name}.{m}" for m in methods if not inspect.getdoc(getattr(thing, m))]
    return bare


@pytest.mark.parametrize("room", sorted({module.split(".")[1] for module in MODULES}))
def test_every_public_name_has_a_docstring(room):
    modules = [module for module in MODULES if module.split(".")[1] == room]
    assert [name for module in modules for name in without_docstring(module)] == []


def test_all_lists_what_the_package_exports():
    exported = {name for name in dir(pyelevator) if name[0].isupper()} - {"TYPE_CHECKING"}
    assert set(vars(pyelevator)["__all__"]) == exported
    assert [name for name in exported if not hasattr(pyelevator, name)] == []
    assert list(vars(pyelevator)["__all__"]) == sorted(
        vars(pyelevator)["__all__"], key=lambda name: (not name.isupper(), name)
    )


@pytest.fixture
def server():
    with Server(Application.in_memory(), ["tcp://127.0.0.1:0"]) as server:
        yield server.urls[0]


WITHOUT = """
import sys
for name in {missing!r}: sys.modules[name] = None
"""


def run_without(missing, program):
    code = WITHOUT.format(missing=missing) + program
    return subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=WAIT_TIMEOUT
    )


def test_the_client_and_the_fake_need_no_extra():
    ran = run_without(
        ["plyvel", "plyvel_next", "lz4", "lz4.block", "click", "rich", "hypothesis", "pytest", "sortedcontainers"],
        "from pyelevator import Elevator\nE = Elevator(transport='fake')\nE.Put('k', 'v')\nprint(E.Get('k'))",
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "v\n", "")


@pytest.mark.parametrize(
    ("missing", "program", "extra"),
    [
        (
            ["lz4", "lz4.block"],
            "from pyelevator import *\nElevator(transport='fake').Get('k', compression=True)",
            "lz4",
        ),
        (
            ["plyvel", "plyvel_next", "pyelevator_native"],
            "from pyelevator.application import Application\nApplication.on_leveldb('/nowhere')",
            "server",
        ),
        (["click"], "from pyelevator.__main__ import main\nmain()", "cli"),
    ],
)
def test_what_needs_an_extra_says_which(missing, program, extra):
    ran = run_without(missing, program)
    assert ran.returncode == 1
    assert f"pip install 'pyelevator[{extra}]'" in ran.stderr.splitlines()[-1]


def test_importing_the_package_imports_no_server_and_no_extra():
    loaded = "[m for m in ('plyvel', 'plyvel_next', 'click', 'asyncio', 'pytest') if m in sys.modules]"
    assert run_without([], f"import sys\nfrom pyelevator import Elevator\nprint({loaded})").stdout == "[]\n"


def test_a_client_loads_no_engine_and_no_logging():
    loaded = "[m for m in ('pyelevator.engines', 'logging', 'difflib') if m in sys.modules]"
    assert run_without([], f"import sys\nfrom pyelevator import Elevator\nprint({loaded})").stdout == "[]\n"


def test_the_client_is_loaded_on_use_and_the_application_for_a_fake():
    seen = "[m for m in ('attrs', 'msgpack', 'pyelevator.application') if m in sys.modules]"
    uses = ("import sys, pyelevator", "pyelevator.Elevator", "pyelevator.Elevator(transport='fake')")
    program = "\n".join(f"{use}\nprint({seen})" for use in uses)
    loaded = ["[]", "['attrs']", "['attrs', 'msgpack', 'pyelevator.application']"]
    assert run_without([], program).stdout.splitlines() == loaded


def test_importing_a_client_loads_neither_codecs_nor_connections():
    later = ["codec.classic", "codec.flat", "transports.sockets", "transports.zmtp", "transports.fake", "protocol"]
    later += ["client.sync.pool", "client.sync.batch", "client.sync.pipeline", "commands.admin", "commands.databases"]
    program = "import sys\nfrom pyelevator import Elevator\nprint(sorted(m for m in sys.modules if m.endswith({})))"
    dotted = tuple(f"pyelevator.{name}" for name in later)
    assert run_without([], program.format(dotted)).stdout == "[]\n"


LAZY_PACKAGES = [
    "pyelevator",
    "pyelevator.client",
    "pyelevator.codec",
    "pyelevator.commands",
    "pyelevator.transports",
]


@pytest.mark.parametrize("name", LAZY_PACKAGES)
def test_a_package_gives_all_its_names_on_use_and_no_others(name):
    package = importlib.import_module(name)
    assert [export for export in package.__all__ if not hasattr(package, export)] == []
    with pytest.raises(AttributeError, match=f"module '{name}' has no attribute 'Missing'"):
        package.Missing


EACH_ALONE = """
import importlib, os, traceback
import attrs, msgpack
for export in {exports!r}:
    child = os.fork()
    if not child:
        try:
            getattr(importlib.import_module({name!r}), export)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        raise SystemExit(export)
"""
"""Uses each export before any other, in a child of a process that has imported no module of the package."""


@pytest.mark.parametrize("name", LAZY_PACKAGES)
def test_a_package_gives_its_names_whichever_is_used_first(name):
    package = importlib.import_module(name)
    one_of_each = {getattr(getattr(package, name), "__module__", ""): name for name in package.__all__}
    ran = run_without([], EACH_ALONE.format(name=name, exports=sorted(one_of_each.values())))
    assert (ran.stderr, ran.returncode) == ("", 0)


def test_a_client_without_keys_does_not_load_libzmq(server):
    program = f"import sys\nfrom pyelevator import Elevator\nElevator.from_url({server!r}).disconnect()\n"
    assert run_without([], f"{program}print('zmq' in sys.modules)").stdout == "False\n"
