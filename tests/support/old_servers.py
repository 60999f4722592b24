"""The two old servers as a transport sees them: our application, with their manners.

They echo no ids, the flat one answers MGET, RANGE and SLICE twice, and a request that killed a worker or the process
in the recordings raises Killed here: a client must never send one.
"""

import threading
from collections import deque

import msgpack

from pyelevator.application import Application
from pyelevator.codec import codec_for
from pyelevator.deadlines import NEVER, Deadline
from pyelevator.errors import RequestTimeout
from pyelevator.messages import Request, Response
from pyelevator.transports import Listener, Transport

NEEDS_NO_UID = ("DBCONNECT", "DBMOUNT", "DBUMOUNT", "PING")


class Killed(AssertionError):
    """The request would have killed the old server, or a worker of it."""


class OldServer(Transport):
    def __init__(self, dialect, application=None):
        self.dialect = dialect
        self.application = application or Application.in_memory()
        self.codec = codec_for(dialect)
        self.inbox = deque()
        self.sent = []

    @property
    def url(self):
        return f"old-{self.dialect}://"

    def send(self, frames, deadline: Deadline):
        self.sent.append(frames)
        {"classic": self._check_classic, "flat": self._check_flat}[self.dialect](frames)
        request = self.codec.decode_request(frames)
        answered = self.application(Request(request.command, request.uid, None, request.compression))
        answer = Response(answered.payload, answered.status, answered.code, answered.message)
        reply = self.codec.encode_response(answer, request)
        self.inbox.append(reply)
        if request.command.verb in self.codec.answered_twice:
            self.inbox.append(reply)

    def _check_classic(self, frames):
        (frame,) = frames
        message = msgpack.unpackb(frame, raw=False, unicode_errors="surrogateescape")
        if message["cmd"] not in NEEDS_NO_UID and message["uid"] is None:
            raise Killed(f"{message['cmd']} without a uid")
        if message["cmd"] == "MGET" and not message["args"][0]:
            raise Killed("MGET of no keys")
        if message["cmd"] == "DBREPAIR":
            raise Killed("DBREPAIR")

    def _check_flat(self, frames):
        (frame,) = frames
        uid, verb, *args = msgpack.unpackb(frame, raw=False, unicode_errors="surrogateescape")
        if verb in ("EXISTS", "PING", "DBREPAIR") or not all(isinstance(arg, str) for arg in args):
            raise Killed(f"{verb} {args}")
        if verb.startswith("DB") != (uid == ""):
            raise Killed(f"{verb} with uid {uid!r}")

    def receive(self, deadline):
        if not self.inbox:
            raise RequestTimeout("silence")
        return self.inbox.popleft()

    def discard(self):
        self.inbox.clear()

    close = discard

    def sibling(self):
        lane = type(self)(self.dialect, self.application)
        lane.sent = self.sent
        return lane


class OldServerOnSocket:
    """An OldServer behind a ROUTER of its own, in a thread.

    Attributes:
        silent: answers nothing while it is set.
        requests: how many messages came.
        killed: what would have killed the old server.
    """

    def __init__(self, dialect):
        self.server = OldServer(dialect)
        self.listener = Listener("tcp://127.0.0.1:0")
        suffix = "" if dialect == "classic" else f"?dialect={dialect}"
        self.url = self.listener.url + suffix
        self.silent = self.stopping = False
        self.requests = 0
        self.killed = []
        self.thread = threading.Thread(target=self._serve)

    def _serve(self):
        while not self.stopping:
            message = self.listener.wait()
            if message is not None:
                self._answer(*message)

    def _answer(self, identity, frames):
        self.requests += 1
        if self.silent:
            return
        try:
            self.server.send(frames, NEVER)
        except Killed as killed:
            self.killed.append(str(killed))
        while self.server.inbox:
            self.listener.send(identity, self.server.inbox.popleft())

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping = True
        self.listener.wake()
        self.thread.join()
        self.listener.close()
