"""Permissions over real sockets: verb by role by dialect by way, and no way around it, by one suite for all.

Ways: a server and a proxy before a server without keys, over TCP with keys, and over a socket file beside keys.
"""

from contextlib import ExitStack

import pytest

from pyelevator.application import Application
from pyelevator.auth import ClientAuth
from pyelevator.codec import ClassicCodec, FlatCodec
from pyelevator.commands import (
    PUT,
    Access,
    Backup,
    Batch,
    Compact,
    Count,
    DbConnect,
    DbCreate,
    DbDrop,
    DbForget,
    DbList,
    DbMount,
    DbUmount,
    Get,
    MGet,
    Pipeline,
    Put,
    Range,
    Slice,
    Snapshot,
    Unknown,
)
from pyelevator.errors import CursorExpired, ErrorCode, UsageError
from pyelevator.messages import Request
from pyelevator.proxy import Proxy
from pyelevator.server import Server
from pyelevator.testing.servers import ANY_PORT
from support.samples import SAMPLES, SERVER_WIDE

CODECS = {"classic": ClassicCodec(), "flat": FlatCodec()}
ROLES = {Access.NONE: "", Access.READ: "read", Access.WRITE: "write", Access.ADMIN: "admin"}
DENIED = ErrorCode.OS


class Way:
    """How clients reach an application whose permissions hold."""

    def __init__(self, name, application, keys, dealer, tmp_path):
        self.place, self.transport = name.split(" over ")
        self.application, self.keys, self._dealer = application, keys, dealer
        self._url = ANY_PORT if self.transport == "tcp" else f"ipc://{tmp_path}/socket"
        self._stack = ExitStack()
        self._sockets = {}
        self._curves = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stack.close()

    def start(self, permissions):
        """Serves, under these permissions; over a socket file every client is ``local``."""
        self._curves = {name: self.keys.let_in(name) for name in ("alice", "bob")}
        self.keys.permit(permissions.replace("[alice]", "[local]") if self.transport == "ipc" else permissions)
        auth = ClientAuth.from_directory(self.keys.directory)
        listening: Server | Proxy
        if self.place == "server":
            listening = Server(self.application, [self._url], auth=auth)
        else:
            server = self._stack.enter_context(Server(self.application, [ANY_PORT]))
            listening = Proxy([self._url], server.urls[0], [auth.interceptor()], curve=auth.curve)
        self._stack.enter_context(listening)
        self.url = listening.urls[0]
        return self

    def ask(self, command, uid=None, *, client="alice", dialect="classic"):
        """The answer."""
        codec, key = CODECS[dialect], (client, dialect)
        if key not in self._sockets:
            curve = self._curves[client] if self.transport == "tcp" else None
            self._sockets[key] = self._dealer(self.url, curve)
        request = Request(command, uid, 7)
        self._sockets[key].send_multipart(codec.encode_request(request))
        return codec.decode_response(self._sockets[key].recv_multipart(), request)


def uid_of(way, name):
    return way.application.catalog.uid_of(name)


@pytest.fixture
def application(tmp_path):
    application = Application.on_leveldb(str(tmp_path / "data"))
    for name in ("app-1", "secret"):
        application.catalog.create(name)
    application(Request(Put("k", "v"), application.catalog.uid_of("app-1")))
    application(Request(Put("k", "hidden"), application.catalog.uid_of("secret")))
    return application


@pytest.fixture(params=["server over tcp", "proxy over tcp", "server over ipc", "proxy over ipc"])
def way(request, application, keys, dealer, tmp_path):
    with Way(request.param, application, keys, dealer, tmp_path) as way:
        yield way


@pytest.fixture(params=["server over tcp", "proxy over tcp"])
def way_of_two(request, application, keys, dealer, tmp_path):
    """A way that tells clients apart."""
    with Way(request.param, application, keys, dealer, tmp_path) as way:
        yield way


def reset(catalog):
    """What every verb finds."""
    for name in {"app-1"} - set(catalog.names()):
        catalog.create(name)
    for name in {"app-2"} & set(catalog.names()):
        catalog.drop(name)


