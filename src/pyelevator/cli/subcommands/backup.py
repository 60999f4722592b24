"""``elevator backup`` and ``progress``."""

from collections.abc import Sequence

import click
from attrs import asdict, evolve

from pyelevator.cli.calls.encodings import dump_json
from pyelevator.cli.connection_options import ConnectionOptions, DatabaseType, connection_options, json_option
from pyelevator.cli.progress import QUIET, call_with_progress, describe_task, format_size, repeat


@click.command(params=[QUIET])
@click.argument("words", metavar="[URL] DB DIR", nargs=-1, type=DatabaseType())
@connection_options(database=False)
@json_option
def backup(words: Sequence[str], connection: ConnectionOptions, progress: bool | None, as_json: bool) -> None:
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
    with connection.open(auto_connect=False, is_long=True) as client:
        report = call_with_progress(client, lambda: client.backup(name, directory), "backup", shown=progress)
    if as_json:
        click.echo(dump_json(asdict(report)))
    elif progress is not False:
        shared = f", of which {format_size(report.linked)} are shared with it" if report.linked else ""
        click.echo(f"backed up {name} in {directory}: {format_size(report.size)}{shared}")


@click.command()
@connection_options(url_argument=True, database=False)
@json_option
@click.option("--watch", type=click.FloatRange(min=0.1), metavar="SECONDS", help="Print again every SECONDS.")
def progress(connection: ConnectionOptions, as_json: bool, watch: float | None) -> None:
    """Print the progress of backups, compactions and repairs.

    Those of the whole server, of all clients; nothing if none is under way.
    """
    with connection.open(auto_connect=False) as client:
        for _ in repeat(watch):
            tasks = client.progress()
            if as_json:
                click.echo(dump_json(list(map(asdict, tasks))))
            for task in [] if as_json else tasks:
                click.echo(describe_task(task))
