"""Iterations of one moment through everything that may stand in between, and when that fails."""

import asyncio
import gc
import io
import threading
from typing import Any

import pytest

from pyelevator import AsyncElevator, CursorExpired, Elevator, Retry, TransportError, UsageError
from pyelevator.application import Application, Policy
from pyelevator.client.interceptors.mirror import Mirror
from pyelevator.flows import compose
from pyelevator.interceptors import Cache, Fault, Faults, Prefix, Recorder, Replayer, RequestLog, hooks, read_only
from pyelevator.proxy import Proxy, Upstream
from pyelevator.testing.servers import ANY_PORT, ServerProcess, serve
from pyelevator.transports import FakeTransport
from support.applications import cursors_of
from support.eventually import FOREVER, eventually
from support.old_servers import OldServerOnSocket

KEYS = [f"{i:04}" for i in range(1000)]
WAIT = 30


def fill(E, value="old"):
    with E.WriteBatch() as batch:
        for key in KEYS:
            batch.Put(key, value)


def one_moment(E, other=None, *, reverse=False):
    """Iterates while everything is overwritten and deleted, and checks what comes."""
    other = other or E
    fill(other)
    it = E.RangeIter(consistent=True, reverse=reverse)
    first = next(it)
    with other.WriteBatch() as batch:
        for key in KEYS:
            batch.Put(key, "new") if key < "0600" else batch.Delete(key)
    assert [first, *it] == [[key, "old"] for key in sorted(KEYS, reverse=reverse)]


def count(application):
    return len(application.cursors)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(
    "interceptors",
    [
        [Prefix("a:")],
        [Prefix("b:"), Prefix(b"\xff\xff")],
        [Cache()],
        [RequestLog()],
        [Retry()],
        [hooks(on_request=lambda request: request)],
    ],
    ids=lambda given: "+".join(type(one).__name__ for one in given),
)
def test_interceptors_let_it_pass(interceptors, reverse):
    server = FakeTransport()
    with Elevator(transport=server) as plain:
        for key in ("", "a", "b", "b;", "z", "\udcff\udcff\udcff"):
            plain.Put(key, "other")
        with Elevator(transport=server, interceptors=interceptors) as E:
            for key in E.Range(include_value=False):
                E.Delete(key)
            one_moment(E, reverse=reverse)
            assert list(E.RangeIter("0100", "0500", reverse=reverse, consistent=True)) == E.Range(
                "0100", "0500", reverse=reverse
            )
    assert count(server.application) == 0


@pytest.mark.parametrize("reverse", [False, True])
def test_a_server_with_interceptors_keeps_its_cursors(reverse):
    from pyelevator.server import Server

    application = Application.in_memory()
    with (
        Server(application, [ANY_PORT], interceptors=[Prefix("a:"), Cache()]) as server,
        Elevator.from_url(server.urls[0]) as E,
    ):
        one_moment(E, reverse=reverse)
        assert count(application) == 0


def test_reading_suffices():
    server = FakeTransport()
    with Elevator(transport=server) as writer, Elevator(transport=server, interceptors=[read_only]) as reader:
        one_moment(reader, writer)
    assert count(server.application) == 0


def test_lost_answers_are_asked_for_again_and_nothing_is_skipped():
    server = FakeTransport()
    losing = Faults([Fault("drop_response", ("SLICE",), probability=0.4)], seed=1)
    with Elevator(transport=server, interceptors=[Retry(attempts=20, backoff=0), losing]) as E:
        one_moment(E)


def test_a_recorded_iteration_can_be_replayed():
    journal = io.StringIO()
    with Elevator(transport="fake", interceptors=[Recorder(journal)]) as E:
        one_moment(E)
    journal.seek(0)
    with Elevator(transport="fake", interceptors=[Replayer(journal)]) as E:
        one_moment(E)


# Which client evicts which


def leaving(application):
    """How many cursors are of connections that are there no more."""
    return sum(cursor.is_disconnected for cursor in cursors_of(application))


@pytest.mark.parametrize("bind", [ANY_PORT, "ipc"])
def test_a_client_that_has_all_cursors_shuts_no_other_client_out(bind, tmp_path):
    application = Application.in_memory(Policy(max_cursors=8))
    with serve(application, bind if bind == ANY_PORT else f"ipc://{tmp_path}/socket") as server:
        with Elevator.from_url(server.urls[0]) as hoarder, Elevator.from_url(server.urls[0]) as E:
            fill(E)
            kept = []
            for _ in range(8):
                kept.append(hoarder.RangeIter(consistent=True))
                next(kept[-1])
            for _ in range(3):
                assert len(list(E.RangeIter(consistent=True))) == 1000
            for iteration in kept[3:]:
                iteration.close()


