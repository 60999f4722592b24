"""Pages that are fetched ahead: that they come while the caller works, one at a time, and harm no other call."""

import asyncio
import gc
import os
import threading
import warnings
from typing import Any

import pytest

from pyelevator import (
    AsyncElevator,
    Elevator,
    RequestTimeout,
    Retry,
    TransportError,
    UsageError,
)
from pyelevator.codec import ClassicCodec
from pyelevator.commands import Get
from pyelevator.flows import Send, drive, send, sleep
from pyelevator.interceptors import hooks
from pyelevator.messages import Request, Response
from pyelevator.testing.servers import ServerProcess, serve
from pyelevator.transports import FakeTransport
from support.connections import close_connections_of, prefetching_connections_of, transport_of
from support.forking import forks_with_threads
from support.old_servers import DIALECTS, KINDS, OldServer
from support.optional import unwrap
from support.steps import each_step

KEYS = [f"{i:04}" for i in range(1000)]
WAIT = 120


class Log(FakeTransport):
    """A fake that tells what passes; answers are not to be had while ``silent`` is set."""

    def __init__(self, application=None, log=None, state=None):
        super().__init__(application)
        self.log = [] if log is None else log
        self.state = state or {"silent": False, "connections": 0, "discards": 0}

    def clone(self):
        self.state["connections"] += 1
        return type(self)(self.application, self.log, self.state)

    def send(self, frames, deadline):
        command = ClassicCodec().decode_request(frames).command
        super().send(frames, deadline)
        self.log.append(("sent", command.verb))

    def receive(self, deadline):
        if self.state["silent"]:
            raise RequestTimeout("silence")
        frames = super().receive(deadline)
        self.log.append(("received", len(frames)))
        return frames

    def reset(self):
        self.state["discards"] += 1
        super().reset()

    def count(self, what):
        return sum(1 for kind, verb in self.log if kind == "sent" and verb == what)


def fill(E):
    with E.WriteBatch() as batch:
        for key in KEYS:
            batch.Put(key, key)


@pytest.fixture
def log():
    return Log()


@pytest.fixture
def E(log):
    with Elevator(transport=log) as E:
        fill(E)
        log.log.clear()
        yield E


def test_the_next_page_is_asked_for_before_the_first_row_is_given_out(E, log):
    it = E.RangeIter(include_value=False)
    assert log.log == []
    assert next(it) == "0000"
    assert log.log == [("sent", "SLICE"), ("received", 2), ("sent", "SLICE")]


def test_there_is_one_page_ahead_and_never_two(E, log):
    it = E.RangeIter(include_value=False)
    for key in KEYS[:128]:  # the first page
        assert next(it) == key
        assert log.count("SLICE") == 2
    assert next(it) == "0128"
    assert log.count("SLICE") == 3


def test_the_last_page_asks_for_none(E, log):
    assert list(E.RangeIter(include_value=False)) == KEYS
    assert log.count("SLICE") == 3
    log.log.clear()
    assert len(list(E.RangeIter(None, 5))) == 5
    assert log.count("SLICE") == 1


def test_other_calls_within_the_loop_get_their_own_answers(E, log):
    for key in E.RangeIter(include_value=False):
        assert E.Get(key) == key
    assert log.state["discards"] == 0
    assert log.state["connections"] == 2


@pytest.mark.parametrize("max_connections", [1, 2, 3])
def test_few_connections_leave_one_for_the_calls_in_the_loop(log, max_connections):
    with Elevator(transport=log, max_connections=max_connections, pool_timeout=WAIT) as E:
        fill(E)
        log.log.clear()
        iterators = [E.RangeIter(include_value=False) for _ in range(5)]
        assert [next(it) for it in iterators] == ["0000"] * 5
        assert log.count("SLICE") == 5 + max_connections // 2
        assert E.Get("0500") == "0500"
        assert [list(it) for it in iterators] == [KEYS[1:]] * 5


@pytest.mark.parametrize("end", ["close", "drop", "exception", "disconnect"])
def test_an_iteration_that_is_left_gives_its_connection_back(log, end):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        E = Elevator(transport=log, max_connections=2)
        fill(E)
        for _ in range(5):
            it = E.RangeIter(include_value=False)
            next(it)
            if end == "close":
                it.close()
            elif end == "exception":
                with pytest.raises(KeyError), it:
                    raise KeyError
            elif end == "disconnect":
                E.disconnect()
                E.connect()
            del it
            gc.collect()
            assert len(prefetching_connections_of(E)) == 0
            for key in KEYS[:5]:
                assert E.Get(key) == key
        E.disconnect()


