"""The sockets of clients: apart from those of the application, and quiet when they are dropped."""

from typing import Any, ClassVar, Final, Self

import zmq

from pyelevator.forks import FORKS

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
    _instances: ClassVar[dict[int, Self]] = {}
    """Those of this process and of its ancestors, which nobody here may touch, by the numbers of the processes."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.set(zmq.MAX_SOCKETS, _MAX_SOCKETS)

    @classmethod
    def instance(cls, io_threads: int = 1) -> Self:
        """The one of this process. There is no lock that a signal handler could meet, or a forked child inherit."""
        forks = FORKS.count
        return cls._instances.get(forks) or cls._instances.setdefault(forks, cls(io_threads))

    def __del__(self) -> None:
        """Nothing: it lives as long as its process, and what a forked child drops is the parent's."""
