"""ZAP (RFC 27): libzmq asks at every handshake who may connect, and this answers.

Two things make it fail closed. ``ZAP_ENFORCE_DOMAIN``: while nobody answers, nobody gets in. And where TCP asks for
keys, the connections over socket files are asked about too; so each one has a user id that libzmq took from here, which
nothing that a peer says of itself can replace.
"""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import zmq
from attrs import field, frozen
from zmq.utils import z85

from pyelevator.errors import UsageError
from pyelevator.transports.refusals import Refusals

_LOG: Final = logging.getLogger("pyelevator.server")

LOCAL: Final = "local"
"""The user id of everybody who comes over a socket file: its mode says who can."""

_ENDPOINT: Final = "inproc://zeromq.zap.01"


OPEN: Final = b"open"
"""The domain of what everybody may connect to."""

_WITHOUT_KEYS: Final[Mapping[bytes, str]] = {b"ipc": LOCAL, OPEN: "anybody"}
"""Domain -> the user id of who comes without keys."""


def ask_about(socket: "zmq.Socket[bytes]", domain: bytes) -> None:
    """Has who comes to the next bind asked about.

    libzmq then takes none who speaks ZMTP 1 or 2: for it anything is ZMTP 1, text with a message in it, too.
    """
    socket.set(zmq.ZAP_ENFORCE_DOMAIN, 1)
    socket.set(zmq.ZAP_DOMAIN, domain)


@frozen
class CurveServer:
    """What a listener needs to ask for keys.

    Attributes:
        secret_key: of the server, as text.
        allows: whether the client with this public key may connect; called at every handshake, from another thread.
    """

    secret_key: str = field(repr=False)
    allows: Callable[[str], bool]

    def secure(self, socket: "zmq.Socket[bytes]", scheme: str) -> None:
        """Sets what the next bind takes over: encryption for tcp, none for socket files.

        Raises:
            UsageError: libzmq cannot do that.
        """
        if not zmq.has("curve"):
            raise UsageError("this pyzmq was built without CURVE; install its wheel, or build libzmq with libsodium")
        ask_about(socket, scheme.encode())
        socket.set(zmq.CURVE_SECRETKEY, self.secret_key.encode())  # this turns CURVE on, so it comes first
        socket.set(zmq.CURVE_SERVER, scheme == "tcp")


class Doorkeeper:
    """Answers libzmq for the sockets of one context, in a thread of its own, until the context ends.

    It has to be there before the sockets are bound.
    """

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", allows: Callable[[str], bool]) -> None:
        self._allows = allows
        self._refusals = Refusals()
        self._judges: Mapping[bytes, Callable[..., str | None]] = {b"NULL": self._keyless, b"CURVE": self._known}
        self._socket: zmq.Socket[bytes] = context.socket(zmq.REP)
        self._socket.set(zmq.LINGER, 0)
        self._socket.bind(_ENDPOINT)
        threading.Thread(target=self._serve, name="elevator-zap", daemon=True).start()

    def _serve(self) -> None:
        with self._socket as socket:
            while True:
                try:
                    socket.send_multipart(self._answer(socket.recv_multipart()))
                except zmq.ContextTerminated:
                    return

    def _answer(self, request: Sequence[bytes]) -> list[bytes]:
        """The reply: version, request id, status, its text, user id, metadata."""
        version, request_id, domain, address, _identity, mechanism, *credentials = request
        try:
            user = self._judges[mechanism](domain, address.decode("utf-8", "replace"), *credentials)
            status = (b"200", b"OK", user.encode()) if user else (b"400", b"not allowed", b"")
        except Exception:  # noqa: BLE001 - the door stays shut, and the next one is asked about again
            _LOG.exception("who may connect could not be told")
            status = (b"500", b"internal error", b"")
        return [version, request_id, *status, b""]

    def _keyless(self, domain: bytes, _address: str) -> str | None:
        return _WITHOUT_KEYS.get(domain)

    def _known(self, _domain: bytes, address: str, credentials: bytes) -> str | None:
        key = z85.encode(credentials).decode()
        if self._allows(key):
            return key
        self._refusals.tell(address, f"its public key {key} is not among the server's clients")
        return None