def test_a_page_that_came_to_nothing_is_fetched_again_when_it_is_wanted(E, log):
    it = E.RangeIter(include_value=False)
    seen = [next(it)]
    log.state["silent"] = True
    with pytest.raises(RequestTimeout):
        seen += it
    log.state["silent"] = False
    seen = [*KEYS[:128], *it]
    assert seen == KEYS


def test_a_lost_page_does_not_show_if_the_second_try_is_answered(E, log):
    it = E.RangeIter(include_value=False)
    assert next(it) == "0000"
    for connection in prefetching_connections_of(E):
        transport_of(connection).reset()  # the answer will never come
    assert [*it] == KEYS[1:]


@pytest.mark.parametrize("kind", KINDS)
def test_pages_of_old_servers_are_prefetched_and_second_answers_dropped(kind):
    with Elevator(transport=OldServer(kind), dialect=DIALECTS[kind]) as E:
        fill(E)
        for key in E.RangeIter(include_value=False):
            assert E.Get(key) == key


def test_a_retry_repeats_what_was_asked_ahead(log):
    with Elevator(transport=log, retry=Retry(attempts=3, backoff=0)) as E:
        fill(E)
        it = E.RangeIter(include_value=False)
        next(it)
        for connection in prefetching_connections_of(E):
            unwrap(transport_of(connection)).reset()
        log.log.clear()
        assert list(it) == KEYS[1:]
        assert log.count("SLICE") == 2


def test_a_client_with_interceptors_asks_when_it_wants(log):
    with Elevator(transport=log, interceptors=[hooks()]) as E:
        fill(E)
        log.log.clear()
        next(E.RangeIter())
        assert log.count("SLICE") == 1


@forks_with_threads
def test_a_page_begun_before_a_fork_is_the_parent_s(tmp_path):
    with ServerProcess(tmp_path / "data") as server, Elevator.from_url(server.urls[0]) as E:
        fill(E)
        it = E.RangeIter(include_value=False, consistent=True)
        next(it)
        child = os.fork()
        if not child:
            code = 1
            try:
                code = int(list(it)[:127] != KEYS[1:128])
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert next(it) == "0001"


@pytest.mark.parametrize("how", [{}, {"include_value": False}, {"consistent": True}])
@pytest.mark.parametrize("max_connections", [1, 16])
def test_of_threads_that_share_an_iterator_each_row_goes_to_one(max_connections, how):
    from pyelevator.application import Application

    keys = [f"{i:05}" for i in range(20_000)]
    with serve(Application.in_memory()) as server, Elevator.from_url(server.urls[0] + "?timeout=60") as filling:
        with filling.WriteBatch() as batch:
            for key in keys:
                batch.Put(key, key)
        with Elevator.from_url(f"{server.urls[0]}?max_connections={max_connections}&timeout=60") as E:
            it = iter(E.RangeIter(**how))  # which never starts over, also for a thread that begins when all is read
            shares = [list[Any]() for _ in range(4)]
            threads = [threading.Thread(target=share.extend, args=(it,)) for share in shares]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            rows = sorted(row if isinstance(row, str) else row[0] for share in shares for row in share)
            assert rows == keys
            assert list(it) == []


def test_a_signal_handler_may_go_on_with_the_iterator_that_it_interrupts():
    with Elevator(transport=FakeTransport()) as E:
        fill(E)

        def work(steps):
            it, seen, inner = E.RangeIter(include_value=False), list[str](), list[str]()
            steps.action = lambda: inner.extend(next(it) for _ in range(3))
            seen += [next(it) for _ in range(126)]
            with steps:
                seen += [next(it) for _ in range(4)]
            assert sorted(seen + inner) + list(it) == KEYS

        assert each_step(("client", "flows.py"), work, kind="line") > 50


