"""Suggestions for a command or an option that does not exist."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Final

import click

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


OPTION_ALIASES: Final[Mapping[str, str]] = {
    "--data": "d directory dir datadir data-dir root storage path folder dbpath db database databases",
    "--db": "d n name dbname database",
    "--to-db": "db database name target to",
    "--bind": "p b host hostname port address addr endpoint socket listen url server",
    "--listen": "p b host hostname port address addr endpoint socket bind url",
    "--upstream": "backend backends target server servers url connect to",
    "--url": "u h host hostname port p address addr endpoint socket server connect uri bind listen",
    "--curve-keys": "a password passwd pass requirepass user auth token secret key keys curve-key tls ssl cert certs",
    "--curve-key": "a password passwd pass user username auth token secret key keys curve-keys tls ssl cert identity",
    "--server-key": "public-key serverkey curve-server-key",
    "--config": "c f config-file conf cfg configuration settings file",
    "--log-file": "log logs logfile",
    "--log-level": "v verbose debug loglevel",
    "--log-format": "json",
    "--quiet": "q silent",
    "--workers": "w j threads jobs processes concurrency",
    "--clients": "c j threads connections concurrency workers",
    "--max-connections": "maxclients max-clients clients connections",
    "--row-cache": "cache cache-size maxmemory",
    "--engine": "type backend storage-engine memory",
    "--sync": "fsync durable appendfsync",
    "--metrics": "prometheus metrics-port metrics-address health",
    "--slow": "slowlog slow-log slow-ms slowlog-log-slower-than",
    "--slow-entries": "slowlog-max-len slow-log-size",
    "--output": "o out file output-file",
    "--directory": "d o dir output out path to",
    "--format": "type json jsonl output-format",
    "--compression": "compress gzip zstd lz4",
    "--watch": "f w interval follow every",
    "--seconds": "duration time timeout",
    "--pairs": "n count keys requests",
    "--limit": "n count max top",
    "--write": "read-write readwrite allow-write editable",
    "--force": "f y yes overwrite",
    "--start": "from begin",
    "--stop": "to end until",
    "--reverse": "descending desc backwards",
}
"""Option -> what it is called elsewhere, or may be taken for."""

_SIMILARITY: Final = 0.7
"""The minimum similarity of a suggestion: ``difflib`` finds ``--store`` for ``--port`` with its own 0.6."""


def describe_unknown_option(error: click.NoSuchOption) -> str:
    """Return what to say about an option that does not exist: which one was meant, if that can be guessed."""
    if error.ctx is None:
        return error.format_message()
    params = error.ctx.command.get_params(error.ctx)
    word = error.option_name.lstrip("-").lower().replace("_", "-")
    names = {
        name: each for each in params for name in (each.opts if isinstance(each, click.Option) else [f"--{each.name}"])
    }
    hint = _hint(word, names, error.ctx)
    if not hint and isinstance(error.ctx.command, click.Group):
        hint = "options of a command stand behind it."
    text = f"No such option {error.option_name!r}" + (f"; {hint}" if hint else ".")
    return f"{text} See `{error.ctx.command_path} --help`."


def _hint(word: str, params: Mapping[str, click.Parameter], ctx: click.Context) -> str:
    """Return which option or argument a word was meant for; empty if that cannot be guessed."""
    found = [name for name in params if name == f"--{word}" or word in OPTION_ALIASES.get(name, "").split()]
    for name in found or get_close_matches(f"--{word}", params, 1, _SIMILARITY):
        if isinstance(params[name], click.Option):
            return f"did you mean `{name}`?"
        return f"{params[name].make_metavar(ctx)} is given without the name of an option."
    return ""
