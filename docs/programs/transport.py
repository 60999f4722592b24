"""A transport of one's own: whole messages over a plain Unix socket, without ZeroMQ, and a server to try it on."""

import socket
import struct
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from math import inf
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingUnixStreamServer
from typing import Any, Self

from pyelevator import ConnectTimeout, Elevator, RequestTimeout, TransportError
from pyelevator.application import Application
from pyelevator.deadlines import Deadline
from pyelevator.protocol import RequestDecoder
from pyelevator.transports import Transport

NUMBER = struct.Struct(">I")
FRAMES = 8
"""Frames of a message that are taken."""
MOST = 64 << 20
"""Bytes of a frame; a peer shall not make us take more memory by claiming a size."""


def pack(frames: Sequence[bytes]) -> bytes:
    """How many frames there are, then each with its size before it."""
    return NUMBER.pack(len(frames)) + b"".join(NUMBER.pack(len(frame)) + frame for frame in frames)


class PlainTransport(Transport):
    """One connection to a Unix socket. It opens itself with the first ``send``, as every transport does."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._socket: socket.socket | None = None

    @property
    def url(self) -> str:
        return f"plain://{self._path}"

    @property
    def is_open(self) -> bool:
        return self._socket is not None

    def clone(self) -> Self:
        return type(self)(self._path)

    def send(self, frames: Sequence[bytes], deadline: Deadline) -> None:
        if self._socket is None:
            self._socket = self._connected(deadline)
        try:
            self._within(deadline).sendall(pack(frames))
        except TimeoutError as error:
            raise RequestTimeout(f"{self.url} took no message within {deadline}") from error
        except OSError as error:
            raise TransportError(f"{self.url} closed the connection") from error

    def receive(self, deadline: Deadline) -> Sequence[bytes]:
        return [self._read(self._number(deadline, MOST), deadline) for _ in range(self._number(deadline, FRAMES))]

    def reset(self) -> None:
        self.close()  # what still comes over the old connection is not read

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _connected(self, deadline: Deadline) -> socket.socket:
        made = socket.socket(socket.AF_UNIX)
        try:
            made.settimeout(seconds(deadline))
            made.connect(self._path)
        except OSError as error:
            made.close()
            raise ConnectTimeout(f"no server listens at {self.url}: {error}") from error
        return made

    def _within(self, deadline: Deadline) -> socket.socket:
        if self._socket is None:
            raise RequestTimeout(f"nothing was asked of {self.url}, so no answer comes")
        self._socket.settimeout(seconds(deadline))
        return self._socket

    def _number(self, deadline: Deadline, most: int) -> int:
        (number,) = NUMBER.unpack(self._read(NUMBER.size, deadline))
        if number <= most:
            return int(number)
        raise TransportError(f"{self.url} announced {number:,}, and {most:,} is the limit")

    def _read(self, size: int, deadline: Deadline) -> bytes:
        data = bytearray()
        while len(data) < size:
            try:
                piece = self._within(deadline).recv(size - len(data))
            except TimeoutError as error:
                raise RequestTimeout(f"no answer from {self.url} within {deadline}") from error
            except OSError as error:
                raise TransportError(f"{self.url} closed the connection") from error
            if not piece:
                raise TransportError(f"{self.url} closed the connection")
            data += piece
        return bytes(data)


def seconds(deadline: Deadline) -> float | None:
    """For a socket, to which None means for ever and 0 not to wait at all."""
    left = deadline.remaining()
    return None if left == inf else max(left, 0.001)


class Handler(StreamRequestHandler):
    """The other end: the reader turns whatever comes into a request, and the application's answer into frames."""

    reader = RequestDecoder()
    application: Application

    def handle(self) -> None:
        with suppress(EOFError, ConnectionError):  # the client is gone, or sends what is no message
            while True:
                frames = [read(self.rfile, number(self.rfile, MOST)) for _ in range(number(self.rfile, FRAMES))]
                self.wfile.write(pack(self.reader.read(frames).answer(self.application)))


def number(stream: Any, most: int) -> int:
    (value,) = NUMBER.unpack(read(stream, NUMBER.size))
    if value <= most:
        return int(value)
    raise EOFError


def read(stream: Any, size: int) -> bytes:
    data: bytes = stream.read(size)
    if len(data) == size:
        return data
    raise EOFError


@contextmanager
def serve(path: str, application: Application) -> Iterator[None]:
    handler = type("Handler", (Handler,), {"application": application})
    with ThreadingUnixStreamServer(path, handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "plain.sock"))
        with serve(path, Application.in_memory()), Elevator(transport=PlainTransport(path)) as E:
            E.createdb("testdb")
            E.connect("testdb")
            with E.WriteBatch() as batch:
                for number in range(1000):
                    batch.Put(f"{number:04}", "x" * 1000)
            print(E.listdb(), sum(1 for _ in E.RangeIter()), E.Range(limit=2, include_value=False))
        try:
            Elevator(transport=PlainTransport(path), timeout=0.5)
        except TimeoutError as error:
            print(type(error).__name__)


if __name__ == "__main__":
    main()
