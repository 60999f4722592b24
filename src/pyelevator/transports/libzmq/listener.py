"""ROUTER sockets of libzmq."""

import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import zmq

from pyelevator.transports import socket_options
from pyelevator.transports.bind import bind_target, cannot_listen, claim_ipc_path, owned
from pyelevator.transports.url import Target


class Spin:
    """Receives by trying for a moment before it blocks, while that pays.

    A blocking receive costs a hand-over from the I/O thread, a third of a sync client's round trip; ``TRIES`` tries
    take about half of one. Each message that was found so earns a credit, each run of tries in vain costs one, and
    without credit only one wait in ``PROBE`` tries, so that an idle or slow server burns next to nothing.
    (Measured: docs/benchmarks.md.)
    """

    TRIES: Final = 40
    CREDIT: Final = 16
    PROBE: Final = 16

    def __init__(self) -> None:
        self._credit = self.CREDIT
        self._waits = 0

    def first(self, receive: Any) -> Any:
        """The first frame of the next message."""
        if self._credit or self._probes():
            for _ in range(self.TRIES):
                try:
                    frame = receive(zmq.NOBLOCK)
                except zmq.Again:
                    continue
                self._credit = min(self._credit + 1, self.CREDIT)
                return frame
            self._credit = max(self._credit - 1, 0)
        return receive()

    def _probes(self) -> bool:
        self._waits = (self._waits + 1) % self.PROBE
        return not self._waits


class Listener:
    """A ROUTER socket, bound to one URL or several: what a server or a proxy takes messages from.

    One socket for all URLs, because waiting on it alone (``wait``) costs half of what polling several does, and
    because identities are unique across it. A frame above ``max_message`` bytes closes the connection that sent it.
    Everything but ``wake`` belongs to one thread at a time.

    Args:
        urls: what to bind.
        max_message: bytes.
        ipc_mode: who may use the socket files; nobody else can at any time, not even while they are made.

    Attributes:
        urls: what is bound, with the ports that the system chose.
        url: the first of them.
        peer: None: nobody is asked who it is.

    Raises:
        UsageError: a URL cannot be bound.
    """

    def __init__(self, *urls: str, max_message: int = 256 << 20, ipc_mode: int = 0o600) -> None:
        targets = [bind_target(url) for url in urls]
        self.urls: tuple[str, ...] = ()
        self.peer: str | None = None
        self._ipc_mode = ipc_mode
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.socket: zmq.Socket[bytes] = self._context.socket(zmq.ROUTER)
        self.socket.set(zmq.LINGER, 1000)
        self.socket.set(zmq.MAXMSGSIZE, max_message)
        socket_options.configure_zmq(self.socket)
        self.socket.set(zmq.SNDHWM, 0)  # a ROUTER drops the answers above its mark, and every request has one
        self._notes: object = None  # whether ``_note`` has anything to do
        self._spin = Spin()
        self._wakes = threading.RLock()  # reentrant: a signal handler may wake
        self._waker: zmq.Socket[bytes] = self._context.socket(zmq.DEALER)
        try:
            self._prepare()
            from pyelevator.transports.libzmq import zap  # clients have no use for it

            zap.admit_all(self._context, self.socket)
            for target in targets:
                self.urls += (self._bind(target),)
            self._waker_identity = self._open_waker()
        except BaseException:
            self.close()
            raise

    def _prepare(self) -> None:
        """What a subclass does before anything is bound."""

    @property
    def url(self) -> str:
        """The first URL that is bound."""
        return self.urls[0]

    def _bind(self, target: Target) -> str:
        if target.scheme == "ipc":
            claim_ipc_path(target.address)
        self.socket.set(zmq.IPV6, "[" in target.address)  # else IPv4 would be bound, and shown, as mapped into IPv6
        try:
            self._bind_for_few(target) if target.scheme == "ipc" else self.socket.bind(target.url)
        except zmq.ZMQError as error:
            raise cannot_listen(target.url, error.errno or 0) from error
        return self.socket.get_string(zmq.LAST_ENDPOINT).rstrip("\0")

    def _bind_for_few(self, target: Target) -> None:
        """Binds a socket file, which is for its owner alone until it has its mode. (libzmq makes it in this thread.)"""
        with owned(target.address, self._ipc_mode):
            self.socket.bind(target.url)

    def _open_waker(self) -> bytes:
        """Connects the other end of ``wake``, under an identity that no peer can guess."""
        identity = b"wake" + os.urandom(16)
        self.socket.bind("inproc://wake")
        self._waker.set(zmq.LINGER, 0)
        self._waker.set(zmq.ROUTING_ID, identity)
        self._waker.connect("inproc://wake")
        return identity

    def receive(self) -> tuple[bytes, Sequence[bytes]] | None:
        """The next message and the identity of its sender; None if there is none right now."""
        receive = self.socket.recv
        try:
            return self._message(receive(zmq.NOBLOCK), receive)
        except zmq.Again:
            return None

    def wait(self) -> tuple[bytes, Sequence[bytes]] | None:
        """The next message and the identity of its sender, waited for; None if ``wake`` was called."""
        receive = self.socket.recv
        return self._message(self._spin.first(receive), receive)

    def _message(self, identity: bytes, receive: Any) -> tuple[bytes, Sequence[bytes]] | None:
        frame = receive(copy=False)  # as a Frame, which knows whether more follow: asking the socket costs more
        frames = [frame.bytes]
        while frame.more:
            frame = receive(copy=False)
            frames.append(frame.bytes)
        if identity == self._waker_identity:
            return None
        if self._notes:
            self._note(identity, frame)
        return identity, frames

    def _note(self, identity: bytes, frame: zmq.Frame) -> None:
        """Takes note of what a message came with."""

    def wake(self) -> None:
        """Makes ``wait`` return; from any thread, and from signal handlers."""
        with self._wakes:
            if not self._waker.closed:
                with suppress(zmq.Again):  # so many are on their way that one more makes no difference
                    self._waker.send(b"", zmq.NOBLOCK)

    def send(self, identity: bytes, frames: Sequence[bytes]) -> None:
        """Answers a sender; if it has left, the answer is dropped."""
        send = self.socket.send
        send(identity, zmq.SNDMORE)
        for frame in frames[:-1]:
            send(frame, zmq.SNDMORE)
        send(frames[-1])

    def close(self) -> None:
        """Closes the socket; returns when what is queued has gone out, within a second, and the URLs are free."""
        if self.socket.closed:
            return
        with self._wakes:
            self._waker.close(0)
        for path in [url.removeprefix("ipc://") for url in self.urls if url.startswith("ipc://")]:
            Path(path).unlink(missing_ok=True)
        self.socket.close()
        self._context.term()
