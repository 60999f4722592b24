"""A listener whose connections all end with it, however late they came."""

import socket
import threading
from contextlib import suppress


def end(connection):
    """Wake the threads that wait for something from this socket."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


class Accepting:
    """Serves each connection in a thread of its own, ``serve(peer)``, for as long as the block; then all have ended.

    Attributes:
        endpoint: host:port.
    """

    def __init__(self, serve):
        self._serve = serve
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"127.0.0.1:{self._listening.getsockname()[1]}"
        self._peers = []
        self._threads = []
        self._accepting = threading.Thread(target=self._accept)

    @property
    def connections(self):
        """How many came."""
        return len(self._peers)

    def _accept(self):
        with suppress(OSError):
            while True:
                peer = self._listening.accept()[0]
                self._peers.append(peer)
                self._threads.append(threading.Thread(target=self._serve_one, args=(peer,)))
                self._threads[-1].start()

    def _serve_one(self, peer):
        with peer, suppress(OSError):
            self._serve(peer)

    def cut(self):
        """Ends all connections."""
        for peer in self._peers:
            end(peer)

    def __enter__(self):
        self._accepting.start()
        return self

    def __exit__(self, *_):
        end(self._listening)
        self._accepting.join()  # first, lest a connection comes that is never closed
        self._listening.close()
        self.cut()
        for thread in self._threads:
            thread.join()
