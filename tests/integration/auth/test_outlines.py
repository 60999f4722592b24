"""A large request of a client that may not make it is refused before anything is made of its arguments."""

import os
import signal

import pytest

from pyelevator.application import Application
from pyelevator.auth.authorizing_application import AuthorizingApplication
from pyelevator.auth.authorizing_interceptor import AuthorizingInterceptor
from pyelevator.auth.permissions import Grant, Permissions
from pyelevator.codec import DIALECTS
from pyelevator.commands import (
    PUT,
    Access,
    Batch,
    DbConnect,
    DbCreate,
    DbDrop,
    DbList,
    Delete,
    Get,
    MGet,
    Ping,
    Pipeline,
    Put,
    Range,
    Unknown,
)
from pyelevator.deadlines import Deadline
from pyelevator.errors import ErrorCode
from pyelevator.messages import Request
from pyelevator.protocol import RequestDecoder
from support.abused import CODEC, MB, Abused, connected
from support.eventually import eventually
from torture.malformed import resident

LARGE = b"v" * 300_000
READER = Permissions((Grant(Access.READ, "default"),))
CLASSIC, FLAT = (DIALECTS[name]() for name in ("classic", "flat"))


def outline(codec, *request):
    return codec.outline(codec.encode_request(Request(*request)))


@pytest.mark.parametrize(
    ("command", "verb"),
    [
        (Get("k"), "GET"),
        (Put("k", LARGE), "PUT"),
        (MGet(["k"] * 1000), "MGET"),
        (Range("a", "b"), "RANGE"),
        (Batch([(PUT, "k", "v")] * 1000), "BATCH"),
        (Ping(), "PING"),
        (DbList(), "DBLIST"),
        (Unknown("SOMETHING", [1, 2]), "SOMETHING"),
    ],
)
def test_an_outline_has_verb_uid_and_id_and_no_arguments(command, verb):
    found = outline(CLASSIC, command, "uid", 7)
    assert (found.command.verb, found.uid, found.id) == (verb, "uid", 7)
    assert not hasattr(found.command, "key")
    assert not hasattr(found.command, "value")


def test_the_outline_of_a_flat_request_has_no_id():
    found = outline(FLAT, Put("k", LARGE), "uid")
    assert (found.command.verb, found.command.access, found.uid, found.id) == ("PUT", Access.WRITE, "uid", None)


@pytest.mark.parametrize("command", [DbConnect("name"), DbCreate("name"), DbDrop("name")])
def test_an_outline_names_the_database_that_the_command_names(command):
    for codec in (CLASSIC, FLAT):
        found = outline(codec, command, "uid")
        assert (found.command.verb, found.command.name) == (command.verb, "name")


@pytest.mark.parametrize(
    ("commands", "least"),
    [
        ([Put("k", "v")], Access.WRITE),
        ([Put("k", "v"), Get("k"), Put("k", "v")], Access.READ),
        ([Get("k")], Access.READ),
        ([], Access.READ),
        ([Put("k", "v"), Delete("k")] * 20, Access.READ),
    ],
    ids=["a write", "reads and writes", "a read", "nothing", "too many runs to look at"],
)
def test_of_a_pipeline_the_least_is_asked(commands, least):
    assert outline(CLASSIC, Pipeline(commands), "uid", 7).command.access is least


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\xc1",
        b"\x84",
        b"\x90" * 3,
        b"\x81\xa3cmd\xdd\xff\xff\xff\xff",
        b"\x81\xa3cmd\x90",
        b"\x82\xa3cmd\xa3GET\xa3uid\xda\x10\x00" + b"u" * 4096,
        b"\x82\xa3cmd\xa3GET\xa4meta\x81\xa2id\xa1x",
        b"\x82\xa3cmd\xa9DBCONNECT\xa4args\x93\xa1a\xa1b\xa1c",
        b"\x91" * 5000 + b"\xc0",
        b"\x82\xdd\x00\x00\x10\x00" + b"\xc0" * 4096,
    ],
)
def test_what_has_no_clear_outline_is_left_to_the_full_decoder(frame):
    assert CLASSIC.outline([frame]) is None
    if frame[:1] != b"\x90":
        assert FLAT.outline([frame]) is None


class Unread(Exception):
    pass


@pytest.fixture
def reader(monkeypatch):
    """Makes readers that must not decode a request."""

    def unread(*_):
        raise Unread

    for codec in (type(CLASSIC), type(FLAT)):
        monkeypatch.setattr(codec, "decode_request", unread)
        monkeypatch.setattr(codec, "minimal_request", lambda *_: None)
    return lambda refuses: RequestDecoder(refuses=refuses)


@pytest.fixture
def application():
    application = Application.in_memory()
    yield application
    application.close()


def uid_of(application):
    return application(Request(DbConnect("default"))).payload.decode()


def interceptor(permissions, uid):
    made = AuthorizingInterceptor(lambda: permissions)
    made._names.add(uid, "default")
    return made


@pytest.mark.parametrize("kind", ["server", "proxy"])
@pytest.mark.parametrize("codec", [CLASSIC, FLAT], ids=["classic", "flat"])
@pytest.mark.parametrize("peer", ["reader", "unknown"])
def test_a_large_request_that_is_not_allowed_is_refused_unread(application, reader, kind, codec, peer):
    uid, permissions = uid_of(application), {"reader": READER}
    authorizing = (
        AuthorizingApplication(application, lambda: permissions) if kind == "server" else interceptor(permissions, uid)
    )
    pipelines = (
        () if codec is FLAT else (Pipeline([Put("k", LARGE)]), Pipeline([Delete("k"), Batch([(PUT, "k", LARGE)])]))
    )
    for command in (Put("k", LARGE), Batch([(PUT, "k", LARGE)]), *pipelines):
        frames = codec.encode_request(Request(command, uid, 7))
        incoming = reader(authorizing.refuses).read(frames, peer)
        assert (incoming.request, incoming.refusal.code) == (None, ErrorCode.OS)
        assert incoming.refusal.message.startswith("not allowed: ")
        assert incoming.refusal.id == (7 if codec is CLASSIC else None)


@pytest.mark.parametrize("kind", ["server", "proxy"])
def test_what_is_allowed_or_small_is_read(application, reader, kind):
    uid, permissions = uid_of(application), {"reader": READER}
    authorizing = (
        AuthorizingApplication(application, lambda: permissions) if kind == "server" else interceptor(permissions, uid)
    )
    for command in (MGet([LARGE]), Pipeline([Put("k", LARGE), Get("k")]), Put("k", "v", sync=True)):
        with pytest.raises(Unread):
            reader(authorizing.refuses).read(CLASSIC.encode_request(Request(command, uid, 7)), "reader")


def test_a_large_request_without_permission_costs_only_its_bytes(tmp_path):
    server = Abused(tmp_path, "keys")
    with server.process:
        line = server.line()
        uid = connected(line)
        (tmp_path / "keys" / "permissions.toml").write_text("[alice]\nread = []\n")
        os.kill(server.pid, signal.SIGHUP)
        eventually(lambda: ask(line, Get("k"), uid).code is ErrorCode.OS)
        before = resident(server.pid)
        response = ask(line, MGet([b"ab"] * (8 * MB // 3)), uid)
        assert response.code is ErrorCode.OS
        assert resident(server.pid) - before < 24 * MB
        line.close()


def ask(line, command, uid):
    request = Request(command, uid, 9)
    line.send(CODEC.encode_request(request), Deadline.after(20))
    return CODEC.decode_response(line.receive(Deadline.after(20)), request)
