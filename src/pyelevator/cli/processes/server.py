"""``elevator serve``: the process of a server, from its settings until a signal stops it."""

import gc
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click
from attrs import fields

from pyelevator.application import Application, Policy
from pyelevator.auth import ClientAuth
from pyelevator.auth.exposure import allowed_roots, check_exposure
from pyelevator.cli.errors import start_failures
from pyelevator.cli.logs import logging_to
from pyelevator.cli.processes.daemon import blocked_signals, raise_file_limit
from pyelevator.cli.processes.options import load_settings, settings_options
from pyelevator.cli.processes.watching import run_program
from pyelevator.codec import Limits
from pyelevator.config import ServerSettings
from pyelevator.config.environment import SERVER
from pyelevator.engines.urls import scheme_of
from pyelevator.errors import UsageError
from pyelevator.server import Server, ServerLimits
from pyelevator.transports.bind import parse_bind_url
from pyelevator.transports.sockets.listener.freed_memory import KEPT_BYTES, map_large_blocks

_LOG = logging.getLogger("pyelevator.server")

_GC_THRESHOLD: Final = 50_000
"""Allocations between two collections: requests create no cycles, and full collections cost a third of a long range."""

SWITCH_INTERVAL: Final = 0.00002
"""Seconds before a thread must release the GIL; the default of 5 ms is as long as twenty small requests.

(Measured: docs/decisions.md.)
"""


@click.command()
@settings_options(SERVER)
def serve(**given: Any) -> int:
    """Run a server until SIGTERM, SIGINT or SIGQUIT.

    SIGHUP reopens the log file and reads keys and permissions again.

    Each option can also be set by an environment variable or in the configuration file. The command line overrides the
    environment, and the environment overrides the file.
    """
    settings = load_settings(SERVER, given)
    validate(settings)
    with logging_to(settings.log_file, settings.log_level, settings.log_format) as reopen, start_failures():
        return run_server(settings, click.echo, reopen)


def run_server(
    settings: ServerSettings, on_ready: Callable[[str], None], reopen_log: Callable[[], None] = lambda: None
) -> int:
    """Run a server until SIGTERM, SIGINT or SIGQUIT.

    A second signal ends the process at once. SIGHUP reads keys and permissions again.

    Args:
        settings: what to serve, and where.
        on_ready: called with one line when every URL is bound: ``serving tcp://127.0.0.1:4141 (data /x, leveldb)``.
        reopen_log: called on SIGHUP as well.

    Returns:
        The exit code: 0, or 1 if requests were left unanswered.

    Raises:
        ElevatorError, OSError: the server cannot start.
    """
    map_large_blocks(KEPT_BYTES)
    sys.setswitchinterval(SWITCH_INTERVAL)
    os.umask(0o077)  # LevelDB creates files that every user may read
    with blocked_signals():
        server = open_server(settings)
        gc.freeze()
        gc.set_threshold(_GC_THRESHOLD, *gc.get_threshold()[1:])
        reloads = (reopen_log, server.reload_keys)
        run_program(server, settings.metrics, reloads, describe_engine(settings), on_ready)
    if server.unanswered:  # busy workers would keep the process alive
        logging.shutdown()
        os._exit(1)
    return 0


def describe_engine(settings: ServerSettings) -> str:
    """Return where the data is, and what reads it."""
    if settings.engine != "leveldb":
        return scheme_of(settings.engine) or settings.engine
    from pyelevator.engines.leveldb.binding.library import is_native, load_library

    return f"data {settings.data}, leveldb{', native' if is_native(load_library()) else ''}"


def open_server(settings: ServerSettings) -> Server:
    """Open the application and bind the server that the settings describe, without running it.

    Raises:
        ElevatorError, OSError: it cannot start.
    """
    if settings.ignored:
        _LOG.warning("these keys of the configuration are ignored: %s", ", ".join(settings.ignored))
    auth = None if settings.curve_keys is None else ClientAuth.from_directory(settings.curve_keys)
    application = open_application(settings)
    try:
        return Server(
            application,
            settings.binds,
            limits=Limits(frame_bytes=settings.max_message),
            workers=max(settings.workers, application.min_workers),
            server_limits=ServerLimits(
                max_unsent_bytes=settings.max_unread, max_connections=limit_connections(settings.max_connections)
            ),
            auth=auth,
            ipc_mode=settings.ipc_mode,
        )
    except BaseException:
        application.close()
        raise


def limit_connections(wanted: int) -> int:
    """Return the number of connections that the server accepts: at most half of the files this process may open.

    The other half is for the databases, which need them more.
    """
    files = raise_file_limit()
    if 2 * wanted <= files:
        return wanted
    limit = int(files) // 2
    _LOG.warning("no more than %d connections, because this process may have only %d files open", limit, files)
    return limit


def open_application(settings: ServerSettings) -> Application:
    """Open the application that the settings describe; a missing data directory is created for its owner."""
    policy = build_policy(settings)
    if scheme_of(settings.engine):
        return Application.on_url(settings.engine, policy)
    if settings.engine == "memory":
        return Application.in_memory(policy)
    validate(settings)
    directory = Path(settings.data or "")
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    roots = allowed_roots(settings.binds, settings.allow_paths)
    return Application.on_leveldb(
        str(directory),
        store=None if settings.store is None else str(settings.store),
        allowed_roots=None if roots is None else [str(root) for root in roots],
        default_options=settings.options,
        policy=policy,
    )


def build_policy(settings: ServerSettings) -> Policy:
    """Return the application's policy: its fields are settings of the same names, three of them in other units."""
    converted = {
        "idle_unmount": 60 * settings.idle_unmount or None,
        "idle_unmount_adopted": 60 * settings.idle_unmount_adopted or None,
        "slow": settings.slow / 1000 or None,
    }
    return Policy(**{each.name: getattr(settings, each.name) for each in fields(Policy)} | converted)


def validate(settings: ServerSettings) -> None:
    """Refuse settings that cannot be served.

    Raises:
        UsageError: a URL cannot be listened on, or not without keys, or the engine needs a data directory.
    """
    for url in settings.binds:
        parse_bind_url(url)
    check_exposure(settings.binds, keys=settings.curve_keys is not None, insecure=settings.insecure)
    if scheme_of(settings.engine):
        for name in ("data", "store", "allow_paths", "options"):
            if getattr(settings, name):
                raise UsageError(f"the setting {name} is for databases in files, and the engine is a URL")
    if settings.data is None and settings.engine == "leveldb":
        raise UsageError("--data DIR is missing: say where to keep the databases, or serve with --engine memory")
