"""AsyncElevator as an event loop uses it: alike in name and word, many calls over few sockets, on every loop."""

import asyncio
import inspect
import logging
import random
import sys
import warnings

import pytest
import uvloop

from pyelevator import AsyncElevator, AsyncSnapshot, AsyncWriteBatch, Elevator, RequestTimeout, Snapshot, WriteBatch
from pyelevator.application import Application
from pyelevator.legacy import OLD_ATTRIBUTES
from pyelevator.testing.portals import Portal
from pyelevator.testing.servers import serve
from pyelevator.testing.sessions import ClassicConformance, SessionConformance
from pyelevator.transports import FakeTransport, IpcTransport, TcpTransport
from support.connections import async_connections_of, connection_count
from support.old_servers import OldServerOnSocket

EAGER = sys.version_info >= (3, 12)
TASKS = [pytest.param(False, id="lazy")] + [pytest.param(True, id="eager")] * EAGER
LOOPS = [pytest.param(asyncio.new_event_loop, id="asyncio"), pytest.param(uvloop.new_event_loop, id="uvloop")]


def begin_at_once(loop, coro, *, eager_start=True, **options):
    """Makes an eager task, also for uvloop, which says ``eager_start``, where asyncio's factory does not take that."""
    eager_task_factory = getattr(asyncio, "eager_task_factory")  # noqa: B009 - Python 3.12's
    return eager_task_factory(loop, coro, **options)


def run(main, new_loop=asyncio.new_event_loop, eager=False, debug=True):
    """Runs a coroutine function on a new loop, in debug mode; whatever the loop or Python warns of is an error."""

    async def with_tasks():
        if eager:
            asyncio.get_running_loop().set_task_factory(begin_at_once)
        asyncio.get_running_loop().slow_callback_duration = 60.0  # that a loaded machine is slow is no defect
        return await asyncio.ensure_future(main())

    with warnings.catch_warnings(), asyncio.Runner(debug=debug, loop_factory=new_loop) as runner:
        warnings.simplefilter("error")
        return runner.run(with_tasks())


@pytest.fixture(params=LOOPS)
def new_loop(request):
    return request.param


@pytest.fixture(params=TASKS)
def eager(request):
    return request.param


@pytest.fixture(params=["tcp", "ipc", "fake", "old"])
def transport(request, tmp_path):
    if request.param == "fake":
        yield FakeTransport()
    elif request.param == "old":
        with OldServerOnSocket("0.5") as old:
            yield TcpTransport(old.url.removeprefix("tcp://"))
        assert old.killed == []
    else:
        bind = "tcp://127.0.0.1:0" if request.param == "tcp" else f"ipc://{tmp_path}/e.sock"
        with serve(Application.in_memory(), bind) as server:
            address = server.urls[0].partition("://")[2]
            yield TcpTransport(address) if request.param == "tcp" else IpcTransport(address)


# Names, arguments, docstrings


PAIRS = [(Elevator, AsyncElevator), (WriteBatch, AsyncWriteBatch), (Snapshot, AsyncSnapshot)]


def public(kind):
    return {name for name in dir(kind) if not name.startswith("_")} - OLD_ATTRIBUTES.keys()


@pytest.mark.parametrize(("sync", "later"), PAIRS)
def test_both_have_the_same_public_names(sync, later):
    assert public(later) == public(sync)


@pytest.mark.parametrize(("sync", "later"), PAIRS)
def test_the_constructors_take_the_same_arguments(sync, later):
    assert inspect.signature(later) == inspect.signature(sync)


@pytest.mark.parametrize(
    ("sync", "later", "name"), [(sync, later, name) for sync, later in PAIRS for name in sorted(public(sync))]
)
def test_a_name_has_the_same_arguments_and_docstring(sync, later, name):
    one, other = getattr(sync, name), getattr(later, name)
    assert inspect.getdoc(other) == inspect.getdoc(one)
    assert inspect.getdoc(one)
    if callable(one):
        assert arguments(other) == arguments(one)


def arguments(method):
    """Names, kinds and defaults; what a method gives is what differs."""
    return [(p.name, p.kind, p.default) for p in inspect.signature(method).parameters.values()]


@pytest.mark.parametrize(("sync", "later"), PAIRS)
def test_what_asks_the_server_is_awaited(sync, later):
    at_once = (
        {"Put", "Delete", "Check", "Clear"}
        if sync is WriteBatch
        else {"RangeIter", "WriteBatch", "pipeline", "prefix", "snapshot", "database", "mapping"}
    )
    methods = {name for name in public(later) if inspect.isfunction(getattr(later, name))}
    assert {name for name in methods if not inspect.iscoroutinefunction(getattr(later, name))} <= at_once


# Loops


