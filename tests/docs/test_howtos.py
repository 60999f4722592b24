"""What the programs of the how-tos define, beyond the tests that their pages show (test_pages runs those)."""

import json
import sqlite3
import threading
from contextlib import suppress

import pytest
from hypothesis import given, settings, strategies as st

from pyelevator import Elevator, LimitExceeded, MalformedMessage
from pyelevator.application import Application, Catalog
from pyelevator.codec import Limits
from pyelevator.commands import PUT, Get, Pipeline, Put, Range, Unknown
from pyelevator.deadlines import Deadline
from pyelevator.engines.base import EngineBusy
from pyelevator.errors import ErrorCode, TransportError
from pyelevator.messages import Request, Response
from pyelevator.proxy import Proxy, Upstream
from pyelevator.server import Server
from pyelevator.testing.bulk_ranges import BulkRangeConformance
from pyelevator.testing.portals import Portal
from pyelevator.testing.sessions import ClassicConformance, SessionConformance
from pyelevator.testing.strategies import commands, requests
from pyelevator.testing.updates import UpdateConformance
from pyelevator.transports import FakeTransport
from support.pages import load

ANY_PORT = "tcp://127.0.0.1:0"

unhurried = settings(deadline=None, max_examples=50)

transport = load("docs/programs/transport.py")
codec = load("docs/programs/codec.py")
interceptor = load("docs/programs/interceptor.py")
engine = load("docs/programs/engine.py")


@pytest.fixture(params=["sync", "async"])
def make(request):
    if request.param == "sync":
        yield lambda kind, *args, **options: kind(*args, **options)
        return
    with Portal() as portal:
        yield portal.connect


# The transport


@pytest.fixture
def path(tmp_path):
    path = str(tmp_path / "plain.sock")
    with transport.serve(path, Application.in_memory()):
        yield path


class TestSessionsOverTheTransport(SessionConformance, ClassicConformance):
    @pytest.fixture
    def connect(self, path, make):
        return lambda kind, *args, **options: make(
            kind, *args, **{"transport": transport.PlainTransport(path), "timeout": 30, **options}
        )


def test_a_server_that_claims_too_much_is_not_believed(tmp_path):
    path = str(tmp_path / "liar.sock")
    with transport.socket.socket(transport.socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        with transport.PlainTransport(path) as connection:
            connection.send([b"hello"], Deadline.after(30))
            liar, _ = listening.accept()
            with liar:
                liar.sendall(transport.NUMBER.pack(0xFFFFFFFF))
                with pytest.raises(TransportError, match="announced"):
                    connection.receive(Deadline.after(30))


# The codec


class TestSessionsInTheCodec(SessionConformance, ClassicConformance):
    @pytest.fixture
    def connect(self, make):
        server = FakeTransport(codecs=[codec.JsonCodec()])
        return lambda kind, *args, **options: make(
            kind, *args, **{"transport": server, "dialect": codec.JsonCodec(), "timeout": 30, **options}
        )


class TestSessionsThroughProxiesInTheCodec(SessionConformance):
    """Classic clients, JSON between two proxies, and classic to the server."""

    @pytest.fixture
    def connect(self):
        mine = codec.JsonCodec()
        with (
            Server(Application.in_memory(), [ANY_PORT]) as server,
            Proxy([ANY_PORT], server.urls[0], codecs=[mine]) as inner,
            Proxy([ANY_PORT], Upstream(inner.urls[0], codec=mine)) as outer,
        ):
            endpoint = outer.urls[0].removeprefix("tcp://")
            yield lambda kind, *args, **options: kind(*args, **{"endpoint": endpoint, "timeout": 30, **options})


@unhurried
@given(requests().filter(lambda request: not isinstance(request.command, Pipeline)))
def test_every_request_survives_json(request):
    there = codec.JsonCodec().decode_request(codec.JsonCodec().encode_request(request))
    assert (there.command, there.uid, there.id) == (request.command, request.uid, request.id)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["key", "ops", "name", "args"]), inner),
)


@unhurried
@given(
    st.fixed_dictionaries(
        {"verb": st.sampled_from(["GET", "BATCH", "DBCREATE", "SLICE", "WHAT"]), "args": JSON},
        optional={"id": JSON, "uid": JSON},
    )
    | JSON,
    commands(),
)
def test_any_json_is_a_value_or_malformed(message, command):
    frames = [json.dumps(message).encode()]
    for read in (
        codec.JsonCodec().decode_request,
        lambda frames: codec.JsonCodec().decode_response(frames, Request(command)),
    ):
        with suppress(MalformedMessage):
            read(frames)


