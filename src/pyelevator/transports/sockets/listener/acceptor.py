"""The listening sockets of a server."""

import errno
import logging
import math
import os
import socket as sockets
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Final

from pyelevator.transports.bind import (
    bind_error,
    check_ipc_path_free,
    interface_address,
    parse_bind_url,
    private_socket_file,
)
from pyelevator.transports.url import ParsedUrl

_LOG: Final = logging.getLogger("pyelevator.server")

_BACKLOG: Final = 1024  # connections that the system accepts in advance
_MAX_ACCEPTED: Final = 64  # connections that are accepted before messages are read
_ACCEPT_PAUSE: Final = 0.005  # seconds
_LOG_INTERVAL: Final = 60.0  # seconds

_OUT_OF_FILES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class ListeningSockets:
    """The sockets that listen on a server's URLs. They never block.

    Attributes:
        urls: what is bound, with the ports that the system chose.
        by_fd: the sockets by their descriptors.

    Raises:
        UsageError: a URL cannot be bound.
    """

    def __init__(self, urls: Sequence[str], ipc_mode: int) -> None:
        targets = [parse_bind_url(url) for url in urls]
        self.urls: tuple[str, ...] = ()
        self.by_fd: dict[int, sockets.socket] = {}
        self._ipc_mode = ipc_mode
        self._last_logged = -math.inf
        self._reserve_fd: int | None = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        try:
            for target in targets:
                self.urls += (self._open(target),)
        except BaseException:
            self.close()
            raise

    def _open(self, target: ParsedUrl) -> str:
        try:
            listening, url = self._ipc(target) if target.scheme == "ipc" else self._tcp(target)
        except OSError as error:
            number = error.errno or 0
            raise bind_error(target.url, errno.ENODEV if number < 0 else number) from error  # below 0: no such name
        listening.setblocking(False)
        self.by_fd[listening.fileno()] = listening
        return url

    def _tcp(self, target: ParsedUrl) -> tuple[sockets.socket, str]:
        host, _, port = target.address.rpartition(":")
        family = sockets.AF_INET6 if host.startswith("[") else sockets.AF_INET
        host = interface_address(host) or host.strip("[]")
        both = family == sockets.AF_INET6 and sockets.has_dualstack_ipv6()
        listening = sockets.create_server((host, int(port)), family=family, backlog=_BACKLOG, dualstack_ipv6=both)
        host, port, *_ = listening.getsockname()
        return listening, f"tcp://[{host}]:{port}" if family == sockets.AF_INET6 else f"tcp://{host}:{port}"

    def _ipc(self, target: ParsedUrl) -> tuple[sockets.socket, str]:
        check_ipc_path_free(target.address)
        Path(target.address).unlink(missing_ok=True)
        listening = sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM)
        try:
            with private_socket_file(target.address, self._ipc_mode):
                listening.bind(target.address)
            listening.listen(_BACKLOG)
        except BaseException:
            listening.close()
            raise
        return listening, target.url

    def accept(self, listening: sockets.socket) -> Iterator[sockets.socket]:
        """Accept up to 64 pending connections; yield the socket of each."""
        for _ in range(_MAX_ACCEPTED):
            try:
                connection = listening.accept()[0]
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _OUT_OF_FILES:
                    self._reject_one(listening)
                return  # else the connection has ended already
            yield connection

    def _reject_one(self, listening: sockets.socket) -> None:
        """Accept and close one connection without free descriptors; else the listening socket would stay readable."""
        if self._reserve_fd is None:  # another thread, or program, was faster
            sleep(_ACCEPT_PAUSE)
        else:
            os.close(self._reserve_fd)
            self._reserve_fd = None
        with suppress(OSError):
            listening.accept()[0].close()
            if monotonic() - self._last_logged > _LOG_INTERVAL:
                self._last_logged = monotonic()
                _LOG.warning("refused a connection: this process has too many open files; logged once a minute")
        with suppress(OSError):
            self._reserve_fd = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def close(self) -> None:
        """Free the URLs."""
        for url in self.urls:
            if url.startswith("ipc://"):
                Path(url.removeprefix("ipc://")).unlink(missing_ok=True)
        for listening in self.by_fd.values():
            listening.close()
        if self._reserve_fd is not None:
            os.close(self._reserve_fd)
