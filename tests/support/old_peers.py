"""Servers with ZeroMQ as it was: ROUTERs that speak ZMTP 1.0 (libzmq 2) or 2.0 (libzmq 3), and nothing newer."""

from contextlib import suppress

from pyelevator.application import Application
from pyelevator.codec import ClassicCodec
from pyelevator.errors import ProtocolError
from support.accepting import Accepting

SIGNATURE = b"\xff\0\0\0\0\0\0\0\x01\x7f"
ROUTER = 6


class Gone(Exception):
    pass


class OldPeer(Accepting):
    """A server whose connections begin as they did with that revision (0: ZMTP 1.0, 1: ZMTP 2.0).

    Attributes:
        garbage: messages that are no requests: what kills an old server's worker.
    """

    def __init__(self, revision):
        super().__init__(self._converse)
        self.revision = revision
        self.garbage = []
        self.codec = ClassicCodec()
        self.application = Application.in_memory()

    def _converse(self, peer):
        connection = (Old, Older)[self.revision == 0](peer)
        with suppress(Gone):
            connection.begin()
            while True:
                self._answer(connection, connection.message())

    def _answer(self, connection, frames):
        try:
            request = self.codec.decode_request(frames)
        except ProtocolError:
            self.garbage.append(frames)
            return
        connection.send(self.codec.encode_response(self.application(request), request))

    def __exit__(self, *exception):
        super().__exit__(*exception)
        self.application.close()


class Older:
    """ZMTP 1.0: no signature; each side sends its identity as a message, and frames are length, flags, content."""

    def __init__(self, peer):
        self.peer = peer

    def begin(self):
        self.peer.sendall(b"\x01\x00")
        self.frame()

    def take(self, count):
        data = b""
        while len(data) < count:
            data += self.peer.recv(min(count - len(data), 1 << 20)) or self.gone()
        return data

    def gone(self):
        raise Gone

    def frame(self):
        (length,) = self.take(1)
        if length == 255:
            length = int.from_bytes(self.take(8), "big")
        (flags,) = self.take(1)
        return bool(flags & 1), self.take(length - 1)

    def message(self):
        frames, more = [], True
        while more:
            more, content = self.frame()
            frames.append(content)
        return frames

    def head(self, length, more):
        length += 1
        return (bytes([length]) if length < 255 else b"\xff" + length.to_bytes(8, "big")) + bytes([more])

    def send(self, frames):
        last = len(frames) - 1
        self.peer.sendall(b"".join(self.head(len(f), i < last) + f for i, f in enumerate(frames)))


class Old(Older):
    """ZMTP 2.0: a signature, the revision, the socket's type, the identity; frames are flags, length, content."""

    def begin(self):
        self.peer.sendall(SIGNATURE)
        assert self.take(10)[9] & 1
        self.peer.sendall(bytes([1, ROUTER]) + b"\x00\x00")
        self.take(2)  # the revision and the type of the other side
        self.frame()

    def frame(self):
        flags, length = self.take(2)
        if flags & 2:
            length = int.from_bytes(bytes([length]) + self.take(7), "big")
        return bool(flags & 1), self.take(length)

    def head(self, length, more):
        return bytes([more, length]) if length < 256 else bytes([more | 2]) + length.to_bytes(8, "big")
