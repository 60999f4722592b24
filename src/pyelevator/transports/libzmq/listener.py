"""A listener over a ROUTER of libzmq, for systems without epoll."""

import math
import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any, Final, Unpack

import zmq

from pyelevator._options import complete, signature_from
from pyelevator.transports import socket_options
from pyelevator.transports.base import MAX_DISCONNECTED, Listener, Traffic
from pyelevator.transports.bind import bind_error, check_ipc_path_free, parse_bind_url, private_socket_file
from pyelevator.transports.libzmq import zap
from pyelevator.transports.libzmq.monitor import ConnectionMonitor, shutdown_descriptor
from pyelevator.transports.libzmq.send_queue import ZmqSendQueues
from pyelevator.transports.options import ListenerOptions
from pyelevator.transports.url import ParsedUrl

_MAX_RECEIVED: Final = 32
"""Messages of one peer that libzmq receives in advance; further ones stay with the peer."""


class AdaptiveSpin:
    """Receives by trying repeatedly before it blocks, while that pays.

    A blocking receive waits for the I/O thread to hand the message over, which takes a third of a sync client's round
    trip; ``TRIES`` tries take about half of that. Each message found by trying earns a credit, and each run of tries
    without a message costs one. Without credit only one wait in ``PROBE`` tries, so that an idle or slow server uses
    next to no CPU time. (Measured: docs/benchmarks.md.)
    """

    TRIES: Final = 40
    CREDIT: Final = 16
    PROBE: Final = 16

    def __init__(self) -> None:
        self._credit = self.CREDIT
        self._waits = 0

    def receive(self, receive: Callable[..., Any]) -> Any:
        """Return the first frame of the next message.

        Args:
            receive: ``recv`` of the socket.
        """
        if self._credit or self._should_probe():
            for _ in range(self.TRIES):
                try:
                    frame = receive(zmq.NOBLOCK)
                except zmq.Again:
                    continue
                self._credit = min(self._credit + 1, self.CREDIT)
                return frame
            self._credit = max(self._credit - 1, 0)
        return receive()

    def _should_probe(self) -> bool:
        self._waits = (self._waits + 1) % self.PROBE
        return not self._waits


