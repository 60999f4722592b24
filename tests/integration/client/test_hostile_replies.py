"""Whatever a server answers, a call ends with its value or a documented error, and the next call is right."""

import asyncio
from contextlib import ExitStack
from typing import Any

import msgpack
import pytest

from pyelevator import AsyncElevator, Elevator
from pyelevator.codec import ClassicCodec, FlatCodec
from pyelevator.commands import PIPELINED, Get, Pipeline
from pyelevator.errors import ElevatorError, ProtocolError, RequestTimeout, ServerError
from pyelevator.messages import Request, Response
from pyelevator.proxy import Proxy
from pyelevator.testing.servers import ANY_PORT
from support.hostile import ACCEPTED, COMMANDS, DATAS, HEADERS, answers
from support.puppets import Puppet

PLAIN = {"status": 1, "err_msg": None, "compression": False, "err_code": None}
KEY = "good"


def packed(value):
    return msgpack.packb(value, use_bin_type=False)


def reply_with(request, header=None, datas=None):
    return [packed({**PLAIN, "id": request.id, **(header or {})}), packed({"datas": datas})]


_EXECUTED = {"DBCONNECT", "GET", "PUT", "PING"}


class Hostile(Puppet):
    """Answers one request otherwise: the next with the verb, by ``answer(request)``, which gives replies."""

    def __init__(self, codec=None):
        self.verb, self.answer = None, None
        super().__init__(self._behave, codec=codec)

    def execute(self, request):
        return super().execute(request) if request.command.verb in _EXECUTED else Response([], id=request.id)

    def _behave(self, request, reply):
        if request.command.verb != self.verb or self.answer is None:
            return [reply]
        answer, self.answer = self.answer, None
        return answer(request)

    def will(self, verb, answer):
        self.verb, self.answer = verb.split()[0], answer


def watching(request, forward):
    """Looks at every request, so that a proxy passes none on unread."""
    return (yield from forward(request))


WAYS = ["sync", "async", "through a proxy", "through a proxy that looks into all"]


@pytest.fixture(scope="module")
def world():
    with ExitStack() as stack:
        hostile = Hostile()
        unread = stack.enter_context(Proxy([ANY_PORT], hostile.url))
        reading = stack.enter_context(Proxy([ANY_PORT], hostile.url, [watching]))
        stack.push(hostile)  # it ends first, so that the proxies need not wait for what it will never answer
        yield hostile, dict(zip(WAYS, [hostile.url] * 2 + [unread.urls[0], reading.urls[0]], strict=True))


@pytest.fixture(scope="module")
def hostile(world):
    return world[0]


@pytest.fixture(scope="module")
def urls(world):
    return world[1]


async def _awaited(outcome):
    return await outcome


class Caller:
    """A client, sync or async, whose calls return."""

    def __init__(self, url, is_async, dialect="classic"):
        self._loop = asyncio.new_event_loop() if is_async else None
        make: Any = AsyncElevator if is_async else Elevator
        self.client: Any = make.from_url(url, timeout=20, dialect=dialect)
        self("Put", KEY, "v")

    def __call__(self, method, *args, **options):
        outcome = getattr(self.client, method)(*args, **options)
        return outcome if self._loop is None else self._loop.run_until_complete(_awaited(outcome))

    def pipelined(self, command):
        """The outcome of a command in a pipeline, before another one: proxies send a single one by itself."""
        pipeline = self.client.pipeline(raise_errors=False)
        pipeline._add(command, lambda outcome: outcome)
        pipeline.Get(KEY)
        outcome = pipeline.execute()
        if self._loop is not None:
            self._loop.run_until_complete(_awaited(outcome))
        result, _ = pipeline.results
        if isinstance(result, Exception):
            raise result
        return result

    def close(self):
        self("disconnect")
        if self._loop is not None:
            self._loop.close()


@pytest.fixture(params=WAYS)
def caller(request, urls):
    caller = Caller(urls[request.param], request.param.startswith("async"))
    yield caller
    caller.close()


def outcome_of(call):
    """What became of a call: "value", or the class of the error. Errors of Python's own are raised."""
    try:
        call()
    except (ProtocolError, ServerError) as error:
        return "refused" if str(error) else "refused without a word"
    except ElevatorError as error:
        return type(error).__name__
    return "value"


