"""The protocol of a connection from its first byte on, the same for both sides."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from functools import partial
from io import BytesIO
from math import ceil, inf
from typing import Final

from pyelevator.errors import LimitExceeded
from pyelevator.transports.zmtp.frames import (
    COMMAND,
    LARGE,
    MAX_MESSAGE,
    MORE,
    HeaderReader,
    encode_command,
    encode_message,
    frame_header,
    read_command,
    read_header,
)
from pyelevator.transports.zmtp.handshake import MINOR, SIGNATURE, ClientHandshake, Handshake, ServerHandshake
from pyelevator.transports.zmtp.mechanism import HandshakeRefused, Mechanism

_TTL_SECONDS: Final = 0.1  # that the time to live of a PING is counted in
_MAX_TTL: Final = 0xFFFF
_FRAME_BYTES: Final = 64  # what a frame, or a part of one, counts beside its bytes, because empty ones take memory too
_MAX_CONTEXT: Final = 16  # bytes of a PING that its PONG repeats
_MAX_PONGS: Final = 4096  # bytes of PONGs at once; they are enough for a peer that asks so often

_EARLY: Final = 512 << 10
"""Bytes of a large frame after which there is a block of memory for ``_MAPPED`` bytes, or all of it."""

_MAPPED: Final = (4 << 20) + (64 << 10)
"""Bytes of a block that servers map by themselves (``listener.freed_memory``): it grows uncopied, without gaps."""


class Role(Enum):
    """The side of a connection: a client is a DEALER, and a server is a ROUTER."""

    CLIENT = "DEALER"
    SERVER = "ROUTER"


_HANDSHAKES: Final[Mapping[Role, Callable[[Mechanism | None], Handshake]]] = {
    Role.CLIENT: ClientHandshake,
    Role.SERVER: ServerHandshake,
}


class Protocol:
    """One side of a connection, without its socket.

    What was received goes in with ``receive_data``. What comes out is ``messages``, and ``pending`` bytes of the
    protocol's own, which are to be sent: its part of the handshake, and PONGs. Messages to the peer are written by
    ``encode_message`` once the connection is established.

    Args:
        role: of this side.
        mechanism: NULL if None.
        max_message: bytes of a message, of which each frame counts 64 more.
        max_messages: messages that are read at once; to read further ones, call ``receive_data`` again.

    Attributes:
        is_established: True once the handshake is over.
        is_plain: True once it is over, with a peer of ZMTP 3 without keys.
        peer: identity that the peer has proved in the handshake; None without keys.
        messages: those that are complete, to be taken out by the caller.
        has_unread: True if there is something after the last of them that has not been read.
        pending: bytes to send, to be taken with ``data_to_send``.
        encode_message: returns a message as buffers, see :func:`~pyelevator.transports.zmtp.frames.encode_message`.
        understands_ping: True if the peer understands PINGs (from ZMTP 3.1 on).
        ttl: seconds of silence after which the peer that sent the last PING is to be disconnected; 0 for never.
        read_size: bytes to receive next.
    """

    def __init__(
        self,
        role: Role,
        mechanism: Mechanism | None = None,
        max_message: int = MAX_MESSAGE,
        max_messages: float = inf,
    ) -> None:
        self._handshake: Handshake | None = _HANDSHAKES[role](mechanism)
        self.is_established = self.understands_ping = False
        self.peer: str | None = None
        self.pending = SIGNATURE
        self.encode_message: Callable[[Sequence[bytes]], list[bytes]] = encode_message
        self._encode_command = encode_command
        self._decrypt: Callable[[bytes], tuple[int, bytes]] | None = None
        self._read_header: HeaderReader = read_header
        self.is_plain = self._can_be_passed = False
        self._max_messages = max_messages
        self.has_unread = False
        self.messages: deque[list[bytes]] = deque()
        self.ttl = 0.0
        self.read_size = LARGE
        self._limit = max_message
        self._remaining = max_message  # of the message that has begun
        self._frames: list[bytes] = []
        self._unread = b""
        self._large = BytesIO()  # the large frame: it ends as bytes without another copy, as a list of chunks cannot
        self._flags = 0
        self._missing_bytes = 0
        self._chunk_bytes = 0

    @property
    def is_idle(self) -> bool:
        """True if a short message that comes next may be read past this object: nothing before it waits in here."""
        return self._can_be_passed and not (self._missing_bytes or self._unread or self._frames or self.messages)

    @property
    def buffered_bytes(self) -> int:
        """Bytes of memory, about, that the incomplete message takes."""
        return self._limit - self._remaining + self._chunk_bytes + len(self._unread)

    @property
    def expected_bytes(self) -> int:
        """Bytes of memory, about, that the incomplete message will take after the frame that has begun."""
        return self.buffered_bytes + self._missing_bytes

    def receive_data(self, data: bytes) -> None:
        """Take what was received.

        Raises:
            MalformedMessage, LimitExceeded: nothing that follows can be read.
            HandshakeRefused: one side refuses the connection; the bytes that are pending say so to the peer.
        """
        if self._missing_bytes:
            data = self._fill_large(data)
        if self._unread:
            data = self._unread + data
        elif self.is_plain:
            if self._read_short(data):
                return
        elif self._handshake is not None:
            data = self._continue_handshake(self._handshake, data)
        try:
            self._unread = data[self._read(data) :]
        except LimitExceeded:  # of a frame, which may only have the bytes that earlier frames of its message have left
            raise LimitExceeded(f"a message of more than {self._limit:,} bytes") from None

    def data_to_send(self) -> bytes:
        """Return the bytes that are pending, once."""
        data, self.pending = self.pending, b""
        return data

    def encode_ping(self, ttl: float) -> bytes:
        """Return a PING, with the seconds of silence after which the peer may close the connection."""
        return self._encode_command(b"PING", min(ceil(ttl / _TTL_SECONDS), _MAX_TTL).to_bytes(2, "big"))

    def _continue_handshake(self, handshake: Handshake, data: bytes) -> bytes:
        """Return what follows the handshake, if that is over."""
        try:
            self.pending += handshake.receive_data(data)
        except HandshakeRefused as error:
            self.pending += error.answer
            raise
        if not handshake.is_done:
            return b""
        self._handshake, self.is_established = None, True
        self.peer, self.understands_ping = handshake.peer, handshake.minor >= MINOR
        self._read_header = handshake.read_header
        if handshake.cipher is not None:
            cipher = handshake.cipher
            self.encode_message, self._encode_command = cipher.encode_message, cipher.encode_command
            self._decrypt = cipher.decrypt
        elif handshake.header is frame_header:
            self.is_plain, self._can_be_passed = True, self._limit > 2 * LARGE
        else:
            self.encode_message = partial(encode_message, header=handshake.header)
        return handshake.remaining

    def _read_short(self, data: bytes) -> bool:
        """Fast path: read ``data`` if it is just one message, of one or two short frames."""
        end = len(data)
        if end < 2 or self._frames or end + 2 * _FRAME_BYTES > self._limit or self.messages:
            return False
        stop = 2 + data[1]
        if data[0] == 0 and stop == end:
            self.messages.append([data[2:]])
        elif data[0] == MORE and end - stop >= 2 and data[stop] == 0 and stop + 2 + data[stop + 1] == end:
            self.messages.append([data[2:stop], data[stop + 2 :]])
        else:
            return False
        self.has_unread = False
        return True

    def _fill_large(self, data: bytes) -> bytes:
        """Add to a large frame; return what is left."""
        self._add_to_large(memoryview(data)[: self._missing_bytes])
        self._chunk_bytes += len(data) + _FRAME_BYTES
        if len(data) < self._missing_bytes:
            self._expect_bytes(self._missing_bytes - len(data))
            return b""
        data = data[self._missing_bytes :]
        content, self._large, self._chunk_bytes = self._large.getvalue(), BytesIO(), 0
        self._expect_bytes(0)
        self._on_frame(self._flags, content)
        return data

    def _add_to_large(self, data: memoryview) -> None:
        received = self._large.tell()
        if received < _EARLY <= received + len(data):
            large = BytesIO(bytes(min(received + self._missing_bytes, _MAPPED)))
            large.write(self._large.getbuffer())
            self._large = large
        self._large.write(data)

    def _expect_bytes(self, missing: int) -> None:
        self._missing_bytes = missing
        self.read_size = max(LARGE, min(missing, 16 * LARGE))

    def _read(self, data: bytes) -> int:
        """Read the frames of ``data``; return the offset of the first one that is incomplete."""
        offset, end = 0, len(data)
        self.has_unread = False
        while offset < end and (found := self._read_header(data, offset, self._remaining)) is not None:
            if len(self.messages) >= self._max_messages:
                self.has_unread = True
                break
            flags, start, stop = found
            if stop <= end:
                self._on_frame(flags, data[start:stop])
                offset = stop
            elif stop - start < LARGE:
                break
            else:
                self._flags, self._chunk_bytes = flags, end - start + _FRAME_BYTES
                self._large.write(memoryview(data)[start:])
                self._expect_bytes(stop - end)
                return end
        return offset

    def _on_frame(self, flags: int, content: bytes) -> None:
        if self._decrypt is not None:
            flags, content = self._decrypt(content)
        if flags & COMMAND:
            self._on_command(content)
            return
        self._frames.append(content)
        if flags & MORE:
            self._remaining -= len(content) + _FRAME_BYTES
            if self._remaining < 0:
                raise LimitExceeded(f"a message of more than {self._limit} bytes")
        else:
            self.messages.append(self._frames)
            self._frames, self._remaining = [], self._limit

    def _on_command(self, body: bytes) -> None:
        """Answer a PING, with its context and without its time to live; ignore other commands."""
        name, data = read_command(body)
        if name != b"PING":
            return
        self.ttl = int.from_bytes(data[:2], "big") * _TTL_SECONDS
        if len(self.pending) < _MAX_PONGS:
            self.pending += self._encode_command(b"PONG", data[2 : 2 + _MAX_CONTEXT])
