"""Binding: the URLs that a listener can have, and its socket files."""

import errno
import fcntl
import ipaddress
import os
import re
import socket as sockets
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from pyelevator.errors import UsageError
from pyelevator.transports.url import ParsedUrl, is_url, parse_url, shown

_SIOCGIFADDR: Final = 0x8915 if sys.platform == "linux" else 0xC0206921  # the other one of macOS and the BSDs
_MAX_IPC_PATH: Final = 107 if sys.platform == "linux" else 103  # sun_path without its final NUL

_BIND_HINTS: Final = {
    errno.EADDRINUSE: "; another program listens there: stop it, or choose another port",
    errno.EACCES: "; ports below 1024 and foreign directories need other rights: choose another",
    errno.EADDRNOTAVAIL: "; this machine has no such address",
    errno.ENODEV: "; this machine has no such address",
}
"""What to do about a bind that failed."""


def bind_error(url: str, number: int) -> UsageError:
    """Return the error for a bind that failed with an errno."""
    return UsageError(f"cannot listen on {url}: {os.strerror(number)}{_BIND_HINTS.get(number, '')}")


def split_address(value: str) -> tuple[str, int]:
    """Return the host and the port of ``host:port``.

    >>> split_address("127.0.0.1:9141"), split_address("[::1]:0")
    (('127.0.0.1', 9141), ('::1', 0))

    Raises:
        ValueError: it is something else.
    """
    match = re.fullmatch(r"(?:\[([^]]+)\]|([^][:/]+)):(\d{1,5})", value, re.ASCII)
    if match is None or int(match[3]) > 65535:
        raise ValueError("must be HOST:PORT, for instance 127.0.0.1:9141")
    return match[1] or match[2], int(match[3])


def check_ipc_path(path: str) -> None:
    """Refuse a path that a socket file cannot have; it may be too long."""
    if not isinstance(path, str) or not path or "\0" in path:
        raise UsageError(f"endpoint= of an ipc transport is the path of a socket file, not {path!r}")
    if is_url(path):
        raise UsageError("endpoint= of an ipc transport is the path of a socket file; for a URL use from_url()")
    if len(os.fsencode(path)) > _MAX_IPC_PATH:
        raise UsageError(f"the socket path {path!r} is longer than {_MAX_IPC_PATH} bytes; choose a shorter one")


def parse_bind_url(url: str) -> ParsedUrl:
    """Parse a URL to listen on; ``*`` as its host means every IPv4 address.

    Raises:
        UsageError: it cannot be bound.
    """
    target = parse_url(url.replace("://*", "://0.0.0.0", 1))
    if target.scheme not in ("tcp", "ipc") or target.options:
        raise UsageError(
            f"cannot listen on {shown(url)!r}; it looks like tcp://127.0.0.1:4141 or ipc:///run/elevator.sock"
        )
    return target


def check_ipc_path_free(path: str) -> None:
    """Refuse a path where no socket file can be created, or a server listens: binding would take it away."""
    check_ipc_path(path)
    if path.startswith("@"):
        raise UsageError(
            f"cannot listen on ipc://{path}: an abstract socket has no mode, so every local user could connect"
        )
    from pathlib import Path  # not for clients, which import this module and listen nowhere

    if not Path(path).parent.is_dir():
        raise UsageError(f"cannot listen on ipc://{path}: there is no directory {str(Path(path).parent)!r}")
    if os.path.lexists(path) and not Path(path).is_socket():  # binding would remove it
        raise UsageError(f"cannot listen on ipc://{path}: it exists, and is not a socket; choose another path")
    with sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM) as probe:
        if Path(path).exists() and probe.connect_ex(path) == 0:
            raise UsageError(f"cannot listen on ipc://{path}: another server listens there")


def interface_address(name: str) -> str | None:
    """Return the IPv4 address of a network interface (``lo``, ``eth0``), which is a host to ZeroMQ; None for others."""
    if name not in {interface for _, interface in sockets.if_nameindex()}:
        return None
    with sockets.socket(sockets.AF_INET, sockets.SOCK_DGRAM) as socket:
        reply = fcntl.ioctl(socket.fileno(), _SIOCGIFADDR, struct.pack("256s", name.encode()))
    return sockets.inet_ntoa(reply[20:24])


@contextmanager
def private_socket_file(path: str, mode: int) -> Iterator[None]:
    """Keep a socket file that this thread creates in the block private to its owner, and then set its mode."""
    before = os.umask(0o177)
    try:
        yield
    finally:
        os.umask(before)
    os.chmod(path, mode)  # noqa: PTH101 - see above


def is_loopback(url: str) -> bool:
    """Return True if only this machine can reach what listens on the URL.

    >>> is_loopback("tcp://127.0.0.1:4141"), is_loopback("ipc:///run/elevator.sock"), is_loopback("tcp://*:4141")
    (True, True, False)
    """
    target = parse_bind_url(url)
    host = target.address.rpartition(":")[0].strip("[]")
    if target.scheme == "ipc" or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
