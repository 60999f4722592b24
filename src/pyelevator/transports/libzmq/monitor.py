"""Monitor of libzmq: counts the connections of a socket, and closes those above a limit."""

import logging
import os
import socket as sockets
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import zmq
from zmq.utils.monitor import recv_monitor_message

_LOG: Final = logging.getLogger("pyelevator.server")
_ENDPOINT: Final = "inproc://connections"


class ConnectionMonitor:
    """Counts the connections of a socket in a thread, until the socket closes, and closes those above the limit.

    It has to exist before the socket is bound.

    Args:
        socket: a socket that will be bound.
        max_connections: connections at once; each further one is closed as soon as it is accepted.
        on_disconnect: called with the descriptor of each connection that has ended, from the thread.

    Attributes:
        accepted: connections since then.
    """

    def __init__(
        self,
        socket: "zmq.Socket[bytes]",
        max_connections: int,
        on_disconnect: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._max_connections, self._on_disconnect = max_connections, on_disconnect
        self._open: set[int] = set()
        self.accepted = 0
        self._limit_logged = False
        socket.monitor(_ENDPOINT, zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED | zmq.EVENT_MONITOR_STOPPED)
        self._events: zmq.Socket[bytes] = socket.context.socket(zmq.PAIR)
        self._events.set(zmq.LINGER, 0)
        self._events.connect(_ENDPOINT)
        threading.Thread(target=self._run, name="elevator-connections", daemon=True).start()

    @property
    def count(self) -> int:
        """The number of connections."""
        return len(self._open)

    def _run(self) -> None:
        with self._events, suppress(zmq.ContextTerminated):
            while (event := recv_monitor_message(self._events))["event"] != zmq.EVENT_MONITOR_STOPPED:
                self._on_event(event["event"], event["value"])

    def _on_event(self, event: int, descriptor: int) -> None:
        if event == zmq.EVENT_DISCONNECTED:
            self._open.discard(descriptor)
            self._on_disconnect(descriptor)
            self._limit_logged = self._limit_logged and len(self._open) >= self._max_connections
            return
        self._open.add(descriptor)
        self.accepted += 1
        if len(self._open) > self._max_connections:
            shutdown_descriptor(descriptor)
            if not self._limit_logged:
                _LOG.warning(
                    "more than %d connections; further ones are closed (--max-connections)", self._max_connections
                )
                self._limit_logged = True


def shutdown_descriptor(descriptor: int) -> None:
    """Shut a connection of this process down by its file descriptor; libzmq then closes it."""
    with suppress(OSError):
        connection: Any = sockets.socket(fileno=os.dup(descriptor))
        with connection:
            connection.shutdown(sockets.SHUT_RDWR)
