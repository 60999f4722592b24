"""Welcome: how a connection begins, seen from a ROUTER that asks for no keys; without a socket or a clock.

Peers of every ZMTP come (rfc.zeromq.org/spec/13, 15 and 23)::

    ZMTP 1 (libzmq 2)     an identity as its first frame, and messages behind it
    ZMTP 2 (libzmq 3)     signature, revision 1, type of its socket, an identity as a frame
    ZMTP 3 (libzmq 4)     signature, revision 3, minor, mechanism, zeros, READY

Our signature is an empty identity to the first of them, and each is told no more than it can read. What speaks another
protocol is refused by its first two bytes: a frame of ZMTP 1 that is an identity has no flags, and none begins with a
zero byte, which ZeroMQ keeps for itself. Else text would be a long identity, and what stands behind it a message: any
web page can have a browser send that to this machine.
"""

import re
from collections.abc import Callable, Sequence
from typing import Final

from pyelevator.errors import MalformedMessage
from pyelevator.transports import zmtp
from pyelevator.transports.zmtp import Foreign, Refused

_OLD_REVISION: Final = 1
_ROUTER: Final = 6
_PEERS: Final = (b"DEALER", b"REQ", b"ROUTER")
_OLD_PEERS: Final = (3, 5, 6)
"""The same as ZMTP 2 counts them."""

_ZERO: Final = b"\0"
_NO_IDENTITY: Final = zmtp.first_head(0, 0)

_FIRST_WORDS: Final[Sequence[tuple["re.Pattern[bytes]", str]]] = (
    (re.compile(rb"(GET|HEAD|POST|PUT|DELETE|CONNECT|OPTIONS|TRACE|PATCH|PRI)\b"), "HTTP"),
    (re.compile(rb"\x16\x03"), "TLS"),
    (re.compile(rb"SSH-"), "SSH"),
    (re.compile(rb"[\t\r\n -~]{2}"), "some text protocol"),
    (re.compile(b""), "another protocol"),
)
"""What a peer began with -> what that is; the first that fits."""

_MAX_IDENTITY: Final = 255
_OURS: Final = bytes((zmtp.MINOR,)) + zmtp.NULL + bytes(32) + zmtp.ready(b"ROUTER")


class Welcome:
    """The handshake with one peer.

    Attributes:
        opening: what to send first.
        done: True once messages may come.
        rest: what came behind the handshake.
        head, read_head: how frames are written and read from then on.
    """

    opening: Final = zmtp.SIGNATURE

    def __init__(self) -> None:
        self.done = False
        self.rest = b""
        self.head, self.read_head = zmtp.head, zmtp.read_head
        self._data = b""
        self._step: Callable[[], bytes | None] = self._signature

    def receive(self, data: bytes) -> bytes:
        """Takes what came in; what to send now.

        Raises:
            Refused: the peer wants no such connection, or speaks another protocol (Foreign).
            MalformedMessage, LimitExceeded: it speaks something else.
        """
        self._data += data
        replies = []
        while not self.done and (reply := self._step()) is not None:
            replies.append(reply)
        return b"".join(replies)

    # Each step gives what to send, or None if more has to come first.

    def _signature(self) -> bytes | None:
        data = self._data
        if not data or (data[0] == 0xFF and len(data) < len(zmtp.SIGNATURE)):
            return None
        if data[0] != 0xFF or not data[9] & 1:
            self._step = self._first_identity
            return b""
        self._step = self._revision
        return bytes((zmtp.REVISION,))

    def _first_identity(self) -> bytes | None:
        """The one frame before the messages; its flags and its first byte are looked at before the rest has come."""
        data = self._data
        at = 9 if data[0] == 0xFF else 1
        flags, first = data[at : at + 1], data[at + 1 : at + 2]
        if data[0] == 0 or flags.strip(_ZERO) or (first == _ZERO and data[:2] != _NO_IDENTITY):
            raise Foreign(next(protocol for words, protocol in _FIRST_WORDS if words.match(data)))
        self.head, self.read_head = zmtp.first_head, zmtp.read_first_head
        return self._end(0, self._anything)

    def _revision(self) -> bytes | None:
        if len(self._data) < 11:
            return None
        if self._data[10] >= zmtp.REVISION:
            self._step = self._ready
            return _OURS
        if self._data[10] != _OLD_REVISION:
            raise Refused(f"revision {self._data[10]}")
        self._step = self._old_identity
        return bytes((_ROUTER,)) + zmtp.frame(b"")

    def _old_identity(self) -> bytes | None:
        if len(self._data) > 11 and self._data[11] not in _OLD_PEERS:
            raise Refused(f"a socket of type {self._data[11]}")
        return self._end(12, self._anything)

    def _ready(self) -> bytes | None:
        if len(self._data) < zmtp.GREETING:
            return None
        if self._data[12:32] != zmtp.NULL:
            raise Refused(f"mechanism {self._data[12:32].rstrip(bytes(1))!r}")
        return self._end(zmtp.GREETING, self._check_ready)

    def _end(self, at: int, check: Callable[[int, bytes], None]) -> bytes | None:
        """The last frame of the handshake; ``check`` looks at its flags and its content."""
        found = self.read_head(self._data, at, zmtp.MAX_COMMAND)
        if found is None or found[2] > len(self._data):
            return None
        flags, start, stop = found
        check(flags, self._data[start:stop])
        self.done, self.rest = True, self._data[stop:]
        return b""

    def _anything(self, _: int, identity: bytes) -> None:
        if len(identity) > _MAX_IDENTITY:
            raise MalformedMessage(f"an identity of {len(identity)} bytes")

    def _check_ready(self, flags: int, body: bytes) -> None:
        if not flags & zmtp.COMMAND:
            raise MalformedMessage("a message came before the handshake was over")
        zmtp.check_ready(body, _PEERS)
