"""The ``elevator.conf`` of both old servers: the classic one has ``[global]``, the flat one ``[core]``.

Settings that make no sense for this server, such as those of daemons and pid files, are accepted and ignored.
"""

import configparser
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

from attrs import frozen

from pyelevator.config import values
from pyelevator.config.schema import Reader, Values
from pyelevator.config.values import EntryError, TableParser
from pyelevator.errors import UsageError


@frozen
class _Key:
    """The setting of a key: a field, or with a dot an entry of a group."""

    setting: str = ""
    read: Reader = str
    ignored: bool = False


_Keys: TypeAlias = Mapping[str, Mapping[str, _Key]]
_IGNORED: Final = _Key(ignored=True)


def _entry(name: str, parse: Reader) -> _Key:
    return _Key(f"options.{name}", values.engine_option(name, parse))


_CLASSIC_CONF: Final[_Keys] = {
    "global": {
        "databases_storage_path": _Key("data", values.path),
        "database_store": _Key("store", values.path),
        "transport": _Key("listen.transport", values.transport),
        "bind": _Key("listen.host", values.text),
        "port": _Key("listen.port", values.integer(0, 65535)),
        "unixsocket": _Key("listen.socket", values.text),
        "activity_log": _Key("log_file", values.path),
        "log_level": _Key("log_level", values.log_level),
        "workers": _Key("workers", values.integer(1)),
        "majordome_interval": _Key("idle_unmount", values.minutes),
        **dict.fromkeys(("max_cache_size", "default_db", "errors_log", "paranoid", "daemonize", "pidfile"), _IGNORED),
    }
}

_FLAT_CONF: Final[_Keys] = {
    "core": {
        "databases_storage_path": _Key("data", values.path),
        "database_store": _Key("store", values.path),
        "endpoint": _Key("binds", values.each(values.bind_url)),
        "log_level": _Key("log_level", values.log_level),
        "log_file": _Key("log_file", values.path),
        **dict.fromkeys(("default_db", "daemonize", "pidfile"), _IGNORED),
    },
    "storage_engine": {
        "compression": _entry("compression", values.compression),
        "block_size": _entry("block_size", values.integer(0)),
        "cache_size": _entry("lru_cache_size", values.integer(0)),
        "write_buffer_size": _entry("write_buffer_size", values.integer(0)),
        "bloom_filter_bits": _entry("bloom_filter_bits", values.integer(0)),
        "max_open_files": _entry("max_open_files", values.integer(0)),
        "verify_checksums": _entry("paranoid_checks", values.flag),
    },
}

_DIALECTS: Final[Mapping[str, _Keys]] = {"global": _CLASSIC_CONF, "core": _FLAT_CONF, "storage_engine": _FLAT_CONF}
"""The first section of a file -> its keys."""


def _first_section(text: str) -> str:
    header = re.search(r"^\s*\[\s*(\w+)\s*\]", text, re.MULTILINE)
    return header[1] if header else ""


def is_legacy(text: str) -> bool:
    """Return True for the text of an old server's file."""
    return _first_section(text) in _DIALECTS


def parse_legacy(text: str, path: str | Path) -> Values:
    """Parse the text of an old server's file into the values of settings; ``ignored`` are the keys without a meaning.

    Raises:
        UsageError: the text is invalid; the message names file, key and value.
    """
    known = _DIALECTS[_first_section(text)]
    readers = {section: TableParser({name: key.read for name, key in keys.items()}) for section, keys in known.items()}
    try:
        sections = TableParser(readers)(_read_ini(text))
        changes = _changes(sections, known)
        return changes | _bind_urls(changes.pop("listen", None))
    except EntryError as error:
        raise UsageError(f"{path}: {error}") from error
    except configparser.Error as error:
        raise UsageError(f"{path}: {str(error).splitlines()[0]}") from error


def _read_ini(text: str) -> dict[str, dict[str, str]]:
    """Read the sections; quotes are removed, and keys without a value are left out."""
    parser = configparser.ConfigParser(interpolation=None, inline_comment_prefixes=(";", "#"))
    parser.read_string(text)
    stripped = {name: {key: value.strip("\"'") for key, value in parser[name].items()} for name in parser.sections()}
    return {name: {key: value for key, value in keys.items() if value} for name, keys in stripped.items()}


def _changes(sections: Mapping[str, Mapping[str, Any]], known: _Keys) -> Values:
    entries = [
        (name, known[section][name], value) for section, keys in sections.items() for name, value in keys.items()
    ]
    changes: Values = {"ignored": tuple(name for name, key, _ in entries if key.ignored)}
    for _, key, value in entries:
        group, _, member = key.setting.rpartition(".")
        if key.setting:
            (changes.setdefault(group, {}) if group else changes)[member] = value
    return changes


def _bind_urls(listen: Mapping[str, Any] | None) -> Values:
    """Make URLs of the classic host, port and socket.

    ``transport`` chooses between them, as in 0.5a, 0.5b, 0.5d and the repository's last state. In files without it
    both are used, and TCP is on unless the port is 0.
    """
    if listen is None:
        return {}
    host, port = listen.get("host", "127.0.0.1"), listen.get("port", 4141)
    urls = {
        "tcp": (f"tcp://{host}:{port}",) if port else (),
        "ipc": (f"ipc://{listen['socket'].removeprefix('ipc://')}",) if "socket" in listen else (),
    }
    chosen = listen.get("transport")
    binds = urls[chosen] if chosen else (*urls["tcp"], *urls["ipc"])
    if not binds:
        raise EntryError(_NO_ADDRESS[chosen])
    return {"binds": binds}


_NO_ADDRESS: Final[Mapping[str | None, str]] = {
    None: "port = 0 and no unixsocket leave nothing to listen on",
    "tcp": "transport = tcp and port = 0 leave nothing to listen on",
    "ipc": "transport = ipc needs the path of the socket file: unixsocket = /run/elevator.sock",
}
"""``transport`` of a classic file -> the error if nothing is left to listen on."""
