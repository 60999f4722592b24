"""A fake answers short commands without frames, and as it would with them."""

import pytest
from hypothesis import given, strategies as st

from pyelevator import ElevatorError
from pyelevator.application import Application
from pyelevator.client import Elevator
from pyelevator.codec import ClassicCodec, Limits
from pyelevator.codec.classic.fast_path import classic_codec
from pyelevator.commands import Get, Put
from pyelevator.interceptors import Fault
from pyelevator.messages import Request, Response
from pyelevator.transports import FakeTransport


class FramedFake(FakeTransport):
    """A fake whose requests all are frames: a subclass may look at them."""


class CountingCodec(ClassicCodec):
    """A codec of a program's own, which counts what it encodes."""

    encoded = 0

    def encode_request(self, request: Request) -> list[bytes]:
        type(self).encoded += 1
        return super().encode_request(request)


def outcome_of(call, *args, **options):
    try:
        found = call(*args, **options)
    except ElevatorError as error:
        return type(error), str(error), error.args, getattr(error, "key", None)
    return type(found), found


TEXTS = st.binary(max_size=40) | st.sampled_from([b"", b"k" * 700, b"k" * 863, b"k" * 864, b"k" * 2000, "ä€", "\udcff"])
CALLS = st.lists(
    st.tuples(st.sampled_from(["Get", "Exists", "Delete"]), st.tuples(TEXTS))
    | st.tuples(st.just("Put"), st.tuples(TEXTS, TEXTS)),
    max_size=20,
)


@given(calls=CALLS, encoding=st.sampled_from(["utf-8", None]))
def test_short_commands_give_what_they_give_in_frames(calls, encoding):
    with (
        Elevator(transport=FakeTransport(), encoding=encoding) as direct,
        Elevator(transport=FramedFake(), encoding=encoding) as framed,
    ):
        for name, args in calls:
            assert outcome_of(getattr(direct, name), *args) == outcome_of(getattr(framed, name), *args)
        assert direct.Range() == framed.Range()


@pytest.mark.parametrize("limits", [Limits(frame_bytes=300), Limits(content_bytes=300), Limits(elements=200)])
@pytest.mark.parametrize("size", [10, 100, 250, 290, 400])
def test_limits_of_a_client_hold_at_a_fake_as_in_frames(limits, size):
    found = []
    for make in (FakeTransport, FramedFake):
        fake = make()
        with Elevator(transport=fake) as writer:
            writer.Put("a", "x" * size)
        with Elevator(transport=fake, limits=limits) as reader:
            found.append(outcome_of(reader.Get, "a"))
    assert found[0] == found[1]


def test_keys_and_values_are_copied_to_bytes_before_a_fake_keeps_them():
    key, value = bytearray(b"a"), bytearray(b"1")
    with Elevator(transport=FakeTransport(), encoding=None) as E:
        E.Put(key, memoryview(value))
        key[:], value[:] = b"b", b"2"
        assert E.Range() == [[b"a", b"1"]]
        assert type(E.Get(bytearray(b"a"))) is bytes


def test_a_codec_of_a_program_encodes_each_request_to_a_fake():
    with Elevator(transport=FakeTransport(), dialect=CountingCodec()) as E:
        before = CountingCodec.encoded
        E.Put("a", "1")
        assert E.Get("a") == "1"
        assert CountingCodec.encoded == before + 2


def test_faults_befall_short_commands_of_a_fake():
    with Elevator(transport=FakeTransport(faults=[Fault("drop_response", ("GET",))])) as E:
        E.Put("a", "1")
        with pytest.raises(TimeoutError, match="the answer to GET was dropped by a fault on its way back"):
            E.Get("a")


def test_the_application_of_a_fake_sees_and_counts_each_short_command():
    class Seeing(Application):
        seen: list[str] = []

        def try_handle(self, request):
            self.seen.append(request.command.verb)
            return super().try_handle(request)

    fake = FakeTransport(Seeing.in_memory())
    with Elevator(transport=fake) as E:
        E.Put("a", "1"), E.Get("a"), E.Exists("b"), E.Delete("a")
        assert Seeing.seen[-4:] == ["PUT", "GET", "EXISTS", "DELETE"]
        requests = E.stats().requests
        assert {verb: requests[verb].count for verb in ("PUT", "GET", "EXISTS", "DELETE")} == dict.fromkeys(
            ("PUT", "GET", "EXISTS", "DELETE"), 1
        )


@pytest.mark.parametrize("response", [None, "no response", Response("text"), Response(bytearray(b"1")), Response([1])])
def test_what_an_application_must_not_answer_is_answered_as_in_frames(response):
    class Wrong(Application):
        def try_handle(self, request):
            return response if request.command.verb == "GET" and response else super().try_handle(request)

    found: list[object] = []
    for make in (FakeTransport, FramedFake):
        with Elevator(transport=make(Wrong.in_memory())) as E:
            E.Put("a", "1")
            try:
                found.append(E.Get("a"))
            except Exception as error:  # noqa: BLE001 - whatever it is, it is the same
                found.append((type(error), str(error)))
    assert found[0] == found[1]


def test_a_request_that_asks_for_more_than_its_command_goes_in_frames():
    respond = FakeTransport().responder(classic_codec())
    assert respond is not None
    assert respond(Request(Get("a"), "uid", 1, compression=True)) is None
    assert respond(Request.minimal(Put("a", "1", True), "uid", 1)) is None
    assert respond(Request.minimal(Get("a"), "uid", 1)) is not None


def test_a_responder_is_there_for_codecs_that_it_knows_only():
    fake = FakeTransport()
    assert fake.responder(classic_codec()) is not None
    assert fake.responder(CountingCodec()) is None
    assert fake.responder(ClassicCodec(Limits(frame_bytes=100))) is None
    assert FramedFake().responder(classic_codec()) is None
    assert FakeTransport(codecs=[CountingCodec()]).responder(classic_codec()) is None