def test_many_threads_iterate_over_few_connections(tmp_path):
    from pyelevator.application import Application

    with (
        serve(Application.in_memory()) as server,
        Elevator.from_url(server.urls[0] + "?max_connections=4&timeout=60") as E,
    ):
        fill(E)
        results = []
        work = [
            threading.Thread(target=lambda: results.append(list(E.RangeIter(include_value=False)))) for _ in range(8)
        ]
        for thread in work:
            thread.start()
        for thread in work:
            thread.join()
        assert results == [KEYS] * 8


def test_a_lost_server_costs_one_error_after_the_rows_at_hand(tmp_path):
    with ServerProcess(tmp_path / "data") as server, Elevator.from_url(server.urls[0]) as E:
        fill(E)
        it = E.RangeIter(include_value=False, timeout=WAIT)
        assert next(it) == "0000"
        server.kill()
        assert [next(it) for _ in KEYS[1:128]] == KEYS[1:128]
        seen: list[str] = []
        with pytest.raises(TransportError):
            seen += it
        server.restart()
        rest = E.RangeIter("0128", include_value=False, timeout=WAIT)
        assert list(rest) == KEYS[128:]


# Flows that are begun and ended later


def test_a_flow_that_stands_at_an_effect_goes_on_from_it():
    def two():
        first = yield from send(Request(Get("a")))
        yield from sleep(0)
        second = yield from send(Request(Get("b")))
        return first, second

    flow = two()
    effect = next(flow)
    assert effect == Send(Request(Get("a")))
    given = iter([1, None, 2])
    assert drive(flow, lambda _: next(given), effect) == (1, 2)