_SHARES = 4
"""Over the wire each verb is tried with every so many kinds of datas, in turn; the codecs are tried with all."""


def shared(verbs):
    """Pairs of a verb and the name of datas; all names, and all verbs, and not each with each."""
    names = list(DATAS)
    return [(verb, name) for at, verb in enumerate(verbs) for name in names[at % _SHARES :: _SHARES]]


def is_answer(verb, name, *, nested=False):
    unfit = {"map", "map of ints", "map of maps"}  # which are no payloads in a pipeline, and have no status
    return answers(verb, name, nested=nested) and not (nested and name in unfit)


VERBS = ["PUT", *ACCEPTED]  # PUT for all whose answers are not looked at
NESTED = ["PUT", *[kind.verb for kind in PIPELINED if kind.verb in ACCEPTED]]


def test_datas_of_each_type_are_the_value_or_an_error(caller, hostile):
    found = {}
    for verb, name in shared(VERBS):
        hostile.will(verb, lambda request, name=name: [reply_with(request, datas=DATAS[name])])
        found[verb, name] = outcome_of(lambda verb=verb: caller("_call", COMMANDS[verb], None))
        assert caller("Get", KEY) == "v", (verb, name)
    assert found == {(verb, name): "value" if is_answer(verb, name) else "refused" for verb, name in shared(VERBS)}


def test_datas_of_each_type_in_a_pipeline_are_the_value_or_an_error(caller, hostile):
    found, expected = {}, {}
    for verb, name in shared(NESTED):
        hostile.will("PIPELINE", lambda request, name=name: [reply_with(request, datas=[DATAS[name], b"v"])])
        found[verb, name] = outcome_of(lambda verb=verb: caller.pipelined(COMMANDS[verb]))
        expected[verb, name] = "value" if is_answer(verb, name, nested=True) else "refused"
        assert caller("Get", KEY) == "v", (verb, name)
    assert found == expected


ENTRIES = {name: header for name, header in HEADERS.items() if name.startswith(("status", "more", "cursor", "err_"))}
"""What is wrong in an entry of a pipeline's answer that has a header of its own."""


def test_an_entry_of_a_pipeline_with_something_wrong_is_an_error(caller, hostile):
    found = {}
    for name, header in ENTRIES.items():
        entry = {"status": 1, "datas": b"text", **header}
        hostile.will("PIPELINE", lambda request, entry=entry: [reply_with(request, datas=[entry, b"v"])])
        found[name] = outcome_of(lambda: caller.pipelined(COMMANDS["GET"]))
        assert caller("Get", KEY) == "v", name
    assert found == dict.fromkeys(ENTRIES, "refused")


@pytest.mark.parametrize("entries", [[], [b"v"], [b"v"] * 3, None, b"vv", {b"v": b"v"}, [[b"v", b"v"]]])
def test_an_answer_to_a_pipeline_has_an_entry_for_each_command(caller, hostile, entries):
    hostile.will("PIPELINE", lambda request: [reply_with(request, datas=entries)])
    assert outcome_of(lambda: caller.pipelined(COMMANDS["GET"])) == "refused"
    assert caller("Get", KEY) == "v"


def test_an_error_text_of_megabytes_in_a_pipeline_is_cut(caller, hostile):
    entry = {"status": -1, "err_code": 4, "err_msg": "x" * 3_000_000}
    hostile.will("PIPELINE", lambda request: [reply_with(request, datas=[entry, b"v"])])
    with pytest.raises(ServerError) as failed:
        caller.pipelined(COMMANDS["GET"])
    assert len(str(failed.value)) <= 1 << 20
    assert caller("Get", KEY) == "v"


@pytest.mark.parametrize("verb", ["GET", "DBCONNECT"])
def test_a_header_with_something_wrong_is_an_error(caller, hostile, verb):
    found = {}
    for name, header in HEADERS.items():
        hostile.will(verb, lambda request, header=header: [reply_with(request, header, [])])
        found[name] = outcome_of(lambda: caller("_call", COMMANDS[verb], None))
        assert caller("Get", KEY) == "v", name
    assert found == dict.fromkeys(HEADERS, "refused")


