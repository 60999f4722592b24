"""``elevator proxy``."""

import os
from collections.abc import Callable, Sequence
from typing import Any

import click
from attrs import evolve

from pyelevator.auth import ClientAuth
from pyelevator.auth.exposure import check_exposure
from pyelevator.cli.errors import start_failures
from pyelevator.cli.logs import logging_to
from pyelevator.cli.processes.daemon import blocked_signals, raise_file_limit
from pyelevator.cli.processes.options import load_settings, settings_options
from pyelevator.cli.processes.watching import run_program
from pyelevator.client.options import URL_VARIABLE
from pyelevator.config import ProxySettings
from pyelevator.config.environment import PROXY
from pyelevator.errors import UsageError
from pyelevator.proxy import Proxy, Upstream
from pyelevator.transports.sockets.listener.freed_memory import map_large_blocks


@click.command()
@settings_options(PROXY)
def proxy(**given: Any) -> int:
    """Run a proxy until SIGTERM, SIGINT or SIGQUIT.

    SIGHUP reopens the log file and reads keys and permissions again.

    Clients of either dialect reach servers of either dialect through it. Old servers never receive a message that could
    crash them.

    Each option can also be set by an environment variable or in the configuration file. The command line overrides the
    environment, and the environment overrides the file. Without any upstream, requests are forwarded to the server at
    ELEVATOR_URL.
    """
    settings = load_settings(PROXY, given)
    if not settings.upstreams:
        settings = evolve(settings, upstreams=(_upstream_for_clients(settings.listen),))
    with logging_to(settings.log_file, settings.log_level, settings.log_format) as reopen, start_failures():
        return _run_proxy(settings, reopen)


def _upstream_for_clients(listen: Sequence[str]) -> Upstream:
    """Return the server that clients would connect to without the proxy, which must not be the proxy itself."""
    url = os.environ.get(URL_VARIABLE)
    if not url:
        raise click.UsageError(
            f"--upstream URL is missing: say which server to stand in front of, or set {URL_VARIABLE}"
        )
    upstream = Upstream.from_client_url(url)
    if upstream.target.url in listen:
        raise click.UsageError(
            f"{URL_VARIABLE} is where this proxy listens, and --upstream URL is missing: say which server to stand in "
            "front of"
        )
    return upstream


def _open_proxy(settings: ProxySettings, auth: ClientAuth | None) -> Proxy:
    """Bind the proxy that the settings describe, without running it."""
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


def _run_proxy(settings: ProxySettings, reopen_log: Callable[[], None]) -> int:
    raise_file_limit()
    map_large_blocks()
    with blocked_signals():
        directory = settings.curve_keys
        try:
            auth = None if directory is None else ClientAuth.from_directory(directory)
            running = _open_proxy(settings, auth)
        except UsageError as error:
            raise click.UsageError(str(error)) from error
        reloads = (reopen_log,) if auth is None else (reopen_log, auth.clients.reload)
        upstreams = " ".join([each.target.url for each in settings.upstreams])
        run_program(running, settings.metrics, reloads, f"for {upstreams}", click.echo)
    return 0
