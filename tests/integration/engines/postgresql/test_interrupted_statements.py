"""Statements that were interrupted: each one of every verb, in each way; what clients are told is what is so."""

from contextlib import suppress
from itertools import count

import pytest

from pyelevator import CursorExpired, DatabaseUnavailable, Elevator, OutcomeUnknown, WriteConflict
from pyelevator.application import Application
from pyelevator.application.catalog import CatalogError
from pyelevator.transports import FakeTransport
from support.error_relay import ErrorRelay

pytest.importorskip("psycopg")

from pyelevator.engines.postgresql.connections.libpq import Connection

ROWS = [(f"r{i:03}", str(i)) for i in range(200)]
KEYS = ["k", *[f"m{i}" for i in range(3000)], "k"]
NAMED = (DatabaseUnavailable, OutcomeUnknown, WriteConflict, CursorExpired)
_CANCELLED = b"SET statement_timeout = 1; SELECT pg_sleep(60)"


def read_snapshot(client):
    with client.snapshot() as snapshot:
        return snapshot.MGet(["k", "x"]), [tuple(row) for row in snapshot.Range(prefix="r")]


def remount(client):
    client.unmount("other")
    client.mount("other")


READS = {
    "Get": (lambda client: client.Get("k"), "v"),
    "Exists": (lambda client: client.Exists("k"), True),
    "MGet": (lambda client: client.MGet(["x", "k"]), [None, "v"]),
    "MGet of many": (lambda client: client.MGet(KEYS), ["v", *[None] * 3000, "v"]),
    "Range": (lambda client: [tuple(row) for row in client.Range(prefix="r")], ROWS),
    "Slice": (lambda client: [tuple(row) for row in client.Slice("r", 3)], ROWS[:3]),
    "RangeIter": (lambda client: list(map(tuple, client.RangeIter(prefix="r"))), ROWS),
    "RangeIter consistent": (lambda client: list(map(tuple, client.RangeIter(prefix="r", consistent=True))), ROWS),
    "snapshot": (read_snapshot, (["v", None], ROWS)),
    "Count": (lambda client: client.Count(prefix="r"), 200),
    "sizes": (lambda client: client.sizes([("r000", "r002")]), [10]),
    "stats": (lambda client: client.stats().databases[0].name, "default"),
    "compact": (lambda client: client.compact(), None),
    "mount": (remount, None),
}
"""Verb -> a call that changes nothing, and what it returns."""


def write_batch(client, key):
    with client.WriteBatch() as batch:
        batch.Put(key, "1")
        batch.Delete("x")


def is_set(client, key):
    return client.MGet([key]) == ["1"]


def is_gone(client, key):
    return client.MGet([key]) == [None]


def nothing(client, key):
    pass


def put_zero(client, key):
    client.Put(key, "0")


WRITES = {
    "Put": (nothing, lambda client, key: client.Put(key, "1"), None, is_set),
    "Delete": (put_zero, lambda client, key: client.Delete(key), None, is_gone),
    "WriteBatch": (nothing, write_batch, None, is_set),
    "Increment": (nothing, lambda client, key: client.Increment(key), 1, is_set),
    "PutIfAbsent": (nothing, lambda client, key: client.PutIfAbsent(key, "1"), True, is_set),
    "CompareAndSet": (put_zero, lambda client, key: client.CompareAndSet(key, "0", "1"), True, is_set),
    "GetAndDelete": (put_zero, lambda client, key: client.GetAndDelete(key), "0", is_gone),
    "DeleteRange": (put_zero, lambda client, key: client.DeleteRange(prefix=key), 1, is_gone),
    "createdb": (nothing, lambda client, key: client.createdb(key), None, lambda client, key: key in client.listdb()),
    "dropdb": (
        lambda client, key: client.createdb(key),
        lambda client, key: client.dropdb(key),
        None,
        lambda client, key: key not in client.listdb(),
    ),
}
"""Verb -> what is done before, a call, what it returns, and whether it was executed."""


