"""Watchers of a server or a proxy from outside: Prometheus, load balancers, a service manager."""

import logging
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from pyelevator.cli.processes.metrics import serving_metrics
from pyelevator.cli.processes.notifier import Notifier
from pyelevator.peers.service import Service

_LOG: Final = logging.getLogger("pyelevator.server")


@contextmanager
def watched(program: Service, metrics: str | None) -> Iterator[tuple[Notifier, str | None]]:
    """Let a program, whose loop will run in this thread, be watched within the block.

    Yields:
        What tells the service manager of reloads and the end; that the program is ready, it has told when its loop has
        turned for the first time. And the URL of the metrics, with the port that the system chose.
    """
    notifier = Notifier.from_environment(os.environ)
    ended = threading.Event()
    thread = threading.Thread(target=_notify, args=(program, notifier, ended), name="elevator-notifier", daemon=True)
    for url in program.urls:
        _LOG.info("listening on %s", url, extra={"fields": {"url": url}})
    with serving_metrics(program, metrics) as metrics_url:
        if metrics_url is not None:
            _LOG.info("metrics at %s", metrics_url, extra={"fields": {"url": metrics_url}})
        thread.start()
        try:
            yield notifier, metrics_url
        finally:
            ended.set()


def ready_line(urls: Sequence[str], description: str, metrics: str | None) -> str:
    """Return the line that a program prints when it is ready.

    >>> ready_line(["tcp://127.0.0.1:4141"], "memory", "http://127.0.0.1:9141/metrics")
    'serving tcp://127.0.0.1:4141 (memory, metrics at http://127.0.0.1:9141/metrics)'
    """
    return f"serving {' '.join(urls)} ({description}{'' if metrics is None else f', metrics at {metrics}'})"


def _notify(program: Service, notifier: Notifier, ended: threading.Event) -> None:
    """Tell the service manager that the program is ready, and then, if it wants to know, that its loop turns."""
    while not program.probe(1.0):
        if ended.is_set() or program.is_stopping:
            return
    notifier.ready()
    while notifier.watchdog is not None and not ended.wait(notifier.watchdog / 3):
        if program.probe(notifier.watchdog / 3):
            notifier.alive()
