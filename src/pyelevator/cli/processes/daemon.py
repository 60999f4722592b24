"""Signals and the limit of open files, for the processes of servers and proxies."""

import logging
import math
import os
import resource
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final

from pyelevator.cli.processes.notifier import Notifier
from pyelevator.peers.service import Service

_LOG: Final = logging.getLogger("pyelevator.server")


def _numbers(*names: str) -> tuple[int, ...]:
    """Return the numbers of those signals that this system has."""
    return tuple(int(getattr(signal, name)) for name in names if hasattr(signal, name))


_STOP_SIGNALS: Final = _numbers("SIGTERM", "SIGINT", "SIGQUIT", "SIGPWR", "SIGXCPU")
"""SIGPWR: a power failure, or a container's host stopping it; SIGXCPU: the limit of processor time is near."""

_IGNORED_SIGNALS: Final = (
    *_numbers("SIGUSR1", "SIGUSR2", "SIGALRM", "SIGVTALRM", "SIGPROF", "SIGIO", "SIGSTKFLT"),
    *(range(signal.SIGRTMIN, signal.SIGRTMAX + 1) if hasattr(signal, "SIGRTMIN") else ()),
)
"""Signals without a meaning here, whose default action would end the process."""

_SIGNALS: Final = (*_STOP_SIGNALS, signal.SIGHUP, *_IGNORED_SIGNALS)


@contextmanager
def blocked_signals() -> Iterator[None]:
    """Block the signals for the thread that waits for them; threads started within the block inherit this.

    Those that stop nothing stay blocked after it: the process is about to end, and one that comes late, or was not
    taken yet, must not change how it ends.
    """
    before = after = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
        after = before | {signal.SIGHUP, *_IGNORED_SIGNALS}
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, after)


def handle_signals(server: Service, reloads: Sequence[Callable[[], None]], notifier: Notifier) -> None:
    """Handle signals in a thread of their own until the process ends. Call it within ``blocked_signals``.

    SIGHUP calls the ``reloads`` in turn. A second signal that stops the server ends the process at once.
    """
    arguments = server, reloads, notifier
    threading.Thread(target=_wait_for_signals, args=arguments, name="elevator-signals", daemon=True).start()


def _wait_for_signals(server: Service, reloads: Sequence[Callable[[], None]], notifier: Notifier) -> None:
    """Wait for signals with sigwait instead of handlers: none is lost, and the main loop is not interrupted."""
    is_stopping = False
    while True:
        number = signal.sigwait(_SIGNALS)
        if number == signal.SIGHUP:
            notifier.reloading()
            _reload(reloads)
            notifier.ready()
        elif number in _IGNORED_SIGNALS:
            _LOG.warning(
                "%s is ignored; SIGHUP reads keys and permissions again and reopens the log", _signal_name(number)
            )
        elif is_stopping:
            os._exit(128 + number)
        else:
            is_stopping = True
            _LOG.info("stopping on %s", _signal_name(number))
            notifier.stopping()
            server.stop()


def _reload(reloads: Sequence[Callable[[], None]]) -> None:
    for reload in reloads:
        try:
            reload()
        except Exception:  # noqa: BLE001 - what was loaded before stays, and the next one is tried
            _LOG.exception("reloading on SIGHUP failed")
    _LOG.info("reloaded on SIGHUP: the log, the keys and the permissions")


def _signal_name(number: int) -> str:
    """Return the name of a signal; most of the real-time signals have none."""
    return next((known.name for known in signal.Signals if known == number), f"signal {number}")


def raise_file_limit() -> float:
    """Raise the soft limit of open files to the hard one, and return how many this process may have open now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != soft:
        with suppress(ValueError, OSError):  # some systems allow less than the hard limit
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return math.inf if files == resource.RLIM_INFINITY else files
