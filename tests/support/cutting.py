"""A TCP relay that delays what it passes on, and cuts connections at random points."""

import socket
import threading
from contextlib import suppress
from random import Random
from time import sleep

_CHUNK = 1 << 16


class CuttingRelay:
    """Passes bytes between clients and a server; as a context manager, it runs in the block.

    Args:
        port: of the server, on loopback.
        seed: of what is random.

    Attributes:
        port: to connect to.
        probability: that a chunk of bytes is where its connection is cut: before it, within it, or behind it.
        delay: seconds that each chunk waits.
        cuts: connections that were cut.
    """

    def __init__(self, port: int, seed: int = 1) -> None:
        self._target = port
        self._random = Random(seed)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self.port = self._listener.getsockname()[1]
        self.probability = self.delay = 0.0
        self.cuts = 0

    def __enter__(self) -> "CuttingRelay":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        for pair in self._pairs:
            shut(*pair)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                for one in (client, server):
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._pairs.append((client, server))
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while chunk := source.recv(_CHUNK):
                if self.delay:
                    sleep(self.delay)
                if self._random.random() < self.probability:
                    target.sendall(chunk[: self._random.choice((0, self._random.randrange(len(chunk)), len(chunk)))])
                    self.cuts += 1
                    break
                target.sendall(chunk)
        shut(source, target)


def shut(*sockets: socket.socket) -> None:
    """Shut connections down in both directions, and close them."""
    for one in sockets:
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()
