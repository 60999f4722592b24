"""Authentication: which clients may connect to a listener that asks for keys."""

import logging
import socket as sockets
from collections.abc import Callable
from typing import Final

from attrs import field, frozen

from pyelevator.transports.curve import HoldsSecret, Secret
from pyelevator.transports.zmtp.mechanism import CLIENTS, Mechanism, NullMechanism

_LOG: Final = logging.getLogger("pyelevator.server")

LOCAL: Final = "local"
"""The user id of all clients over a socket file: the file's mode says which programs can connect."""


@frozen
class CurveServer(HoldsSecret):
    """The keys of a listener that asks its clients for theirs.

    Attributes:
        secret_key: of the server, as text.
        is_allowed: returns True if the client with this public key may connect; called at every handshake. A client
            is refused while it raises.
    """

    _secret: Secret = field(converter=Secret, repr=False, alias="secret_key")
    is_allowed: Callable[[str], bool]

    def check(self) -> None:
        """Check that the library for keys is installed.

        Raises:
            MissingExtra: it is not.
        """
        import pyelevator.transports.zmtp.curvezmq  # noqa: F401 - only needed with keys

    def mechanism(self, connection: sockets.socket) -> Mechanism:
        """Return the mechanism of a connection, by its socket: with keys over TCP, without over a socket file."""
        from pyelevator.transports.zmtp.curvezmq import CurveServerMechanism

        if connection.family == sockets.AF_UNIX:
            return NullMechanism(b"ROUTER", CLIENTS, LOCAL)
        return CurveServerMechanism(self.secret_key, self._is_allowed)

    def _is_allowed(self, key: str) -> bool:
        try:
            return self.is_allowed(key)
        except Exception:  # noqa: BLE001 - deny on any error; the next handshake calls it again
            _LOG.exception("a client was refused, because its key could not be checked")
            return False
