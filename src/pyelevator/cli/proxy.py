"""``elevator proxy``."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
from attrs import evolve

from pyelevator.auth import ClientAuth
from pyelevator.auth.exposure import check_exposure
from pyelevator.cli.daemon import blocked_signals, handle_signals, raise_file_limit
from pyelevator.cli.errors import usage
from pyelevator.cli.logs import logging_to
from pyelevator.config.proxy_settings import DEFAULT_LISTEN, ProxySettings, read_proxy_config, socket_mode
from pyelevator.proxy import Proxy, Upstream
from pyelevator.transports.sockets.memory import map_large_blocks

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
    "keys, ?max_connections=1 for a single connection that all clients share.",
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
    settings = usage(lambda: read_proxy_config(config)) if config else ProxySettings()
    given |= {"listen": listen or None, "upstreams": upstream and usage(lambda: (Upstream(upstream),))}
    settings = evolve(settings, **{name: value for name, value in given.items() if value is not None})
    if not settings.upstreams:
        raise click.UsageError("--upstream URL is missing: say which server to stand in front of")
    with logging_to(settings.log_file, _LEVELS[min(verbose, 2)]) as reopen:
        return _run(settings, reopen)


def _open(settings: ProxySettings, auth: ClientAuth | None) -> Proxy:
    """The proxy that the settings describe, bound, and not yet running."""
    check_exposure(settings.listen, keys=settings.curve_keys is not None, insecure=settings.insecure)
    return Proxy(
        settings.listen,
        settings.upstreams,
        () if auth is None else (auth.interceptor(),),
        timeout=settings.timeout,
        curve=None if auth is None else auth.curve,
        ipc_mode=settings.ipc_mode,
        unread=settings.max_unread,
    )


def _run(settings: ProxySettings, reopen_log: Callable[[], None]) -> int:
    raise_file_limit()
    map_large_blocks()
    with blocked_signals():
        directory = settings.curve_keys
        auth = None if directory is None else usage(lambda: ClientAuth.from_directory(directory))
        running = usage(lambda: _open(settings, auth))
        handle_signals(running, (reopen_log,) if auth is None else (reopen_log, auth.clients.reload))
        click.echo(f"serving {' '.join(running.urls)} (for {' '.join(u.target.url for u in settings.upstreams)})")
        running.serve_forever()
    return 0
