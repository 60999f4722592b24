"""``elevator backup``, ``elevator compact`` and ``elevator progress``: what takes a server long, and how far it is."""

import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, wait
from typing import Final, TypeVar

import click
from attrs import asdict, evolve

from pyelevator.cli.calls.encodings import dump_json
from pyelevator.cli.calls.parameters import START, STOP
from pyelevator.cli.connection import ConnectionOptions, connection_options
from pyelevator.cli.subcommands.dump import format_size, quiet_option
from pyelevator.client import Elevator
from pyelevator.errors import ElevatorError
from pyelevator.reports import TaskProgress

R = TypeVar("R")

_INTERVAL: Final = 1.0
"""Seconds between two looks."""


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
    """Call a method of a client, and print on stderr how far the server is with it.

    An interrupt ends the waiting, and not the work of the server.

    Args:
        client: also asks how far it is, over another connection.
        call: the call.
        task: the name of what it does.
        shown: False prints nothing; None prints only on a terminal.
    """
    future: Future[R] = Future()
    threading.Thread(target=_fulfil, args=(future, call), daemon=True).start()
    is_terminal = sys.stderr.isatty()
    clear = "\r\x1b[K" if is_terminal else ""
    while wait([future], _INTERVAL).not_done:
        if is_terminal if shown is None else shown:
            for text in _texts(client, task):
                click.echo(f"{clear}{text}", nl=not is_terminal, err=True)
    click.echo(clear, nl=False, err=True)
    return future.result()


def _fulfil(future: "Future[R]", call: Callable[[], R]) -> None:
    try:
        future.set_result(call())
    except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
        future.set_exception(error)


def _texts(client: Elevator[bytes], task: str) -> Iterable[str]:
    """Return the texts of the tasks of a name; none if the server does not tell this client."""
    try:
        return [describe_task(one) for one in client.progress(timeout=_INTERVAL) if one.task == task]
    except ElevatorError:
        return []


def _no_limit(connection: ConnectionOptions) -> ConnectionOptions:
    """Return the options with no timeout, unless one was given: it takes as long as it takes."""
    return evolve(connection, options={"timeout": None, **connection.options})


@click.command()
@click.argument("words", metavar="[URL] DB DIR", nargs=-1)
@connection_options(database=False)
@quiet_option
def backup(words: Sequence[str], connection: ConnectionOptions, progress: bool | None) -> None:
    """Have the server copy a database into a directory.

    The copy is of one moment, while the database is read and written. DIR is an absolute path on the server's machine,
    and must not exist; the server allows those below its --allow-path. DIR is there only when the copy is complete,
    has been read through and is on the disk. Tables are linked where the file system can, so that they take no space
    of their own.
    """
    if len(words) == 3:
        connection, words = evolve(connection, url=words[0]), words[1:]
    if len(words) != 2:
        raise click.UsageError("give the database, and the directory for the backup: elevator backup [URL] DB DIR")
    name, directory = words
    with _no_limit(connection).open(auto_connect=False) as client:
        report = call_with_progress(client, lambda: client.backup(name, directory), "backup", shown=progress)
    if progress is not False:
        shared = f", of which {format_size(report.linked)} are shared with it" if report.linked else ""
        click.echo(f"backed up {name} in {directory}: {format_size(report.size)}{shared}")


@click.command(params=[START, STOP])
@connection_options()
@quiet_option
def compact(connection: ConnectionOptions, start: bytes | None, stop: bytes | None, progress: bool | None) -> None:
    """Reclaim the space of deleted and overwritten pairs.

    Of the database --db, or only of its keys from START to STOP; '' stands for the beginning or the end.
    """
    with _no_limit(connection).open() as client:
        call_with_progress(client, lambda: client.compact(start or None, stop or None), "compact", shown=progress)


@click.command()
@connection_options(url_argument=True, database=False)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
@click.option("--watch", type=click.FloatRange(min=0.1), metavar="SECONDS", help="Print again every SECONDS.")
def progress(connection: ConnectionOptions, as_json: bool, watch: float | None) -> None:
    """Print the progress of backups, compactions and repairs.

    Those of the whole server, of all clients; nothing if none is under way.
    """
    with connection.open(auto_connect=False) as client:
        while True:
            tasks = client.progress()
            if as_json:
                click.echo(dump_json(list(map(asdict, tasks))))
            for task in [] if as_json else tasks:
                click.echo(describe_task(task))
            if watch is None:
                return
            time.sleep(watch)