@unhurried
@given(
    st.fixed_dictionaries({"id": st.none() | st.integers(), "status": st.sampled_from([1, -1]), "payload": JSON}),
    commands(),
)
def test_any_payload_is_a_result_or_malformed(message, command):
    frames = [json.dumps({"features": [], **message}).encode()]
    with suppress(MalformedMessage):
        command.result(codec.JsonCodec().decode_response(frames, Request(command)).payload)


@unhurried
@given(st.binary() | st.just(b"[" * 100_000))
def test_any_bytes_are_malformed(data):
    with pytest.raises(MalformedMessage):
        codec.JsonCodec().decode_request([data])


def test_the_codec_keeps_to_its_limits():
    with pytest.raises(LimitExceeded):
        codec.JsonCodec(Limits(frame_bytes=10)).decode_request([b" " * 11])


def test_a_refused_argument_is_answered_under_the_request_s_id():
    with pytest.raises(MalformedMessage, match="key must be") as refused:
        codec.JsonCodec().decode_request([b'{"id": 7, "uid": "u", "verb": "GET", "args": {"key": 5}}'])
    assert (refused.value.code, refused.value.request_id) == (ErrorCode.TYPE, 7)


def test_a_verb_that_json_does_not_know_is_passed_on():
    request = Request(Unknown("FOO", [b"a"]), "u", 1)
    assert codec.JsonCodec().decode_request(codec.JsonCodec().encode_request(request)) == request


# The interceptor


class TestSessionsThroughTheInterceptor(SessionConformance, ClassicConformance):
    @pytest.fixture
    def connect(self, make):
        server, zipped = FakeTransport(), interceptor.Zipped(least=1)
        return lambda kind, *args, **options: make(
            kind, *args, **{"transport": server, "timeout": 30, "interceptors": [zipped], **options}
        )


@pytest.mark.parametrize("value", [b"", b"zip1:", b"zip1:" + b"x" * 1000, b"x" * 1000, bytes(range(256))])
def test_every_value_comes_back_as_it_went(value):
    zipped, stored = interceptor.Zipped(), {}

    def forward(request):
        yield from ()
        if isinstance(request.command, Put):
            stored["value"] = request.command.value
            return Response()
        return Response([[b"k", stored["value"]]] if isinstance(request.command, Range) else stored["value"])

    def outcome(command):
        flow = zipped(Request(command), forward)
        try:
            next(flow)
        except StopIteration as stop:
            return stop.value.payload

    outcome(Put(b"k", value))
    assert outcome(Get(b"k")) == value
    assert outcome(Range()) == [[b"k", value]]


# The engine


class TestSessionsOnTheEngine(SessionConformance, ClassicConformance, UpdateConformance, BulkRangeConformance):
    @pytest.fixture
    def connect(self, tmp_path):
        application = Application(Catalog(engine.SqliteStorage(), str(tmp_path)))
        server = FakeTransport(application)
        yield lambda kind, *args, **options: kind(*args, **{"transport": server, "timeout": 30, **options})
        application.close()


def test_a_write_that_is_not_to_wait_does_not(tmp_path):
    with engine.SqliteStorage().open(str(tmp_path), {}) as database, database._lock:
        with pytest.raises(EngineBusy):
            database.write([(PUT, b"k", b"v")], wait=False)


def test_writers_in_many_threads_lose_nothing(tmp_path):
    with engine.SqliteStorage().open(str(tmp_path), {}) as database:

        def write(number):
            for i in range(20):
                database.write([(PUT, b"%d-%d" % (number, i), b"v")])

        threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(list(database.scan(engine.Bounds()))) == 80


def test_repair_saves_what_can_be_read_of_a_damaged_file(tmp_path):
    storage, path = engine.SqliteStorage(), str(tmp_path / "database")
    with storage.open(path, {}) as database:
        database.write([(PUT, b"%05d" % i, b"x" * 100) for i in range(1000)])
    file = tmp_path / "database" / "pairs.sqlite"
    data = bytearray(file.read_bytes())
    page = len(data) // 8192 * 4096
    data[page : page + 4096] = b"\xff" * 4096
    file.write_bytes(data)
    storage.repair(path, {})
    with storage.open(path, {}) as database:
        saved = list(database.scan(engine.Bounds(include_value=False)))
    assert 800 < len(saved) < 1000
    assert {saved[0], saved[-1]} == {b"00000", b"00999"}


def test_what_sqlite_raises_is_the_databases_failure(tmp_path):
    application = Application(Catalog(engine.SqliteStorage(), str(tmp_path)))
    with Elevator(transport=FakeTransport(application)) as E:
        E.Put("k", "v")
        with sqlite3.connect(next(tmp_path.rglob("pairs.sqlite"))) as connection:
            connection.execute("DROP TABLE pairs")
        connection.close()
        with pytest.raises(Exception, match="SQLite: no such table"):
            E.Get("k")
    application.close()