@pytest.mark.parametrize("dialect", CODECS)
@pytest.mark.parametrize("role", Access)
def test_every_verb_is_allowed_to_clients_that_have_its_role(way, role, dialect):
    catalog = way.application.catalog
    granted = f'{ROLES[role]} = "app-*"' if role else ""
    way.start(f"[alice]\n{granted}\n")
    for verb, (needed, command) in SAMPLES.items():
        reset(catalog)
        way.ask(DbConnect("app-1"))  # whereby a proxy learns the uid, or its client is refused
        try:
            response = way.ask(command, uid_of(way, "app-1"), dialect=dialect)
        except UsageError:
            assert dialect == "flat"
            continue
        allowed = role >= needed and verb not in SERVER_WIDE
        unknown = role is Access.NONE and needed is not Access.NONE and not command.names_database
        if way.place == "proxy" and unknown and verb not in SERVER_WIDE:
            assert response.code in {DENIED, ErrorCode.RUNTIME}, verb  # the proxy does not know its name
        else:
            assert (response.code is DENIED) == (not allowed), (verb, response)
        if not allowed:
            assert {"app-1", "secret"} <= set(catalog.names())
            assert "app-2" not in catalog.names()


@pytest.mark.parametrize("verb", sorted(SERVER_WIDE))
@pytest.mark.parametrize(
    ("granted", "allowed"), [('read = ["*"]', False), ('admin = ["app-*", "secret"]', False), ('admin = "*"', True)]
)
def test_what_is_about_the_whole_server_is_for_admins_of_all_databases(way, verb, granted, allowed):
    way.start(f"[alice]\n{granted}\n")
    response = way.ask(SAMPLES[verb][1])
    assert (response.code is None) == allowed
    assert allowed or f"{verb} needs admin access to all databases" in response.message


@pytest.mark.parametrize("dialect", CODECS)
def test_a_list_shows_what_may_be_read(way, dialect):
    way.start('[alice]\nread = "app-*"\n')
    assert way.ask(DbList(), uid_of(way, "app-1"), dialect=dialect).payload == [b"app-1"]


def test_of_a_pipeline_all_is_executed_but_what_is_forbidden(way):
    way.start('[alice]\nread = "app-*"\n')
    way.ask(DbConnect("app-1"))
    response = way.ask(Pipeline([Get("k"), Put("k", "w"), Get("k")]), uid_of(way, "app-1"))
    first, refused, last = response.payload
    values = [getattr(answer, "payload", answer) for answer in (first, last)]
    assert (values, refused.code) == ([b"v", b"v"], DENIED)
    assert refused.message == "not allowed: PUT needs write access to the database app-1"


def test_an_unknown_verb_reaches_no_server_behind(way):
    way.start('[alice]\nwrite = "*"\n')
    response = way.ask(Unknown("FLY", ["app-1"]), uid_of(way, "app-1"))
    assert (response.code, response.message) == (ErrorCode.KEY, "Command FLY not handled")


@pytest.mark.parametrize("name", ["app-1", "secret"])
@pytest.mark.parametrize("place", ["allowed", "forbidden"])
def test_a_backup_takes_access_to_the_database_and_to_the_directory(way, tmp_path, name, place):
    way.start(f'[alice]\nadmin = ["app-*", "{tmp_path}/allowed/*"]\n')
    path = tmp_path / place / "backup"
    response = way.ask(Backup(name, str(path)))
    allowed = (name, place) == ("app-1", "allowed")
    assert (response.code is DENIED, path.exists()) == (not allowed, allowed)
    missing = f"the database {name}" if name == "secret" else f"the directory {path}"
    assert allowed or response.message == f"not allowed: BACKUP needs admin access to {missing}"


def test_a_link_gives_a_backup_no_more_than_its_target_has(way, tmp_path):
    (tmp_path / "allowed").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "allowed" / "link").symlink_to(tmp_path / "elsewhere")
    way.start(f'[alice]\nadmin = ["app-*", "{tmp_path}/allowed/*"]\n')
    if way.place == "server":  # a proxy does not see the server's files, which --allow-path guards
        assert way.ask(Backup("app-1", str(tmp_path / "allowed" / "link" / "x"))).code is DENIED
        assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("verb", [DbConnect, DbMount, DbUmount, DbCreate, DbDrop, DbForget])
