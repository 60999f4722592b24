"""The modules of the package by their room, for tests that read the source; each is parsed once in a process."""

import ast
from functools import cache
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "pyelevator"
FILES = sorted(SOURCE.rglob("*.py"))


def room_of(path: Path) -> str:
    """Return the room of a module: the package or the module directly in the source."""
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


ROOMS = {room: [path for path in FILES if room_of(path) == room] for room in sorted(set(map(room_of, FILES)))}

each_room = pytest.mark.parametrize("room", ROOMS)
"""Run a test once for each room; ``ROOMS`` has its files."""


@cache
def nodes_of(path: Path) -> list[ast.AST]:
    """Return all nodes of a module's syntax tree."""
    return list(ast.walk(ast.parse(path.read_text())))


def named(path: Path) -> str:
    """Return how a module is named in messages."""
    return str(path.relative_to(SOURCE))
