"""Signals of a process that serves: some stop it, SIGHUP renews what it has read, and none ends it at once."""

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, Protocol

_LOG: Final = logging.getLogger("pyelevator.server")

_STOPPING: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)

_MEANINGLESS: Final = (
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGALRM,
    signal.SIGVTALRM,
    signal.SIGPROF,
    signal.SIGIO,
)
"""Those that would end a process which does not expect them."""

_SIGNALS: Final = (*_STOPPING, signal.SIGHUP, *_MEANINGLESS)


class Stoppable(Protocol):
    """A server, or a proxy."""

    def stop(self) -> None:
        """Asks it to stop, and returns at once."""


@contextmanager
def blocked_signals() -> Iterator[None]:
    """Keeps the signals for the thread that waits for them; every thread that starts within inherits this."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def attend_to_signals(server: Stoppable, renewals: Sequence[Callable[[], None]]) -> None:
    """Attends to signals in a thread of its own, which ends with the process; within ``blocked_signals``.

    Args:
        server: SIGTERM, SIGINT and SIGQUIT stop it; the second of them ends the process at once.
        renewals: what SIGHUP calls, one after the other: each reads something anew.
    """
    threading.Thread(target=_attend, args=(server, renewals), name="elevator-signals", daemon=True).start()


def _attend(server: Stoppable, renewals: Sequence[Callable[[], None]]) -> None:
    """Waits for signals instead of handling them: none is lost, and the loop that serves is never interrupted."""
    stopping = False
    while True:
        number = signal.sigwait(_SIGNALS)
        if number == signal.SIGHUP:
            _renew(renewals)
        elif number in _MEANINGLESS:
            _LOG.warning(
                "%s means nothing here; SIGHUP reads keys and permissions again and reopens the log", _name(number)
            )
        elif stopping:
            os._exit(128 + number)
        else:
            stopping = True
            _LOG.info("stopping by %s", _name(number))
            server.stop()


def _renew(renewals: Sequence[Callable[[], None]]) -> None:
    for renew in renewals:
        try:
            renew()
        except Exception:  # noqa: BLE001 - what was there before stays, and the next one has its turn
            _LOG.exception("something could not be read again")
    _LOG.info("renewed by SIGHUP: the log, the keys and the permissions")


def _name(number: int) -> str:
    return signal.Signals(number).name