class Interruption:
    """Interrupts one statement.

    Args:
        interrupt: what happens instead of a call on a connection.
    """

    def __init__(self, monkeypatch, interrupt):
        self._left = 0
        run = Connection._run

        def run_or_interrupt(connection, call, until):
            self._left -= 1
            if self._left == 0:
                return run(connection, lambda: interrupt(connection, call), until)
            return run(connection, call, until)

        monkeypatch.setattr(Connection, "_run", run_or_interrupt)

    def insert_after(self, statements):
        self._left = statements

    def stop_inserting(self):
        left, self._left = self._left, 0
        return left <= 0


def cancel(connection, _):
    return connection._pg.exec_(_CANCELLED)


def end_before(connection, call):
    connection.cut()
    return call()


def end_after(connection, call):
    call()
    connection.cut()
    raise ConnectionError


INTERRUPTIONS = {"cancelled": cancel, "ended before": end_before, "ended behind": end_after}
"""What happens to a statement instead of its execution."""


@pytest.fixture(params=[*INTERRUPTIONS, "an error too many"])
def interrupted(request, postgresql, monkeypatch):
    """A way of interrupting statements, and the URL of a cluster that it concerns, whose database has something."""
    with ErrorRelay(postgresql.port) as relay:
        url = postgresql.new_url(call_timeout=5, sslmode="disable", gssencmode="disable")
        yield (
            Interruption(monkeypatch, INTERRUPTIONS[request.param]) if request.param in INTERRUPTIONS else relay,
            url.replace(f":{postgresql.port}/", f":{relay.port}/"),
        )


@pytest.fixture
def served(interrupted):
    """An interruption, and a client of a server that it concerns."""
    interruption, url = interrupted
    application = Application.on_url(url)
    with Elevator(transport=FakeTransport(application)) as client:
        client.createdb("other")
        with client.WriteBatch() as batch:
            for key, value in [("k", "v"), *ROWS]:
                batch.Put(key, value)
        yield interruption, client
    application.close()


def interrupt_each(interruption, call, prepare=lambda number: None):
    """Call again and again, with a further statement interrupted each time, until there is none; yield each outcome."""
    for number in count(1):
        prepare(number)
        interruption.insert_after(number)
        try:
            outcome = call(number)
        except NAMED as error:
            outcome = error
        if not interruption.stop_inserting():
            assert number > 1
            return
        yield number, outcome


def test_each_read_gives_its_own_answer_or_none(served):
    interruption, client = served
    for verb, (call, expected) in READS.items():
        for number, outcome in interrupt_each(interruption, lambda _, call=call: call(client)):
            assert outcome == expected or isinstance(outcome, NAMED), (verb, number)
            assert (client.MGet(["k", "x"]), client.Get("r007")) == (["v", None], "7"), (verb, number)
            with suppress(*NAMED):  # the error that came too early is that of this, whose connections are others
                assert read_snapshot(client) == (["v", None], ROWS), (verb, number)


@pytest.mark.parametrize("verb", WRITES)
def test_each_write_is_done_once_or_what_is_so_is_said(served, verb):
    interruption, client = served
    prepare, call, expected, was_executed = WRITES[verb]
    for number, outcome in interrupt_each(
        interruption,
        lambda number: call(client, f"{verb}{number}"),
        lambda number: prepare(client, f"{verb}{number}"),
    ):
        assert outcome == expected or isinstance(outcome, NAMED), number
        if not isinstance(outcome, OutcomeUnknown):
            assert was_executed(client, f"{verb}{number}") is (outcome == expected), (number, outcome)
        assert client.Get("k") == "v", number


def test_a_server_that_could_not_start_starts_at_the_next_try(interrupted):
    interruption, url = interrupted

    def start(_):
        try:
            Application.on_url(url).close()
        except CatalogError as error:
            return str(error)

    for number, outcome in interrupt_each(interruption, start):
        assert outcome is None or "nothing was done" in outcome, number
    application = Application.on_url(url)
    with Elevator(transport=FakeTransport(application)) as client:
        client.Put("k", "v")
        assert (client.Get("k"), client.listdb()) == ("v", ["default"])
    application.close()
