"""The settings of ``elevator proxy``, and its configuration file.

The file is TOML, for instance::

    listen = ["tcp://127.0.0.1:4140", "ipc:///run/elevator-proxy.sock"]
    timeout = 30

    [[upstream]]                      # the first whose patterns match a database's name serves it
    name = "west"
    url = "tcp://west.example:4141"
    databases = ["west-*"]
    max_connections = 1               # shared by all clients; otherwise each has its own, up to 1024

    [[upstream]]
    name = "old"
    url = "tcp://old.example:4141?dialect=flat"
    max_serial_connections = 4        # connections to a server that takes one request at a time on each
    curve_key = "client.key_secret"   # key files, for an upstream that asks for keys
    server_key = "server.key"
"""

from pathlib import Path
from typing import Final

from attrs import frozen

from pyelevator._options import defaults_of
from pyelevator.config import values
from pyelevator.config.schema import ProgramSettings, Values, parse_toml, read_text, setting
from pyelevator.config.values import EntryError
from pyelevator.errors import UsageError
from pyelevator.proxy.options import ProxyOptions
from pyelevator.proxy.routing import Upstream
from pyelevator.transports import Curve

DEFAULT_LISTEN: Final = "tcp://127.0.0.1:4140"

_UPSTREAM: Final = values.TableParser(
    {
        "url": values.text,
        "name": values.text,
        "databases": values.each(values.text),
        "max_serial_connections": values.integer(1),
        "max_connections": values.integer(1),
        "curve_key": values.path,
        "server_key": values.path,
    }
)


def _upstreams(value: object) -> tuple[Upstream, ...]:
    """Parse the upstreams: a list of tables, or the URL of a single one."""
    return values.each(_upstream)({"url": value} if isinstance(value, str) else value)


def _upstream(table: object) -> Upstream:
    if not isinstance(table, dict) or "url" not in table:
        raise EntryError("each [[upstream]] needs a url")
    try:
        entries = _UPSTREAM(table)
    except EntryError as error:
        raise EntryError(f"[[upstream]]: {error}") from error
    key, server_key = entries.pop("curve_key", None), entries.pop("server_key", None)
    if (key is None) != (server_key is None):
        raise EntryError("an [[upstream]] that asks for keys needs both curve_key and server_key")
    try:
        curve = None if key is None else Curve.from_files(key, server_key)
        return Upstream(**entries, curve=curve)
    except UsageError as error:
        raise EntryError(str(error)) from error


@frozen(kw_only=True)
class ProxySettings(ProgramSettings):
    """The settings of a proxy; ``docs/reference/configuration.md`` lists them."""

    listen: tuple[str, ...] = setting(
        (DEFAULT_LISTEN,), values.bind_url, "URL to accept clients on; may be repeated.", "URL", is_list=True
    )
    upstreams: tuple[Upstream, ...] = setting(
        (),
        _upstreams,
        "Server to forward requests to. Add ?dialect=flat for a 0.7 server, ?curve_key=FILE&server_key=FILE for one "
        "that asks for keys, or ?max_connections=1 to share a single connection among all clients. The configuration "
        "file can list several servers.",
        "URL",
        key="upstream",
    )
    timeout: float = setting(
        defaults_of(ProxyOptions)["timeout"], values.seconds, "Time that a server may take for a request.", "SECONDS"
    )


def read_proxy_config(path: str | Path) -> Values:
    """Read a proxy's configuration file.

    Args:
        path: of the file.

    Returns:
        The values by the names of their fields.

    Raises:
        UsageError: the file cannot be read or is invalid; the message names file, key and value.
    """
    return parse_toml(ProxySettings, read_text(path), path)