FRAMES = {
    "one frame": lambda header, content: [header],
    "three frames": lambda header, content: [header, content, content],
    "no header": lambda header, content: [b"", content],
    "no content": lambda header, content: [header, b""],
    "a header that is cut off": lambda header, content: [header[:-1], content],
    "a content that is cut off": lambda header, content: [header, content[:-1]],
    "a header and more": lambda header, content: [header + b"\xc0", content],
    "a content and more": lambda header, content: [header, content + b"\xc0"],
    "both exchanged": lambda header, content: [content, header],
    "a list for a header": lambda header, content: [b"\x91" + header, content],
    "a list for the content": lambda header, content: [header, b"\x91" + content],
    "a claim of many elements": lambda header, content: [header, b"\x81\xa5datas\xdd\xff\xff\xff\xff"],
    "no msgpack": lambda header, content: [b"\xc1", b"\xc1"],
}


@pytest.mark.parametrize("name", FRAMES)
def test_frames_that_are_no_reply_are_an_error(caller, hostile, name):
    hostile.will("GET", lambda request: [FRAMES[name](*reply_with(request, datas=[b"text"]))])
    assert outcome_of(lambda: caller("Get", "k")) == "refused"
    assert caller("Get", KEY) == "v"


@pytest.mark.parametrize("code", [9, 99, -1, 2**64 - 1, None])
def test_an_unknown_failure_is_a_server_error(caller, hostile, code):
    header = {"status": -1, "err_code": code, "err_msg": "because"}
    hostile.will("GET", lambda request: [reply_with(request, header)])
    with pytest.raises(ServerError, match="because"):
        caller("Get", "k")
    hostile.will("GET", lambda request: [reply_with(request, header | {"err_msg": None})])
    with pytest.raises(ServerError, match="the server gave no reason"):
        caller("Get", "k")
    assert caller("Get", KEY) == "v"


def test_an_error_text_of_megabytes_is_cut(caller, hostile):
    hostile.will(
        "GET", lambda request: [reply_with(request, {"status": -1, "err_code": 4, "err_msg": "x" * 3_000_000})]
    )
    with pytest.raises(ServerError) as failed:
        caller("Get", "k")
    assert len(str(failed.value)) <= 1 << 20
    assert caller("Get", KEY) == "v"


@pytest.mark.parametrize("shift", [-1, 1, 1 << 40])
def test_an_answer_to_another_id_is_none(caller, hostile, shift):
    hostile.will("GET", lambda request: [reply_with(request, {"id": request.id + shift}, [b"of another"])])
    with pytest.raises(RequestTimeout):
        caller("Get", "k", timeout=0.1)
    assert caller("Get", KEY) == "v"


@pytest.mark.parametrize("is_async", [False, True])
def test_a_timeout_says_that_what_came_was_not_asked_for(hostile, is_async):
    caller = Caller(hostile.url, is_async)
    hostile.will("GET", lambda request: [reply_with(request, {"id": request.id + 1}, [b"of another"])])
    with pytest.raises(RequestTimeout, match="what came instead answers no request of this connection"):
        caller("Get", "k", timeout=0.1)
    assert caller("Get", KEY) == "v"
    caller.close()


def test_answers_to_no_request_are_passed_over(caller, hostile):
    def answer(request):
        others = [reply_with(request, {"id": request.id + step}, [b"of another"]) for step in (-2, -1, 1, 2)]
        return [*others, reply_with(request, datas=[b"right"]), reply_with(request, datas=[b"second"]), *others]

    for _ in range(5):
        hostile.will("GET", answer)
        assert caller("Get", "k") == "right"
        assert caller("Get", KEY) == "v"


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("wrong", [{"id": "7"}, {"status": 5}, {}])
def test_a_connection_with_a_wrong_answer_is_not_used_again(hostile, is_async, wrong):
    caller = Caller(hostile.url, is_async)
    before = hostile.identities[-1]
    caller("Get", KEY)
    assert hostile.identities[-1] == before
    hostile.will("GET", lambda request: [reply_with(request, wrong, [7])])
    assert outcome_of(lambda: caller("Get", "k")) == "refused"
    caller("Get", KEY)
    assert hostile.identities[-1] != before
    caller.close()


