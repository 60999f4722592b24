"""Unruly peers: a relay before a real server that stalls, drips, closes or resets, for any protocol on streams."""

import math
import socket as sockets
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final, TypeAlias, TypeVar

from pyelevator._closing import Closing
from pyelevator.client.interceptors.workers import Workers

T = TypeVar("T")
_Address: TypeAlias = str | tuple[str, int]

HANG_TIMEOUT: Final = 20.0
"""Seconds after which a call that should have ended by its much shorter deadline counts as hanging."""

PROMPT: Final = 3.0
"""Seconds within which a call with a much shorter deadline ends, at least in one of ``TRIES``."""

TRIES: Final = 3
"""Number of tries, because a loaded machine may be late."""

_DRIP: Final = 0.1
_DELAY: Final = 1.0
_JUNK: Final = b"\xff" * (64 << 10)
_CHUNK_BYTES: Final = 64 << 10


def call_in_time(call: Callable[[], T]) -> T:
    """Call a function in a thread of its own, and return its result or raise its error.

    Raises:
        AssertionError: it has not ended after ``HANG_TIMEOUT`` seconds.
    """
    future = Workers(1, "call-in-time").submit(call)
    wait([future], HANG_TIMEOUT)
    assert future.done(), f"it did not end within {HANG_TIMEOUT} s, whatever its deadline was"
    return future.result()


def duration(call: Callable[[], object]) -> float:
    """Return the seconds that a call takes."""
    began = time.monotonic()
    call()
    return time.monotonic() - began


def best_of_tries(measure: Callable[[], float]) -> float:
    """Return the least of up to ``TRIES`` durations, in seconds; the first one that is ``PROMPT`` will do."""
    best = math.inf
    for _ in range(TRIES):
        best = min(best, measure())
        if best < PROMPT:
            break
    return best


class UnrulyRelay(Closing):
    """A relay between a client and a server, which forwards bytes until it is told to misbehave.

    Args:
        server: URL of a well-behaved server, ``tcp://host:port`` or ``ipc://path``.

    Attributes:
        url: where the relay listens, of the same kind.
        answer: what happens to each chunk from the server: ``passed``, ``delayed`` (by a second), ``stalled``,
            ``dripped``, ``closed`` (the connection ends instead), ``died`` (one byte, then a reset) or ``replaced``.
        replacement: what is sent instead if it is ``replaced``.
        reads: whether the relay reads what the client sends; a chunk may be on its way.
    """

    def __init__(self, server: str) -> None:
        self._listening, self.url, self._server = _bind_beside(server, "relay")
        self._listening.listen()
        self.answer = "passed"
        self.replacement = _JUNK
        self.reads = True
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._open: list[sockets.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                self._relay(self._listening.accept()[0])

    def _relay(self, client: sockets.socket) -> None:
        server = sockets.socket(self._listening.family)
        if not self._keep(client, server):
            return
        try:
            server.connect(self._server)
        except OSError:  # then the client finds it as it is
            _end(client)
            return
        for take, *ends in (self._pass, client, server), (self._pass_back, server, client):
            threading.Thread(target=take, args=ends, daemon=True).start()

    def _keep(self, *both: sockets.socket) -> bool:
        """Remember sockets for ``close()``, or close them if it has been called; return True if they stay open."""
        with self._lock:
            if ended := self._ended.is_set():
                for one in both:
                    one.close()
            else:
                self._open += both
        return not ended

    def _pass(self, client: sockets.socket, server: sockets.socket) -> None:
        with suppress(OSError):
            while data := client.recv(_CHUNK_BYTES):
                while not self.reads and not self._ended.wait(_DRIP):
                    pass
                server.sendall(data)
            server.shutdown(sockets.SHUT_WR)

    def _pass_back(self, server: sockets.socket, client: sockets.socket) -> None:
        with suppress(OSError):
            while data := server.recv(_CHUNK_BYTES):
                _ANSWERS[self.answer](self, client, data)
            if self.answer == "stalled":
                self._ended.wait()
        _end(client)

    def _delayed(self, client: sockets.socket, data: bytes) -> None:
        if not self._ended.wait(_DELAY):
            client.sendall(data)

    def _dripped(self, client: sockets.socket, data: bytes) -> None:
        for byte in data:
            client.sendall(bytes([byte]))
            if self._ended.wait(_DRIP):
                return

    def _died(self, client: sockets.socket, data: bytes) -> None:
        client.sendall(data[:1])
        client.setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        client.shutdown(sockets.SHUT_RD)  # else the system keeps it for the thread that reads from it
        client.close()

    def close(self) -> None:
        """Close all connections and stop listening, so that new connections are refused."""
        with self._lock:
            self._ended.set()
        _end(self._listening)
        for one in self._open:
            _end(one)
        _unlink(self.url)


_ANSWERS: Final[dict[str, Callable[[UnrulyRelay, sockets.socket, bytes], None]]] = {
    "passed": lambda _, client, data: client.sendall(data),
    "delayed": UnrulyRelay._delayed,
    "stalled": lambda *_: None,  # and the connection stays open
    "dripped": UnrulyRelay._dripped,
    "closed": lambda _, client, __: _end(client),
    "died": UnrulyRelay._died,
    "replaced": lambda relay, client, _: client.sendall(relay.replacement),
}


def _end(socket: sockets.socket) -> None:
    with suppress(OSError):
        socket.shutdown(sockets.SHUT_RDWR)
    socket.close()


@contextmanager
def refusing_listener(server: str) -> Iterator[str]:
    """Yield a URL like the server's that refuses connections."""
    relay = UnrulyRelay(server)
    relay.close()
    yield relay.url


@contextmanager
def full_listener(server: str) -> Iterator[str]:
    """Yield a URL like the server's whose listener accepts no more connections, so that to connect takes forever."""
    listening, url, _ = _bind_beside(server, "full")
    with listening, ExitStack() as waiting:
        listening.listen(0)
        name = listening.getsockname()
        while _fits_in(waiting.enter_context(sockets.socket(listening.family)), name):
            pass
        yield url
    _unlink(url)


def _bind_beside(server: str, suffix: str) -> tuple[sockets.socket, str, _Address]:
    """Return a bound socket of the kind of a server's, its URL, and the server's address."""
    scheme, _, address = server.partition("://")
    if scheme == "ipc":
        listening = sockets.socket(sockets.AF_UNIX)
        listening.bind(f"{address}.{suffix}")
        return listening, f"ipc://{listening.getsockname()}", address
    listening = sockets.socket()
    listening.bind(("127.0.0.1", 0))
    host, _, port = address.rpartition(":")
    return listening, f"tcp://127.0.0.1:{listening.getsockname()[1]}", (host, int(port))


def _unlink(url: str) -> None:
    if url.startswith("ipc://"):
        Path(url.removeprefix("ipc://")).unlink(missing_ok=True)


def _fits_in(client: sockets.socket, name: _Address) -> bool:
    """Return True if one more connection can be established; it stays open."""
    client.settimeout(_DRIP)
    try:
        client.connect(name)
    except (TimeoutError, BlockingIOError):
        return False
    return True