def test_a_connection_that_ends_gives_its_own_back():
    application = Application.in_memory(Policy(max_cursors=2))
    with serve(application) as server, Elevator.from_url(server.urls[0]) as E:
        fill(E)
        leaver = Elevator.from_url(server.urls[0])
        kept = [leaver.RangeIter(consistent=True) for _ in range(2)]
        for iteration in kept:
            next(iteration)
        del kept, iteration
        leaver.disconnect()
        eventually(lambda: leaving(application) == 2)
        mine = [E.RangeIter(consistent=True) for _ in range(2)]
        for iteration in mine:
            next(iteration)
        assert [len(list(iteration)) for iteration in mine] == [999, 999]


def test_a_fake_is_as_many_peers_as_it_has_clients():
    server = FakeTransport(Application.in_memory(Policy(max_cursors=4)))
    with Elevator(transport=server) as hoarder, Elevator(transport=server) as E:
        fill(E)
        kept = [hoarder.RangeIter(consistent=True) for _ in range(4)]
        for iteration in kept:
            next(iteration)
        assert len(list(E.RangeIter(consistent=True))) == 1000


@pytest.mark.parametrize("leaves", [1, 3])
@pytest.mark.parametrize("request_", [lambda E: E.Get("0000"), lambda E: E.listdb(), lambda E: E.MGet(["0000"])])
def test_the_next_request_gives_back_a_dropped_iterators_snapshot(request_, leaves):
    application = Application.in_memory()
    with serve(application) as server, Elevator.from_url(server.urls[0]) as E:
        fill(E)
        dropped = [E.RangeIter(consistent=True) for _ in range(leaves)]
        for iteration in dropped:
            next(iteration)
        assert count(application) == leaves
        del dropped, iteration
        gc.collect()
        assert count(application) == leaves
        request_(E)
        assert count(application) == 0


def test_iterators_that_are_broken_off_never_fill_the_server():
    application = Application.in_memory(Policy(max_cursors=4))
    with serve(application) as server, Elevator.from_url(server.urls[0]) as E:
        fill(E)
        for _ in range(64):
            for _ in E.RangeIter(consistent=True):
                break
        assert count(application) <= 2


def test_async_iterators_that_are_broken_off_never_fill_the_server():
    application = Application.in_memory(Policy(max_cursors=4))

    async def session(url):
        async with AsyncElevator.from_url(url) as E:
            async with E.WriteBatch() as batch:
                for key in KEYS:
                    batch.Put(key, "old")
            for _ in range(64):
                async for _ in E.RangeIter(consistent=True):
                    break
            gc.collect()
            await E.Get("0000")
            assert count(application) <= 1
            await E.Get("0000")

    with serve(application) as server:
        asyncio.run(session(server.urls[0]))


def test_giving_back_takes_no_more_time_than_the_request_may(tmp_path):
    with ServerProcess() as server, Elevator.from_url(server.urls[0], timeout=FOREVER) as E:
        fill(E)
        iteration = E.RangeIter(consistent=True)
        next(iteration)
        server.kill()
        del iteration
        with pytest.raises(TransportError):
            E.Get("0000", timeout=0.5)


def test_a_mirror_repeats_the_reads_without_the_cursor():
    main, second = FakeTransport(), FakeTransport()
    with Mirror(second, reads=1.0) as mirror, Elevator(transport=main, interceptors=[mirror]) as E:
        one_moment(E)
        mirror.flush()
        assert mirror.failed == 0
        assert mirror.copied > 5
    assert count(second.application) == 0


@pytest.mark.parametrize("reverse", [False, True])
def test_a_cursor_lives_at_its_server_behind_a_proxy(reverse):
    near, far = Application.in_memory(), Application.in_memory()
    with serve(near) as one, serve(far) as two:
        with Elevator.from_url(two.urls[0]) as E:
            E.createdb("far")
        upstreams = [Upstream(two.urls[0], ("far",), name="two"), Upstream(one.urls[0], name="one")]
        with Proxy([ANY_PORT], upstreams) as proxy, Elevator.from_url(proxy.urls[0] + "/far") as E:
            one_moment(E, reverse=reverse)
            held = E.RangeIter(consistent=True)
            next(held)
            assert (count(near), count(far)) == (0, 1)
            held.close()
            assert (count(near), count(far)) == (0, 0)


@pytest.mark.parametrize("interceptors", [[], [RequestLog()]], ids=["the short way", "looked into"])
def test_a_proxy_passes_cursors_on(interceptors):
    application = Application.in_memory()
    with (
        serve(application) as server,
        Proxy([ANY_PORT], [Upstream(server.urls[0])], interceptors=interceptors) as proxy,
        Elevator.from_url(proxy.urls[0]) as E,
    ):
        one_moment(E)
        one_moment(E, reverse=True)
        assert count(application) == 0


