"""A process that is nothing but a server: from settings to the end by a signal."""

import gc
import logging
import math
import os
import resource
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from pyelevator.application import Application, Policy
from pyelevator.codec import Limits
from pyelevator.errors import UsageError
from pyelevator.server.capacity import Capacity
from pyelevator.server.config import Settings
from pyelevator.server.runner import Server
from pyelevator.server.security import Door, allowed_roots, check_reach
from pyelevator.server.signals import attend_to_signals, blocked_signals
from pyelevator.transports.bind import bind_target
from pyelevator.transports.sockets.memory import give_back_large

_LOG = logging.getLogger("pyelevator.server")
_CONTAINERS: Final = 50_000
"""How many are made before Python looks for cycles among them: requests have none, and it would look for a third of a
long range's time. What the process has when it begins to serve is not looked through again."""

TURN: Final = 0.00002
"""Seconds that a thread may keep Python to itself while others want it; Python's own 5 ms is twenty small requests.

(Measured: docs/decisions.md.)
"""


def run(settings: Settings, announce: Callable[[str], None], reopen_log: Callable[[], None] = lambda: None) -> int:
    """Serves until SIGTERM, SIGINT or SIGQUIT; a second one ends the process at once. SIGHUP has keys and permissions
    read again.

    Args:
        settings: what to serve, and where.
        announce: called with one line when every URL is bound: ``serving tcp://127.0.0.1:4141 (data /x, leveldb)``.
        reopen_log: called by SIGHUP as well.

    Returns:
        The exit code: 0, or 1 if requests were left unanswered.

    Raises:
        ElevatorError, OSError: it cannot start.
    """
    give_back_large()
    sys.setswitchinterval(TURN)
    os.umask(0o077)  # LevelDB asks for files that all can read
    with blocked_signals():
        server = open_server(settings)
        gc.freeze()
        gc.set_threshold(_CONTAINERS, *gc.get_threshold()[1:])
        for url in server.urls:
            _LOG.info("listening on %s", url)
        attend_to_signals(server, (reopen_log, server.renew))
        place = f"data {settings.data}, " if settings.engine == "leveldb" else ""
        announce(f"serving {' '.join(server.urls)} ({place}{settings.engine})")
        server.serve_forever()
    if server.unanswered:  # the workers that are still busy would keep the process
        logging.shutdown()
        os._exit(1)
    return 0


def open_server(settings: Settings) -> Server:
    """The server that the settings describe, bound, and not yet running.

    Raises:
        ElevatorError, OSError: it cannot start.
    """
    if settings.ignored:
        _LOG.warning("these keys of the configuration are not carried out: %s", ", ".join(settings.ignored))
    door = None if settings.curve_keys is None else Door.of(settings.curve_keys)
    application = open_application(settings)
    try:
        return Server(
            application,
            settings.binds,
            limits=Limits(frame_bytes=settings.max_message),
            workers=settings.workers,
            capacity=Capacity(unread=settings.max_unread, connections=connections(settings.max_connections)),
            door=door,
            ipc_mode=settings.ipc_mode,
        )
    except BaseException:
        application.close()
        raise


def connections(wanted: int) -> int:
    """How many clients there can be at once: no more than half of the files that this process may have open.

    The other half is for the databases, which need them more.
    """
    files = open_all_files()
    if 2 * wanted <= files:
        return wanted
    most = int(files) // 2
    _LOG.warning("no more than %d connections, because this process may have only %d files open", most, files)
    return most


def open_all_files() -> float:
    """Lets this process have all files open that it may have; how many these are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != soft:
        with suppress(ValueError, OSError):  # some systems allow less than they say
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return math.inf if files == resource.RLIM_INFINITY else files


def open_application(settings: Settings) -> Application:
    """The application that the settings describe; its data directory is created if it is missing."""
    policy = policy_of(settings)
    if settings.engine == "memory":
        return Application.in_memory(policy)
    roots = allowed_roots(settings.binds, settings.allow_paths)
    return Application.on_leveldb(
        str(data_directory(settings)),
        store=None if settings.store is None else str(settings.store),
        allowed_roots=None if roots is None else [str(root) for root in roots],
        default_options=settings.options,
        policy=policy,
    )


def policy_of(settings: Settings) -> Policy:
    """What the settings say about each request and database."""
    return Policy(
        sync=settings.sync,
        max_batch=settings.max_batch,
        max_range=settings.max_range,
        max_range_bytes=settings.max_range_bytes,
        max_open=settings.max_open,
        idle_unmount=60 * settings.idle_unmount or None,
        idle_unmount_adopted=60 * settings.idle_unmount_adopted or None,
        max_cursors=settings.max_cursors,
        cursor_idle=settings.cursor_idle,
        cursor_age=settings.cursor_age,
        row_cache=settings.row_cache,
    )


def data_directory(settings: Settings) -> Path:
    """The directory of the databases, created for its owner alone if it is missing."""
    check(settings)
    directory = Path(settings.data or "")
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return directory


def check(settings: Settings) -> None:
    """Refuses settings that nothing can be done with.

    Raises:
        UsageError: a URL that cannot be listened on, or not without keys, or no directory for an engine that needs one.
    """
    for url in settings.binds:
        bind_target(url)
    check_reach(settings.binds, keys=settings.curve_keys is not None, insecure=settings.insecure)
    if settings.data is None and settings.engine == "leveldb":
        raise UsageError("--data DIR is missing: say where to keep the databases, or serve with --engine memory")
