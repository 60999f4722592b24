"""The configuration of ``elevator proxy``, in TOML.

::

    listen = ["tcp://127.0.0.1:4140", "ipc:///run/elevator-proxy.sock"]
    timeout = 30                      # seconds that an upstream may take for a request
    curve_keys = "keys"               # asks clients over TCP for keys, as elevator serve --curve-keys does
    insecure = false                  # listen where other machines can reach it, without keys
    ipc_mode = "0600"                 # who may use the socket files
    max_unread = 268435456            # bytes of answers that clients have not read yet, all together
    log_file = "proxy.log"            # where to log, instead of stderr

    [[upstream]]                      # the first whose patterns fit a database's name serves it
    name = "west"
    url = "tcp://west.example:4141"
    databases = ["west-*"]
    max_connections = 1               # shared by all clients; if not given, each has one of its own, up to 1024

    [[upstream]]
    name = "old"
    url = "tcp://old.example:4141?dialect=flat"
    max_serial_connections = 4        # connections to a server that takes one request at a time on each
    curve_key = "client.key_secret"   # files, for an upstream that asks for keys
    server_key = "server.key"
"""

import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from pyelevator.errors import UsageError
from pyelevator.proxy.routing import Upstream
from pyelevator.transports import Curve

DEFAULT_LISTEN: Final = "tcp://127.0.0.1:4140"


@frozen
class ProxySettings:
    """What a proxy does.

    Attributes:
        listen: URLs to take clients from.
        upstreams: the servers behind it.
        timeout: seconds that an upstream may take for a request.
        curve_keys: a directory of keys, for clients that come over TCP.
        insecure: listen where other machines can reach it without keys, too.
        ipc_mode: who may use the socket files.
        max_unread: bytes of answers that clients have not read yet, all together.
        log_file: where to log; None for stderr.
    """

    listen: tuple[str, ...] = (DEFAULT_LISTEN,)
    upstreams: tuple[Upstream, ...] = ()
    timeout: float = 30.0
    curve_keys: Path | None = None
    insecure: bool = False
    ipc_mode: int = 0o600
    max_unread: int = 256 << 20
    log_file: Path | None = None


def read_proxy_config(path: Path) -> ProxySettings:
    """The settings in a TOML file.

    Raises:
        UsageError: it cannot be read, or holds something that is not understood; the message names the file.
    """
    try:
        given = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path}: {error}") from error
    try:
        return _settings(given)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{path}: {error}") from error


def _settings(given: Mapping[str, Any]) -> ProxySettings:
    _check_keys("the file", given, _FILE)
    return ProxySettings(**{name: read(given[key]) for key, (_, name, read) in _FILE.items() if key in given})


def socket_mode(text: str) -> int:
    """The mode of a file, in octal digits.

    Raises:
        UsageError: it is something else.
    """
    if re.fullmatch("0?[0-7]{3}", text):
        return int(text, 8)
    raise UsageError(f'the mode of a file is text such as "0600", not {text!r}')


def _seconds(number: float) -> float:
    if number > 0:
        return float(number)
    raise UsageError(f"timeout must be more than 0 seconds, not {number}")


def _bytes(number: int) -> int:
    if number > 0:
        return number
    raise UsageError(f"max_unread must be more than 0 bytes, not {number}")


_FILE: Final[Mapping[str, tuple[Any, str, Callable[[Any], Any]]]] = {
    "listen": (list, "listen", tuple),
    "timeout": ((int, float), "timeout", _seconds),
    "curve_keys": (str, "curve_keys", Path),
    "insecure": (bool, "insecure", bool),
    "ipc_mode": (str, "ipc_mode", socket_mode),
    "max_unread": (int, "max_unread", _bytes),
    "log_file": (str, "log_file", Path),
    "upstream": (list, "upstreams", lambda tables: tuple([_upstream(table) for table in tables])),
}
"""Key -> its types, the setting, and how it is read."""


_UPSTREAM: Final[Mapping[str, tuple[Any, ...]]] = {
    "url": (str,),
    "name": (str,),
    "databases": (list,),
    "max_serial_connections": (int,),
    "max_connections": (int,),
    "curve_key": (str,),
    "server_key": (str,),
}


def _upstream(table: Any) -> Upstream:
    if not isinstance(table, dict) or "url" not in table:
        raise UsageError("each [[upstream]] needs a url")
    _check_keys("[[upstream]]", table, _UPSTREAM)
    key, server_key = table.pop("curve_key", None), table.pop("server_key", None)
    if (key is None) != (server_key is None):
        raise UsageError("an [[upstream]] that asks for keys needs both curve_key and server_key")
    curve = None if key is None else Curve.from_files(key, server_key)
    if "databases" in table:
        table["databases"] = tuple(table["databases"])
    return Upstream(**table, curve=curve)


def _check_keys(where: str, given: Mapping[str, Any], known: Mapping[str, tuple[Any, ...]]) -> None:
    for name, value in given.items():
        if name not in known:
            raise UsageError(f"{where} has no {name!r}; there are {', '.join(known)}")
        kinds = known[name][0]
        if not isinstance(value, kinds) or (isinstance(value, bool) and kinds is not bool):
            raise UsageError(f"{name} in {where} cannot be {value!r}")
