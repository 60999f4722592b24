"""The progress of long work, on stderr."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import suppress
from typing import Final, TypeVar

import click

from pyelevator.client import Elevator
from pyelevator.errors import ElevatorError
from pyelevator.reports import TaskProgress

R = TypeVar("R")

_PROGRESS_INTERVAL: Final = 1.0
"""Seconds between two looks."""

QUIET: Final = click.Option(
    ["--progress/--quiet", "progress"],
    default=None,
    help="Print the progress each second, or print nothing. Default: print it on a terminal.",
)


def repeat(interval: float | None) -> Iterator[None]:
    """Yield once, or again and again with so many seconds in between."""
    yield
    while interval is not None:
        time.sleep(interval)
        yield


def format_size(nbytes: float) -> str:
    """Return a number of bytes in words.

    >>> format_size(11), format_size(1234), format_size(3_248_000), format_size(2.5e9)
    ('11 B', '1.2 kB', '3.2 MB', '2.5 GB')
    """
    units = iter(("kB", "MB", "GB", "TB"))
    unit = "B"
    while nbytes >= 1000 and unit != "TB":
        nbytes, unit = nbytes / 1000, next(units)
    return f"{nbytes:,.0f} B" if unit == "B" else f"{nbytes:,.1f} {unit}"


def describe_task(task: TaskProgress) -> str:
    """Return a task in one line.

    >>> describe_task(TaskProgress("backup", "shop", 61.5, 30_000_000, 120_000_000))
    'backup of shop: 25 %, 30.0 MB of 120.0 MB, 62 s'
    >>> describe_task(TaskProgress("repair", "shop", 3.2))
    'repair of shop: 3 s'
    """
    done = f"{task.done / task.total:.0%}".replace("%", " %") if task.total else ""
    share = f"{done}, {format_size(task.done)} of {format_size(task.total)}, " if done else ""
    return f"{task.task} of {task.database}: {share}{task.seconds:.0f} s"


def call_with_progress(client: Elevator[bytes], call: Callable[[], R], task: str, *, shown: bool | None) -> R:
    """Call a method of a client, and print on stderr, as ``shown`` says, how far the server is with the task.

    An interrupt ends the waiting, and not the work of the server.
    """
    future: Future[R] = Future()
    threading.Thread(target=_fulfil, args=(future, call), daemon=True).start()
    is_terminal = sys.stderr.isatty()
    is_shown = is_terminal if shown is None else shown
    clear = "\r\x1b[K" if is_terminal else ""
    while wait([future], _PROGRESS_INTERVAL).not_done:
        with suppress(ElevatorError):  # a server may not tell this client
            for one in client.progress(timeout=_PROGRESS_INTERVAL) if is_shown else ():
                if one.task == task:
                    click.echo(f"{clear}{describe_task(one)}", nl=not is_terminal, err=True)
    click.echo(clear, nl=False, err=True)
    return future.result()


def _fulfil(future: "Future[R]", call: Callable[[], R]) -> None:
    try:
        future.set_result(call())
    except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
        future.set_exception(error)
