"""``elevator dump`` and ``elevator load``: whole databases to a file and back, through the wire."""

import os
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import IO, Any, Final

import click

from pyelevator import dumps
from pyelevator.cli.connection_options import ConnectionOptions, DatabaseType, connection_options
from pyelevator.cli.progress import QUIET, format_size
from pyelevator.dumps.dumping import OnProgress
from pyelevator.dumps.loading import SEVERAL
from pyelevator.paths import replacing_file

_ANSWER_TIMEOUT: Final = 60.0
"""Seconds for each answer, unless the command line says otherwise."""

_WRITERS: Final[dict[str, Callable[[IO[bytes], str], dumps.DumpWriter]]] = {
    "binary": dumps.BinaryWriter,
    "jsonl": lambda file, _: dumps.JsonLinesWriter(file),
}


class ProgressLine:
    """Prints how far the work has come, once a second, in one line of a terminal.

    Args:
        verb: what is done, as it was at the end: ``dumped``.
        shown: True prints it; False prints nothing, and None only the sum at the end, if stderr is no terminal.
    """

    def __init__(self, verb: str, *, shown: bool | None) -> None:
        self._verb, self._shown = verb, shown
        self._is_terminal = sys.stderr.isatty()
        self._clear = "\r\x1b[K" if self._is_terminal else ""
        self._started = self._shown_at = time.monotonic()

    def __call__(self, database: str, pairs: int, nbytes: int) -> None:
        """Show it, if a second has passed."""
        now = time.monotonic()
        is_shown = self._is_terminal if self._shown is None else self._shown
        if not is_shown or now - self._shown_at < 1:
            return
        self._shown_at = now
        click.echo(f"{self._clear}{database}: {pairs:,} pairs, {format_size(nbytes)}", nl=not self._clear, err=True)

    def finish(self, totals: dumps.DumpTotals) -> None:
        """Print what it adds up to."""
        if self._shown is False:
            return
        seconds = time.monotonic() - self._started
        done = f"{self._verb} {_describe(totals)}, {format_size(totals.nbytes)} in {seconds:.1f} s"
        click.echo(self._clear + done, err=True)


def _describe(totals: dumps.DumpTotals) -> str:
    return f"{totals.pairs:,} pairs of {totals.databases:,} database{'' if totals.databases == 1 else 's'}"


@click.command(params=[QUIET])
@click.argument("databases", nargs=-1, metavar="[DB]...", type=DatabaseType())
@click.option(
    "-o",
    "--output",
    type=click.Path(),
    metavar="FILE",
    help="Write to FILE, which appears when it is complete. Default: stdout.",
)
@click.option("--prefix", metavar="PREFIX", help="Dump only keys that start with PREFIX.")
@click.option(
    "--format",
    "format_name",
    type=click.Choice(list(_WRITERS)),
    default="binary",
    show_default=True,
    help="Format of the dump; jsonl has one line of JSON for each pair.",
)
@click.option(
    "--compression",
    type=click.Choice(list(dumps.COMPRESSIONS)),
    default="lz4",
    show_default=True,
    help="Compression of the binary format.",
)
@click.option("--each", is_flag=True, help="Dump each database as of its own moment, not all as of the same one.")
@click.option(
    "--no-snapshot", is_flag=True, help="Read without a snapshot, for old servers; pages may be of different moments."
)
@connection_options(database=False)
def dump(
    databases: tuple[str, ...],
    *,
    connection: ConnectionOptions,
    output: str | None,
    prefix: str | None,
    format_name: str,
    compression: str,
    each: bool,
    no_snapshot: bool,
    progress: bool | None,
) -> None:
    """Write databases to stdout, as they were at one moment.

    All databases if none is named. `elevator load` reads what this writes, of any size. A dump that was interrupted
    has no end, and is refused.
    """
    line = ProgressLine("dumped", shown=progress)
    timeout = connection.options.get("timeout", _ANSWER_TIMEOUT)
    with (
        _output(output, is_binary=format_name == "binary") as file,
        connection.open(auto_connect=False) as client,
    ):
        names = databases or tuple(client.listdb(timeout=timeout))
        writer = _WRITERS[format_name](file, compression)
        totals = dumps.dump(
            client,
            writer,
            names,
            prefix=prefix,
            snapshot=not no_snapshot,
            together=not each,
            timeout=timeout,
            on_progress=line,
        )
    line.finish(totals)


