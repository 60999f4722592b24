"""Mechanisms: what happens between the greetings and the messages of a connection; NULL, which asks for no keys."""

from collections.abc import Sequence
from typing import Final, Protocol

from pyelevator.errors import MalformedMessage
from pyelevator.transports.zmtp.frames import (
    COMMAND,
    encode_command,
    encode_property,
    read_command,
    read_properties,
)

NULL: Final = b"NULL".ljust(20, b"\0")
SERVERS: Final = (b"ROUTER", b"DEALER", b"REP")
CLIENTS: Final = (b"DEALER", b"REQ", b"ROUTER")
"""The types of sockets that a peer may have."""

_MAX_REASON: Final = 255  # characters of why a peer refuses the connection; it counts them in one byte


class HandshakeRefused(Exception):
    """The peer speaks ZMTP 3 and refuses the connection, or is refused: for another mechanism, or another reason.

    Args:
        reason: why.
        answer: what to send to the peer before the connection is closed.
    """

    def __init__(self, reason: str, answer: bytes = b"") -> None:
        super().__init__(reason)
        self.answer = answer


class UnknownKey(HandshakeRefused):
    """The peer has proved that it has a key, but no client with this public key may connect."""

    def __init__(self, key: str) -> None:
        super().__init__(
            f"its public key {key} is not among the server's clients", encode_command(b"ERROR", b"\x03400")
        )


class UnsupportedProtocol(HandshakeRefused):
    """The peer does not speak ZMTP, but what its first bytes show."""

    def __init__(self, protocol: str) -> None:
        super().__init__(f"it speaks {protocol}, not ZeroMQ")


class WrongMechanism(HandshakeRefused):
    """The peer has another mechanism, such as CURVE."""

    def __init__(self, mechanism: str) -> None:
        super().__init__(f"mechanism {mechanism!r:.40}")
        self.mechanism = mechanism


class FrameCipher(Protocol):
    """Encrypts and decrypts the frames after the handshake."""

    def encode_message(self, frames: Sequence[bytes]) -> list[bytes]:
        """Return a message as buffers, as ``frames.encode_message`` does."""

    def encode_command(self, name: bytes, data: bytes) -> bytes:
        """Return a command as a frame, as ``frames.encode_command`` does."""

    def decrypt(self, body: bytes) -> tuple[int, bytes]:
        """Return the flags and the content of a frame."""


class Mechanism(Protocol):
    """One side of one connection, between the greetings and the messages.

    Attributes:
        name: as the greeting has it.
        as_server: as the greeting has it.
        is_done: True once messages may come.
        cipher: encrypts them; None for no encryption.
        peer: identity that the other side has proved; None without keys.
    """

    @property
    def name(self) -> bytes: ...
    @property
    def as_server(self) -> bool: ...
    @property
    def is_done(self) -> bool: ...
    @property
    def cipher(self) -> FrameCipher | None: ...
    @property
    def peer(self) -> str | None: ...

    def begin(self) -> bytes:
        """Return what to send after the greeting."""

    def receive_frame(self, flags: int, body: bytes) -> bytes:
        """Take a frame; return what to send.

        Raises:
            MalformedMessage: it is not what comes next.
            HandshakeRefused: the connection is refused.
        """


class NullMechanism:
    """The mechanism without keys: each side says of which type its socket is.

    Args:
        socket_type: of this side.
        peer_types: those that the other side may have.
        peer: identity of the other side, where it is known otherwise.
    """

    name: Final = NULL
    as_server: Final = False
    cipher: Final = None

    def __init__(self, socket_type: bytes, peer_types: Sequence[bytes], peer: str | None = None) -> None:
        self.is_done = False
        self.peer = peer
        self._socket_type, self._peer_types = socket_type, peer_types

    def begin(self) -> bytes:
        """Return what to send after the greeting: READY."""
        return encode_ready(self._socket_type)

    def receive_frame(self, flags: int, body: bytes) -> bytes:
        """Take the other side's READY; there is nothing to send."""
        if not flags & COMMAND:
            raise MalformedMessage("a message came before the handshake was over")
        name, data = read_command(body)
        if name == b"ERROR":
            raise HandshakeRefused(error_reason(data))
        if name != b"READY":
            raise MalformedMessage(f"the handshake ended with {name!r:.40}")
        check_properties(data, self._peer_types)
        self.is_done = True
        return b""


def socket_properties(socket_type: bytes) -> bytes:
    """Return the properties of a socket of that type."""
    return encode_property(b"Socket-Type", socket_type) + encode_property(b"Identity", b"")


def encode_ready(socket_type: bytes) -> bytes:
    """Return the command that ends the handshake of a socket of that type."""
    return encode_command(b"READY", socket_properties(socket_type))


def error_reason(data: bytes) -> str:
    """Return the reason in the data of an ERROR, without line breaks."""
    return repr(data[1:].decode("utf-8", "replace"))[1:-1][:_MAX_REASON]


def check_properties(data: bytes, peer_types: Sequence[bytes]) -> None:
    """Check that properties are those of a socket of one of the types."""
    peer_type = dict(read_properties(data)).get(b"socket-type", b"")
    if peer_type not in peer_types:
        raise HandshakeRefused(f"a socket of type {peer_type!r:.40}")
