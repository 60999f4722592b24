"""What errors, warnings and reprs tell: arguments by the caller's names, keys, databases and counts."""

import asyncio
import copy
import gc
import pickle
import warnings
from contextlib import suppress
from typing import Any

import pytest
from click.testing import CliRunner

from pyelevator import (
    ArgumentTypeError,
    AsyncElevator,
    AsyncWriteBatch,
    DatabaseError,
    Elevator,
    KeyNotFound,
    UsageError,
    WriteBatch,
)
from pyelevator.application import Application
from pyelevator.cli.main import elevator
from pyelevator.testing.servers import serve
from pyelevator.transports import FakeTransport


@pytest.fixture
def E():
    with Elevator(transport=FakeTransport()) as E:
        yield E


def test_rows_without_any_part_are_refused_everywhere(E):
    nothing: dict[str, Any] = {"include_key": False, "include_value": False}
    calls = [lambda: E.Range(**nothing), lambda: E.Range("a", 3, **nothing), lambda: E.Slice("a", 3, **nothing)]
    calls += [lambda: E.RangeIter(**nothing), lambda: E.pipeline().Range(**nothing)]
    calls += [
        lambda: E.pipeline().Slice("a", 1, **nothing),
        lambda: AsyncElevator(transport="fake").RangeIter(**nothing),
    ]
    for call in calls:
        with pytest.raises(UsageError, match="include_key and include_value are both False"):
            call()


NAMES = {
    "start": [lambda c: c.Range(1.5)],
    "limit": [lambda c: c.Range("a", 1.5), lambda c: c.Range("a", 1 << 70)],
    "key_from": [lambda c: c.Slice(1.5, 1), lambda c: c.RangeIter(1.5), lambda c: c.pipeline().Slice(1.5, 1)],
    "offset": [lambda c: c.Slice("a", 1.5), lambda c: c.Slice("a", 1 << 70), lambda c: c.pipeline().Slice("a", "b")],
    "key_to": [lambda c: c.RangeIter("a", 1.5), lambda c: c.RangeIter("a", 1 << 70)],
    "db_name": [
        lambda c: c.createdb(1),
        lambda c: c.dropdb(1),
        lambda c: c.mount(1),
        lambda c: c.unmount(1),
        lambda c: c.forgetdb(1),
        lambda c: c.connect(1),
    ],
    "key": [lambda c: c.Get(1), lambda c: c.WriteBatch().Delete(1), lambda c: c.pipeline().Get(1)],
    "value": [lambda c: c.Put("k", 1), lambda c: c.WriteBatch().Put("k", 1)],
}


@pytest.mark.parametrize(("name", "call"), [(name, call) for name, calls in NAMES.items() for call in calls])
def test_errors_name_arguments_as_the_method_does(E, name, call):
    with pytest.raises(UsageError, match=f"^{name} must"):
        call(E)

    async def main():
        async with AsyncElevator(transport="fake") as client:
            result = call(client)
            if asyncio.iscoroutine(result):
                await result

    with pytest.raises(UsageError, match=f"^{name} must"):
        asyncio.run(main())


def test_a_constructor_names_db_name():
    with pytest.raises(ArgumentTypeError, match=r"^db_name must be str or bytes, not int"):
        Elevator(3, transport="fake", auto_connect=False)  # type: ignore[call-overload]


@pytest.mark.parametrize(("encoding", "key"), [("utf-8", "missing"), (None, b"missing")])
def test_key_not_found_knows_its_key(encoding, key):
    async def to_async():
        async with AsyncElevator(transport="fake", encoding=encoding) as client:
            await client.Get("missing")

    def in_a_pipeline():
        with Elevator(transport="fake", encoding=encoding) as client, client.pipeline() as p:
            p.Get("missing")

    def sync():
        with Elevator(transport="fake", encoding=encoding) as client:
            client.Get("missing")

    for call in (sync, lambda: asyncio.run(to_async()), in_a_pipeline):
        with pytest.raises(KeyNotFound) as caught:
            call()
        assert (caught.value.key, str(caught.value)) == (key, "Key not found")
        for same in (copy.copy(caught.value), pickle.loads(pickle.dumps(caught.value))):
            assert (same.key, same.message) == (key, "Key not found")


