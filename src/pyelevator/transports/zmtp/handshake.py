"""Handshakes: the beginning of a connection, as a client (DEALER) and as a server (ROUTER), with peers of every ZMTP.

The versions (rfc.zeromq.org/spec/13, 15 and 23) begin with::

    ZMTP 1 (libzmq 2)     an identity as its first frame, and messages after it
    ZMTP 2 (libzmq 3)     signature, revision 1, type of its socket, an identity as a frame
    ZMTP 3 (libzmq 4)     signature, revision 3, minor, mechanism, zeros, what the mechanism says

The signature is an empty identity in ZMTP 1. Each side sends its greeting step by step, so that an old peer receives
only what it can parse.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar, Final

from pyelevator.errors import MalformedMessage
from pyelevator.transports.zmtp.frames import (
    LONG,
    MAX_COMMAND,
    HeaderReader,
    encode_frame,
    frame_header,
    frame_header_v1,
    read_frame,
    read_header,
    read_header_v1,
)
from pyelevator.transports.zmtp.mechanism import (
    CLIENTS,
    NULL,
    SERVERS,
    FrameCipher,
    HandshakeRefused,
    Mechanism,
    NullMechanism,
    UnsupportedProtocol,
    WrongMechanism,
)

SIGNATURE: Final = b"\xff" + (1).to_bytes(8, "big") + b"\x7f"
GREETING_SIZE: Final = 64
REVISION: Final = 3
MINOR: Final = 1
"""The version is 3.1, from which on peers understand PING."""

_REVISION_2: Final = 1  # of ZMTP 2
_MECHANISM_END: Final = 32  # its offset in a greeting
_MAX_IDENTITY: Final = 255

_ZERO: Final = b"\0"
_NO_IDENTITY: Final = frame_header_v1(0, 0)

_FIRST_WORDS: Final[Sequence[tuple["re.Pattern[bytes]", str]]] = (
    (re.compile(rb"(GET|HEAD|POST|PUT|DELETE|CONNECT|OPTIONS|TRACE|PATCH|PRI)\b"), "HTTP"),
    (re.compile(rb"\x16\x03"), "TLS"),
    (re.compile(rb"SSH-"), "SSH"),
    (re.compile(rb"[\t\r\n -~]{2}"), "some text protocol"),
    (re.compile(b""), "another protocol"),
)
"""First bytes of a peer -> the protocol; the first that matches."""


class Handshake(ABC):
    """The common base of both sides of a handshake.

    Args:
        mechanism: of this side.

    Attributes:
        is_done: True once messages may be sent.
        header, read_header: write and read what precedes the content of a frame.
        minor: version of a peer that speaks ZMTP 3.
    """

    _after_signature: ClassVar[bytes]
    """Bytes to send when the peer speaks ZMTP 2 or 3."""
    _before_greeting: ClassVar[bytes]
    """Bytes to send when it is known which."""
    _mechanism_at: ClassVar[int]
    """Bytes of the peer's greeting after which its mechanism is checked."""
    _type_2: ClassVar[int]
    _peer_types_2: ClassVar[Sequence[int]]

    def __init__(self, mechanism: Mechanism) -> None:
        self.is_done = False
        self._mechanism = mechanism
        self.header: Callable[[int, int], bytes] = frame_header
        self.read_header: HeaderReader = read_header
        self.minor = 0
        self._data = b""
        self._step: Callable[[], bytes | None] = self._read_signature

    @property
    def remaining(self) -> bytes:
        """The bytes that were received after the handshake."""
        return self._data

    @property
    def peer(self) -> str | None:
        """The identity that the peer has proved; None without keys."""
        return self._mechanism.peer

    @property
    def cipher(self) -> FrameCipher | None:
        """The cipher of the frames after the handshake; None without keys."""
        return self._mechanism.cipher

    def receive_data(self, data: bytes) -> bytes:
        """Take what was received; return what to send.

        Raises:
            HandshakeRefused: one side refuses the connection, or the peer has another mechanism (WrongMechanism), or
                speaks another protocol (UnsupportedProtocol).
            MalformedMessage, LimitExceeded: the peer sent something else.
        """
        self._data += data
        replies = []
        while not self.is_done and (reply := self._step()) is not None:
            replies.append(reply)
        return b"".join(replies)

    @abstractmethod
    def _refuse_without_keys(self, version: str) -> None:
        """Refuse a peer whose protocol has no keys, if this side has them."""

    # Each step returns what to send, or None if more has to be received first.

    def _read_signature(self) -> bytes | None:
        data = self._data
        if not data or (data[0] == 0xFF and len(data) < len(SIGNATURE)):
            return None
        if data[0] == 0xFF and data[9] & 1:
            self._step = self._read_revision
            return self._after_signature
        if data[0] == 0xFF:
            self._refuse_without_keys("ZMTP 1")
        self._step = self._read_identity_1
        return b""

    @abstractmethod
    def _read_identity_1(self) -> bytes | None:
        """Read the one frame of ZMTP 1 before the messages."""

    def _read_revision(self) -> bytes | None:
        if len(self._data) <= len(SIGNATURE):
            return None
        revision = self._data[len(SIGNATURE)]
        if revision >= REVISION:
            self._step = self._read_mechanism
            return self._before_greeting + self._greeting()
        self._refuse_without_keys("ZMTP 2")
        if revision != _REVISION_2:
            raise HandshakeRefused(f"revision {revision}")
        self._step = self._read_identity_2
        return self._before_greeting + bytes((self._type_2,)) + encode_frame(b"")

    def _greeting(self) -> bytes:
        """Return the greeting from the minor version on, without its last byte."""
        mechanism = self._mechanism
        return bytes((MINOR,)) + mechanism.name + bytes((mechanism.as_server,)) + bytes(30)

    def _read_identity_2(self) -> bytes | None:
        if len(self._data) > 11 and self._data[11] not in self._peer_types_2:
            raise HandshakeRefused(f"a socket of type {self._data[11]}")
        return self._read_identity(12)

    def _read_identity(self, offset: int) -> bytes | None:
        """Read the identity of an older peer, which ends its handshake."""
        found = self.read_header(self._data, offset, MAX_COMMAND)
        if found is not None and found[0] & ~LONG:
            raise MalformedMessage("it does not begin as ZeroMQ does")
        if found is not None and found[2] - found[1] > _MAX_IDENTITY:
            raise MalformedMessage(f"an identity of {found[2] - found[1]} bytes")
        if found is None or found[2] > len(self._data):
            return None
        self.is_done, self._data = True, self._data[found[2] :]
        return b""

    def _read_mechanism(self) -> bytes | None:
        if len(self._data) < self._mechanism_at:
            return None
        theirs = self._data[12:_MECHANISM_END]
        if theirs != self._mechanism.name:
            raise WrongMechanism(theirs.rstrip(_ZERO).decode("ascii", "replace"))
        self.minor, self._step = self._data[11], self._end_greeting
        return b""

    def _end_greeting(self) -> bytes | None:
        if len(self._data) < GREETING_SIZE:
            return None
        self._data, self._step = self._data[GREETING_SIZE:], self._read_frame
        return b""

    def _read_frame(self) -> bytes | None:
        """Pass a frame to the mechanism."""
        found = read_frame(self._data, 0, MAX_COMMAND)
        if found is None:
            return None
        flags, start, stop = found
        reply = self._mechanism.receive_frame(flags, self._data[start:stop])
        self._data, self.is_done = self._data[stop:], self._mechanism.is_done
        return reply


