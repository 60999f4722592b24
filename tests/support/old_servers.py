"""The old servers as a transport sees them: our application, with what they lack and what they do not survive.

They echo no ids and tell no features, the flat one answers MGET, RANGE and SLICE twice, GET takes a stored empty value
for a missing one, and a request outside of what they take (docs/protocol.md, "Who has what") raises Killed here:
neither client nor proxy may ever send one.
"""

import threading
from collections import deque
from typing import Any

import msgpack
from attrs import evolve

from pyelevator.application import Application
from pyelevator.codec import codec_for
from pyelevator.commands import DbUmount, Get
from pyelevator.deadlines import NEVER, Deadline
from pyelevator.errors import ErrorCode, RequestTimeout
from pyelevator.messages import CallContext, Response
from pyelevator.transports import Transport
from pyelevator.transports.sockets.listener.listener import ZmtpListener

OPTIONS = {
    "bloom_filter_bits": int,
    "paranoid_checks": bool,
    "lru_cache_size": int,
    "write_buffer_size": int,
    "block_size": int,
    "max_open_files": int,
}


class Killed(AssertionError):
    """The request is outside of what the old server takes."""


def is_name(value):
    parts = value.split("/") if isinstance(value, str) else []
    return bool(parts) and value.isascii() and "\0" not in value and all(parts[1:]) and max(map(len, parts)) <= 255


def is_options(value):
    return isinstance(value, dict) and all(type(item) is OPTIONS.get(name) for name, item in value.items())


def is_key(value):
    return isinstance(value, str)


def is_bound(value):
    return value is None or isinstance(value, str)


def is_flag(value):
    return isinstance(value, bool)


def is_count(value):
    return type(value) is int


def is_keys(value):
    return bool(value) and all(map(is_key, value)) and value == sorted(set(value), key=os_bytes)


def is_ops(value):
    return all(op[0] in (0, 1) and len(op) == 2 + op[0] and all(map(is_key, op[1:])) for op in value)


def os_bytes(text):
    return text.encode("utf-8", "surrogateescape")


WITHOUT_UID = {"PING": (), "DBCONNECT": (is_name,), "DBMOUNT": (is_name,), "DBUMOUNT": (is_name,)}
WITH_UID = {
    "DBLIST": (),
    "DBCREATE": (is_name, is_options),
    "DBDROP": (is_name,),
    "GET": (is_key,),
    "PUT": (is_key, is_key),
    "DELETE": (is_key,),
    "MGET": (is_keys,),
    "RANGE": (is_bound, is_bound, is_flag, is_flag),
    "SLICE": (is_bound, is_count, is_flag, is_flag),
    "BATCH": (is_ops,),
}
CLASSIC = {
    "0.5": {**WITHOUT_UID, **WITH_UID},
    "2014": {**WITHOUT_UID, **WITH_UID, "EXISTS": (is_key,)},
}
FLAT = {
    "DBCONNECT": 1,
    "DBCREATE": 1,
    "DBDROP": 1,
    "DBUMOUNT": 1,
    "DBLIST": 0,
    "GET": 1,
    "PUT": 2,
    "DELETE": 1,
    "RANGE": 2,
    "SLICE": 2,
}
DIALECTS = {"0.5": "classic", "2014": "classic", "0.7": "flat"}
KINDS = tuple(DIALECTS)


