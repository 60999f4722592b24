"""Notifications to a service manager, by systemd's protocol: ready, reloading, stopping, alive."""

import os
import socket
import time
from collections.abc import Mapping
from typing import Final, Self

from pyelevator.errors import UsageError

_MICROSECONDS_PER_SECOND: Final = 1_000_000


class Notifier:
    """Sends datagrams to the socket of a service manager; does nothing without one.

    Args:
        address: of the socket: a path, or a name in the abstract namespace after ``@``; None for none.
        watchdog: seconds within which the manager wants a sign of life; None for none.
    """

    def __init__(self, address: str | None, watchdog: float | None = None) -> None:
        self._address = address
        self.watchdog = watchdog

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], pid: int | None = None) -> Self:
        """Make the one that NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID ask for.

        Raises:
            UsageError: a value makes no sense.
        """
        address = environment.get("NOTIFY_SOCKET") or None
        if address is not None and address[0] not in "/@":
            raise UsageError(f"NOTIFY_SOCKET is {address!r}, and must be a path, or a name after @")
        if environment.get("WATCHDOG_PID", str(pid or os.getpid())) != str(pid or os.getpid()):
            return cls(address)
        given = environment.get("WATCHDOG_USEC", "")
        if given and not (given.isascii() and given.isdigit() and int(given)):
            raise UsageError(f"WATCHDOG_USEC is {given!r}, and must be a number of microseconds")
        return cls(address, int(given) / _MICROSECONDS_PER_SECOND if given and address else None)

    def ready(self) -> None:
        """Tell that requests are answered."""
        self._send("READY=1")

    def reloading(self) -> None:
        """Tell that keys and permissions are read again; ``ready`` ends it."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """Tell that requests are answered for the last time."""
        self._send("STOPPING=1")

    def alive(self) -> None:
        """Give a sign of life."""
        self._send("WATCHDOG=1")

    def _send(self, state: str) -> None:
        if self._address is None:
            return
        address = "\0" + self._address[1:] if self._address[0] == "@" else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as datagrams:
                datagrams.connect(address)
                datagrams.sendall(state.encode())
        except OSError:  # a manager that does not listen must not end the program
            return
