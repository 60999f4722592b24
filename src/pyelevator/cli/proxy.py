"""``elevator proxy``."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
from attrs import evolve

from pyelevator.cli.group import usage
from pyelevator.cli.logs import logging_to
from pyelevator.proxy import Proxy, Upstream
from pyelevator.proxy.config import DEFAULT_LISTEN, Settings, read_config, socket_mode
from pyelevator.server.process import open_all_files
from pyelevator.server.security import Door, check_reach
from pyelevator.server.signals import attend_to_signals, blocked_signals
from pyelevator.transports.sockets.memory import give_back_large

_PATH: Any = click.Path(path_type=Path)
_LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)


def _mode(_context: click.Context, _parameter: click.Parameter, value: str | None) -> int | None:
    return None if value is None else usage(lambda: socket_mode(value))


@click.command()
@click.option(
    "--listen", multiple=True, metavar="URL", help=f"Where to take clients; repeatable. Default: {DEFAULT_LISTEN}."
)
@click.option(
    "--upstream",
    metavar="URL",
    help="The server behind it; ?dialect=flat for a 0.7 server, ?curve_key=FILE&server_key=FILE for one that asks for "
    "keys, ?connections=1 for a single connection that all clients share.",
)
@click.option("--config", type=_PATH, metavar="FILE", help="TOML, for several upstreams, and for all of the below.")
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), help="Seconds for each request upstream.")
@click.option(
    "--curve-keys",
    type=_PATH,
    metavar="DIR",
    help="Asks clients over TCP for keys: DIR is what `elevator keygen` made, with the clients in DIR/clients, and "
    "permissions.toml, if there is one, holds here.",
)
@click.option("--insecure", is_flag=True, default=None, help="Listen where other machines can reach it, without keys.")
@click.option("--ipc-mode", callback=_mode, metavar="MODE", help="Who may use the socket files. Default: 0600.")
@click.option(
    "--max-unread",
    type=click.IntRange(min=1),
    metavar="BYTES",
    help="Bytes of answers that clients have not read yet, all together; large ones wait upstream then.",
)
@click.option("--log-file", type=_PATH, metavar="FILE", help="Where to log, instead of stderr.")
@click.option("-v", "verbose", count=True, help="Log more: -v tells what happens, -vv of each connection as well.")
def proxy(listen: Sequence[str], upstream: str | None, config: Path | None, verbose: int, **given: Any) -> int:
    """Run a proxy until SIGTERM or SIGINT.

    SIGQUIT stops it as well; SIGHUP reopens the log file, and reads keys and permissions again.

    Clients of either dialect reach servers of either dialect through it; old servers never see a message that could
    kill them.
    """
    settings = usage(lambda: read_config(config)) if config else Settings()
    given |= {"listen": listen or None, "upstreams": upstream and usage(lambda: (Upstream(upstream),))}
    settings = evolve(settings, **{name: value for name, value in given.items() if value is not None})
    if not settings.upstreams:
        raise click.UsageError("--upstream URL is missing: say which server to stand in front of")
    with logging_to(settings.log_file, _LEVELS[min(verbose, 2)]) as reopen:
        return _run(settings, reopen)


def _open(settings: Settings, door: Door | None) -> Proxy:
    """The proxy that the settings describe, bound, and not yet running."""
    check_reach(settings.listen, keys=settings.curve_keys is not None, insecure=settings.insecure)
    return Proxy(
        settings.listen,
        settings.upstreams,
        () if door is None else (door.gate(),),
        timeout=settings.timeout,
        curve=None if door is None else door.curve,
        ipc_mode=settings.ipc_mode,
        unread=settings.max_unread,
    )


def _run(settings: Settings, reopen_log: Callable[[], None]) -> int:
    open_all_files()
    give_back_large()
    with blocked_signals():
        directory = settings.curve_keys
        door = None if directory is None else usage(lambda: Door.of(directory))
        running = usage(lambda: _open(settings, door))
        attend_to_signals(running, (reopen_log,) if door is None else (reopen_log, door.clients.reload))
        click.echo(f"serving {' '.join(running.urls)} (for {' '.join(u.target.url for u in settings.upstreams)})")
        running.serve_forever()
    return 0
