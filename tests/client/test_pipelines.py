"""What a pipeline puts on the wire, with servers that know pipelines and with others; and awaited calls in them."""

import asyncio
import inspect
from typing import Any

import pytest

from pyelevator import AsyncElevator, ConnectFailed, Elevator, KeyNotFound, RequestTimeout, UsageError
from pyelevator.application import Application
from pyelevator.application.policy import Policy
from pyelevator.client.aio import multiplexing
from pyelevator.client.handles import DatabaseHandle
from pyelevator.client.pipelines.execution import execute_pipeline
from pyelevator.codec import ClassicCodec
from pyelevator.commands import Batch, Command, Count, DeleteRange, Exists, Get, Pipeline, Put, Sizes
from pyelevator.commands.features import FEATURES
from pyelevator.errors import ErrorCode
from pyelevator.flows import drive
from pyelevator.interceptors import Prefix, Retry
from pyelevator.messages import Request, Response
from pyelevator.protocol import ClientProtocol
from pyelevator.transports import FakeTransport
from support.connections import transport_of


def handle(*features):
    return DatabaseHandle(ClassicCodec(), "default", "u", features)


class Server:
    """Performs the effects of a flow on an application, and notes the requests; what ``refuses`` names is refused, and
    from the message number ``dies`` on nothing is answered."""

    def __init__(self, refuses=None, dies=None):
        self.application = Application.in_memory()
        self.uid = self.application.catalog.uid_of("default")
        self.log = []
        self.refuses, self.dies = refuses, dies

    def __call__(self, effect):
        command = effect.request.command
        self.log.append(command)
        if self.dies is not None and len(self.log) > self.dies:
            raise RequestTimeout("no answer")
        if command.verb == self.refuses:
            return Response.failure(ErrorCode.KEY, f"Command {command.verb} not handled")
        return self.application(Request(command, self.uid))


COMMANDS: list[Command[Any]] = [Put("k", "v"), Get("k"), Get("nope"), Exists("k")]


def test_a_server_with_the_feature_gets_one_message():
    server = Server()
    outcomes = drive(execute_pipeline(handle("pipeline"), COMMANDS), server)
    assert server.log == [Pipeline(COMMANDS)]
    assert (outcomes[:2], outcomes[3]) == ([None, b"v"], True)
    assert isinstance(outcomes[2], KeyNotFound)


@pytest.mark.parametrize("features", [(), ("id",), ("pipelines",)])
def test_another_server_gets_one_command_after_the_other(features):
    server = Server()
    outcomes = drive(execute_pipeline(handle(*features), COMMANDS), server)
    assert server.log == COMMANDS
    assert (outcomes[:2], outcomes[3]) == ([None, b"v"], True)
    assert isinstance(outcomes[2], KeyNotFound)


def test_a_server_without_pipelines_after_all_gets_single_commands():
    server = Server(refuses="PIPELINE")
    assert drive(execute_pipeline(handle("pipeline"), COMMANDS[:2]), server) == [None, b"v"]
    assert server.log == [Pipeline(COMMANDS[:2]), *COMMANDS[:2]]


def test_after_a_lost_answer_nothing_more_is_sent_one_by_one():
    server = Server(dies=1)
    done, lost, *unsent = drive(execute_pipeline(handle(), COMMANDS), server)
    assert (done, type(lost)) == (None, RequestTimeout)
    assert [(type(error), str(error)) for error in unsent] == [
        (ConnectFailed, "not sent, after a RequestTimeout earlier in the pipeline")
    ] * 2
    assert len(server.log) == 2


def test_large_pipelines_go_in_several_messages_until_one_is_lost():
    value = "v" * (6 << 20)
    server = Server(dies=1)
    outcomes = drive(execute_pipeline(handle("pipeline"), [Put(str(i), value) for i in range(9)]), server)
    assert [len(message.commands) for message in server.log] == [2, 2]
    assert outcomes[:2] == [None] * 2
    assert [type(error) for error in outcomes[2:]] == [RequestTimeout] * 2 + [ConnectFailed] * 5


def test_batches_count_for_the_size_of_a_message():
    server = Server()
    batch = Batch([(1, b"k", b"v" * (7 << 20))])
    assert drive(execute_pipeline(handle("pipeline"), [batch] * 3), server) == [None] * 3
    assert [len(message.commands) for message in server.log] == [2, 1]