def test_an_error_reaches_the_flow_where_it_stands():
    def careful():
        try:
            yield from send(Request(Get("a")))
        except KeyError:
            return (yield from send(Request(Get("b"))))

    flow = careful()
    outcomes = iter([KeyError(), Response(b"b")])

    def perform(_):
        outcome = next(outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    assert drive(flow, perform, next(flow)) == Response(b"b")


# Async


def run(main):
    return asyncio.run(asyncio.wait_for(main, WAIT), debug=True)


async def filled(E):
    """Writes all of KEYS, each its own value."""
    batch = E.WriteBatch()
    for key in KEYS:
        batch.Put(key, key)
    await batch.Write()


def test_async_the_next_page_is_asked_for_while_the_caller_computes():
    seen = []

    class Reported(FakeTransport):
        def answer(self, frames):
            seen.append(ClassicCodec().decode_request(frames).command.verb)
            return super().answer(frames)

    async def main():
        async with AsyncElevator(transport=Reported()) as E:
            await filled(E)
            seen.clear()
            it = E.RangeIter(include_value=False)
            assert seen == []
            assert await anext(it) == "0000"
            await asyncio.sleep(0)
            assert seen == ["SLICE"] * 2
            assert [key async for key in it] == KEYS[1:]
            assert seen == ["SLICE"] * 3

    run(main())


def test_async_a_last_page_that_came_early_is_not_forgotten():
    async def main():
        async with AsyncElevator(transport=FakeTransport()) as E:
            async with E.WriteBatch() as batch:
                for key in KEYS[:200]:
                    batch.Put(key, key)
            seen: list[str] = []
            async for key in E.RangeIter(include_value=False):
                seen.append(key)
                await asyncio.sleep(0)
            assert seen == KEYS[:200]

    run(main())


@pytest.mark.parametrize("end", ["close", "drop", "cancel", "disconnect", "end of the loop"])
def test_async_an_iteration_that_is_left_makes_no_noise(end, caplog, recwarn):
    gc.collect()
    recwarn.clear()  # of what other tests have left
    transport = FakeTransport()

    async def main():
        E = AsyncElevator(transport=transport)
        await E.connect()
        async with E.WriteBatch() as batch:
            for key in KEYS:
                batch.Put(key, key)
        it = E.RangeIter(include_value=False, consistent=True)
        assert await anext(it) == "0000"
        if end == "close":
            await it.close()
            assert [key async for key in it] == []
            assert len(transport.application.cursors) == 0
        elif end == "drop":
            del it
            gc.collect()
        elif end == "cancel":
            task = asyncio.ensure_future(_collect(it))
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
        elif end == "disconnect":
            await E.disconnect()
            await E.connect()
        assert await E.Get("0500") == "0500"
        if end != "end of the loop":
            await E.disconnect()
        return E

    E = run(main())
    if end == "end of the loop":
        close_connections_of(E)
    gc.collect()
    assert [str(warning.message) for warning in recwarn] == []
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


async def _collect(it):
    return [key async for key in it]


def test_async_a_cancelled_step_loses_no_rows():
    async def main():
        async with AsyncElevator(transport=FakeTransport()) as E:
            async with E.WriteBatch() as batch:
                for key in KEYS:
                    batch.Put(key, key)
            it, seen, cancelled = E.RangeIter(include_value=False), [], 0
            while True:
                step = asyncio.ensure_future(anext(it, None))
                for _ in range(cancelled % 7):
                    await asyncio.sleep(0)
                if not step.done() and cancelled < 100:
                    step.cancel()
                    cancelled += 1
                try:
                    found = await step
                except asyncio.CancelledError:
                    continue
                if found is None:
                    break
                seen.append(found)
            assert seen == KEYS
            assert cancelled >= 3

    run(main())


@pytest.mark.parametrize("turns", [0, 20])
def test_async_what_another_event_loop_goes_on_with_lacks_nothing(turns):
    async def started(E):
        async with E.WriteBatch() as batch:
            for key in KEYS:
                batch.Put(key, key)
        it = E.RangeIter(include_value=False)
        seen = [await anext(it)]
        for _ in range(turns):
            await asyncio.sleep(0)
        return it, seen

    async def ended(E, it):
        rest = await _collect(it)
        await E.disconnect()
        return rest

    E = AsyncElevator(transport=FakeTransport())
    it, seen = run(started(E))
    assert seen + run(ended(E, it)) == KEYS


def test_async_two_tasks_on_one_iterator_are_still_told():
    async def main():
        async with AsyncElevator(transport=FakeTransport()) as E:
            await E.Put("k", "v")
            it = E.RangeIter()
            results = await asyncio.gather(anext(it), anext(it), return_exceptions=True)
            assert results[0] == ["k", "v"]
            assert isinstance(results[1], UsageError)

    run(main())


def test_async_a_page_is_unpacked_while_the_next_one_comes(monkeypatch):
    order = []
    opened = ClassicCodec._decode_page
    monkeypatch.setattr(
        ClassicCodec, "_decode_page", lambda *args, **how: order.append("unpacked") or opened(*args, **how)
    )

    class Reported(FakeTransport):
        def to_async(self):
            connection = super().to_async()
            send = connection.send
            connection.send = lambda frames: order.append("asked") or send(frames)  # type: ignore[method-assign]
            return connection

    async def main():
        async with AsyncElevator(transport=Reported()) as E:
            await filled(E)
            order.clear()
            assert [pair async for pair in E.RangeIter()] == [[key, key] for key in KEYS]

    run(main())
    assert order[:4] == ["asked", "asked", "unpacked", "asked"]


@pytest.mark.parametrize("how", [{}, {"include_value": False}, {"include_key": False}, {"consistent": True}])
def test_async_a_step_cancelled_at_any_turn_of_the_loop_skips_nothing(how):
    rows = [key if len(how) and "consistent" not in how else [key, key] for key in KEYS]

    async def main():
        async with AsyncElevator(transport=FakeTransport()) as E:
            await filled(E)
            for turns in range(16):
                it, seen = E.RangeIter(**how), list[Any]()
                while len(seen) < 642:  # over the ends of two pages
                    if len(seen) not in (128, 640):
                        seen.append(await anext(it))
                        continue
                    step = asyncio.ensure_future(anext(it))
                    for _ in range(turns):
                        await asyncio.sleep(0)
                    step.done() or step.cancel()
                    await asyncio.wait([step])
                    if step.cancelled():
                        seen.append(await anext(it))
                    else:
                        seen.append(step.result())
                assert seen + [row async for row in it] == rows

    run(main())


def test_async_a_cancelled_step_keeps_its_rows():
    async def main():
        async with AsyncElevator(transport=FakeTransport()) as E:
            await filled(E)
            for turns in range(12):
                it = E.RangeIter()
                step = asyncio.ensure_future(anext(it))
                for _ in range(turns):
                    await asyncio.sleep(0)
                step.cancel()
                await asyncio.wait([step])
                rows = [] if step.cancelled() else [step.result()]
                assert rows + [pair async for pair in it] == [[key, key] for key in KEYS]

    run(main())
