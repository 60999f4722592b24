"""Fair order: large responses to one client are made in workers, and small ones to others meanwhile."""

import threading
from contextlib import ExitStack, contextmanager

import pytest

from pyelevator.application import Application
from pyelevator.application.application import ApplicationWrapper
from pyelevator.codec import ClassicCodec, FlatCodec, lz4
from pyelevator.commands import PUT, Batch, DbList, Exists, Get, GetAndDelete, MGet, Ping, Pipeline, Put, Slice
from pyelevator.deadlines import Deadline
from pyelevator.messages import Request
from pyelevator.server import Server, ServerLimits, response_budget
from pyelevator.testing.servers import serve
from pyelevator.transports import TcpTransport
from support.applications import probes_of, scheduler_of
from support.eventually import eventually

CODEC = ClassicCodec()
LARGE = b"v" * (2 << 20)
KEYS = [b"key %03d" % number for number in range(100)]
SOME = b"w" * (64 << 10)
PAUSE_LOOP = Exists("door")


class Recorded(ApplicationWrapper):
    """Notes which commands the loop has answered itself, and which the workers, which wait for an event.

    The loop waits for an event when it meets ``PAUSE_LOOP``, so that messages gather that it answers in one turn.
    """

    def __init__(self):
        super().__init__(Application.in_memory())
        self.resume, self.loop_resume, self.loop_waiting = threading.Event(), threading.Event(), threading.Event()
        self.by_loop, self.by_workers = [], []
        self.uid = self.catalog.uid_of("default")
        self.resume.set()

    def try_handle(self, request):
        is_worker = threading.current_thread().name != "elevator-server"
        if is_worker:
            self.resume.wait(20)
        elif request.command == PAUSE_LOOP:
            self.loop_waiting.set()
            self.loop_resume.wait(20)
        response = super().try_handle(request)
        if response is not None:
            (self.by_workers if is_worker else self.by_loop).append(request.command)
        return response

    def __call__(self, request):
        self.resume.wait(20)
        self.by_workers.append(request.command)
        return super().__call__(request)


@pytest.fixture
def application():
    found = Recorded()
    for command in (Put("large", LARGE), Put("small", "s"), Batch([(PUT, key, SOME) for key in KEYS])):
        assert found(Request(command, found.uid)).code is None
    found.by_workers.clear()
    return found


def test_small_requests_do_not_wait_for_the_large_ones_of_another(application, raw):
    application.resume.clear()
    with serve(application) as server:
        greedy, modest = raw(server.urls[0]), raw(server.urls[0])
        for number in range(30):
            greedy.ask(Get("large"), number, application.uid)
        assert CODEC.decode_response(greedy.receive(), Request(Get("large"))).payload == LARGE
        for number in range(20):
            modest.ask(Get("small"), number, application.uid)
            assert modest.answer(Get("small")).payload == b"s"
        assert application.by_loop.count(Get("large")) == 1
        application.resume.set()
        ids = {CODEC.decode_response(greedy.receive(), Request(Get("large"))).id for _ in range(29)}
    assert ids == set(range(1, 30))
    assert application.by_workers.count(Get("large")) == 29


class Client:
    """A connection whose messages are at the server as soon as they are sent."""

    def __init__(self, url, uid):
        self._transport, self._uid = TcpTransport(url.partition("://")[2]), uid
        self.ask(Ping())
        self.answer(Ping())
        self.close = self._transport.close

    def ask(self, command):
        self._transport.send(CODEC.encode_request(Request(command, self._uid, 1)), Deadline.after(20))

    def answer(self, command):
        return CODEC.decode_response(self._transport.receive(Deadline.after(20)), Request(command, id=1)).payload


@contextmanager
def clients_of(server, application):
    """Connect new clients, each at a call."""
    with ExitStack() as stack:

        def connect():
            client = Client(server.urls[0], application.uid)
            stack.callback(client.close)
            return client

        yield connect


@contextmanager
def one_turn(application, client):
    """Have the loop answer in one turn what is sent meanwhile."""
    client.ask(PAUSE_LOOP)
    assert application.loop_waiting.wait(20)
    yield
    application.loop_resume.set()


def test_the_loop_reads_one_large_value_of_a_turn_and_small_ones(application):
    with serve(application) as server, clients_of(server, application) as connect:
        modest, greedy = connect(), [connect() for _ in range(10)]
        modest.ask(Get("small"))
        assert modest.answer(Get("small")) == b"s"
        application.resume.clear()
        with one_turn(application, connect()):
            for client in greedy:
                client.ask(Get("large"))
            modest.ask(Get("small"))
        assert modest.answer(Get("small")) == b"s"
        new = connect()
        new.ask(Get("small"))
        assert new.answer(Get("small")) == b"s"
        by_loop = application.by_loop.count(Get("large"))
        assert by_loop < 5, "one of a turn, and all but a few that came late are of one"
        application.resume.set()
        assert [client.answer(Get("large")) for client in greedy] == [LARGE] * 10
    assert application.by_workers == [Get("large")] * (10 - by_loop)


def test_a_new_client_s_small_read_waits_for_few_large_ones(application):
    with serve(application) as server, clients_of(server, application) as connect:
        new, greedy = connect(), {Get(f"large {number}"): connect() for number in range(10)}
        for command in greedy:
            application(Request(Put(command.key, LARGE), application.uid))
        application.by_workers.clear()
        with one_turn(application, connect()):
            for command, client in greedy.items():
                client.ask(command)
            new.ask(Get("small"))
        assert new.answer(Get("small")) == b"s"
        assert [client.answer(command) for command, client in greedy.items()] == [LARGE] * 10
    assert Get("small") not in application.by_workers[3:]
    assert len(application.by_workers) > 5


