"""Servers on real sockets that do what a test tells them."""

import select
import socket
import threading
from contextlib import contextmanager, suppress

from pyelevator.application import Application
from pyelevator.codec import ClassicCodec
from pyelevator.transports.sockets.listener.listener import ZmtpListener
from support.accepting import Accepting, end
from support.ports import reserve_port


class Puppet:
    """Executes every request rightly and leaves the answers to ``behave(request, reply)``, which gives the replies
    (lists of frames) that are sent at once."""

    def __init__(self, behave, url="tcp://127.0.0.1:0", codec=None):
        self.behave = behave
        self.codec = codec or ClassicCodec()
        self.application = Application.in_memory()
        self.listener = ZmtpListener(url)
        self.url = self.listener.url
        self.over = threading.Event()
        self.verbs = []
        self.identities = []
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    @property
    def endpoint(self):
        return self.url.partition("://")[2]

    def _serve(self):
        while not self.over.is_set():
            message = self.listener.wait()
            if message is not None:
                identity, frames = message
                request = self.codec.decode_request(frames)
                self.verbs.append(request.command.verb)
                self.identities.append(identity)
                reply = self.codec.encode_response(self.execute(request), request)
                for frames in self.behave(request, reply):
                    self.listener.send(identity, frames)
        self.listener.close()
        self.application.close()

    def execute(self, request):
        return self.application(request)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.over.set()
        self.listener.wakeup()
        self._thread.join()


def losing(**verbs):
    """Behaviour: the first so many answers to each verb are lost."""

    def behave(request, reply):
        verb = request.command.verb
        if not verbs.get(verb):
            return [reply]
        verbs[verb] -= 1
        return []

    return behave


class Relay(Accepting):
    """A TCP connection to a server that passes on so many bytes of each direction, and then no more."""

    def __init__(self, endpoint):
        super().__init__(self._relay)
        host, _, port = endpoint.rpartition(":")
        self._target = host, int(port)
        self.up = self.down = float("inf")
        self.stalled = threading.Event()
        self._pairs = []
        self._forgotten = set()

    def _relay(self, client):
        with socket.create_connection(self._target) as server:
            self._pairs.append((client, server))
            back = threading.Thread(target=self._pass_on, args=(server, client, "down"))
            back.start()
            self._pass_on(client, server, "up")
            back.join()

    def _pass_on(self, source, sink, way):
        with suppress(OSError):
            while data := source.recv(65536):
                if source in self._forgotten:
                    continue
                left = getattr(self, way)
                if len(data) > left:
                    sink.sendall(data[: int(left)])
                    self.stalled.set()
                    until_ended(source)
                    return
                setattr(self, way, left - len(data))
                sink.sendall(data)
        if source not in self._forgotten:
            end(sink)

    @property
    def connections(self):
        """How many there have been that were not cut."""
        return len(self._pairs)

    def forget(self):
        """Drops what comes over the connections that there are, without a word, as a firewall does; new ones work."""
        self._forgotten.update(*self._pairs)

    def heal(self):
        """Cuts what is stalled, and lets new connections through."""
        self.up = self.down = float("inf")
        self.cut()

    def cut(self):
        while self._pairs:
            for each in self._pairs.pop():
                end(each)
        super().cut()  # also what has no server yet


def until_ended(connection):
    """Waits, without taking anything, until it is shut down."""
    waiting = select.poll()
    waiting.register(connection, 0)  # whatever is asked for, POLLHUP is told
    waiting.poll()


@contextmanager
def silent_listener():
    """The address of something that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"


def unused_endpoint():
    """An address where nothing listens, and that the system gives no other process: a server has to ask for it by number."""
    return f"127.0.0.1:{reserve_port()}"