def test_a_session_on_every_loop_and_transport_without_a_warning(transport, new_loop, eager, caplog):
    async def session():
        async with AsyncElevator(transport=transport, timeout=60) as E:
            async with E.WriteBatch() as batch:
                for i in range(300):
                    batch.Put(f"{i:03}", str(i))
            values = await asyncio.gather(*[E.Get(f"{i:03}") for i in range(300)])
            rows = [pair async for pair in E.RangeIter()]
            return values, len(rows), await E.MGet(["000", "nope"])

    with caplog.at_level(logging.WARNING):
        values, rows, some = run(session, new_loop, eager)
    assert (values, rows, some) == ([str(i) for i in range(300)], 300, ["0", None])
    # the slow log tells of what a loaded machine took long for
    assert [record for record in caplog.records if record.name != "pyelevator.requests"] == []


def test_a_client_is_made_without_a_loop_and_moves_to_the_next_one(transport):
    E = AsyncElevator(transport=transport, timeout=60)

    async def write():
        await E.Put("k", "v")

    async def read():
        value = await E.Get("k")
        await E.disconnect()
        return value

    run(write)
    assert run(read) == "v"


class TestUvloop(SessionConformance, ClassicConformance):
    """The whole conformance suite on uvloop; on asyncio it is in tests/conformance."""

    @pytest.fixture
    def connect(self):
        with serve(Application.in_memory()) as server, Portal(uvloop.new_event_loop) as portal:
            transport = TcpTransport(server.urls[0].removeprefix("tcp://"))

            def connect(kind, *args, **options):
                return portal.connect(kind, *args, **{"transport": transport, "timeout": 30, **options})

            yield connect


if EAGER:

    def eager_loop():
        loop = asyncio.new_event_loop()
        loop.set_task_factory(begin_at_once)
        return loop

    class TestEager(SessionConformance, ClassicConformance):
        """The same with tasks that begin at once."""

        @pytest.fixture
        def connect(self):
            with serve(Application.in_memory()) as server, Portal(eager_loop) as portal:
                transport = TcpTransport(server.urls[0].removeprefix("tcp://"))

                def connect(kind, *args, **options):
                    return portal.connect(kind, *args, **{"transport": transport, "timeout": 30, **options})

                yield connect


# Many at once


def test_thousands_of_calls_share_one_connection(new_loop, eager):
    with serve(Application.in_memory()) as server:
        transport = TcpTransport(server.urls[0].removeprefix("tcp://"))

        async def session():
            async with AsyncElevator(transport=transport, timeout=60) as E:
                await asyncio.gather(*[E.Put(str(i), str(i)) for i in range(1500)])
                values = await asyncio.gather(*[E.Get(str(i)) for i in range(1500)])
                return values, connection_count(server)

        assert run(session, new_loop, eager, debug=False) == ([str(i) for i in range(1500)], 1)


def test_an_old_server_gets_one_call_at_a_time_on_each_of_max_connections():
    with OldServerOnSocket("0.5") as old:

        async def session():
            async with AsyncElevator(endpoint=old.url.removeprefix("tcp://"), timeout=60, max_connections=3) as E:
                await asyncio.gather(*[E.Put(str(i), str(i)) for i in range(100)])
                values = await asyncio.gather(*[E.Get(str(i)) for i in range(100)])
                return values, len(async_connections_of(E))

        assert run(session) == ([str(i) for i in range(100)], 3)


def test_cancelled_and_timed_out_calls_cost_no_other_call_an_answer(transport, new_loop, eager):
    dice = random.Random(1)

    async def one(E, i):
        return await E.Get(str(i), timeout=dice.choice([0.001, 60, 60, 60]))

    async def session():
        async with AsyncElevator(transport=transport, timeout=60) as E:
            for i in range(200):
                await E.Put(str(i), str(i))
            tasks = [asyncio.ensure_future(one(E, i)) for i in range(200)]
            for task in dice.sample(tasks, 75):
                await asyncio.sleep(0)
                task.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            assert await E.Get("7") == "7"
            return outcomes

    outcomes = run(session, new_loop, eager)
    wrong = [(i, outcome) for i, outcome in enumerate(outcomes) if outcome != str(i) and not given_up(outcome)]
    assert wrong == []
    assert sum(outcome == str(i) for i, outcome in enumerate(outcomes)) >= 25


def given_up(outcome):
    return isinstance(outcome, (asyncio.CancelledError, RequestTimeout))


def test_a_call_in_asyncio_timeout_ends_and_the_next_gets_its_own_answer():
    with OldServerOnSocket("0.5") as old:

        async def session():
            async with AsyncElevator(endpoint=old.url.removeprefix("tcp://"), timeout=60) as E:
                await E.Put("k", "v")
                old.silent = True
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.1):
                        await E.Get("other")
                old.silent = False
                return await E.Get("k")

        assert run(session) == "v"
