"""Doors: the URLs on which a listener that speaks ZMTP itself takes connections."""

import errno
import logging
import math
import os
import socket as sockets
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Final

from pyelevator.transports.bind import bind_target, cannot_listen, claim_ipc_path, interface_address, owned
from pyelevator.transports.url import Target

_LOG: Final = logging.getLogger("pyelevator.server")

_QUEUE: Final = 1024  # connections that the system takes before we do
_AT_ONCE: Final = 64  # connections that are taken before messages are looked at
_MOMENT: Final = 0.005
_SAID_AGAIN: Final = 60.0  # seconds

_FULL: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Doors:
    """The sockets that listen. They never block.

    Args:
        urls: what to bind.
        ipc_mode: who may use the socket files.

    Attributes:
        urls: what is bound, with the ports that the system chose.
        at: the sockets by their descriptors.

    Raises:
        UsageError: a URL cannot be bound.
    """

    def __init__(self, urls: Sequence[str], ipc_mode: int) -> None:
        targets = [bind_target(url) for url in urls]
        self.urls: tuple[str, ...] = ()
        self.at: dict[int, sockets.socket] = {}
        self._ipc_mode = ipc_mode
        self._told = -math.inf
        self._spare: int | None = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        try:
            for target in targets:
                self.urls += (self._open(target),)
        except BaseException:
            self.close()
            raise

    def _open(self, target: Target) -> str:
        try:
            door, url = self._ipc(target) if target.scheme == "ipc" else self._tcp(target)
        except OSError as error:
            number = error.errno or 0
            raise cannot_listen(target.url, errno.ENODEV if number < 0 else number) from error  # below 0: no such name
        door.setblocking(False)
        self.at[door.fileno()] = door
        return url

    def _tcp(self, target: Target) -> tuple[sockets.socket, str]:
        host, _, port = target.address.rpartition(":")
        family = sockets.AF_INET6 if host.startswith("[") else sockets.AF_INET
        host = interface_address(host) or host.strip("[]")
        both = family == sockets.AF_INET6 and sockets.has_dualstack_ipv6()
        door = sockets.create_server((host, int(port)), family=family, backlog=_QUEUE, dualstack_ipv6=both)
        bound = door.getsockname()
        return door, f"tcp://[{bound[0]}]:{bound[1]}" if family == sockets.AF_INET6 else f"tcp://{bound[0]}:{bound[1]}"

    def _ipc(self, target: Target) -> tuple[sockets.socket, str]:
        claim_ipc_path(target.address)
        Path(target.address).unlink(missing_ok=True)
        door = sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM)
        try:
            with owned(target.address, self._ipc_mode):
                door.bind(target.address)
            door.listen(_QUEUE)
        except BaseException:
            door.close()
            raise
        return door, target.url

    def enter(self, door: sockets.socket) -> Iterator[Any]:
        """The connections of those who knock there, a few at once."""
        for _ in range(_AT_ONCE):
            try:
                connection = door.accept()[0]
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _FULL:
                    self._refuse_one(door)
                return  # else one who knocked is gone
            yield connection

    def _refuse_one(self, door: sockets.socket) -> None:
        """Takes a connection and ends it, where there are too many open files: it would knock for ever."""
        if self._spare is None:  # another thread, or program, was faster
            sleep(_MOMENT)
        else:
            os.close(self._spare)
            self._spare = None
        with suppress(OSError):
            door.accept()[0].close()
            if monotonic() - self._told > _SAID_AGAIN:
                self._told = monotonic()
                _LOG.warning("refused a connection: this process has too many open files; not told again for a minute")
        with suppress(OSError):
            self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def close(self) -> None:
        """Frees the URLs."""
        for url in self.urls:
            if url.startswith("ipc://"):
                Path(url.removeprefix("ipc://")).unlink(missing_ok=True)
        for door in self.at.values():
            door.close()
        if self._spare is not None:
            os.close(self._spare)
