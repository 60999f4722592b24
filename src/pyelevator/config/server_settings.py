"""What a server is told: the settings, and the files that they are read from.

A file is TOML in our names::

    data = "/var/lib/elevator"               # the directory of the databases
    bind = ["tcp://127.0.0.1:4141", "ipc:///run/elevator.sock"]
    engine = "leveldb"                       # or "memory"
    store = "/var/lib/elevator/store.json"   # the catalog of the databases; within data unless told
    allow_path = ["/srv/leveldb"]            # absolute paths that clients may open databases under
    log_level = "INFO"
    log_file = "/var/log/elevator.log"
    workers = 4                              # threads for requests that may be slow
    sync = false                             # true: every write is on the disk before it is answered
    idle_unmount = 0                         # minutes after which an unused database is closed; 0 for never
    idle_unmount_adopted = 1                 # the same for one that another program has made
    max_message = 134217728                  # bytes of one frame
    max_batch = 1000000                      # operations of one batch
    max_range = 1000000                      # items of one answer; RangeIter has no limit
    max_range_bytes = 104857600              # bytes of them, about
    max_connections = 4096                   # clients at once
    max_unread = 268435456                   # bytes of answers that clients have not read yet, all together
    max_open = 256                           # databases that are open at once
    max_cursors = 256                        # snapshots kept for clients that iterate with consistent=True
    cursor_idle = 60                         # seconds that one is kept between two pages
    cursor_age = 3600                        # seconds that one is kept altogether
    row_cache = 33554432                     # bytes that a database keeps of MGet(..., fill_cache=True)
    curve_keys = "/etc/elevator/keys"        # what `elevator keygen` made: asks clients over TCP for keys
    insecure = false                         # true: listens where others can reach it, without keys
    ipc_mode = "0600"                        # who may use the socket files

    [options]                                # of databases that are created without their own
    block_size = 4096

or an ``elevator.conf`` as either old server had it: the classic one with ``[global]``, the flat one with ``[core]`` and
``[storage_engine]``. The content tells which. What those say of daemons and pid files is not carried out.
"""

import configparser
import logging
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Self, TypeAlias

from attrs import evolve, frozen

from pyelevator.application import Policy
from pyelevator.codec import Limits
from pyelevator.config import values
from pyelevator.engines.options import OPTIONS
from pyelevator.errors import UsageError
from pyelevator.server.limits import ServerLimits

DEFAULT_BIND: Final = "tcp://127.0.0.1:4141"

LIMITS: Final[Mapping[str, str]] = {
    "max_batch": "Operations of one batch.",
    "max_range": "Items of one answer to RANGE, SLICE or MGET; RangeIter has no limit.",
    "max_range_bytes": "Bytes of these, about.",
    "max_connections": "Clients at once.",
    "max_unread": "Bytes of answers that clients have not read yet, all together; who has too many of them must wait.",
    "max_open": "Databases that are open at once; the one unused for longest makes room.",
    "max_cursors": "Snapshots that are kept for clients that iterate with consistent=True.",
    "cursor_idle": "Seconds that one is kept between two pages.",
    "cursor_age": "Seconds that one is kept altogether.",
}
"""Setting -> what it limits: whole numbers from 1, beside ``max_message``."""