class OldServer(Transport):
    """One of the old servers.

    Attributes:
        kind: "0.5" (PyPI's), "2014" (its repository's last state) or "0.7".
        dialect: of that kind.
        sent: the requests that came, of all connections.
    """

    def __init__(self, kind, application=None, unmounted=None):
        self.kind = kind
        self.dialect = DIALECTS[kind]
        self.application = application or Application.in_memory()
        self.codec = codec_for(self.dialect)
        self.inbox: deque[Any] = deque()
        self.sent = []
        self.unmounted = set() if unmounted is None else unmounted

    @property
    def url(self):
        return f"old-{self.kind}://"

    def send(self, frames, deadline: Deadline):
        self.sent.append(frames)
        {"classic": self._check_classic, "flat": self._check_flat}[self.dialect](frames)
        request = evolve(self.codec.decode_request(frames), id=None, context=CallContext(), bin=False)
        reply = self.codec.encode_response(self._answer(request), request)
        self.inbox.append(reply)
        if request.command.verb in self.codec.answered_twice:
            self.inbox.append(reply)

    def _answer(self, request):
        if isinstance(request.command, DbUmount):
            self.unmounted.add(request.command.name)
        elif self.dialect == "classic" or request.uid:  # both mount what is read
            self.unmounted -= {getattr(request.command, "name", None), self._name_of(request.uid)}
        answered = self.application(request)
        if self.dialect == "classic" and isinstance(request.command, Get) and answered.payload == b"":
            key = request.command.key.decode("utf-8", "backslashreplace")
            return Response.failure(ErrorCode.KEY, f"Key '{key}' does not exist")
        return Response(answered.payload, answered.status, answered.code, answered.message)

    def _name_of(self, uid):
        names = self.application.catalog.names()
        return next((name for name in names if self.application.catalog.uid_of(name) == uid), None)

    def _check_mount(self, verb, name):
        if verb in ("DBMOUNT", "DBUMOUNT"):
            listed = name in self.application.catalog.names()
            if not listed or (name in self.unmounted) != (verb == "DBMOUNT"):
                raise Killed(f"{verb} {name}")

    def _check_classic(self, frames):
        (frame,) = frames
        message = msgpack.unpackb(frame, raw=False, unicode_errors="surrogateescape")
        verb, args, uid = message["cmd"], message["args"], message["uid"]
        takes = CLASSIC[self.kind].get(verb)
        longest = 5 if (self.kind, verb) == ("2014", "RANGE") else len(takes or ())
        if takes is None or not len(takes) <= len(args) <= longest:
            raise Killed(f"{verb} {args}")
        if not all(is_right(arg) for is_right, arg in zip(takes, args, strict=False)):
            raise Killed(f"{verb} {args}")
        if (uid is None) != (verb in WITHOUT_UID) or not isinstance(message["meta"]["compression"], bool):
            raise Killed(f"{verb} with uid {uid}")
        self._check_mount(verb, *args[:1] or [""])

    def _check_flat(self, frames):
        (frame,) = frames
        uid, verb, *args = msgpack.unpackb(frame, raw=False, unicode_errors="surrogateescape")
        if not all(isinstance(arg, str) for arg in args):
            raise Killed(f"{verb} {args}")
        if verb in FLAT and len(args) != FLAT[verb]:
            raise Killed(f"{verb} {args}")
        if verb not in FLAT and not (verb == "BATCH" or (verb == "MGET" and args)):
            raise Killed(f"{verb} {args}")
        if verb.startswith("DB") != (uid == "") or (uid and self._name_of(uid) is None):
            raise Killed(f"{verb} with uid {uid!r}")
        self._check_mount(verb, *args[:1] or [""])

    def receive(self, deadline):
        if not self.inbox:
            raise RequestTimeout("silence")
        return self.inbox.popleft()

    def reset(self):
        self.inbox.clear()

    close = reset

    def clone(self):
        transport = type(self)(self.kind, self.application, self.unmounted)
        transport.sent = self.sent
        return transport


class OldServerOnSocket:
    """An OldServer behind a ROUTER of its own, in a thread.

    Attributes:
        silent: answers nothing while it is set.
        requests: how many messages came.
        killed: requests outside of what the old server takes.
    """

    def __init__(self, kind):
        self.server = OldServer(kind)
        self.listener = ZmtpListener("tcp://127.0.0.1:0")
        suffix = "" if self.server.dialect == "classic" else f"?dialect={self.server.dialect}"
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
        self.listener.wakeup()
        self.thread.join()
        self.listener.close()
