"""ZAP (RFC 27): libzmq asks at every handshake who may connect, and this answers.

Two things make it fail closed. ``ZAP_ENFORCE_DOMAIN``: while nobody answers, nobody gets in. And where TCP asks for
keys, the connections over socket files are asked about too; so each one has a user id that libzmq took from here, which
nothing that a peer says of itself can replace.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import zmq
from attrs import field, frozen
from zmq.utils import z85

from pyelevator.errors import UsageError

_LOG: Final = logging.getLogger("pyelevator.server")

LOCAL: Final = "local"
"""The user id of everybody who comes over a socket file: its mode says who can."""

_ENDPOINT: Final = "inproc://zeromq.zap.01"


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
        """Sets what the next bind takes over: encryption for tcp, none for socket files."""
        socket.set(zmq.ZAP_ENFORCE_DOMAIN, 1)
        socket.set(zmq.ZAP_DOMAIN, scheme.encode())
        socket.set(zmq.CURVE_SECRETKEY, self.secret_key.encode())  # this turns CURVE on, so it comes first
        socket.set(zmq.CURVE_SERVER, scheme == "tcp")


class Refusals:
    """Logs who was refused: each key once a minute, and not more than ``MOST`` keys in that time."""

    SECONDS: Final = 60.0
    MOST: Final = 50

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since = clock()
        self._told: set[tuple[str, str]] = set()

    def tell(self, address: str, key: str) -> None:
        """Says it, or not, if it was said not long ago."""
        if self._clock() - self._since >= self.SECONDS:
            self._told, self._since = set(), self._clock()
        if (address, key) in self._told or len(self._told) > self.MOST:
            return
        self._told.add((address, key))
        if len(self._told) > self.MOST:
            _LOG.warning("refused more clients than are named here; the next minute is told again")
        else:
            _LOG.warning("refused a client at %s: its public key %s is not among the server's clients", address, key)


class Doorkeeper:
    """Answers libzmq for the sockets of one context, in a thread of its own, until the context ends.

    It has to be there before the sockets are bound.
    """

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", allows: Callable[[str], bool]) -> None:
        if not zmq.has("curve"):
            raise UsageError("this pyzmq was built without CURVE; install its wheel, or build libzmq with libsodium")
        self._allows = allows
        self._refusals = Refusals()
        self._judges: Mapping[bytes, Callable[..., str | None]] = {b"NULL": self._local, b"CURVE": self._known}
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

    def _local(self, domain: bytes, _address: str) -> str | None:
        return LOCAL if domain == b"ipc" else None

    def _known(self, _domain: bytes, address: str, credentials: bytes) -> str | None:
        key = z85.encode(credentials).decode()
        if self._allows(key):
            return key
        self._refusals.tell(address, key)
        return None
