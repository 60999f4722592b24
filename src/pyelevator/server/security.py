"""Which paths clients may name: who can reach the server decides."""

import ipaddress
from collections.abc import Iterable, Sequence
from pathlib import Path

from pyelevator.transports.zmq import bind_target


def is_local(url: str) -> bool:
    """Whether only this machine can reach what listens there.

    >>> is_local("tcp://127.0.0.1:4141"), is_local("ipc:///run/elevator.sock"), is_local("tcp://*:4141")
    (True, True, False)
    """
    target = bind_target(url)
    host = target.address.rpartition(":")[0].strip("[]")
    if target.scheme == "ipc" or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def allowed_roots(binds: Iterable[str], allow_paths: Sequence[Path]) -> tuple[Path, ...] | None:
    """The directories under which clients may name databases by absolute path; None for every path.

    What is allowed by name counts. Otherwise a server that only its own machine can reach allows every path, and one
    that others can reach allows none.
    """
    if allow_paths or not all(map(is_local, binds)):
        return tuple(allow_paths)
    return None