@contextmanager
def _output(path: str | None, *, is_binary: bool) -> Iterator[IO[bytes]]:
    """Open what a dump is written to; a file has its name only when it is complete."""
    if path is not None:
        with replacing_file(Path(path), ".partial") as file:
            yield file
        return
    stdout = sys.stdout.buffer
    if is_binary and stdout.isatty():
        raise click.UsageError("a dump is not for a terminal; redirect it (> FILE), or use --output FILE")
    yield stdout
    stdout.flush()
    with suppress(OSError, ValueError):  # a pipe has no disk
        os.fsync(stdout.fileno())


@click.command(params=[QUIET])
@click.argument("file", type=click.Path(), metavar="FILE")
@click.argument("databases", nargs=-1, metavar="[DB]...")
@click.option(
    "--to-db",
    type=DatabaseType(),
    metavar="NAME",
    help="Load into the database NAME; of a dump with several, name one.",
)
@click.option("--prefix", metavar="PREFIX", help="Load only keys that start with PREFIX.")
@click.option("--merge", is_flag=True, help="Load into databases that are not empty; keys in both are overwritten.")
@click.option("--check", is_flag=True, help="Only check that FILE is complete and undamaged; needs no server.")
@click.option(
    "--positions",
    metavar="DIR",
    type=click.Path(file_okay=False, exists=True),
    help="Directory for the position of the load, from which it can be resumed. Default: that of FILE; none for stdin.",
)
@connection_options(database=False)
def load(
    file: str, databases: tuple[str, ...], positions: str | None, progress: bool | None, check: bool, **options: Any
) -> None:
    """Load a file of `elevator dump` into databases.

    FILE may be - for stdin. All of its databases are loaded if none is named. Missing databases are created; those
    that hold pairs already take --merge. FILE is checked to its end before anything is written. After an
    interruption, the same command goes on from where it was.
    """
    with nullcontext(sys.stdin.buffer) if file == "-" else Path(file).open("rb") as opened:
        is_regular = stat.S_ISREG(os.fstat(opened.fileno()).st_mode)
        if check or is_regular:
            totals = dumps.check_dump(dumps.open_dump(opened))
        if check:
            click.echo(f"sound: {_describe(totals)}")
            return
        if is_regular:
            if options["to_db"] is not None and (len(set(databases)) or totals.databases) > 1:
                raise dumps.DumpError(SEVERAL)  # before anything is written
            opened.seek(0)
        _load(opened, databases, _position_files(file, positions), ProgressLine("loaded", shown=progress), **options)


def _position_files(file: str, directory: str | None) -> dumps.PositionFiles | None:
    if file == "-" and directory is None:
        return None
    path = Path("stdin" if file == "-" else file)
    return dumps.PositionFiles(path.parent if directory is None else Path(directory), path.name)


def _load(
    file: IO[bytes],
    databases: tuple[str, ...],
    positions: dumps.PositionFiles | None,
    progress: ProgressLine,
    *,
    connection: ConnectionOptions,
    to_db: str | None,
    prefix: str | None,
    merge: bool,
) -> None:
    timeout = connection.options.get("timeout", _ANSWER_TIMEOUT)
    options = dumps.LoadOptions(databases, to_db, os.fsencode(prefix or ""), merge, timeout)
    on_progress: OnProgress = progress
    with connection.open(auto_connect=False) as client:
        totals = dumps.load(client, dumps.open_dump(file), options, positions=positions, on_progress=on_progress)
    progress.finish(totals)
