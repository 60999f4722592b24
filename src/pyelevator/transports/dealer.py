"""The sockets of clients: apart from those of the application, and quiet when they are dropped."""

import threading
from typing import Any, Final

import zmq

_MAX_SOCKETS: Final = 1 << 14
"""How many sockets a process may have open for its clients. ZeroMQ's default is 1023; its table takes 8 bytes each."""


class DealerSocket(zmq.Socket[bytes]):
    """A socket that may simply be dropped.

    pyzmq would warn of each one that is dropped open; the session that it belongs to warns once for all of them.
    Closing neither sends nor waits (ZMQ_LINGER 0): it leaves the socket to ZeroMQ's own thread to take down. In a
    forked child it does nothing, as the socket is the parent's.
    """

    def __del__(self) -> None:
        if not self._closed:
            self.close()


class DealerContext(zmq.Context[DealerSocket]):
    """ZeroMQ's threads for the clients of one process; ``instance`` gives it, and a forked child another one.

    ``zmq.Context.instance()`` is the application's: terminating it would wait for ever for the sockets of our clients.
    """

    _socket_class = DealerSocket
    _instance: Any = None
    _instance_lock = threading.Lock()

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.set(zmq.MAX_SOCKETS, _MAX_SOCKETS)

    def __del__(self) -> None:
        """Nothing: it lives as long as its process, and what a forked child drops is the parent's."""