@frozen
class ServerSettings:
    """Everything that a server is told, from the command line, a file or the defaults.

    Attributes:
        data: the directory of the databases; the memory engine needs none.
        binds: URLs to listen on.
        engine: ``leveldb`` or ``memory``.
        store: the file with the catalog of the databases; None for the one within ``data``.
        allow_paths: directories under which clients may name databases by absolute path.
        options: of databases that are created without options of their own.
        log_level: as the ``logging`` module counts.
        log_file: None for stderr.
        workers: threads for requests that may be slow.
        sync: every write is on the disk before it is answered.
        idle_unmount: minutes after which an unused database is closed; 0 for never.
        idle_unmount_adopted: the same for one that was there before ``createdb``; the shorter of the two holds.
        max_message: bytes of one frame.
        max_batch, max_range, max_range_bytes, max_open: see :class:`pyelevator.application.Policy`.
        max_cursors, cursor_idle, cursor_age, row_cache: likewise.
        max_connections, max_unread: see :class:`pyelevator.server.limits.ServerLimits`.
        curve_keys: the directory of the server's keys and its clients'; None to ask nobody for a key.
        insecure: listen where other machines can reach it, without keys.
        ipc_mode: of the socket files.
        ignored: keys of the file that are not carried out.
    """

    data: Path | None = None
    binds: tuple[str, ...] = (DEFAULT_BIND,)
    engine: str = "leveldb"
    store: Path | None = None
    allow_paths: tuple[Path, ...] = ()
    options: Mapping[str, Any] = {}
    log_level: int = logging.WARNING
    log_file: Path | None = None
    workers: int = 4
    sync: bool = False
    idle_unmount: float = 0.0
    idle_unmount_adopted: float = 1.0
    max_message: int = Limits().frame_bytes
    max_batch: int = Policy().max_batch
    max_range: int = Policy().max_range
    max_range_bytes: int = Policy().max_range_bytes
    max_connections: int = ServerLimits().max_connections
    max_unread: int = ServerLimits().max_unsent_bytes
    max_open: int = Policy().max_open
    max_cursors: int = Policy().max_cursors
    cursor_idle: int = int(Policy().cursor_idle)
    cursor_age: int = int(Policy().cursor_age)
    row_cache: int = Policy().row_cache
    curve_keys: Path | None = None
    insecure: bool = False
    ipc_mode: int = 0o600
    ignored: tuple[str, ...] = ()

    def changed(self, changes: Mapping[str, Any]) -> Self:
        """These settings with some of them replaced."""
        return evolve(self, **changes)


@frozen
class Key:
    """What a key of a file sets, and how its value is read; ``options.x`` sets ``x`` within the options.

    ``acted_on`` is False for what we know, take and do not carry out.
    """

    setting: str = ""
    read: Callable[[Any], Any] = str
    acted_on: bool = True


_NOT_OURS: Final = Key(acted_on=False)
Sections: TypeAlias = Mapping[str, Mapping[str, Any]]
Keys: TypeAlias = Mapping[str, Mapping[str, Key]]


def _option(name: str, read: Callable[[Any], Any] = lambda value: value) -> Key:
    return Key(f"options.{name}", values.option(name, read))


_CLASSIC: Final[Keys] = {
    "global": {
        "databases_storage_path": Key("data", values.path),
        "database_store": Key("store", values.path),
        "transport": Key("listen.transport", values.transport),
        "bind": Key("listen.host", values.text),
        "port": Key("listen.port", values.integer(0, 65535)),
        "unixsocket": Key("listen.socket", values.text),
        "activity_log": Key("log_file", values.path),
        "log_level": Key("log_level", values.log_level),
        "workers": Key("workers", values.integer(1)),
        "majordome_interval": Key("idle_unmount", values.minutes),
        "max_cache_size": _NOT_OURS,
        "default_db": _NOT_OURS,
        "errors_log": _NOT_OURS,
        "paranoid": _NOT_OURS,
        "daemonize": _NOT_OURS,
        "pidfile": _NOT_OURS,
    }
}

_FLAT: Final[Keys] = {
    "core": {
        "databases_storage_path": Key("data", values.path),
        "database_store": Key("store", values.path),
        "endpoint": Key("binds", values.each(values.bind_url)),
        "log_level": Key("log_level", values.log_level),
        "log_file": Key("log_file", values.path),
        "default_db": _NOT_OURS,
        "daemonize": _NOT_OURS,
        "pidfile": _NOT_OURS,
    },
    "storage_engine": {
        "compression": _option("compression", values.compression),
        "block_size": _option("block_size", values.integer(0)),
        "cache_size": _option("lru_cache_size", values.integer(0)),
        "write_buffer_size": _option("write_buffer_size", values.integer(0)),
        "bloom_filter_bits": _option("bloom_filter_bits", values.integer(0)),
        "max_open_files": _option("max_open_files", values.integer(0)),
        "verify_checksums": _option("paranoid_checks", values.flag),
    },
}

_TOML: Final[Keys] = {
    "": {
        "data": Key("data", values.path),
        "bind": Key("binds", values.each(values.bind_url)),
        "engine": Key("engine", values.engine),
        "store": Key("store", values.path),
        "allow_path": Key("allow_paths", values.each(values.path)),
        "log_level": Key("log_level", values.log_level),
        "log_file": Key("log_file", values.path),
        "workers": Key("workers", values.integer(1)),
        "sync": Key("sync", values.flag),
        "idle_unmount": Key("idle_unmount", values.minutes),
        "idle_unmount_adopted": Key("idle_unmount_adopted", values.minutes),
        "max_message": Key("max_message", values.integer(1024)),
        **{name: Key(name, values.integer(1)) for name in LIMITS},
        "row_cache": Key("row_cache", values.integer(0)),
        "curve_keys": Key("curve_keys", values.path),
        "insecure": Key("insecure", values.flag),
        "ipc_mode": Key("ipc_mode", values.mode),
    },
    "options": {name: _option(name) for name in OPTIONS},
}


