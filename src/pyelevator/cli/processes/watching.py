"""Running a server or a proxy, watched from outside by Prometheus, load balancers, a service manager."""

import logging
import os
import threading
from collections.abc import Callable, Sequence
from typing import Final

from pyelevator.cli.processes.daemon import handle_signals
from pyelevator.cli.processes.metrics_server import serving_metrics
from pyelevator.cli.processes.notifier import Notifier
from pyelevator.peers.service import Service

_LOG: Final = logging.getLogger("pyelevator.server")


def run_program(
    program: Service,
    metrics: str | None,
    reloads: Sequence[Callable[[], None]],
    description: str,
    on_ready: Callable[[str], None],
) -> None:
    """Run a bound program until a signal ends it, watched from outside. Call it within ``blocked_signals``.

    Args:
        program: whose loop runs in this thread.
        metrics: ``host:port`` for metrics over HTTP; None for none.
        reloads: functions that SIGHUP calls in turn.
        description: of what it serves.
        on_ready: called with ``serving tcp://127.0.0.1:4141 (memory, metrics at http://127.0.0.1:9141/metrics)``.

    Raises:
        UsageError, MissingExtra: the metrics cannot be served.
    """
    notifier = Notifier.from_environment(os.environ)
    ended = threading.Event()
    thread = threading.Thread(target=_notify, args=(program, notifier, ended), name="elevator-notifier", daemon=True)
    for url in program.urls:
        _LOG.info("listening on %s", url, extra={"fields": {"url": url}})
    with serving_metrics(program, metrics) as metrics_url:
        if metrics_url is not None:
            _LOG.info("metrics at %s", metrics_url, extra={"fields": {"url": metrics_url}})
            description += f", metrics at {metrics_url}"
        thread.start()
        try:
            handle_signals(program, reloads, notifier)
            on_ready(f"serving {' '.join(program.urls)} ({description})")
            program.serve_forever()
        finally:
            ended.set()


def _notify(program: Service, notifier: Notifier, ended: threading.Event) -> None:
    """Tell the service manager that the program is ready, and then, if it wants to know, that its loop turns."""
    while not program.probe(1.0):
        if ended.is_set() or program.is_stopping:
            return
    notifier.ready()
    while notifier.watchdog is not None and not ended.wait(notifier.watchdog / 3):
        if program.probe(notifier.watchdog / 3):
            notifier.alive()
