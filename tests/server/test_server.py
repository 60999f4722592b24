"""The server's loop: order, overtaking, several binds, and the end."""

import threading

import pytest

from pyelevator.application import Application
from pyelevator.codec import ClassicCodec
from pyelevator.commands import Get, Ping, Range
from pyelevator.errors import UsageError
from pyelevator.messages import Request
from pyelevator.server import Server
from pyelevator.server.options import ServerLimits
from pyelevator.testing.servers import ANY_PORT, serve
from pyelevator.transports.zmtp.frames import encode_frame, encode_message
from support.applications import scheduler_of
from support.eventually import eventually
from support.plain import plain_client, receive_exactly

CODEC = ClassicCodec()


def test_requests_without_ids_keep_their_order_behind_a_slow_one(raw, gated):
    with serve(gated) as server:
        client = raw(server.urls[0])
        commands = [Range("slow 1"), Get("a"), Range("slow 2"), Get("b"), Get("c")]
        for command in commands:
            client.ask(command)
        gated.entered.acquire()
        gated.resume.set()
        answers = [client.answer(command).payload for command in commands]
    assert answers == [[[b"slow 1", b""]], b"a", [[b"slow 2", b""]], b"b", b"c"]


def test_a_request_with_an_id_overtakes_a_slow_one(raw, gated):
    with serve(gated) as server:
        client = raw(server.urls[0])
        client.ask(Range("slow"), id=1)
        client.ask(Get("quick"), id=2)
        assert client.answer(Get("quick")).id == 2
        gated.resume.set()
        assert client.answer(Range()).id == 1


def test_a_request_with_an_id_overtakes_those_without(raw, gated):
    with serve(gated) as server:
        client = raw(server.urls[0])
        client.ask(Range("slow"))
        client.ask(Get("waits"))
        client.ask(Get("quick"), id=2)
        assert client.answer(Get("quick")).payload == b"quick"
        gated.resume.set()
        assert client.answer(Range()).payload == [[b"slow", b""]]
        assert client.answer(Get("waits")).payload == b"waits"


def test_malformed_messages_keep_the_order_too(raw, gated):
    with serve(gated) as server:
        client = raw(server.urls[0])
        client.ask(Range("slow"))
        client.send(b"garbage")
        gated.entered.acquire()
        gated.resume.set()
        assert client.answer(Range()).payload == [[b"slow", b""]]
        assert client.answer(Range()).message


def test_a_slow_request_of_one_client_does_not_hold_another(raw, gated):
    with serve(gated) as server:
        slow, quick = raw(server.urls[0]), raw(server.urls[0])
        slow.ask(Range("slow"))
        gated.entered.acquire()
        quick.ask(Get("quick"))
        assert quick.answer(Get("")).payload == b"quick"
        gated.resume.set()


def test_after_a_slow_request_the_client_waits_no_longer(raw, gated):
    gated.resume.set()
    with serve(gated) as server:
        client = raw(server.urls[0])
        for i in range(3):
            client.ask(Range(f"slow {i}"))
            client.ask(Get(f"{i}"))
            assert client.answer(Range()).payload == [[f"slow {i}".encode(), b""]]
            assert client.answer(Get("")).payload == f"{i}".encode()


def test_several_binds_serve_the_same_application(raw, tmp_path):
    with serve(Application.in_memory(), ANY_PORT, ANY_PORT, f"ipc://{tmp_path}/socket") as server:
        assert len(set(server.urls)) == 3
        assert server.urls[2] == f"ipc://{tmp_path}/socket"
        for client in map(raw, server.urls):
            client.ask(Ping())
            assert client.answer(Ping()).payload == b"PONG"


def test_stopping_answers_what_was_taken(raw, gated):
    server = Server(gated, [ANY_PORT])
    with server:
        client = raw(server.urls[0])
        client.ask(Range("slow"))
        client.ask(Get("behind it"))
        client.ask(Get("taken"), id=1)
        assert client.answer(Get("")).payload == b"taken"
        server.stop()
        gated.resume.set()
    assert client.answer(Range()).payload == [[b"slow", b""]]
    assert client.answer(Get("")).payload == b"behind it"
    assert gated.closed
    assert server.unanswered == 0


def test_stopping_after_the_grace_period_leaves_databases_open(raw, gated):
    with Server(gated, [ANY_PORT], grace=0.01) as server:
        raw(server.urls[0]).ask(Range("slow"))
        gated.entered.acquire()
    assert server.unanswered == 1
    assert not gated.closed


