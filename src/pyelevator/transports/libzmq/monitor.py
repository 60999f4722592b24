"""Connections: how many a socket has, and may have."""

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
_MONITOR: Final = "inproc://connections"


class Connections:
    """Counts the connections of a socket, in a thread of its own until the socket closes, and cuts those too many.

    It has to be there before the socket is bound.

    Args:
        socket: a socket that will be bound.
        most: connections at once; each further one is closed as soon as it is made.
        ended: called with the descriptor of each that has ended, from another thread.

    Attributes:
        count: how many there are.
    """

    def __init__(self, socket: "zmq.Socket[bytes]", most: int, ended: Callable[[int], None] = lambda _: None) -> None:
        self._most, self._ended = most, ended
        self._open: set[int] = set()
        self._told = False
        socket.monitor(_MONITOR, zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED | zmq.EVENT_MONITOR_STOPPED)
        self._monitor: zmq.Socket[bytes] = socket.context.socket(zmq.PAIR)
        self._monitor.set(zmq.LINGER, 0)
        self._monitor.connect(_MONITOR)
        threading.Thread(target=self._watch, name="elevator-connections", daemon=True).start()

    @property
    def count(self) -> int:
        return len(self._open)

    def _watch(self) -> None:
        with self._monitor, suppress(zmq.ContextTerminated):
            while (event := recv_monitor_message(self._monitor))["event"] != zmq.EVENT_MONITOR_STOPPED:
                self._note(event["event"], event["value"])

    def _note(self, event: int, descriptor: int) -> None:
        if event == zmq.EVENT_DISCONNECTED:
            self._open.discard(descriptor)
            self._ended(descriptor)
            self._told = self._told and len(self._open) >= self._most
            return
        self._open.add(descriptor)
        if len(self._open) > self._most:
            cut(descriptor)
            if not self._told:
                _LOG.warning("more than %d connections; further ones are closed (--max-connections)", self._most)
                self._told = True


def cut(descriptor: int) -> None:
    """Ends a connection of this process by its file descriptor; libzmq sees it end, and lets go of it."""
    with suppress(OSError):
        connection: Any = sockets.socket(fileno=os.dup(descriptor))
        with connection:
            connection.shutdown(sockets.SHUT_RDWR)