class ZmqListener(Listener):
    """A ROUTER socket, bound to one URL or several.

    It has one socket for all URLs, because waiting for it alone costs half of what polling several does, and because
    identities are unique across it. A frame above ``max_message`` bytes closes the connection that sent it.

    Args:
        urls: what to bind.
        max_message: bytes of a frame.
        ipc_mode: permissions of the socket files.
        max_unread: bytes of unsent messages to all peers together, see :class:`ZmqSendQueues`.
        max_connections: connections at once; each further one is closed.

    Raises:
        UsageError: a URL cannot be bound.
    """

    send_queues: ZmqSendQueues

    @signature_from(ListenerOptions)
    def __init__(self, *urls: str, **options: Unpack[ListenerOptions]) -> None:
        given = complete(ListenerOptions, options, type(self))
        targets = [parse_bind_url(url) for url in urls]
        self.urls: tuple[str, ...] = ()
        self.peer: str | None = None
        self.disconnected: deque[bytes] = deque(maxlen=MAX_DISCONNECTED)
        self._received_bytes = self._sent_bytes = 0
        self._timeout: float | None = None
        self._descriptor: int | None = None
        self._identities: dict[int, bytes] = {}
        self._ipc_mode = given["ipc_mode"]
        self._spin = AdaptiveSpin()
        self._wakeup_lock = threading.RLock()  # reentrant: a signal handler may call ``wakeup``
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.socket = self._create_socket(given["max_message"])
        self._wakeup_socket: zmq.Socket[bytes] = self._context.socket(zmq.DEALER)
        try:
            self.send_queues = ZmqSendQueues(self.socket, given["max_unread"])
            self._monitor = ConnectionMonitor(self.socket, given["max_connections"], self._on_disconnect)
            zap.admit_all(self._context, self.socket)
            for target in targets:
                self.urls += (self._bind(target),)
            self._wakeup_identity = self._connect_wakeup_socket()
        except BaseException:
            self.close()
            raise

    def _create_socket(self, max_message: int) -> "zmq.Socket[bytes]":
        socket: zmq.Socket[bytes] = self._context.socket(zmq.ROUTER)
        socket.set(zmq.LINGER, 1000)
        socket.set(zmq.MAXMSGSIZE, max_message)
        socket.set(zmq.RCVHWM, _MAX_RECEIVED)
        socket_options.configure_zmq(socket)
        return socket

    def _bind(self, target: ParsedUrl) -> str:
        if target.scheme == "ipc":
            check_ipc_path_free(target.address)
        self.socket.set(zmq.IPV6, "[" in target.address)  # else IPv4 would be bound, and shown, as mapped into IPv6
        try:
            with private_socket_file(target.address, self._ipc_mode) if target.scheme == "ipc" else nullcontext():
                self.socket.bind(target.url)  # which creates a socket file in this thread
        except zmq.ZMQError as error:
            raise bind_error(target.url, error.errno or 0) from error
        return self.socket.get_string(zmq.LAST_ENDPOINT).rstrip("\0")

    def _connect_wakeup_socket(self) -> bytes:
        """Connect the socket of ``wakeup``, under an identity that no peer can guess."""
        identity = b"wake" + os.urandom(16)
        self.socket.bind("inproc://wake")
        self._wakeup_socket.set(zmq.LINGER, 0)
        self._wakeup_socket.set(zmq.ROUTING_ID, identity)
        self._wakeup_socket.connect("inproc://wake")
        return identity

    @property
    def timeout(self) -> float | None:
        return self._timeout

    @timeout.setter
    def timeout(self, seconds: float | None) -> None:
        if seconds != self._timeout:
            self.socket.set(zmq.RCVTIMEO, -1 if seconds is None else round(seconds * 1000))
            self._timeout = seconds

    @property
    def pollable(self) -> "zmq.Socket[bytes]":
        return self.socket

    @property
    def connection_count(self) -> int:
        return self._monitor.count

    @property
    def traffic(self) -> Traffic:
        return Traffic(self._monitor.accepted, self._received_bytes, self._sent_bytes)

    @property
    def has_message(self) -> bool:
        return False

    @property
    def has_backlog(self) -> bool:
        return False

    @property
    def next_timeout(self) -> float:
        return math.inf

    def is_connected(self, identity: bytes) -> bool:  # noqa: ARG002 - libzmq tells when something is sent
        return True

    def address_of(self, identity: bytes) -> str:  # noqa: ARG002 - libzmq tells the address of messages only
        return ""

    def receive(self) -> tuple[bytes, Sequence[bytes]] | None:
        receive = self.socket.recv
        try:
            return self._read_message(receive(zmq.NOBLOCK), receive)
        except zmq.Again:
            return None

    def wait(self) -> tuple[bytes, Sequence[bytes]] | None:
        receive = self.socket.recv
        try:
            return self._read_message(self._spin.receive(receive), receive)
        except zmq.Again:
            return None

    def _read_message(self, identity: bytes, receive: Callable[..., Any]) -> tuple[bytes, Sequence[bytes]] | None:
        frame = receive(copy=False)  # as a Frame, which knows whether more follow: asking the socket costs more
        frames = [frame.bytes]
        while frame.more:
            frame = receive(copy=False)
            frames.append(frame.bytes)
        if identity == self._wakeup_identity:
            return None
        self._received_bytes += sum(map(len, frames))
        self._read_metadata(identity, frame)
        return identity, frames

    def _read_metadata(self, identity: bytes, frame: zmq.Frame) -> None:
        self._descriptor = None
        with suppress(zmq.ZMQError):
            self._descriptor = int(frame.get(zmq.SRCFD))
            self._identities[self._descriptor] = identity

    def drain(self) -> tuple[()]:
        return ()

    def send(self, identity: bytes, frames: Sequence[bytes]) -> bool:
        self._sent_bytes += sum(map(len, frames))
        return self.send_queues.send(identity, frames)

    send_buffered = send

    def flush(self) -> list[bytes]:
        return []

    def disconnect(self, identity: bytes) -> None:
        """Close the connection over which the last message came."""
        self.send_queues.discard(identity)
        if self._descriptor is not None:
            shutdown_descriptor(self._descriptor)

    def _on_disconnect(self, descriptor: int) -> None:
        """Record that a connection has ended; called in another thread."""
        identity = self._identities.pop(descriptor, None)
        if identity is not None:
            self.disconnected.append(identity)
            self.wakeup()

    def wakeup(self) -> None:
        with self._wakeup_lock:
            if not self._wakeup_socket.closed:
                with suppress(zmq.Again):  # so many are on their way that one more makes no difference
                    self._wakeup_socket.send(b"", zmq.NOBLOCK)

    def close(self) -> None:
        if self.socket.closed:
            return
        with self._wakeup_lock:
            self._wakeup_socket.close(0)
        for path in [url.removeprefix("ipc://") for url in self.urls if url.startswith("ipc://")]:
            Path(path).unlink(missing_ok=True)
        self.socket.close()
        self._context.term()
