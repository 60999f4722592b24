"""``elevator``: the commands and their options."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from pyelevator.auth.keys import SERVER, generate_keys
from pyelevator.cli.bench import bench
from pyelevator.cli.errors import OneLineErrors, usage
from pyelevator.cli.logs import logging_to
from pyelevator.cli.proxy import proxy
from pyelevator.cli.server_process import run_server, validate
from pyelevator.client import Elevator
from pyelevator.config import values
from pyelevator.config.server_settings import DEFAULT_BIND, LIMITS, ServerSettings, read_server_config
from pyelevator.config.values import ENGINES


class _NonEmptyPath(click.Path):
    """A path; an empty one, such as an unset shell variable leaves, is a mistake and not the current directory."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("it is empty; is a variable not set?", param, ctx)
        return super().convert(value, param, ctx)


_PATH: Any = _NonEmptyPath(path_type=Path)


def _read_by(read: Callable[[Any], Any]) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """A callback that reads an option as a configuration file's value is read."""

    def callback(_context: click.Context, _parameter: click.Parameter, value: Any) -> Any:
        try:
            return None if value is None else read(value)
        except ValueError as error:
            raise click.BadParameter(str(error)) from error

    return callback


def _limits(command: Callable[..., int]) -> Callable[..., int]:
    """Gives a command an option for each limit."""
    for name, text in reversed(list(LIMITS.items())):
        default = getattr(ServerSettings(), name)
        option = click.option(
            f"--{name.replace('_', '-')}",
            type=click.IntRange(min=1),
            metavar="N",
            help=f"{text} Default: {default}.",
        )
        command = option(command)
    return command


@click.group(cls=OneLineErrors, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="pyelevator", prog_name="elevator")
@click.pass_context
def elevator(context: click.Context) -> None:
    """Elevator: many LevelDB databases, served over ZeroMQ."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@elevator.command()
@click.option("--data", type=_PATH, metavar="DIR", help="Directory of the databases; created if it is missing.")
@click.option(
    "--bind", "binds", multiple=True, metavar="URL", help=f"Where to listen; repeatable. Default: {DEFAULT_BIND}."
)
@click.option("--engine", type=click.Choice(ENGINES), help="What keeps the data. Default: leveldb.")
@click.option("--config", type=_PATH, metavar="FILE", help="TOML, or an elevator.conf of either old server.")
@click.option(
    "--allow-path",
    "allow_paths",
    multiple=True,
    type=_PATH,
    metavar="DIR",
    help="Lets clients name databases by absolute path under DIR; repeatable. By default every path is allowed to "
    "a server that only this machine can reach, and none to any other.",
)
@click.option("--store", type=_PATH, metavar="FILE", help="The catalog of the databases, where it is not within DIR.")
@click.option("--workers", type=click.IntRange(min=1), metavar="N", help="Threads for slow requests. Default: 4.")
@click.option(
    "--curve-keys",
    type=_PATH,
    metavar="DIR",
    help="Asks clients over TCP for keys: DIR is what `elevator keygen` made, with the clients in DIR/clients.",
)
@click.option("--insecure", is_flag=True, default=None, help="Listen where other machines can reach it, without keys.")
@click.option(
    "--ipc-mode", callback=_read_by(values.mode), metavar="MODE", help="Who may use the socket files. Default: 0600."
)
@click.option("--sync", is_flag=True, default=None, help="Answer a write when it is on the disk, and not only written.")
@click.option(
    "--idle-unmount",
    callback=_read_by(values.minutes),
    metavar="MINUTES",
    help="Close a database that was not used for so long, until it is used again. Default: never.",
)
@click.option(
    "--idle-unmount-adopted",
    callback=_read_by(values.minutes),
    metavar="MINUTES",
    help="The same for a database that was there before createdb, so that its own program can open it; 0 for never. "
    f"Default: {ServerSettings().idle_unmount_adopted:g}.",
)
@click.option(
    "--max-message",
    type=click.IntRange(min=1024),
    metavar="BYTES",
    help=f"Bytes of one message. Default: {ServerSettings().max_message}.",
)
@_limits
@click.option(
    "--row-cache",
    type=click.IntRange(min=0),
    metavar="BYTES",
    help="What each open database keeps in memory of MGet(..., fill_cache=True); 0 for nothing. "
    f"Default: {ServerSettings().row_cache}.",
)
@click.option("--log-file", type=_PATH, metavar="FILE", help="Where to log, instead of stderr.")
@click.option("-v", "verbose", count=True, help="Log more: -v tells what happens, -vv of each connection as well.")
@click.option("--quiet", is_flag=True, help="Log errors only.")
def serve(config: Path | None, verbose: int, quiet: bool, **given: Any) -> int:
    """Run a server until SIGTERM or SIGINT.

    SIGQUIT stops it as well; SIGHUP reopens the log file, and reads keys and permissions again.
    """
    changes = {name: value for name, value in given.items() if value not in (None, ())}
    changes |= _log_level(verbose, quiet)
    from_file = usage(lambda: read_server_config(config)) if config else {}
    settings = ServerSettings().changed(from_file | changes)
    usage(lambda: validate(settings))
    with logging_to(settings.log_file, settings.log_level) as reopen:
        return run_server(settings, click.echo, reopen)


def _log_level(verbose: int, quiet: bool) -> dict[str, int]:
    if verbose and quiet:
        raise click.UsageError("-v and --quiet contradict one another")
    if quiet:
        return {"log_level": logging.ERROR}
    return {"log_level": logging.INFO if verbose == 1 else logging.DEBUG} if verbose else {}


@elevator.command()
@click.argument("url", envvar="ELEVATOR_URL", default=DEFAULT_BIND)
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", help="Default: 5.")
def ping(url: str, timeout: float | None) -> None:
    """Ask the server at URL (or ELEVATOR_URL, or tcp://127.0.0.1:4141) for a sign of life; prints PONG.

    It needs no database, and no permission but to connect.
    """
    with usage(lambda: Elevator.from_url(url, auto_connect=False)) as client:
        click.echo(client.ping(timeout=timeout))


@elevator.command()
@click.argument("directory", metavar="DIR", type=_PATH)
@click.option(
    "--name", default=SERVER, show_default=True, metavar="NAME", help="Whose keys: the server's, or a client's."
)
@click.option("--force", is_flag=True, help="Replace keys that are there.")
def keygen(directory: Path, name: str, force: bool) -> None:
    """Make a pair of keys: DIR/NAME.key, and DIR/NAME.key_secret for its owner alone; prints the public one.

    A client is let in when its .key file is in the clients directory beside the server's keys.
    """
    click.echo(usage(lambda: generate_keys(directory, name, force=force)))


elevator.add_command(bench)
elevator.add_command(proxy)
