"""Authentication: who may connect to a listener that asks for keys."""

import logging
import socket as sockets
from collections.abc import Callable
from typing import Any, Final

from attrs import field, frozen

from pyelevator.transports.curve import Secret
from pyelevator.transports.zmtp import frames as zmtp
from pyelevator.transports.zmtp.handshake import Welcome

_LOG: Final = logging.getLogger("pyelevator.server")

LOCAL: Final = "local"
"""The user id of everybody who comes over a socket file: its mode says who can."""


@frozen
class CurveServer:
    """What a listener needs to ask for keys.

    Attributes:
        secret_key: of the server, as text.
        allows: whether the client with this public key may connect; called at every handshake. While it raises, nobody
            gets in.
    """

    _secret: Secret = field(converter=Secret, repr=False, alias="secret_key")
    allows: Callable[[str], bool]

    @property
    def secret_key(self) -> str:
        """The secret key, as text."""
        return self._secret.reveal()

    def check(self) -> None:
        """Raises MissingExtra where the library is missing that it needs."""
        import pyelevator.transports.zmtp.curvezmq  # noqa: F401 - clients and servers without keys have no use for it

    def welcome(self, connection: Any) -> Welcome:
        """The handshake with a peer: over TCP it needs a key; over a socket file it is what the file's mode says."""
        from pyelevator.transports.zmtp.curvezmq import CurveListener

        if connection.family == sockets.AF_UNIX:
            return Welcome(zmtp.Null(b"ROUTER", zmtp.CLIENTS, LOCAL))
        return Welcome(CurveListener(self.secret_key, self._lets_in))

    def _lets_in(self, key: str) -> bool:
        try:
            return self.allows(key)
        except Exception:  # noqa: BLE001 - the door stays shut, and the next one is asked about again
            _LOG.exception("who may connect could not be told")
            return False
