"""Signals of a process that serves: some stop it, SIGHUP renews what it has read, and none ends it at once."""

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, Protocol

_LOG: Final = logging.getLogger("pyelevator.server")


def _known(*names: str) -> tuple[int, ...]:
    """The numbers of those signals that this system has."""
    return tuple(int(getattr(signal, name)) for name in names if hasattr(signal, name))


_STOPPING: Final = _known("SIGTERM", "SIGINT", "SIGQUIT", "SIGPWR", "SIGXCPU")
"""SIGPWR: the power fails, or a container's host wants it to end; SIGXCPU: the limit of processor time is near."""

_MEANINGLESS: Final = (
    *_known("SIGUSR1", "SIGUSR2", "SIGALRM", "SIGVTALRM", "SIGPROF", "SIGIO", "SIGSTKFLT"),
    *(range(signal.SIGRTMIN, signal.SIGRTMAX + 1) if hasattr(signal, "SIGRTMIN") else ()),
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
        server: SIGTERM, SIGINT, SIGQUIT, SIGPWR and SIGXCPU stop it; the second of them ends the process at once.
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
    """A signal's name; most of the realtime signals have none."""
    return next((known.name for known in signal.Signals if known == number), f"signal {number}")
