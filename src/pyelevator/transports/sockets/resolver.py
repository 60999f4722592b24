"""From an address to a connected socket, before a deadline."""

import _socket
import errno
import os
import socket as sockets
import threading
from typing import Any, Self, TypeAlias

from pyelevator.deadlines import Deadline
from pyelevator.errors import ConnectFailed
from pyelevator.transports import socket_options
from pyelevator.transports.connect_errors import UnknownHost

Address: TypeAlias = tuple[int, Any]
"""A family of addresses, and one of them as ``connect`` takes it."""


class LaneSocket(_socket.socket):
    """A socket that may simply be dropped: Python would warn of each one, and the session warns once for all of them.

    It is the system's own, below the class that Python, and eventlet and gevent in its place, make of it: they have
    nothing to add, as it never blocks. To close it neither sends nor waits. A forked child that drops it closes its own
    descriptor, and the parent's connection stays as it is; so nothing here may ever call ``shutdown``.
    """

    def __del__(self) -> None:
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Addresses:
    """Where a URL leads: the addresses of a host, IPv4 first, or the path of a socket file.

    A name is looked up in a thread of its own, as nobody can tell the system's resolver until when; while it is under
    way there is no second one.

    Attributes:
        failure: why the last lookup found nothing; None if it did, or has not ended.

    Raises:
        ConnectFailed: there can be nobody.
    """

    def __init__(self, url: str) -> None:
        scheme, _, self._place = url.partition("://")
        self._fixed: list[Address] | None = None
        self._lookup: _Lookup | None = None
        self.failure: UnknownHost | None = None
        if scheme == "ipc":
            self._fixed = [
                (sockets.AF_UNIX, self._place.replace("@", "\0", 1) if self._place[0] == "@" else self._place)
            ]
            return
        host, _, port = self._place.rpartition(":")
        self._host, self._port = host.strip("[]"), int(port)
        if not self._port:
            raise ConnectFailed(f"{url}: there is no port 0")
        try:
            self._fixed = _resolved(self._host, self._port, sockets.AI_NUMERICHOST)
        except UnknownHost:  # a name
            self._fixed = None

    @property
    def pending(self) -> bool:
        """Whether a name is being looked up."""
        return self._lookup is not None

    def find(self, deadline: Deadline) -> list[Address]:
        """The addresses; none if the name is unknown (``failure``), or nobody knows it before the deadline."""
        self.failure = None
        if self._fixed is not None:
            return self._fixed
        lookup = self._lookup
        if lookup is None:
            lookup = self._lookup = _Lookup(self._host, self._port)
        if not lookup.done.wait(min(deadline.remaining(), threading.TIMEOUT_MAX)):
            return []
        self._lookup, self.failure = None, lookup.failure
        return lookup.found


class _Lookup:
    def __init__(self, host: str, port: int) -> None:
        self.done = threading.Event()
        self.found: list[Address] = []
        self.failure: UnknownHost | None = None
        threading.Thread(target=self._work, args=(host, port), name="elevator-lookup", daemon=True).start()

    def _work(self, host: str, port: int) -> None:
        try:
            self.found = _resolved(host, port)
        except UnknownHost as error:
            self.failure = error.with_traceback(None)
        self.done.set()


def _resolved(host: str, port: int, flags: int = 0) -> list[Address]:
    """The addresses of a host; IPv4 first, where ZeroMQ looks, too.

    Raises:
        UnknownHost: it has none.
    """
    try:
        found = sockets.getaddrinfo(host, port, type=sockets.SOCK_STREAM, flags=flags)
    except (OSError, UnicodeError) as error:  # the latter for a name that DNS could not even write down
        reason = getattr(error, "strerror", None) or "no name that can be looked up"
        raise UnknownHost(f"unknown host {host!r} ({reason})") from error
    return sorted(((family, address) for family, *_, address in found), key=lambda one: one[0] != sockets.AF_INET)


def opened(address: Address, url: str) -> LaneSocket:
    """A socket that never blocks, on its way to ``address``.

    Raises:
        ConnectFailed: there can be no socket.
        OSError: there is nobody.
    """
    try:
        socket = LaneSocket(address[0], sockets.SOCK_STREAM)
    except OSError as error:
        raise ConnectFailed(f"{url}: {error.strerror}") from error
    socket.setblocking(False)
    socket_options.configure(socket)
    number = socket.connect_ex(address[1])
    if number in (0, errno.EINPROGRESS):
        return socket
    socket.close()
    raise OSError(number, os.strerror(number))


def check_connected(socket: LaneSocket) -> None:
    """Raises the OSError that a connection ended with before it came up.

    One to a port of this machine that nobody listens on may meet itself, if the system happens to give its own end the
    same port; and would keep the server from coming back to it.
    """
    number = socket.getsockopt(sockets.SOL_SOCKET, sockets.SO_ERROR)
    if not number and socket.family != sockets.AF_UNIX and socket.getsockname() == socket.getpeername():
        number = errno.ECONNREFUSED
    if number:
        raise OSError(number, os.strerror(number))