def test_an_old_server_behind_a_proxy_is_said_to_keep_none():
    with (
        OldServerOnSocket("0.5") as old,
        Proxy([ANY_PORT], [Upstream(old.url)]) as proxy,
        Elevator.from_url(proxy.urls[0]) as E,
    ):
        requests = old.requests
        with pytest.raises(UsageError, match="nothing was sent"):
            list(E.RangeIter(consistent=True))
        assert old.requests == requests


def test_a_page_without_a_cursor_is_not_taken_for_one_of_the_same_moment():
    from attrs import evolve

    forgetting = hooks(on_response=lambda _, response: evolve(response, cursor=None))
    with Elevator(transport="fake", interceptors=[forgetting]) as E:
        fill(E)
        with pytest.raises(Exception, match="names no cursor"):
            list(E.RangeIter(consistent=True))


@pytest.mark.parametrize("ends", ["at the end", "closed", "left by an exception"])
def test_ending_an_iteration_in_any_way_releases_its_cursor(ends):
    server = FakeTransport()
    with Elevator(transport=server) as E:
        fill(E)
        it = E.RangeIter(consistent=True)
        next(it)
        assert count(server.application) == 1
        if ends == "at the end":
            assert len(list(it)) == 999
        elif ends == "closed":
            it.close()
        else:
            with pytest.raises(KeyError), it:
                raise KeyError
        assert count(server.application) == 0


def test_a_short_range_costs_one_request_and_no_cursor():
    seen = []
    watching = hooks(on_request=lambda request: seen.append(request.command.verb))
    with Elevator(transport="fake", interceptors=[watching]) as E:
        E.Put("k", "v")
        assert list(E.RangeIter(consistent=True)) == [["k", "v"]]
    assert seen == ["DBCONNECT", "PUT", "SLICE"]


def test_a_server_that_cannot_be_told_of_the_end_does_not_spoil_it():
    server = FakeTransport()
    silent = Faults([Fault("drop_request", ("SLICE",), probability=1.0)])
    way: list[Any] = []

    def sometimes(request, forward):
        return compose(way, forward)(request)

    with Elevator(transport=server, interceptors=[sometimes]) as E:
        fill(E)
        it = E.RangeIter(consistent=True)
        next(it)
        way.append(silent)
        it.close()
        assert list(it) == []


@pytest.mark.parametrize("restart", [True, False])
def test_a_server_that_is_killed_meanwhile_is_a_clear_error(tmp_path, restart):
    with ServerProcess(tmp_path / "data") as server, Elevator.from_url(server.urls[0]) as E:
        fill(E)
        it = E.RangeIter(consistent=True, timeout=WAIT if restart else 0.3)
        seen = [next(it)]
        server.restart() if restart else server.kill()
        with pytest.raises(CursorExpired if restart else TransportError):
            seen += it
        for _ in range(2):
            with pytest.raises(CursorExpired if restart else TransportError):
                next(it)
        if restart:
            assert list(E.RangeIter(consistent=True)) == [[key, "old"] for key in KEYS]


def test_a_real_server_closes_idle_cursors(tmp_path):
    application = Application.on_leveldb(str(tmp_path), policy=Policy(cursor_idle=0.2))
    with serve(application) as server, Elevator.from_url(server.urls[0]) as E:
        fill(E)
        next(it := E.RangeIter(consistent=True))
        eventually(lambda: count(application) == 0)
        with pytest.raises(CursorExpired, match=r"was not used for 0\.2 s"):
            list(it)


def test_an_unmount_and_a_drop_do_not_wait_for_a_cursor(tmp_path):
    with serve(Application.on_leveldb(str(tmp_path))) as server, Elevator.from_url(server.urls[0]) as E:
        E.createdb("other")
        for name, end in (("default", E.unmount), ("other", E.dropdb)):
            E.connect(name)
            fill(E)
            it = E.RangeIter(consistent=True)
            next(it)
            end(name, timeout=WAIT)
            if name == "default":
                with pytest.raises(CursorExpired):
                    list(it)


def test_writers_do_not_disturb_an_iteration_from_another_thread(tmp_path):
    application = Application.on_leveldb(str(tmp_path))
    with serve(application) as server, Elevator.from_url(server.urls[0]) as E:
        fill(E, "0")
        stop, rounds = threading.Event(), list[Any]()

        def write():
            with Elevator.from_url(server.urls[0]) as W:
                while not stop.is_set():
                    fill(W, str(len(rounds)))
                    rounds.append(1)

        writer = threading.Thread(target=write)
        writer.start()
        try:
            for round_ in range(20):
                rows = list(E.RangeIter(consistent=True, reverse=bool(round_ % 2)))
                assert len(rows) == 1000
                assert len({value for _, value in rows}) == 1, "batches are whole, so one moment has one value"
            eventually(lambda: len(rounds) > 2)
        finally:
            stop.set()
            writer.join()
        assert count(application) == 0
