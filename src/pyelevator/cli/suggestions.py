"""Suggestions for a command that does not exist."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Final

_ELSEWHERE: Final[Mapping[str, str]] = {
    "set": "put",
    "add": "put",
    "del": "delete",
    "rm": "delete",
    "scan": "range",
    "keys": "range --keys",
    "has": "exists",
    "mset": "batch",
    "mput": "batch",
    "setnx": "put-if-absent",
    "cas": "compare-and-set",
    "getdel": "get-and-delete",
    "incrby": "incr",
    "decr": "incr KEY -1",
    "list": "databases",
    "ls": "databases",
    "listdb": "databases",
    "createdb": "create",
    "dropdb": "drop",
    "repairdb": "repair",
    "connect": "use",
    "select": "use",
    "info": "stats",
    "restore": "load",
    "start": "serve",
    "cli": "shell",
    "quit": "exit",
}
"""What a command is called elsewhere -> what it is called here."""


def suggest(name: str, known: Iterable[str]) -> str:
    """Return what to say about a command that does not exist: the one that was meant, if that can be guessed.

    >>> suggest("set", ["put", "get"]), suggest("gte", ["put", "get"]), suggest("xyzzy", ["put", "get"])
    ('; did you mean `put`?', '; did you mean `get`?', '')
    """
    names = list(known)
    elsewhere = _ELSEWHERE.get(name.lower(), "")
    if elsewhere.partition(" ")[0] in names:
        return f"; did you mean `{elsewhere}`?"
    close = get_close_matches(name, names, 1)
    return f"; did you mean `{close[0]}`?" if close else ""
