"""Resolver: from a URL to addresses, before a deadline."""

import socket as sockets
import threading

from pyelevator.deadlines import Deadline
from pyelevator.errors import ConnectFailed
from pyelevator.transports.connect_errors import UnknownHost
from pyelevator.transports.sockets.socket import Address


class Resolver:
    """The addresses of a URL: those of a host, IPv4 first, or the path of a socket file.

    A name is looked up in a thread, because the system's resolver takes no deadline. There is one lookup at a time.

    Attributes:
        failure: why the last lookup found nothing; None if it did, or has not ended.

    Raises:
        ConnectFailed: the URL has no address.
    """

    def __init__(self, url: str) -> None:
        scheme, _, address = url.partition("://")
        self._known: list[Address] | None = None
        self._lookup: _LookupThread | None = None
        self.failure: UnknownHost | None = None
        if scheme == "ipc":
            path = address.replace("@", "\0", 1) if address[0] == "@" else address
            self._known = [(sockets.AF_UNIX, path)]
            return
        host, _, port = address.rpartition(":")
        self._host, self._port = host.strip("[]"), int(port)
        if not self._port:
            raise ConnectFailed(f"{url}: there is no port 0")
        try:
            self._known = _look_up(self._host, self._port, sockets.AI_NUMERICHOST)
        except UnknownHost:  # a name
            self._known = None

    @property
    def is_pending(self) -> bool:
        """True while a name is being looked up."""
        return self._lookup is not None

    def resolve(self, deadline: Deadline) -> list[Address]:
        """Return the addresses; none if the name is unknown (``failure``), or not found before the deadline."""
        self.failure = None
        if self._known is not None:
            return self._known
        lookup = self._lookup
        if lookup is None:
            lookup = self._lookup = _LookupThread(self._host, self._port)
        if not lookup.done.wait(min(deadline.remaining(), threading.TIMEOUT_MAX)):
            return []
        self._lookup, self.failure = None, lookup.failure
        return lookup.found


class _LookupThread:
    def __init__(self, host: str, port: int) -> None:
        self.done = threading.Event()
        self.found: list[Address] = []
        self.failure: UnknownHost | None = None
        threading.Thread(target=self._run, args=(host, port), name="elevator-lookup", daemon=True).start()

    def _run(self, host: str, port: int) -> None:
        try:
            self.found = _look_up(host, port)
        except UnknownHost as error:
            self.failure = error.with_traceback(None)
        finally:
            self.done.set()


def _look_up(host: str, port: int, flags: int = 0) -> list[Address]:
    """Return the addresses of a host; IPv4 first, where ZeroMQ listens, too."""
    # Of a str, Python makes bytes by a codec that it imports first, which fails where no file can be opened.
    name = host.encode("ascii") if host.isascii() else host
    try:
        found = sockets.getaddrinfo(name, port, type=sockets.SOCK_STREAM, flags=flags)
    except (OSError, UnicodeError, LookupError) as error:  # UnicodeError: a name that DNS cannot have
        reason = getattr(error, "strerror", None) or "no name that can be looked up"
        raise UnknownHost(f"unknown host {host!r} ({reason})") from error
    return sorted(((family, address) for family, *_, address in found), key=lambda one: one[0] != sockets.AF_INET)