class ClientHandshake(Handshake):
    """The handshake as a DEALER.

    It sends the signature, and no more until the peer's revision is known: to an old peer (libzmq before 4, as old
    servers have) what follows would be messages, and one bad message could crash its worker. The last byte of the
    greeting is sent when the peer's mechanism is known: a peer with another one closes the connection at that byte,
    and libzmq does so before it has named its own.

    Args:
        mechanism: NULL if None.
    """

    _after_signature = b""
    _before_greeting = bytes((REVISION,))
    _mechanism_at = _MECHANISM_END
    _type_2 = 5
    _peer_types_2 = (4, 5, 6)

    def __init__(self, mechanism: Mechanism | None = None) -> None:
        super().__init__(mechanism or NullMechanism(b"DEALER", SERVERS))

    def _read_mechanism(self) -> bytes | None:
        reply = super()._read_mechanism()
        return None if reply is None else _ZERO + self._mechanism.begin()

    def _refuse_without_keys(self, version: str) -> None:  # noqa: ARG002
        if self._mechanism.name != NULL:  # a mechanism with keys must not be given up for one without
            raise WrongMechanism("NULL")

    def _read_identity_1(self) -> bytes | None:
        self._refuse_without_keys("ZMTP 1")
        self.header, self.read_header = frame_header_v1, read_header_v1
        return self._read_identity(0)


class ServerHandshake(Handshake):
    """The handshake as a ROUTER.

    A peer of another protocol is refused by its first two bytes: a frame of ZMTP 1 that is an identity has no flags,
    and no identity begins with a zero byte, which ZeroMQ reserves. Otherwise text would be a long identity, and what
    follows it a message: any web page can have a browser send that to this machine. With keys, only peers of ZMTP 3
    are admitted.

    Args:
        mechanism: NULL if None.
    """

    _after_signature = bytes((REVISION,))
    _before_greeting = b""
    _mechanism_at = GREETING_SIZE  # a client finds first that it has another one, and can say what to do
    _type_2 = 6
    _peer_types_2 = (3, 5, 6)

    def __init__(self, mechanism: Mechanism | None = None) -> None:
        super().__init__(mechanism or NullMechanism(b"ROUTER", CLIENTS))

    def _refuse_without_keys(self, version: str) -> None:
        if self._mechanism.name != NULL:
            raise HandshakeRefused(f"{version} has no keys")

    def _greeting(self) -> bytes:
        return super()._greeting() + _ZERO + self._mechanism.begin()

    def _read_identity_1(self) -> bytes | None:
        """Read the one frame before the messages; its flags and its first byte are checked before the rest has come."""
        data = self._data
        at = 9 if data[0] == 0xFF else 1
        flags, first = data[at : at + 1], data[at + 1 : at + 2]
        is_foreign = data[0] == 0 or bool(flags.strip(_ZERO))
        found = None if is_foreign or at == 1 else read_header_v1(data, 0, MAX_COMMAND)
        is_empty = data[:2] == _NO_IDENTITY or (found is not None and found[1] == found[2])
        if is_foreign or (first == _ZERO and not is_empty):
            raise UnsupportedProtocol(next(protocol for words, protocol in _FIRST_WORDS if words.match(data)))
        if not first and not is_empty:
            return None  # the next byte shows what it speaks
        self._refuse_without_keys("ZMTP 1")
        self.header, self.read_header = frame_header_v1, read_header_v1
        return self._read_identity(0)
