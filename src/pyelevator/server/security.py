"""Who can reach the server, and what follows from it: which paths clients may name, and whether they need keys."""

import ipaddress
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

from attrs import frozen

from pyelevator.application import Application
from pyelevator.errors import UsageError
from pyelevator.server.gate import Gate
from pyelevator.server.guard import Guard
from pyelevator.server.keys import Clients, server_secret
from pyelevator.transports.authentication import CurveServer
from pyelevator.transports.bind import bind_target


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


def check_reach(binds: Iterable[str], *, keys: bool, insecure: bool) -> None:
    """Refuses to let other machines reach a server that asks nobody for a key.

    Raises:
        UsageError: it says what to do.
    """
    open_to_all = [url for url in binds if not is_local(url)]
    if open_to_all and not keys and not insecure:
        raise UsageError(
            f"other machines can reach {open_to_all[0]}, and nobody there would be asked for a key; "
            "make keys with `elevator keygen DIR` and serve with --curve-keys DIR, bind tcp://127.0.0.1:4141 instead, "
            "or say --insecure if you trust everybody in that network"
        )


@frozen
class Door:
    """How a server lets clients in, where it asks them for keys.

    Attributes:
        curve: what its listener needs.
        clients: those that it knows.
    """

    curve: CurveServer
    clients: Clients

    @classmethod
    def of(cls, directory: Path) -> Self:
        """The door to a server with this directory of keys (see :mod:`pyelevator.server.keys`).

        Raises:
            UsageError: a file in it is missing, cannot be understood, or holds a secret that others can read.
        """
        secret, clients = server_secret(directory), Clients(directory)
        return cls(CurveServer(secret, clients.allows), clients)

    def gate(self) -> Gate:
        """The same as an interceptor, for a proxy."""
        return Gate(self.clients.rights)

    def guard(self, application: Application) -> Guard:
        """The application, for those who may."""
        return Guard(application, self.clients.rights)
