"""The direction of imports, and which room owns which library (docs/contributing.md), read from the source itself."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from support.sources import FILES as ALL_FILES, ROOMS as FILES_OF, SOURCE, each_room, named, nodes_of, room_of

# Each room may import those before it, and itself; rooms of one row are siblings that do not know one another.
ROWS = [
    {"_attrs", "_closing", "_lazy", "_options", "forks", "paths"},
    {"errors"},
    {"_json"},
    {"arguments", "monitoring", "native", "reports"},
    {"commands", "deadlines"},
    {"messages"},
    {"flows"},
    {"codec", "interceptors", "engines"},
    {"legacy", "compat"},
    {"application"},
    {"protocol"},
    {"transports"},
    {"auth", "peers"},
    {"client", "server", "proxy"},
    {"config", "console", "dumps", "loadtest"},
    {"cli", "testing"},
    {"__main__"},
]
OWNERS = {
    "msgpack": {"codec", "dumps"},
    "lz4": {"codec"},
    "zstandard": {"dumps"},
    "nacl": {"transports"},
    "zmq": {"transports"},
    "plyvel": {"engines"},
    "plyvel_next": {"engines"},
    "psycopg": {"engines"},
    "pyelevator_native": {"native"},
    "click": {"cli", "__main__"},
    "starlette": {"console"},
    "uvicorn": {"console"},
    "rich": {"cli"},
    "prompt_toolkit": {"cli"},
    "hypothesis": {"testing"},
    "pytest": {"testing"},
}
ROOMS = {room: level for level, row in enumerate(ROWS) for room in row}
FILES = [path for path in ALL_FILES if path != SOURCE / "__init__.py"]


@cache
def imports_of(path: Path) -> set[str]:
    names = set()
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module or ""}
    return names


def rooms_used_by(path: Path) -> set[str]:
    return {name.split(".")[1] for name in imports_of(path) if name.startswith("pyelevator.")} & set(ROOMS)


def foreign_libraries_of(path: Path) -> set[str]:
    libraries = {name.split(".")[0] for name in imports_of(path)} & set(OWNERS)
    return {library for library in libraries if room_of(path) not in OWNERS[library]}


@each_room
def test_a_room_imports_only_rooms_below_it(room):
    above = {other for other, level in ROOMS.items() if other != room and level >= ROOMS.get(room, len(ROWS))}
    used = {named(path): rooms_used_by(path) & above for path in FILES_OF[room]}
    assert {path: rooms for path, rooms in used.items() if rooms} == {}


@each_room
def test_a_library_is_imported_only_by_its_owner(room):
    assert {named(path): foreign for path in FILES_OF[room] if (foreign := foreign_libraries_of(path))} == {}


def test_every_module_stands_in_a_room_of_the_plan():
    assert {room_of(path) for path in FILES} - set(ROOMS) == set()


def test_plyvel_is_imported_by_one_module_only():
    assert [p.name for p in FILES if re.search(r"import plyvel|[\"']plyvel(_next)?[\"']", p.read_text())] == [
        "library.py"
    ]


def test_the_page_for_contributors_shows_these_rooms():
    page = (SOURCE.parents[1] / "docs" / "contributing.md").read_text()
    table = page.partition("\n## Rooms\n")[2].partition("\n## ")[0]
    shown = [set(re.findall(r"`(\w+)`", line.split("|")[1])) for line in table.splitlines() if line.startswith("| `")]
    assert shown == [row for row in ROWS if row != {"__main__"}]


def module_of(path: Path) -> str:
    return ".".join(["pyelevator", *path.relative_to(SOURCE).with_suffix("").parts]).removesuffix(".__init__")


MODULES = {module_of(path): path for path in ALL_FILES}


@cache
def modules_used_by(path: Path) -> set[str]:
    """The modules whose names a module imports anywhere: for types only, and inside of functions, too."""
    used: set[str] = set()
    for node in nodes_of(path):
        match node:
            case ast.Import(names=names):
                used |= {alias.name for alias in names}
            case ast.ImportFrom(module=str(home), names=names):
                parts = {f"{home}.{alias.name}" for alias in names}
                used |= {part if part in MODULES else home for part in parts}
    return used & MODULES.keys()


def circles(graph: dict[str, set[str]]) -> list[set[str]]:
    """The strongly connected components of more than one module (Tarjan)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    path: list[str] = []
    found: list[set[str]] = []

    def visit(module: str) -> None:
        index[module] = low[module] = len(index)
        path.append(module)
        for other in graph[module]:
            if other not in index:
                visit(other)
            if other in path:
                low[module] = min(low[module], low[other])
        if low[module] == index[module]:
            start = path.index(module)
            if len(path) - start > 1:
                found.append(set(path[start:]))
            del path[start:]

    for module in sorted(graph):
        if module not in index:
            visit(module)
    return found


def test_circles_are_found():
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": {"e"}, "e": {"d"}, "f": {"a"}}
    assert sorted(map(sorted, circles(graph))) == [["a", "b", "c"], ["d", "e"]]


def test_no_modules_import_one_another_in_a_circle():
    graph = {module: modules_used_by(path) for module, path in MODULES.items()}
    assert circles(graph) == []


@pytest.mark.parametrize("path", sorted(SOURCE.glob("transports/zmtp/*.py")), ids=lambda path: path.name)
def test_the_zmtp_protocol_imports_nothing_but_errors_and_itself(path):
    foreign = {used for used in modules_used_by(path) if not used.startswith("pyelevator.transports.zmtp")}
    assert foreign <= {"pyelevator.errors"}
    assert {name.split(".")[0] for name in imports_of(path)} & {"socket", "select", "threading", "time"} == set()


# Packages whose modules both use those of a sub-package and are used by them. The list can only become shorter.
BOTH_WAYS = {("pyelevator.application", "pyelevator.application.handlers")}


def both_ways(uses: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """The packages and sub-packages of which each uses the other, by the modules that use one another.

    A package's ``__init__`` is apart: it is what outsiders import, and names what is in the sub-packages.
    """
    homes = {(user.rpartition(".")[0], used.rpartition(".")[0]) for user, used in uses}
    return {(user, used) for user, used in homes if used.startswith(f"{user}.") and (used, user) in homes}


def test_packages_that_use_one_another_are_found():
    assert both_ways({("a.b.x", "a.b.c.y"), ("a.b.c.z", "a.b.x"), ("a.d.x", "a.d.e.y")}) == {("a.b", "a.b.c")}


def test_a_package_uses_its_sub_packages_or_is_used_by_them():
    inner = {module: path for module, path in MODULES.items() if path.name != "__init__.py" and module.count(".") > 1}
    uses = {(module, used) for module, path in inner.items() for used in modules_used_by(path) if used in inner}
    assert both_ways(uses) == BOTH_WAYS
