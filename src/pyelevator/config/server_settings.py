"""The settings of ``elevator serve``, and its configuration file.

The file is TOML, for instance::

    data = "/var/lib/elevator"
    bind = ["tcp://127.0.0.1:4141", "ipc:///run/elevator.sock"]
    workers = 8

    [options]                     # of databases that are created without options of their own
    block_size = 4096

or an ``elevator.conf`` of either old server, see :mod:`pyelevator.config.legacy_conf`. The content decides which.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from pyelevator._options import defaults_of
from pyelevator.application import Policy
from pyelevator.codec import Limits
from pyelevator.config import values
from pyelevator.config.legacy_conf import is_legacy, parse_legacy
from pyelevator.config.schema import ProgramSettings, Values, parse_toml, read_text, setting
from pyelevator.engines.options import OPTIONS
from pyelevator.server.options import ServerOptions
from pyelevator.transports.options import MAX_CONNECTIONS

DEFAULT_BIND: Final = "tcp://127.0.0.1:4141"

_POLICY: Final = Policy()


def _limit(default: float, help: str, metavar: str = "N") -> Any:
    return setting(int(default), values.integer(1), help, metavar)


@frozen(kw_only=True)
class ServerSettings(ProgramSettings):
    """The settings of a server; ``docs/reference/configuration.md`` lists them."""

    data: Path | None = setting(None, values.path, "Directory of the databases; created if it is missing.", "DIR")
    binds: tuple[str, ...] = setting(
        (DEFAULT_BIND,), values.bind_url, "URL to listen on; may be repeated.", "URL", key="bind", is_list=True
    )
    engine: str = setting(
        "leveldb",
        values.engine,
        "Storage engine, or the URL of one that several servers share: postgresql://USER@HOST,HOST/DATABASE.",
        "|".join((*values.ENGINES, "URL")),
    )
    store: Path | None = setting(
        None, values.path, "File with the catalog of the databases; in the data directory if not given.", "FILE"
    )
    allow_paths: tuple[Path, ...] = setting(
        (),
        values.path,
        "Directory under which clients may name databases by absolute path; may be repeated. If not given, every path "
        "is allowed to a server that only this machine can reach, and none to any other.",
        "DIR",
        key="allow_path",
        is_list=True,
    )
    options: Mapping[str, Any] = setting(
        {},
        values.TableParser({name: values.engine_option(name) for name in OPTIONS}),
        "Table with the options of databases that are created without options of their own.",
        is_option=False,
    )
    workers: int = _limit(defaults_of(ServerOptions)["workers"], "Number of threads for requests that may be slow.")
    sync: bool = setting(False, values.flag, "Answer each write only when it is on the disk.")
    idle_unmount: float = setting(
        0.0,
        values.minutes,
        "Close a database that was unused for so long, until it is used again; 0 for never.",
        "MINUTES",
    )
    idle_unmount_adopted: float = setting(
        1.0,
        values.minutes,
        "Close a database that existed before createdb when it was unused for so long, so that its own program can "
        "open it; 0 for never. The shorter of both times counts.",
        "MINUTES",
    )
    max_message: int = setting(
        Limits().frame_bytes, values.integer(1024), "Maximum size of one frame of a message.", "BYTES"
    )
    max_batch: int = _limit(_POLICY.max_batch, "Maximum number of operations in a batch.")
    max_range: int = _limit(
        _POLICY.max_range, "Maximum number of items in the response to a Range, Slice or MGet; RangeIter has no limit."
    )
    max_range_bytes: int = _limit(_POLICY.max_range_bytes, "Approximate maximum size of those items.", "BYTES")
    max_connections: int = _limit(MAX_CONNECTIONS, "Maximum number of connections.")
    max_open: int = _limit(
        _POLICY.max_open, "Maximum number of open databases; the least recently used one is closed to make room."
    )
    max_cursors: int = _limit(
        _POLICY.max_cursors, "Maximum number of snapshots kept for clients that iterate with consistent=True."
    )
    cursor_idle: int = _limit(_POLICY.cursor_idle, "Time that a snapshot is kept between two pages.", "SECONDS")
    cursor_age: int = _limit(_POLICY.cursor_age, "Time that a snapshot is kept in total.", "SECONDS")
    row_cache: int = setting(
        _POLICY.row_cache,
        values.integer(0),
        "Maximum size of the rows that each open database caches for MGet(..., fill_cache=True); 0 for no cache.",
        "BYTES",
    )
    write_buffers: int = setting(
        _POLICY.write_buffers,
        values.integer(0),
        "Approximate maximum size of the write buffers of all open databases; those with a write_buffer_size of their "
        "own have that, the first others 64 MiB, and when nothing is left 4 MiB.",
        "BYTES",
    )
    slow: float = setting(
        1000 * (_POLICY.slow or 0.0),
        values.milliseconds,
        "Keep the requests that take longer in the slow log, see `elevator slowlog`; 0 for none.",
        "MS",
    )
    slow_entries: int = _limit(_POLICY.slow_entries, "Number of requests that the slow log keeps, the latest ones.")
    slow_keys: bool = setting(
        _POLICY.slow_keys, values.flag, "Show the beginning of the first key of each request in the slow log."
    )
    ignored: tuple[str, ...] = ()


def read_server_config(path: str | Path) -> Values:
    """Read a server's configuration file.

    Args:
        path: of the file.

    Returns:
        The values by the names of their fields, with the keys that are ignored as ``ignored``.

    Raises:
        UsageError: the file cannot be read or is invalid; the message names file, key and value.
    """
    text = read_text(path)
    return parse_legacy(text, path) if is_legacy(text) else {"ignored": (), **parse_toml(ServerSettings, text, path)}
