"""The words of the field: no part of an identifier is a house word, and prose names what it means."""

import ast
import re
from pathlib import Path

import pytest

from support.sources import ROOMS, nodes_of

ROOT = Path(__file__).parents[1]

INSTEAD = {
    "ahead": "prefetch",
    "alight": "deliver",
    "attune": "update_interest",
    "begun": "pending",
    "board": "forward, dispatcher",
    "borrow": "share",
    "borrowed": "shared",
    "borrowing": "sharing",
    "bury": "close",
    "choke": "pause_large_reads",
    "conversation": "protocol",
    "courteous": "cooperative",
    "courtesy": "cooperation, checkpoint",
    "crowd": "load processes",
    "deaf": "write_blocked",
    "door": "listening socket",
    "doorkeeper": "ZapHandler",
    "doors": "listening sockets",
    "doubt": "forget, reset",
    "exchange": "incoming request, forward",
    "forsake": "evict",
    "gate": "authorizing interceptor",
    "gathered": "collected",
    "goodbye": "drain",
    "guard": "authorizing application, check",
    "guest": "peer",
    "guests": "peers",
    "heed": "on_client_blocked",
    "judge": "check",
    "knock": "incoming connection",
    "lane": "connection",
    "lanes": "connections, pool",
    "late": "deadline exceeded, stale",
    "lend": "acquire",
    "lent": "acquired, prefetching",
    "likeness": "batch key",
    "manners": "compatibility",
    "mend": "reopen, repair",
    "nobody": "no client",
    "openings": "open databases",
    "outbox": "send queue",
    "parked": "queued",
    "passenger": "forwarded request",
    "patience": "timeout",
    "picked": "read",
    "piece": "chunk",
    "pieces": "chunks",
    "portion": "chunk, batch",
    "portions": "chunks",
    "resting": "paused",
    "rider": "client",
    "riders": "clients",
    "rights": "permissions",
    "road": "dialer",
    "said": "given",
    "seat": "connection_for",
    "sibling": "clone",
    "somebody": "a client",
    "sought": "seek, find",
    "spare": "evictable, reserve",
    "stale": "deleted, expired",
    "stir": "ready",
    "stock": "dataset",
    "stranger": "unknown client, handshaking peer",
    "strangers": "unknown clients, handshaking peers",
    "suspect": "no longer trusted",
    "switchboard": "dispatcher",
    "tagged": "has_id",
    "told": "data, given",
    "usual": "fast path",
    "welcome": "handshake",
    "whole": "complete, integer, paged",
    "whom": "client",
}
"""House word -> what the field says, of which the fitting one is taken; see "Words" in docs/contributing.md."""

PROSE = re.compile(r"(?i)(?<![-/\w])(?:anybody|everybody|nobody|somebody|whoever|whom|whomever)(?![-\w])")
"""Words that hide what is meant: a client, a peer, a caller, a reader."""

PROSE_EXCEPTIONS = ("as nobody", 'b"anybody"', "NOBODY", "to whom the")
"""The user of that name, what libzmq calls it, and the license."""

OTHERS_OWN = {"TypeGuard", "welcome"}
"""Names of Python, and a command of CURVE."""

PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def identifiers(path):
    """The names that a module gives: of itself, classes, functions, parameters, variables and attributes."""
    for node in nodes_of(path):
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.arg(arg=name) | ast.Attribute(attr=name) | ast.Name(id=name):
                yield name
            case ast.alias(name=name, asname=other):
                yield other or name.rpartition(".")[2]


def house_words(path):
    """The names that hold a house word; the name of a test is a sentence."""
    names = {path.stem, *path.relative_to(ROOT).parts[:-1], *identifiers(path)} - OTHERS_OWN
    names = {name for name in names if not name.startswith("test_")}
    return {name for name in names if {part.lower() for part in PART.findall(name)} & INSTEAD.keys()}


CODE = {f"src/{room}": paths for room, paths in ROOMS.items()} | {
    folder: sorted((ROOT / folder).rglob("*.py")) for folder in ("benchmarks", "examples", "native/src", "tests")
}


@pytest.mark.parametrize("folder", CODE)
def test_no_identifier_holds_a_house_word(folder):
    assert {str(path.relative_to(ROOT)): words for path in CODE[folder] if (words := house_words(path))} == {}


def prose():
    """The text files of the repository in which people read: pages, source, tests, tools."""
    for pattern in ("*.md", "docs/**/*.md", ".github/**/*.yml", "packaging/*", "native/**/*.[chmp]*", "pyproject.toml"):
        yield from ROOT.glob(pattern)
    for room in ("benchmarks", "docs", "examples", "findings", "native", "src", "tests"):
        yield from (ROOT / room).rglob("*.py")


def hiding_words(path):
    lines = path.read_text(errors="replace").splitlines()
    return {line for line in lines if PROSE.search(line) and not any(other in line for other in PROSE_EXCEPTIONS)}


def test_the_prose_says_client_or_peer_and_not_somebody():
    paths = {path for path in prose() if path.is_file() and path != Path(__file__)}
    assert {str(path.relative_to(ROOT)): words for path in paths if (words := hiding_words(path))} == {}