def test_what_travels_by_itself_is_sent_in_its_place():
    server = Server()
    commands: list[Command[Any]] = [Put("a", "1"), Get("a"), DeleteRange(), Sizes(["a"]), Get("a"), Exists("a")]
    outcomes = drive(execute_pipeline(handle(*FEATURES), commands), server)
    assert server.log == [Pipeline(commands[:2]), commands[2], commands[3], Pipeline(commands[4:])]
    assert (outcomes[:4], outcomes[5]) == ([None, b"1", 1, [0]], False)
    assert isinstance(outcomes[4], KeyNotFound)


def test_a_range_in_a_pipeline_is_deleted_to_its_end():
    server = Server()
    commands: list[Command[Any]] = [
        *[Put(f"{number:05}", "v") for number in range(9000)],
        DeleteRange("1"),
        DeleteRange(),
        Count(),
    ]
    outcomes = drive(execute_pipeline(handle(*FEATURES), commands), server)
    assert outcomes[-3:] == [0, 9000, 0]
    assert len([command for command in server.log if isinstance(command, DeleteRange)]) > 2


def test_a_lost_chunk_of_a_range_in_a_pipeline_tells_how_far_it_came():
    server = Server(dies=2)
    server.application(Request(Batch([(1, b"%05d" % number, b"v") for number in range(9000)]), server.uid))
    done, lost, unsent = drive(execute_pipeline(handle(*FEATURES), [Get("x"), DeleteRange(), Get("y")]), server)
    assert isinstance(done, KeyNotFound)
    assert isinstance(lost, RequestTimeout)
    assert 0 < lost.deleted < 9000
    assert (type(unsent), str(unsent)) == (ConnectFailed, "not sent, after a RequestTimeout earlier in the pipeline")


def test_a_snapshot_s_pipeline_sends_nothing_that_writes():
    with Elevator(transport="fake") as E, E.snapshot() as s:
        E.Put("a", "1")
        p = s.pipeline(raise_errors=False)
        deleted, tasks, count = p.DeleteRange(), p.compact(), p.Count()
        p.execute()
        assert count.result() == 0
        for refused in (deleted, tasks):
            with pytest.raises(UsageError, match="a snapshot is only read"):
                refused.result()
        assert E.Get("a") == "1"


def test_a_count_under_a_prefix_has_no_place_in_a_pipeline():
    with Elevator(transport="fake") as E, pytest.raises(UsageError, match="a count under a prefix"):
        E.pipeline().Range(None, 5, prefix="p")


def test_interceptors_see_the_commands_and_the_server_one_message():
    server = FakeTransport()
    verbs = []

    def counting(request, forward):
        verbs.append(request.command.verb)
        return (yield from forward(request))

    with Elevator(transport=server, interceptors=[counting, Prefix("p:")]) as E:
        with E.pipeline() as p:
            p.Put("a", "1")
            got, rows = p.Get("a"), p.Range()
        assert (got.result(), rows.result()) == ("1", [["a", "1"]])
    assert verbs == ["DBCONNECT", "PUT", "GET", "RANGE"]
    with Elevator(transport=server) as plain:
        assert plain.Range() == [["p:a", "1"]]


def test_a_pipeline_can_be_retried():
    lost: list[Any] = []

    def losing_once(request, forward):
        if request.command.verb == "PIPELINE" and not lost:
            lost.append(request)
        if request.command.verb == "GET" and len(lost) < 3:
            lost.append(request.command)
            raise RequestTimeout("lost")
        return (yield from forward(request))

    with Elevator(transport="fake", interceptors=[Retry(backoff=0.001), losing_once]) as E:
        E.Put("a", "1")
        with E.pipeline() as p:
            results = [p.Get("a"), p.Get("a"), p.Get("a")]
        assert [result.result() for result in results] == ["1"] * 3
    assert len(lost) == 3


# Awaited calls


@pytest.fixture
def messages(monkeypatch):
    """The verbs of all requests that are sent, with the number of commands in a pipeline."""
    log, register = [], ClientProtocol.register

    def noting(self, request):
        command = request.command
        log.append((command.verb, len(command.commands)) if isinstance(command, Pipeline) else command.verb)
        return register(self, request)

    monkeypatch.setattr(ClientProtocol, "register", noting)
    return log


def run(main, **options):
    async def connected():
        async with AsyncElevator(**{"transport": "fake", **options}) as E:
            return await main(E)

    return asyncio.run(connected())