def test_database_errors_know_the_database(E):
    E.createdb("there")
    for call in (lambda: E.connect("nope"), lambda: E.dropdb("nope"), lambda: E.mount("nope")):
        with pytest.raises(DatabaseError) as caught:
            call()
        assert caught.value.database == "nope"
    with pytest.raises(DatabaseError) as caught:
        E.createdb("there")
    assert caught.value.database == "there"


def dropped(make):
    """The ResourceWarnings of what is made and dropped."""
    with warnings.catch_warnings(record=True) as reported:
        warnings.simplefilter("always")
        make()
        gc.collect()
    return [str(warning.message) for warning in reported if warning.category is ResourceWarning]


def test_a_batch_or_a_pipeline_that_is_dropped_with_operations_warns(E):
    def batch():
        E.WriteBatch().Put("a", "1")

    def async_batch():
        AsyncWriteBatch(transport="fake").Put("a", "1")

    def pipeline():
        p = E.pipeline()
        p.Get("a")

    one = "a batch with 1 operations was dropped; call Write(), or Clear() to discard them"
    assert dropped(batch) == dropped(async_batch) == [one]
    assert dropped(pipeline) == ["a pipeline with 1 commands was dropped; call execute(), or Clear() to discard them"]


def test_what_was_written_cleared_or_discarded_warns_of_nothing(E):
    def written():
        batch = E.WriteBatch()
        batch.Put("a", "1")
        batch.Write()

    def cleared():
        p = E.pipeline()
        p.Get("a")
        p.Clear()

    def raised():
        with suppress(KeyError), E.WriteBatch() as batch:
            batch.Put("a", "1")
            raise KeyError

    assert dropped(written) + dropped(cleared) + dropped(raised) == []


def test_reprs_tell_what_there_is_and_how_much(E):
    batch, p = E.WriteBatch(), E.pipeline()
    batch.Put("a", "1")
    batch.Delete("b")
    p.Get("a")
    assert repr(batch) == "<WriteBatch fake:// connected to 'default', 2 operations>"
    assert repr(p) == "<Pipeline: 1 commands queued>"
    batch.Clear()
    p.Clear()
    rows = E.RangeIter()
    assert repr(rows) == "<RangeIter: 0 rows at hand, pages to come>"
    assert list(rows) == []
    assert repr(rows) == "<RangeIter: 0 rows at hand, no page to come>"
    E.Put("a", "1")
    E.Put("b", "2")
    rows = E.RangeIter()
    next(rows)
    assert repr(rows) == "<RangeIter: 1 rows at hand, no page to come>"
    assert repr(FakeTransport()) == "<FakeTransport of <Application: 1 databases, 0 cursors>>"
    with serve(Application.in_memory()) as server:
        assert repr(server) == f"<Server at {server.urls[0]}: 0 connections, 0 unanswered>"


def test_reprs_of_async_things_tell_the_same():
    async def main():
        async with AsyncElevator(transport="fake") as E:
            await E.Put("a", "1")
            await E.Put("b", "2")
            rows = E.RangeIter()
            before = repr(rows)
            await anext(rows)
            return before, repr(rows), repr(E.pipeline())

    assert asyncio.run(main()) == (
        "<AsyncRangeIter: 0 rows at hand, pages to come>",
        "<AsyncRangeIter: 1 rows at hand, no page to come>",
        "<AsyncPipeline: 0 commands queued>",
    )


def test_ping_needs_no_database_and_takes_a_timeout():
    def deny(request, forward):
        if request.command.verb == "DBCONNECT":
            raise DatabaseError("there is none")
        return (yield from forward(request))

    from pyelevator.server import Server

    with Server(Application.in_memory(), ["tcp://127.0.0.1:0"], interceptors=[deny]) as server:
        result = CliRunner().invoke(elevator, ["ping", server.urls[0], "--timeout", "30"])
        assert (result.exit_code, result.output) == (0, "PONG\n")


def test_ping_and_bench_honour_the_environment(monkeypatch):
    with serve(Application.in_memory()) as server:
        monkeypatch.setenv("ELEVATOR_URL", server.urls[0])
        assert CliRunner().invoke(elevator, ["ping"]).output == "PONG\n"
        measured = CliRunner().invoke(elevator, ["bench", "--pairs", "10", "--seconds", "0", "--clients", "0"])
        assert server.urls[0] in measured.output


def test_a_batch_class_of_its_own_warns_too():
    def make():
        batch = WriteBatch(transport="fake")
        batch.Put("a", "1")

    assert dropped(make) == ["a batch with 1 operations was dropped; call Write(), or Clear() to discard them"]
