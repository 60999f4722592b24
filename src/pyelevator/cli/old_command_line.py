"""The command line of the old Python server, found in init scripts, and the new one to use instead.

Source: PyPI's ``elevator`` 0.5 to 0.5d: ``elevator -d -c FILE -t tcp -b IP -p PORT -w N -P -v LEVEL``.
"""

import argparse
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NoReturn

DEFAULT_CONFIG: Final = Path("/etc/elevator/elevator.conf")
"""The old server's default configuration file."""

_LOGGED: Final[Mapping[str, Sequence[str]]] = {
    "DEBUG": ["-vv"],
    "INFO": ["-v"],
    "ERROR": ["--quiet"],
    "CRITICAL": ["--quiet"],
}
"""Old log level -> the options with the same meaning."""

_REMARKS: Final[Mapping[str, str]] = {
    "daemon": "-d: run it under systemd or another supervisor, which also keeps the pid",
    "paranoid": "-P: unexpected errors are answered and logged",
}
"""Old flag without a new one -> a remark."""


class NotOldError(Exception):
    """The arguments are not an old command line."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise NotOldError(message)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("-d", "--daemon", action="store_true")
    parser.add_argument("-c", "--config")
    parser.add_argument("-t", "--transport", choices=["tcp", "ipc"])
    parser.add_argument("-b", "--bind")
    parser.add_argument("-p", "--port")
    parser.add_argument("-w", "--workers")
    parser.add_argument("-P", "--paranoid", action="store_true")
    parser.add_argument("-v", "--log-level", type=str.upper)
    return parser


def suggest_command_line(words: Sequence[str]) -> str | None:
    """Suggest the new command line for an old one; None if the arguments are not an old one.

    >>> print(suggest_command_line(["-d", "-c", "/etc/elevator.conf", "-t", "tcp", "-b", "10.0.0.1", "-w", "8"]))
    this is the old server's command line; use: elevator serve --config /etc/elevator.conf --bind tcp://10.0.0.1:4141 \
--workers 8 (-d: run it under systemd or another supervisor, which also keeps the pid)
    """
    try:
        old = _parser().parse_args(list(words))
    except NotOldError:
        return None
    new = ["elevator", "serve", *_config_options(old.config), *_bind_options(old)]
    new += ["--workers", old.workers] if old.workers else []
    new += _LOGGED.get(old.log_level, [])
    remarks = "; ".join(text for flag, text in _REMARKS.items() if getattr(old, flag))
    return f"this is the old server's command line; use: {shlex.join(new)}" + (f" ({remarks})" if remarks else "")


def _config_options(path: str | None) -> Sequence[str]:
    if path is not None:
        return ["--config", path]
    return ["--config", str(DEFAULT_CONFIG)] if DEFAULT_CONFIG.is_file() else ["--data", "/var/lib/elevator"]


def _bind_options(old: argparse.Namespace) -> Sequence[str]:
    """Return the option for the URL of the old options; empty to use the configuration's URL."""
    if old.transport == "ipc":
        return ["--bind", "ipc:///run/elevator.sock"]
    if old.transport is None and old.bind is None and old.port is None:
        return []
    return ["--bind", f"tcp://{old.bind or '127.0.0.1'}:{old.port or 4141}"]