def test_calls_of_one_turn_travel_together_reads_apart_from_writes(messages):
    async def main(E):
        await asyncio.gather(*[E.Put(str(i), str(i)) for i in range(10)])
        gets = [E.Get(str(i)) for i in range(10)]
        return await asyncio.gather(*gets, E.Exists("1"), E.Range("1", "2"), E.Delete("9"), E.Get("8"))

    *values, there, rows, deleted, eight = run(main)
    assert values == [str(i) for i in range(10)]
    assert (there, rows, deleted, eight) == (True, [["1", "1"], ["2", "2"]], None, "8")
    assert messages == ["DBCONNECT", ("PIPELINE", 10), ("PIPELINE", 12), "RANGE", "DELETE"]


def test_each_call_that_travels_with_others_has_its_own_error(messages):
    async def main(E):
        await E.Put("k", "v")
        return await asyncio.gather(E.Get("k"), E.Get("nope"), E.Get("k"), return_exceptions=True)

    one, missing, two = run(main)
    assert (one, type(missing), two) == ("v", KeyNotFound, "v")
    assert messages[-1] == ("PIPELINE", 3)


def test_what_travels_together_is_limited_in_number_and_bytes(messages, monkeypatch):
    monkeypatch.setattr(multiplexing, "MAX_BATCH", 3)
    monkeypatch.setattr(multiplexing, "_MAX_BATCH_BYTES", 100)

    async def main(E):
        await asyncio.gather(*[E.Exists("k") for _ in range(7)])
        await asyncio.gather(*[E.Put("k", "v" * size) for size in (90, 20, 20, 200, 1)])

    run(main)
    assert messages[1:] == [("PIPELINE", 3), ("PIPELINE", 3), "EXISTS", "PUT", ("PIPELINE", 2), "PUT", "PUT"]


def test_compressed_answers_and_other_databases_travel_by_themselves(messages):
    async def main(E):
        await E.Put("k", "v")
        return await asyncio.gather(E.Get("k", compression=True), E.Get("k"), E.Get("k"))

    assert run(main) == ["v"] * 3
    assert sorted(map(str, messages[2:])) == ["('PIPELINE', 2)", "GET"]