@pytest.mark.parametrize("spelling", ["{data}/{name}", "{data}//./{name}/", "{link}/{name}"])
def test_a_path_tells_nothing_about_a_database_that_is_forbidden(way, tmp_path, verb, spelling):
    (tmp_path / "link").symlink_to(tmp_path / "data")
    way.start('[alice]\nadmin = "app-*"\n')
    before = way.application.catalog.names()
    answers = []
    for name in ("secret", "nothing"):
        path = spelling.format(data=tmp_path / "data", link=tmp_path / "link", name=name)
        response = way.ask(verb(path), uid_of(way, "app-1"))
        answers.append((response.code, response.message.replace(path, "<path>")))
    needed = verb.access.name.lower()
    assert answers == [(DENIED, f"not allowed: {verb.verb} needs {needed} access to the database <path>")] * 2
    assert way.application.catalog.names() == before


def test_a_path_to_what_is_allowed_is_allowed_and_counts_as_its_name(way, tmp_path):
    way.start('[alice]\nwrite = "app-*"\n')
    assert way.ask(DbConnect(f"{tmp_path}/data/./app-1")).payload.decode() == uid_of(way, "app-1")
    assert way.ask(Put("k", "w"), uid_of(way, "app-1")).code is None
    assert way.ask(DbDrop(f"{tmp_path}/data/app-1")).code is DENIED


@pytest.mark.parametrize("others_name", ["app-1", "{data}/app-1", "{data}/../data/app-1", "{data}/secret"])
def test_rights_do_not_depend_on_what_another_client_calls_it(way_of_two, tmp_path, others_name):
    way = way_of_two
    way.start(f"[alice]\nwrite = \"app-*\"\n[bob]\nadmin = ['*', '{tmp_path}/*']\n")
    assert way.ask(DbConnect("app-1")).code is None
    way.ask(DbConnect("secret"), client="bob")
    way.ask(DbConnect(others_name.format(data=tmp_path / "data")), client="bob")
    assert way.ask(Put("k", "w"), uid_of(way, "app-1")).code is None
    assert way.ask(Get("k"), uid_of(way, "secret")).code is DENIED
    assert way.ask(Get("k"), uid_of(way, "secret"), client="bob").payload == b"hidden"


def test_a_cursor_is_of_the_client_that_opened_it(way_of_two):
    way = way_of_two
    way.start('[alice]\nread = "*"\n[bob]\nread = "*"\n')
    uid = uid_of(way, "app-1")
    way.application(Request(Batch([(PUT, b"%d" % number, b"v") for number in range(9)]), uid))
    way.ask(DbConnect("app-1"))
    cursor = way.ask(Slice(None, 5, cursor=True), uid).cursor
    for stolen in (cursor, cursor[:32], cursor[:-1] + b"x", b"", b"x" * 64):
        response = way.ask(Slice(b"5", 5, cursor=stolen), uid, client="bob")
        assert isinstance(Slice(None, 5).error(response.code, response.message), CursorExpired)
        pipeline = way.ask(Pipeline([Slice(b"5", 5, cursor=stolen)]), uid, client="bob")
        assert pipeline.code or pipeline.payload[0].code is ErrorCode.RUNTIME
    assert len(way.ask(Slice(b"5", 5, cursor=cursor), uid).payload) == 5  # 5 to 8, and k


def test_a_snapshot_is_of_the_client_that_took_it(way_of_two):
    way = way_of_two
    way.start('[alice]\nread = "*"\n[bob]\nadmin = "*"\n')
    uid = uid_of(way, "app-1")
    for client in ("alice", "bob"):
        way.ask(DbConnect("app-1"), client=client)
    stolen = f"{uid}@{way.ask(Snapshot(), uid).cursor.decode()}"
    for command in (Get("k"), MGet(["k"]), Range(), Count(), Pipeline([Get("k")]), Compact()):
        response = way.ask(command, stolen, client="bob")
        assert isinstance(command.error(response.code, response.message), CursorExpired), command
        assert way.ask(command, stolen).code in (None, DENIED)


def test_a_key_that_is_not_known_any_more_may_do_nothing(way_of_two):
    way = way_of_two
    way.start('["*"]\nadmin = "*"\n')
    assert way.ask(DbConnect("app-1")).code is None
    way.keys.file("alice").unlink()
    while (response := way.ask(DbList())).code is None:
        pass
    assert response.message == "not allowed: the server does not know this client's key (any more)"
