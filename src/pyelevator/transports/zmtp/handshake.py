"""Welcome: how a connection begins, seen from a ROUTER; without a socket or a clock.

Peers of every ZMTP come (rfc.zeromq.org/spec/13, 15 and 23)::

    ZMTP 1 (libzmq 2)     an identity as its first frame, and messages behind it
    ZMTP 2 (libzmq 3)     signature, revision 1, type of its socket, an identity as a frame
    ZMTP 3 (libzmq 4)     signature, revision 3, minor, mechanism, zeros, what the mechanism says

Our signature is an empty identity to the first of them, and each is told no more than it can read. What speaks another
protocol is refused by its first two bytes: a frame of ZMTP 1 that is an identity has no flags, and none begins with a
zero byte, which ZeroMQ keeps for itself. Else text would be a long identity, and what stands behind it a message: any
web page can have a browser send that to this machine. Where keys are asked for, only the last of them can come in.
"""

import re
from collections.abc import Callable, Sequence
from functools import partial
from math import inf
from typing import Final

from pyelevator.errors import MalformedMessage
from pyelevator.transports.zmtp import frames as zmtp
from pyelevator.transports.zmtp.frames import Foreign, Refused

_OLD_REVISION: Final = 1
_ROUTER: Final = 6
_OLD_PEERS: Final = (3, 5, 6)
"""Those who may come, as ZMTP 2 counts them."""

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


class Welcome:
    """The handshake with one peer.

    Args:
        mechanism: NULL if None.

    Attributes:
        opening: what to send first.
        done: True once messages may come.
        rest: what came behind the handshake.
        head, read_head: how the heads of frames are written and read from then on.
        peer: who the peer has proved to be; None where nobody asks.
    """

    opening: Final = zmtp.SIGNATURE

    def __init__(self, mechanism: zmtp.Mechanism | None = None) -> None:
        self._mechanism = mechanism or zmtp.Null(b"ROUTER", zmtp.CLIENTS)
        self._null = self._mechanism.name == zmtp.NULL
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

    @property
    def peer(self) -> str | None:
        return self._mechanism.peer

    def outgoing(self) -> Callable[[Sequence[bytes]], list[bytes]]:
        """What writes messages from now on."""
        cipher = self._mechanism.cipher
        if cipher is not None:
            return cipher.encode
        return zmtp.encode if self.head is zmtp.head else partial(zmtp.encode, head=self.head)

    def incoming(self, limit: int, most: float = inf) -> zmtp.Decoder:
        """What reads messages from now on; see there."""
        cipher = self._mechanism.cipher
        return zmtp.Decoder(limit, self.read_head, most) if cipher is None else zmtp.SealedDecoder(cipher, limit, most)

    # Each step gives what to send, or None if more has to come first.

    def _signature(self) -> bytes | None:
        data = self._data
        if not data or (data[0] == 0xFF and len(data) < len(zmtp.SIGNATURE)):
            return None
        if data[0] != 0xFF or not data[9] & 1:
            if data[0] == 0xFF:
                self._refuse_without_keys("ZMTP 1")
            self._step = self._first_identity
            return b""
        self._step = self._revision
        return bytes((zmtp.REVISION,))

    def _refuse_without_keys(self, what: str) -> None:
        """Refuses a peer whose protocol knows no keys, where they are asked for."""
        if not self._null:
            raise Refused(f"{what} has no keys")

    def _first_identity(self) -> bytes | None:
        """The one frame before the messages; its flags and its first byte are looked at before the rest has come."""
        data = self._data
        at = 9 if data[0] == 0xFF else 1
        flags, first = data[at : at + 1], data[at + 1 : at + 2]
        strange = data[0] == 0 or bool(flags.strip(_ZERO))
        found = None if strange or at == 1 else zmtp.read_first_head(data, 0, zmtp.MAX_COMMAND)
        empty = data[:2] == _NO_IDENTITY or (found is not None and found[1] == found[2])
        if strange or (first == _ZERO and not empty):
            raise Foreign(next(protocol for words, protocol in _FIRST_WORDS if words.match(data)))
        if not first and not empty:
            return None  # what it speaks can be told from the next byte
        self._refuse_without_keys("ZMTP 1")
        self.head, self.read_head = zmtp.first_head, zmtp.read_first_head
        return self._end(0)

    def _revision(self) -> bytes | None:
        if len(self._data) < 11:
            return None
        if self._data[10] >= zmtp.REVISION:
            self._step = self._greeted
            return zmtp.greeting(self._mechanism)
        if self._data[10] != _OLD_REVISION:
            raise Refused(f"revision {self._data[10]}")
        self._refuse_without_keys("ZMTP 2")
        self._step = self._old_identity
        return bytes((_ROUTER,)) + zmtp.frame(b"")

    def _old_identity(self) -> bytes | None:
        if len(self._data) > 11 and self._data[11] not in _OLD_PEERS:
            raise Refused(f"a socket of type {self._data[11]}")
        return self._end(12)

    def _greeted(self) -> bytes | None:
        if len(self._data) < zmtp.GREETING:
            return None
        if self._data[12:32] != self._mechanism.name:
            raise Refused(f"mechanism {self._data[12:32].rstrip(bytes(1))!r}")
        self._data, self._step = self._data[zmtp.GREETING :], self._agree
        return b""

    def _agree(self) -> bytes | None:
        found = zmtp.read_frame(self._data, 0, zmtp.MAX_COMMAND)
        if found is None:
            return None
        flags, start, stop = found
        said = self._mechanism.receive(flags, self._data[start:stop])
        self._data = self._data[stop:]
        if self._mechanism.done:
            self.done, self.rest = True, self._data
        return said

    def _end(self, at: int) -> bytes | None:
        """The identity that ends the handshake."""
        found = self.read_head(self._data, at, zmtp.MAX_COMMAND)
        if found is None or found[2] > len(self._data):
            return None
        _, start, stop = found
        if stop - start > _MAX_IDENTITY:
            raise MalformedMessage(f"an identity of {stop - start} bytes")
        self.done, self.rest = True, self._data[stop:]
        return b""
