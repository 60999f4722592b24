"""Decoder: bytes to messages, after the handshake."""

from collections import deque
from math import inf
from typing import Final

from pyelevator.errors import LimitExceeded
from pyelevator.transports.zmtp.frames import (
    COMMAND,
    LARGE,
    MAX_MESSAGE,
    MORE,
    HeaderReader,
    encode_command,
    read_command,
    read_header,
)
from pyelevator.transports.zmtp.mechanism import FrameCipher

TTL_SECONDS: Final = 0.1
"""Seconds that the time to live of a PING is counted in."""

_FRAME_BYTES: Final = 64  # what a frame, or a part of one, counts beside its bytes, because empty ones take memory too
_MAX_CONTEXT: Final = 16  # bytes of a PING that its PONG repeats
_MAX_PONGS: Final = 4096  # bytes of PONGs at once; they are enough for a peer that asks so often


_READ_HEADER: Final = read_header


class Decoder:
    """Reads the frames of a connection after its handshake.

    Args:
        limit: bytes of a message, of which each frame counts 64 more.
        read_header: reads what precedes each frame.
        max_messages: messages that are read at once; to read further ones, call ``receive_data`` again.

    Attributes:
        messages: those that are complete, to be taken out by the caller.
        has_unread: True if there is something after the last of them that has not been read.
        pending_pongs: what to send because the peer sent PINGs.
        ttl: seconds of silence after which the peer that sent the last PING is to be disconnected; 0 for never.
        read_size: bytes to receive next.
    """

    def __init__(
        self, limit: int = MAX_MESSAGE, read_header: HeaderReader = read_header, max_messages: float = inf
    ) -> None:
        self._read_header = read_header
        self._is_plain = read_header is _READ_HEADER
        self._encode_command = encode_command
        self._max_messages = max_messages
        self.has_unread = False
        self.messages: deque[list[bytes]] = deque()
        self.pending_pongs = b""
        self.ttl = 0.0
        self.read_size = LARGE
        self._limit = limit
        self._remaining = limit  # of the message that has begun
        self._frames: list[bytes] = []
        self._unread = b""
        self._chunks: list[bytes] = []  # of a large frame
        self._flags = 0
        self._missing = 0
        self._chunk_bytes = 0

    @property
    def buffered_bytes(self) -> int:
        """Bytes of memory, about, that the incomplete message takes."""
        return self._limit - self._remaining + self._chunk_bytes + len(self._unread)

    @property
    def expected_bytes(self) -> int:
        """Bytes of memory, about, that the incomplete message will take after the frame that has begun."""
        return self.buffered_bytes + self._missing

    def receive_data(self, data: bytes) -> None:
        """Take what was received.

        Raises:
            MalformedMessage, LimitExceeded: nothing that follows can be read.
        """
        if self._missing:
            data = self._fill_large(data)
        if self._unread:
            data = self._unread + data
        elif self._is_plain and self._read_short(data):
            return
        try:
            self._unread = data[self._read(data) :]
        except LimitExceeded:  # of a frame, which may only have the bytes that earlier frames of its message have left
            raise LimitExceeded(f"a message of more than {self._limit:,} bytes") from None

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
        self._chunks.append(data[: self._missing])
        self._chunk_bytes += len(data) + _FRAME_BYTES
        if len(data) < self._missing:
            self._expect_bytes(self._missing - len(data))
            return b""
        data = data[self._missing :]
        content, self._chunks, self._chunk_bytes = b"".join(self._chunks), [], 0
        self._expect_bytes(0)
        self._on_frame(self._flags, content)
        return data

    def _expect_bytes(self, missing: int) -> None:
        self._missing = missing
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
                self._flags, self._chunks, self._chunk_bytes = flags, [data[start:]], end - start + _FRAME_BYTES
                self._expect_bytes(stop - end)
                return end
        return offset

    def _on_frame(self, flags: int, content: bytes) -> None:
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
        self.ttl = int.from_bytes(data[:2], "big") * TTL_SECONDS
        if len(self.pending_pongs) < _MAX_PONGS:
            self.pending_pongs += self._encode_command(b"PONG", data[2 : 2 + _MAX_CONTEXT])


class EncryptedDecoder(Decoder):
    """Reads encrypted frames.

    Args:
        cipher: decrypts them.
        limit, max_messages: as of a :class:`Decoder`.
    """

    def __init__(self, cipher: FrameCipher, limit: int = MAX_MESSAGE, max_messages: float = inf) -> None:
        super().__init__(limit, max_messages=max_messages)
        self._is_plain = False
        self._decrypt, self._encode_command = cipher.decrypt, cipher.encode_command

    def _on_frame(self, _: int, content: bytes) -> None:
        super()._on_frame(*self._decrypt(content))