@pytest.mark.parametrize("is_async", [False, True])
def test_a_connection_with_an_answer_too_many_is_not_used_again(hostile, is_async):
    caller = Caller(hostile.url, is_async)
    before = hostile.identities[-1]
    hostile.will("GET", lambda request: [reply_with(request, datas=[b"one"])] * 2)
    assert [caller("Get", "k"), caller("Get", KEY), caller("Get", KEY)] == ["one", "v", "v"]
    assert hostile.identities[-1] != before
    caller.close()


# By the codecs alone, in both dialects


@pytest.mark.parametrize("verb", COMMANDS)
def test_a_codec_takes_the_datas_that_answer_a_command_and_no_others(verb):
    command, codec = COMMANDS[verb], ClassicCodec()
    requests = {False: Request(command, "u", 7)}
    if type(command) in PIPELINED:
        requests[True] = Request(Pipeline((command, Get(KEY))), "u", 7)
    for nested, request in requests.items():
        found = {}
        for name, datas in DATAS.items():
            frames = reply_with(request, datas=[datas, b"v"] if nested else datas)
            found[name] = outcome_of(lambda frames=frames, to=request: codec.decode_response(frames, to))
        assert found == {name: "value" if is_answer(verb, name, nested=nested) else "refused" for name in DATAS}


@pytest.mark.parametrize("verb", COMMANDS)
def test_a_codec_gives_a_payload_that_its_command_takes(verb):
    command, codec = COMMANDS[verb], FlatCodec()
    request = Request(command, "u")
    for datas in DATAS.values():
        frames = [packed([1, 0, "", *(datas if isinstance(datas, list) else [datas])])]
        try:
            response = codec.decode_response(frames, request)
        except ProtocolError:
            continue
        command.result(response.payload)


FLAT_HEADERS: list[list[Any]] = [
    ["1", 0, ""],
    [1, "0", ""],
    [1, 0, 7],
    [None, 0, ""],
    [1.0, 0, ""],
    [-1, None, ""],
    [],
    [1],
    [1, 0],
]


@pytest.mark.parametrize("header", FLAT_HEADERS)
def test_a_flat_reply_with_something_wrong_is_malformed(header):
    with pytest.raises(ProtocolError):
        FlatCodec().decode_response([packed([*header, "v"])], Request(Get("k"), "u"))


# Flat servers over the wire


@pytest.fixture(scope="module")
def hostile_flat():
    with Hostile(FlatCodec()) as hostile:
        yield hostile


@pytest.fixture(params=["sync", "async", "through a proxy"])
def flat_caller(request, hostile_flat):
    with ExitStack() as stack:
        url, dialect = hostile_flat.url, "flat"
        if request.param == "through a proxy":
            proxy = stack.enter_context(Proxy([ANY_PORT], f"{url}?dialect=flat"))
            url, dialect = proxy.urls[0], "classic"
        caller = Caller(url, request.param == "async", dialect=dialect)
        stack.callback(caller.close)
        yield caller


@pytest.mark.parametrize("verb", ["GET", "MGET", "RANGE", "DBLIST", "EXISTS", "PUT"])
def test_flat_datas_of_each_type_are_a_value_or_an_error(flat_caller, hostile_flat, verb):
    for name in list(DATAS)[len(verb) % 2 :: 2]:
        datas = DATAS[name] if isinstance(DATAS[name], list) else [DATAS[name]]
        hostile_flat.will(verb, lambda request, datas=datas: [[packed([1, 0, "", *datas])]])
        outcome = outcome_of(lambda: flat_caller("_call", COMMANDS[verb], None))
        assert outcome in {"value", "refused", "KeyNotFound", "DatabaseError"}, name
        assert flat_caller("Get", KEY) == "v", name


def test_flat_frames_that_are_no_reply_are_an_error(flat_caller, hostile_flat):
    wrong = [packed([*header, b"v"]) for header in FLAT_HEADERS]
    for frames in [*[[frame] for frame in wrong], [b""], [b"\xc1"], [packed({1: 2})], [packed([1, 0, "", b"v"])] * 2]:
        hostile_flat.will("GET", lambda request, frames=frames: [frames])
        assert outcome_of(lambda: flat_caller("Get", "k")) == "refused", frames
        assert flat_caller("Get", KEY) == "v", frames
