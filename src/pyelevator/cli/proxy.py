"""``elevator proxy``."""

import logging
import threading
from pathlib import Path
from typing import Any

import click
from attrs import evolve

from pyelevator.cli.group import usage
from pyelevator.cli.logs import logging_to
from pyelevator.proxy import Proxy, Upstream
from pyelevator.proxy.config import DEFAULT_LISTEN, Settings, read_config
from pyelevator.server.process import blocked_signals, stop_by_signal

_PATH: Any = click.Path(path_type=Path)
_LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)


@click.command()
@click.option(
    "--listen", multiple=True, metavar="URL", help=f"Where to take clients; repeatable. Default: {DEFAULT_LISTEN}."
)
@click.option("--upstream", metavar="URL", help="The server behind it; ?dialect=flat for a 0.7 server.")
@click.option("--config", type=_PATH, metavar="FILE", help="TOML, for several upstreams, keys and timeouts.")
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), help="Seconds for each request upstream.")
@click.option("-v", "verbose", count=True, help="Log more: -v tells what happens, -vv why.")
def proxy(
    listen: tuple[str, ...], upstream: str | None, config: Path | None, timeout: float | None, verbose: int
) -> int:
    """Run a proxy until SIGTERM or SIGINT.

    Clients of either dialect reach servers of either dialect through it; old servers never see a message that could
    kill them.
    """
    settings = usage(lambda: read_config(config)) if config else Settings()
    given = {
        "listen": listen or None,
        "timeout": timeout,
        "upstreams": upstream and usage(lambda: (Upstream(upstream),)),
    }
    settings = evolve(settings, **{name: value for name, value in given.items() if value is not None})
    if not settings.upstreams:
        raise click.UsageError("--upstream URL is missing: say which server to stand in front of")
    with logging_to(None, _LEVELS[min(verbose, 2)]):
        return _run(settings)


def _run(settings: Settings) -> int:
    with blocked_signals():
        running = usage(lambda: Proxy(settings.listen, settings.upstreams, timeout=settings.timeout))
        threading.Thread(target=stop_by_signal, args=(running,), daemon=True).start()
        click.echo(f"serving {' '.join(running.urls)} (for {' '.join(u.target.url for u in settings.upstreams)})")
        running.serve_forever()
    return 0
