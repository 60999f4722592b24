import sys

import pytest

from pyelevator.codec import ClassicCodec, FlatCodec
from pyelevator.commands import Get, MGet, Ping
from pyelevator.errors import ErrorCode, MalformedMessage
from pyelevator.messages import Request, Response
from pyelevator.protocol import ClientProtocol, RequestDecoder, unguessable_ids
from support.optional import unwrap


def reply(payload, request_id):
    return ClassicCodec().encode_response(Response(payload, id=request_id), Request(Get("k")))


def test_every_request_gets_an_id_of_its_own():
    protocol = ClientProtocol(ClassicCodec(), 1)
    ids = [protocol.submit(Request(Get("k")))[0] for _ in range(3)]
    assert ids == [1, 2, 3]


def test_replies_with_ids_find_their_requests_in_any_order():
    protocol = ClientProtocol(ClassicCodec(), 1)
    for _ in range(3):
        protocol.submit(Request(Get("k")))
    assert [unwrap(protocol.receive(reply(b"v%d" % i, i)))[1].payload for i in (2, 3, 1)] == [b"v2", b"v3", b"v1"]
    assert protocol.echoes_ids


def test_a_reply_to_an_unknown_id_answers_nothing():
    protocol = ClientProtocol(ClassicCodec(), 1)
    protocol.submit(Request(Get("k")))
    assert protocol.receive(reply(b"late", 99)) is None
    assert unwrap(protocol.receive(reply(b"v", 1)))[1].payload == b"v"


def test_a_second_reply_to_the_same_id_answers_nothing():
    protocol = ClientProtocol(ClassicCodec(), 1)
    protocol.submit(Request(Get("k")))
    protocol.submit(Request(Get("l")))
    assert protocol.receive(reply(b"v", 1)) is not None
    assert protocol.receive(reply(b"v", 1)) is None


def test_a_reply_without_id_answers_the_only_request():
    protocol = ClientProtocol(ClassicCodec(), 1)
    protocol.submit(Request(Get("k")))
    assert unwrap(protocol.receive(reply(b"v", None)))[1].payload == b"v"
    assert not protocol.echoes_ids


def test_the_reply_to_a_discarded_request_answers_nothing():
    protocol = ClientProtocol(ClassicCodec(), 1)
    for _ in range(3):
        protocol.submit(Request(Get("k")))
    protocol.forget(2)
    assert protocol.receive(reply(b"late", 2)) is None
    assert unwrap(protocol.receive(reply(b"v", 3)))[1].payload == b"v"


def test_a_reply_without_id_is_malformed_once_a_request_was_forgotten():
    protocol = ClientProtocol(ClassicCodec(), 1)
    protocol.submit(Request(Get("old")))
    protocol.forget(1)
    protocol.submit(Request(Get("k")))
    with pytest.raises(MalformedMessage, match="given up"):
        protocol.receive(reply(b"whose?", None))


def test_a_match_tells_whose_a_reply_is_that_cannot_be_read():
    protocol = ClientProtocol(ClassicCodec(), 1)
    protocol.submit(Request(Get("k")))
    header, _ = reply(b"v", 1)
    request_id, read = unwrap(protocol.match([header, b"\xc1"]))
    assert request_id == 1
    with pytest.raises(MalformedMessage):
        read()


@pytest.mark.parametrize("in_flight", [0, 2])
def test_a_reply_without_id_is_malformed_unless_one_request_is_in_flight(in_flight):
    protocol = ClientProtocol(ClassicCodec(), 1)
    for _ in range(in_flight):
        protocol.submit(Request(Get("k")))
    with pytest.raises(MalformedMessage, match="without an id"):
        protocol.receive(reply(b"v", None))


def test_a_flat_conversation_is_spent_after_a_verb_that_is_answered_twice():
    protocol = ClientProtocol(FlatCodec(), 1)
    protocol.submit(Request(Get("k"), "u"))
    protocol.receive([b"\x94\x01\x00\xa0\xa1v"])
    assert not protocol.must_close
    protocol.submit(Request(MGet(["k"]), "u"))
    assert unwrap(protocol.receive([b"\x94\x01\x00\xa0\xa1v"]))[1].payload == [b"v"]
    assert protocol.must_close


def test_reader_answers_classic_in_classic_and_flat_in_flat():
    reader = RequestDecoder()

    def pong(request):
        return Response(b"PONG", id=request.id)

    classic = reader.read([b"\x84\xa3cmd\xa4PING\xa4meta\x80\xa3uid\xc0\xa4args\x90"]).answer(pong)
    assert classic[1] == b"\x81\xa5datas\x91\xa4PONG"
    assert reader.read([b"\x92\xa0\xa4PING"]).answer(pong) == [b"\x94\x01\x00\xa0\xa4PONG"]


@pytest.mark.parametrize("frames", [[b""], [b"\xc1"], [b"\x80"], [b"\x90"], [b"a", b"b"], []])
def test_reader_answers_what_is_no_request_with_a_failure(frames):
    incoming = RequestDecoder().read(frames)
    assert incoming.request is None
    answer = incoming.answer(lambda request: pytest.fail("nothing to execute"))
    decoded = incoming.codec.decode_response(answer, Request(Ping()))
    assert decoded.code is ErrorCode.REQUEST


def test_an_answer_that_cannot_be_encoded_becomes_a_failure():
    incoming = RequestDecoder().read(ClassicCodec().encode_request(Request(Ping(), id=7)))
    answer = incoming.answer(lambda request: Response(object(), id=request.id))
    decoded = incoming.codec.decode_response(answer, Request(Ping()))
    assert (decoded.code, decoded.id) == (ErrorCode.RUNTIME, 7)


@pytest.mark.parametrize("codec", [ClassicCodec, FlatCodec])
def test_a_reply_is_opened_once(codec, monkeypatch):
    opened = []

    def counting(self, frames, done=codec.open_reply):
        opened.append(frames)
        return done(self, frames)

    monkeypatch.setattr(codec, "open_reply", counting)
    protocol = ClientProtocol(codec(), 1)
    protocol.submit(Request(Get("k"), "u"))
    frames = codec().encode_response(Response(b"v"), Request(Get("k")))
    assert unwrap(protocol.receive(frames))[1].payload == b"v"
    assert opened == [frames]


@pytest.mark.parametrize("command", [Get("k"), Ping()])
def test_the_same_bytes_of_several_clients_are_requests_of_their_own(command):
    decoder, frames = RequestDecoder(), ClassicCodec().encode_request(Request(command, "uid", 1))
    origins = [("ann", b"1"), ("bob", b"2"), (None, None)]
    requests = [unwrap(decoder.read(frames, *origin).request) for origin in origins]
    assert [(request.context.peer, request.context.connection) for request in requests] == origins
    assert requests[2] == Request(command, "uid", 1) != requests[0]


def test_ids_are_made_without_python_code_that_an_interrupt_could_end():
    ids, called = unguessable_ids(), []
    sys.setprofile(lambda frame, event, _: called.append(frame.f_code.co_name) if event == "call" else None)
    try:
        for _ in range(1000):
            next(ids)
    finally:
        sys.setprofile(None)
    assert called == []
