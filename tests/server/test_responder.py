"""Every message gets exactly one answer, whatever it holds.

Each test sends a message and then a PING without an id: to such a client the answers keep their order, so the PONG must
be the second message that comes.
"""

import json
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings, strategies as st

from pyelevator.application import Application
from pyelevator.codec import Limits
from pyelevator.commands import Get, Ping, Put, Unknown
from pyelevator.errors import ErrorCode
from pyelevator.messages import Response
from pyelevator.protocol import split_envelope
from pyelevator.server import Server
from pyelevator.testing.servers import ANY_PORT, serve

VECTORS = Path(__file__).parents[1] / "vectors"
RECORDED = [
    pytest.param([bytes.fromhex(frame) for frame in row["request"]], id=f"{dialect}-{row['name']}")
    for dialect in ("classic", "flat")
    for row in map(json.loads, (VECTORS / f"{dialect}.jsonl").read_text().splitlines())
]
NESTED = b"\x91" * 10_000 + b"\xc0"
GARBAGE = {
    "nothing": [b""],
    "random": [bytes(range(256))],
    "text": [b"GET / HTTP/1.1\r\n\r\n"],
    "two frames": [b"\x80", b"\x80"],
    "an empty delimiter": [b"", b"\x80"],
    "nested arrays": [NESTED],
    "nested arrays in a map": [b"\x81\xa4args" + NESTED],
    "a huge claimed array": [b"\xdd\xff\xff\xff\xff"],
    "a huge claimed map": [b"\xdf\xff\xff\xff\xff"],
    "a huge claimed string": [b"\xdb\xff\xff\xff\xff"],
    "claims within claims": [b"\xdd\x00\x00\xff\xff" * 10_000],
    "a flat array of nothing": [b"\x90"],
    "a verb that is a number": [b"\x81\xa3cmd\x07"],
    "a map for args": [b"\x82\xa3cmd\xa3GET\xa4args\x80"],
}


@pytest.fixture(scope="module")
def client(raw):
    with serve(Application.in_memory()) as server:
        yield raw(server.urls[0])


def answer_before_the_pong(client, pong, frames):
    client.send(*frames)
    client.ask(Ping())
    answer = client.receive()
    assert client.receive() == pong
    return answer


@pytest.mark.parametrize("frames", RECORDED)
def test_a_recorded_request_gets_one_answer(client, pong, frames):
    assert len(answer_before_the_pong(client, pong, frames)) in (1, 2)


@pytest.mark.parametrize("frames", GARBAGE.values(), ids=GARBAGE.keys())
def test_garbage_gets_one_failure(client, pong, frames):
    answer = answer_before_the_pong(client, pong, frames)
    assert answer[frames[0] == b"" and len(frames) > 1].startswith(
        (b"\x84\xa6status\xff", b"\x85\xa6status\xff", b"\x93\xff")
    )


@settings(max_examples=150, deadline=None)
@given(frames=st.lists(st.binary(max_size=200), min_size=1, max_size=3))
def test_random_frames_get_one_answer(client, pong, frames):
    envelope, _ = split_envelope(frames)
    assert len(answer_before_the_pong(client, pong, frames)) - len(envelope) in (1, 2)


def test_an_unknown_verb_gets_the_old_servers_words(client):
    client.ask(Unknown("FOO", [1, 2]))
    assert client.answer(Ping()) == Response.failure(ErrorCode.KEY, "Command FOO not handled")


def test_ids_are_echoed_in_failures_too(client):
    client.ask(Unknown("FOO"), id=5)
    assert client.answer(Ping()).id == 5


def test_a_message_above_the_frame_limit_is_refused_and_the_client_stays(raw, pong):
    with Server(Application.in_memory(), [ANY_PORT], limits=Limits(frame_bytes=1000)) as server:
        client = raw(server.urls[0])
        client.ask(Put("k", bytes(1500)))
        assert client.answer(Ping()).code is ErrorCode.VALUE
        client.ask(Ping())
        assert client.receive() == pong


def test_a_message_far_above_the_limit_closes_only_its_own_connection(raw, pong):
    with Server(Application.in_memory(), [ANY_PORT], limits=Limits(frame_bytes=1000)) as server:
        hostile, client = raw(server.urls[0]), raw(server.urls[0])
        hostile.ask(Put("k", bytes(5000)))
        client.ask(Ping())
        assert client.receive() == pong
        assert not hostile.socket.poll(0)


def test_thousands_of_requests_before_reading_are_all_answered(raw, gated):
    with serve(gated) as server:
        client, keys = raw(server.urls[0]), [b"%04d" % i * 5000 for i in range(4000)]
        for key in keys:
            client.ask(Get(key))
        assert [client.answer(Get("")).payload for _ in keys] == keys


class Broken:
    """An application that breaks its word in every way."""

    maintenance_interval = None

    def __init__(self, slow):
        self.slow = slow

    def try_handle(self, request):
        return None if self.slow else self(request)

    def __call__(self, request):
        if isinstance(request.command, Put):
            return Response(object(), id=request.id)
        raise RecursionError("too deep")

    def connection_ended(self, connection):
        pass

    def close(self):
        pass


@pytest.mark.parametrize("slow", [True, False])
def test_an_application_that_raises_is_a_failure_for_the_client(raw, slow):
    with serve(cast(Any, Broken(slow))) as server:
        client = raw(server.urls[0])
        client.ask(Ping(), id=3)
        failure = "the server failed on this request; its log says more"
        assert client.answer(Ping()) == Response.failure(ErrorCode.RUNTIME, failure, 3)


@pytest.mark.parametrize("slow", [True, False])
def test_an_answer_that_cannot_be_written_down_is_a_failure_for_the_client(raw, slow):
    class Unspeakable(Broken):
        def __call__(self, request):
            return Response(object(), id=request.id)

    with serve(cast(Any, Unspeakable(slow))) as server:
        client = raw(server.urls[0])
        client.ask(Ping(), id=3)
        assert client.answer(Ping()).code is ErrorCode.RUNTIME