def server_of_a_large_value(application, size):
    """Return a server with space for two responses of the size of its large value."""
    application(Request(Put("large", b"v" * size), application.uid))
    application.by_workers.clear()
    return Server(application, ["tcp://127.0.0.1:0"], server_limits=ServerLimits(max_unsent_bytes=2 * size))


def test_a_value_without_space_is_not_read_again_until_there_is_some(application):
    size, count = 12 << 20, 10
    with server_of_a_large_value(application, size) as server, clients_of(server, application) as connect:
        modest, greedy = connect(), [connect() for _ in range(count)]
        with one_turn(application, connect()):
            for client in greedy:
                client.ask(Get("large"))
        eventually(lambda: not probes_of(server))
        for _ in range(20):
            modest.ask(Get("small"))
            assert modest.answer(Get("small")) == b"s"
        assert (application.by_loop + application.by_workers).count(Get("large")) <= count


def test_a_value_that_is_known_to_be_large_is_not_read_without_space(application, monkeypatch):
    monkeypatch.setattr(response_budget, "STALL_TIMEOUT", 3600.0)  # no client is disconnected
    size = 24 << 20
    with server_of_a_large_value(application, size) as server, clients_of(server, application) as connect:
        modest, first = connect(), connect()
        first.ask(Get("large"))
        eventually(lambda: Get("large") in application.by_loop)
        for client in [connect() for _ in range(10)]:
            client.ask(Get("large"))
        for _ in range(20):
            modest.ask(Get("small"))
            assert modest.answer(Get("small")) == b"s"
        assert (application.by_loop + application.by_workers).count(Get("large")) == 1
        assert len(first.answer(Get("large"))) == size
        eventually(lambda: (application.by_loop + application.by_workers).count(Get("large")) == 2)


def test_after_a_small_response_the_loop_answers_again(application, raw):
    with serve(application) as server:
        client = raw(server.urls[0])
        for command in (Get("large"), Get("small"), Exists("small")):
            client.ask(command, 1, application.uid)
            client.answer(command)
    assert application.by_loop == [Get("large"), Exists("small")]
    assert application.by_workers == [Get("small")]


@pytest.mark.parametrize("codec", [ClassicCodec(), FlatCodec()], ids=["classic", "flat"])
def test_answers_without_ids_keep_their_order(application, raw, codec):
    with serve(application) as server:
        client = raw(server.urls[0])
        asked = [Get("large"), Get("small"), Get("large"), Get("large"), Get("small")] * 3
        for command in asked:
            client.send(*codec.encode_request(Request(command, application.uid)))
        answers = [codec.decode_response(client.receive(), Request(command)).payload for command in asked]
    assert answers == [LARGE if command == Get("large") else b"s" for command in asked]


def test_a_client_that_has_left_is_forgotten(application, raw):
    with serve(application) as server:
        client = raw(server.urls[0])
        client.ask(Get("large"), 1, application.uid)
        client.answer(Get("large"))
        assert len(scheduler_of(server).clients) == 1
        client.socket.close()
        eventually(lambda: not scheduler_of(server).clients)


@pytest.mark.parametrize(
    "command",
    [MGet(KEYS), Slice(KEYS[0], 100), Pipeline([Get(key) for key in KEYS]), Pipeline([MGet(KEYS[:50])] * 2)],
    ids=["MGET", "SLICE", "a pipeline", "a pipeline of MGETs"],
)
def test_few_large_values_are_read_in_workers(application, raw, command):
    with serve(application) as server:
        client = raw(server.urls[0])
        client.ask(command, 1, application.uid)
        assert client.answer(command).code is None
    assert (application.by_loop, application.by_workers) == ([], [command])


@pytest.mark.parametrize(
    "command", [Get("large"), GetAndDelete("large"), GetAndDelete(KEYS[0]), Get(KEYS[0])], ids=repr
)
def test_large_responses_are_compressed_in_workers(application, raw, monkeypatch, command):
    compressors, compress = [], lz4.compress

    def noted(content):
        compressors.append(threading.current_thread().name)
        return compress(content)

    monkeypatch.setattr(lz4, "compress", noted)
    request = Request(command, application.uid, 7, compression=True)
    with serve(application) as server:
        client = raw(server.urls[0])
        client.send(*CODEC.encode_request(request))
        answer = CODEC.decode_response(client.receive(), request)
    assert answer.payload == (LARGE if command.key == b"large" else SOME)
    assert [name.startswith("elevator-worker") for name in compressors] == [True]


def test_small_responses_are_compressed_by_the_loop(application, raw):
    request = Request(Get("small"), application.uid, 7, compression=True)
    with serve(application) as server:
        client = raw(server.urls[0])
        client.send(*CODEC.encode_request(request))
        assert CODEC.decode_response(client.receive(), request).payload == b"s"
    assert (application.by_loop, application.by_workers) == ([Get("small")], [])


def test_many_databases_are_listed_by_a_worker(application, raw):
    for number in range(300):
        application.catalog.create(f"database {number}", {})
    with serve(application) as server:
        client = raw(server.urls[0])
        client.ask(DbList(), 1)
        assert len(client.answer(DbList()).payload) == 301
    assert (application.by_loop, application.by_workers) == ([], [DbList()])