def test_a_call_that_is_cancelled_costs_its_companions_nothing(messages):
    async def main(E):
        await E.Put("k", "v")
        tasks = [asyncio.ensure_future(E.Get("k")) for _ in range(3)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        return await asyncio.gather(*tasks, return_exceptions=True)

    one, cancelled, three = run(main)
    assert (one, type(cancelled), three) == ("v", asyncio.CancelledError, "v")


def test_a_server_that_does_not_know_pipelines_gets_the_calls_one_by_one(messages, monkeypatch):
    def without_pipelines(answer):
        def old(self, request):
            if isinstance(request.command, Pipeline):
                return Response.failure(ErrorCode.KEY, "Command PIPELINE not handled", request.id)
            return answer(self, request)

        return old

    for way in ("__call__", "try_handle"):
        monkeypatch.setattr(Application, way, without_pipelines(getattr(Application, way)))

    async def main(E):
        return await asyncio.gather(*[E.Exists("k") for _ in range(3)]) + await asyncio.gather(
            *[E.Exists("k") for _ in range(2)]
        )

    assert run(main) == [False] * 5
    assert messages == ["DBCONNECT", ("PIPELINE", 3), *["EXISTS"] * 5]


@pytest.mark.parametrize("limit", [{"max_range_bytes": 250}, {"max_batch": 2}, {"max_batch": 1}])
def test_what_the_server_refuses_only_together_is_sent_again_alone(limit):
    transport = FakeTransport(Application.in_memory(Policy(**limit)))

    async def main(E):
        await asyncio.gather(*[E.Put(str(i), "v" * 100) for i in range(10)])
        return await asyncio.gather(
            *[E.Get(str(i)) for i in range(10)], E.Exists("1"), E.Get("no"), return_exceptions=True
        )

    *values, there, missing = run(main, transport=transport)
    assert (values, there, type(missing)) == (["v" * 100] * 10, True, KeyNotFound)


def test_what_the_server_refuses_of_a_call_alone_is_its_caller_s():
    async def main(E):
        return await asyncio.gather(*[E.Put("k", "v") for _ in range(3)], return_exceptions=True)

    outcomes = run(main, transport=FakeTransport(Application.in_memory(Policy(max_batch=0))))
    assert {str(outcome) for outcome in outcomes} == {"a batch of 1 operations is over the limit of 0; split it"}


def test_multi_key_reads_do_not_travel_with_others(messages):
    async def main(E):
        return await asyncio.gather(E.MGet(["k"]), E.Exists("k"), E.Exists("k"))

    assert run(main) == [[None], False, False]
    assert sorted(map(str, messages[1:])) == ["('PIPELINE', 2)", "MGET"]


# Awaited calls, when it is not all plain


def test_many_first_calls_at_once_connect_together(messages):
    async def main():
        E = AsyncElevator(transport="fake")
        there = await asyncio.gather(*[E.Exists(str(i)) for i in range(50)])
        await E.disconnect()
        return there

    assert asyncio.run(main()) == [False] * 50
    assert messages == ["DBCONNECT", "DBCONNECT", "EXISTS", ("PIPELINE", 49)]


def test_connects_to_different_databases_at_once_share_no_answer():
    async def main(E):
        await E.createdb("other")
        clients = [AsyncElevator(name, transport=transport_of(E)) for name in ("default", "other") * 5]
        for client in clients:
            client._session = E._session
        await asyncio.gather(*[client.connect() for client in clients])
        return {client.db_name: client.db_uid for client in clients}, [client.db_name for client in clients]

    uids, names = run(main)
    assert len(set(uids.values())) == 2
    assert names == ["default", "other"] * 5


def test_a_message_is_sent_as_soon_as_it_is_full(messages):
    """The server begins while others of the same turn are still to come."""
    seen = []

    async def main(E):
        async def look():
            seen.extend(messages[1:])

        await asyncio.gather(*[E.Exists("k") for _ in range(70)], look(), E.Exists("k"))

    run(main)
    assert seen == [("PIPELINE", 64)]
    assert messages[1:] == [("PIPELINE", 64), ("PIPELINE", 7)]


def test_calls_under_way_when_their_database_is_replaced_are_sent_again():
    """Those whose refusal comes after another call has connected anew, too."""
    transport = FakeTransport()

    async def main(E):
        with Elevator(transport=transport) as other:
            other.dropdb("db")
            other.createdb("db")
            there = await asyncio.gather(*[E.Exists("k") for _ in range(200)])
            await E.Put("k", "v")
        return there

    async def connected():
        async with AsyncElevator(transport=transport) as E:
            await E.createdb("db")
            await E.connect("db")
            return await main(E)

    assert asyncio.run(connected()) == [False] * 200


@pytest.mark.parametrize("compression", [None, 0, "yes"])
def test_compression_that_is_no_bool_is_refused_of_both(compression):
    with Elevator(transport="fake") as E, pytest.raises(TypeError, match="compression must be True or False"):
        E.Get("k", compression=compression)

    async def main(E):
        await E.Put("k", "v")
        with pytest.raises(TypeError, match="compression must be True or False"):
            await E.Get("k", compression=compression)

    run(main)


class Blank(ClassicCodec):
    """A dialect that writes a missing value like an empty one."""

    tells_missing = False


def test_an_empty_value_is_told_from_a_missing_one_by_another_request(messages):
    async def main(E):
        await E.Put("empty", "")
        return await E.Get("empty")

    assert run(main, dialect=Blank()) == ""
    assert messages[-2:] == ["GET", "EXISTS"]


@pytest.mark.parametrize(("method", "given"), [("Get", "k"), ("MGet", ["k"])])
@pytest.mark.parametrize("own", [{"timeout": 1.0}, {"compression": True}], ids=str)
def test_a_command_of_a_pipeline_has_no_options_of_its_own(own, method, given):
    with Elevator(transport="fake") as E, pytest.raises(UsageError, match="have no timeout= or compression= of their"):
        getattr(E.pipeline(), method)(given, **own)


@pytest.mark.parametrize(
    "pipeline", [Elevator(transport="fake").pipeline(), AsyncElevator(transport="fake").pipeline()]
)
def test_methods_of_pipelines_are_those_of_clients_less_their_options(pipeline):
    assert [*inspect.signature(pipeline.Get).parameters] == ["key", "default"]
    assert [*inspect.signature(pipeline.Range).parameters][-2:] == ["prefix", "reverse"]
    assert "meth:`Elevator.Put <pyelevator.Elevator.Put>`" in pipeline.Put.__doc__
    for name in ("RangeIter", "createdb", "repairdb"):
        assert not hasattr(pipeline, name)