def _read_ini(text: str) -> Sections:
    parser = configparser.ConfigParser(interpolation=None, inline_comment_prefixes=(";", "#"))
    parser.read_string(text)
    stripped = {name: {key: value.strip("\"'") for key, value in parser[name].items()} for name in parser.sections()}
    return {name: {key: value for key, value in keys.items() if value} for name, keys in stripped.items()}


def _read_toml(text: str) -> Sections:
    parsed = tomllib.loads(text)
    tables = {name: value for name, value in parsed.items() if isinstance(value, dict)}
    return {"": {name: value for name, value in parsed.items() if name not in tables}, **tables}


_FLAVOURS: Final[Mapping[str, tuple[Callable[[str], Sections], Keys]]] = {
    "global": (_read_ini, _CLASSIC),
    "core": (_read_ini, _FLAT),
    "storage_engine": (_read_ini, _FLAT),
}
"""The first section of a file -> how it is read; everything else is TOML."""


def read_server_config(path: str | Path) -> dict[str, Any]:
    """The settings that a file changes, ``ignored`` among them.

    Raises:
        UsageError: it cannot be read, or a key or a value is not understood; the message names file, key and value.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path}: {getattr(error, 'strerror', None) or 'it is not text'}") from error
    header = re.search(r"^\s*\[\s*(\w+)\s*\]", text, re.MULTILINE)
    read, known = _FLAVOURS.get(header[1] if header else "", (_read_toml, _TOML))
    try:
        sections = read(text)
    except (configparser.Error, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path}: {str(error).splitlines()[0]}") from error
    return _changes(str(path), sections, known)


def _changes(path: str, sections: Sections, known: Keys) -> dict[str, Any]:
    changes: dict[str, Any] = {"ignored": ()}
    for section, entries in sections.items():
        for name, value in entries.items():
            key = _known(path, known, section, name)
            if not key.acted_on:
                changes["ignored"] += (name,)
            if key.setting:
                _set(changes, key.setting, _value(path, key, name, value))
    return _with_classic_binds(path, changes)


def _known(path: str, known: Keys, section: str, name: str) -> Key:
    if section not in known:
        raise UsageError(f"{path}: there is no section [{section}]; there are {', '.join(filter(None, known))}")
    if name not in known[section]:
        raise UsageError(f"{path}: there is no key {name!r} here; there are {', '.join(known[section])}")
    return known[section][name]


def _value(path: str, key: Key, name: str, value: Any) -> Any:
    try:
        return key.read(value)
    except ValueError as error:
        raise UsageError(f"{path}: {name} = {value!r}: {error}") from error


def _set(changes: dict[str, Any], setting: str, value: Any) -> None:
    group, _, member = setting.rpartition(".")
    (changes.setdefault(group, {}) if group else changes)[member] = value


def _with_classic_binds(path: str, changes: dict[str, Any]) -> dict[str, Any]:
    """Make URLs of the classic host, port and socket.

    ``transport`` chooses between them, as in 0.5a, 0.5b, 0.5d and the repository's last state. In the files without it
    both are meant, and TCP is on unless the port is 0.
    """
    listen = changes.pop("listen", None)
    if listen is None:
        return changes
    host, port = listen.get("host", "127.0.0.1"), listen.get("port", 4141)
    urls = {
        "tcp": (f"tcp://{host}:{port}",) if port else (),
        "ipc": (f"ipc://{listen['socket'].removeprefix('ipc://')}",) if "socket" in listen else (),
    }
    chosen = listen.get("transport")
    binds = urls[chosen] if chosen else (*urls["tcp"], *urls["ipc"])
    if not binds:
        raise UsageError(f"{path}: {_NO_ADDRESS[chosen]}")
    return changes | {"binds": binds}


_NO_ADDRESS: Final[Mapping[str | None, str]] = {
    None: "port = 0 and no unixsocket leave nothing to listen on",
    "tcp": "transport = tcp and port = 0 leave nothing to listen on",
    "ipc": "transport = ipc needs the path of the socket file: unixsocket = /run/elevator.sock",
}
"""``transport`` of a classic file -> what is missing where nothing is left to listen on."""
