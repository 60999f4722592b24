"""Servers with ZeroMQ as it was: ROUTERs that speak ZMTP 1.0 (libzmq 2) or 2.0 (libzmq 3), and nothing newer."""

import socket
import threading
from contextlib import suppress

from pyelevator.application import Application
from pyelevator.codec import ClassicCodec
from pyelevator.errors import ProtocolError

SIGNATURE = b"\xff\0\0\0\0\0\0\0\x01\x7f"
ROUTER = 6


class Gone(Exception):
    pass


class OldPeer:
    """A server whose connections begin as they did with that revision (0: ZMTP 1.0, 1: ZMTP 2.0).

    Attributes:
        endpoint: host:port.
        connections: how many came.
        garbage: messages that are no requests: what kills an old server's worker.
    """

    def __init__(self, revision):
        self.revision = revision
        self.connections = 0
        self.garbage = []
        self.codec = ClassicCodec()
        self.application = Application.in_memory()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"127.0.0.1:{self._listening.getsockname()[1]}"
        self._sockets = []
        self._threads = [threading.Thread(target=self._accept)]

    def _accept(self):
        with suppress(OSError):
            while True:
                peer = self._listening.accept()[0]
                self.connections += 1
                self._sockets.append(peer)
                thread = threading.Thread(target=self._serve, args=(peer,))
                self._threads.append(thread)
                thread.start()

    def _serve(self, peer):
        connection = (Old, Older)[self.revision == 0](peer)
        with suppress(OSError, Gone):
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

    def __enter__(self):
        self._threads[0].start()
        return self

    def __exit__(self, *_):
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for each in self._sockets:
            each.close()
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
