"""What watches a server or a proxy from outside: Prometheus, load balancers, a service manager."""

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from pyelevator.cli.processes.metrics import Program, serving_metrics
from pyelevator.cli.processes.notifier import Notifier

_LOG: Final = logging.getLogger("pyelevator.server")


@contextmanager
def watched(program: Program, metrics: str | None) -> Iterator[Notifier]:
    """Let a program be watched within the block.

    Args:
        program: whose loop will run in this thread.
        metrics: ``host:port`` for metrics over HTTP; None for none.

    Yields:
        What tells the service manager of reloads and the end; that the program is ready, it has told when its loop has
        turned for the first time.

    Raises:
        UsageError, MissingExtra: the metrics cannot be served.
    """
    notifier = Notifier.from_environment(os.environ)
    ended = threading.Event()
    thread = threading.Thread(target=_notify, args=(program, notifier, ended), name="elevator-notifier", daemon=True)
    with serving_metrics(program, metrics) as url:
        if url is not None:
            _LOG.info("metrics at %s", url)
        thread.start()
        try:
            yield notifier
        finally:
            ended.set()


def _notify(program: Program, notifier: Notifier, ended: threading.Event) -> None:
    """Tell the service manager that the program is ready, and then, if it wants to know, that its loop turns."""
    while not program.probe(1.0):
        if ended.is_set() or program.is_stopping:
            return
    notifier.ready()
    while notifier.watchdog is not None and not ended.wait(notifier.watchdog / 3):
        if program.probe(notifier.watchdog / 3):
            notifier.alive()