def test_a_server_at_its_request_limit_reads_nothing_until_it_answers(raw, gated):
    with Server(gated, [ANY_PORT], server_limits=ServerLimits(max_requests=1)) as server:
        client = raw(server.urls[0])
        for i in range(20):
            client.ask(Range(f"{i}"), id=i)
        gated.entered.acquire()
        assert server.unanswered <= 1
        gated.resume.set()
        assert sorted(client.answer(Range()).id for _ in range(20)) == list(range(20))


def test_a_server_above_its_backlog_goes_on_sending_what_others_are_to_get(raw, gated):
    with (
        Server(gated, [ANY_PORT], server_limits=ServerLimits(max_requests=1)) as server,
        plain_client(server.urls[0]) as reader,
    ):
        for chunk in encode_message(CODEC.encode_request(Request(Get(bytes(32 << 20)), id=1))):
            reader.sendall(chunk)
        receive_exactly(reader, 1000)  # the answer has begun to leave, and cannot leave at once
        raw(server.urls[0]).ask(Range("slow"))
        gated.entered.acquire()
        reader.settimeout(10.0)  # the application goes on after 20
        receive_exactly(reader, (32 << 20) - 1000)
        gated.resume.set()


def blocked_client(url):
    """A client that does not read an answer of 16 MB, of which some is there."""
    client = plain_client(url)
    for chunk in encode_message(CODEC.encode_request(Request(Get(bytes(16 << 20)), id=1))):
        client.sendall(chunk)
    receive_exactly(client, 1000)
    return client


def test_requests_of_a_client_that_has_left_are_not_executed(raw, gated):
    with Server(gated, [ANY_PORT], server_limits=ServerLimits(max_unsent_bytes=1 << 20)) as server:
        other, scheduler = raw(server.urls[0]), scheduler_of(server)

        def ask_something():
            other.ask(Get("quick"))
            assert other.answer(Get("quick")).payload == b"quick"

        with blocked_client(server.urls[0]) as leaving:
            leaving.sendall(encode_frame(CODEC.encode_request(Request(Get("parked"), id=2))[0]))
            eventually(lambda: ask_something() or any(map(scheduler.blocked_bytes, scheduler.blocked_clients())))
        eventually(lambda: ask_something() or not scheduler.blocked_clients())
        assert b"parked" not in gated.asked


def test_all_clients_that_read_again_are_served_in_turns(gated, monkeypatch):
    monkeypatch.setattr("pyelevator.server.request_dispatcher.FLUSH_INTERVAL", 0.0)
    budget = "pyelevator.server.response_budget.ResponseBudget"
    monkeypatch.setattr(f"{budget}.admits", lambda *_: True)  # all three at once
    monkeypatch.setattr(f"{budget}.available_to", lambda *_: 1 << 62)
    with Server(gated, [ANY_PORT], server_limits=ServerLimits(max_unsent_bytes=1 << 20)) as server:
        clients = [blocked_client(server.urls[0]) for _ in range(3)]
        queued = encode_frame(CODEC.encode_request(Request(Get("parked"), id=2))[0])
        for client in clients:
            client.sendall(queued)
        answers = []
        for client in clients:
            with client:
                receive_exactly(client, (16 << 20) - 1000)
                answers.append(b"")
                while b"parked" not in answers[-1]:
                    answers[-1] += receive_exactly(client, 1)
    assert len(answers) == 3


def test_a_server_above_its_backlog_can_be_stopped(raw, gated):
    with Server(gated, [ANY_PORT], server_limits=ServerLimits(max_requests=1), grace=0.01) as server:
        raw(server.urls[0]).ask(Range("slow"))
        gated.entered.acquire()
    assert server.unanswered == 1


def test_serve_forever_returns_when_another_thread_stops_it(gated):
    server = Server(gated, [ANY_PORT])
    threading.Timer(0, server.stop).start()
    server.serve_forever()
    assert gated.closed


def test_a_server_that_is_stopped_before_it_runs_ends_at_once(gated):
    server = Server(gated, [ANY_PORT])
    server.stop()
    server.serve_forever()
    assert gated.closed


def test_stopping_twice_is_fine(gated):
    with Server(gated, [ANY_PORT]) as server:
        server.stop()
        server.stop()
    server.stop()
    assert gated.closed


def test_the_port_is_free_once_the_server_has_ended(gated):
    for _ in range(5):
        with serve(gated, ANY_PORT) as server:
            urls = server.urls
        with serve(gated, *urls) as server:
            assert server.urls == urls


def test_the_application_stays_open_when_nothing_can_be_bound(gated, tmp_path):
    with pytest.raises(UsageError, match="there is no directory"):
        Server(gated, [ANY_PORT, f"ipc://{tmp_path}/nowhere/socket"])
    assert not gated.closed
