"""Writes whose answers were lost: what became of each is found out, and said."""

from concurrent.futures import ThreadPoolExecutor
from time import monotonic

import pytest

from pyelevator.commands import PUT
from pyelevator.engines.base import EngineOutcomeUnknown, EngineUnavailable
from support.applications import table_of
from support.cutting import CuttingRelay
from support.eventually import eventually

pytest.importorskip("psycopg")

from cluster import cuts
from pyelevator.engines.postgresql.connections.libpq import rows_of
from pyelevator.engines.postgresql.tables.changes import Changes


@pytest.fixture
def relay(postgresql):
    with CuttingRelay(postgresql.port) as relay:
        yield relay


@pytest.fixture
def through_relay(relay, postgresql, open_storage):
    """Return a function that opens a database through the relay."""

    def open_database(**parameters):
        url = postgresql.new_url(**parameters).replace(f":{postgresql.port}/", f":{relay.port}/")
        return open_storage(url).open("db", {})

    return open_database


def test_histories_beside_cut_connections_are_linearizable():
    found = cuts.run(60, seed=7)
    assert found.violations == []


def test_a_write_that_was_committed_without_an_answer_is_a_success(relay, through_relay, monkeypatch):
    """The answer of the commit is cut off; the second writer's value is not undone by a repetition."""
    engine = through_relay()
    engine.write([(PUT, b"k", b"0")])
    executed = table_of(engine).write

    def write_and_lose(connection, *args, **options):
        monkeypatch.undo()
        executed(connection, *args, **options)
        connection.cut()
        from pyelevator.engines.postgresql.connections.errors import LostConnection

        raise LostConnection("the answer was lost")

    monkeypatch.setattr(table_of(engine), "write", write_and_lose)
    engine.write([(PUT, b"k", b"1")])
    assert engine.get(b"k") == b"1"
    tokens = engine._client.read(
        "test",
        lambda c, until: rows_of(
            c.query(
                f"SELECT count(*) FROM {engine._client.settings.schema}.tokens WHERE NOT refused".encode(), (), until
            )
        ),
    )
    assert tokens == [(3,)]  # of the creation, and of two writes


def test_a_write_that_never_arrived_is_written_once(through_relay, monkeypatch):
    engine = through_relay()
    executed = table_of(engine).write

    def lose(connection, *args, **options):
        monkeypatch.setattr(table_of(engine), "write", executed)
        connection.cut()
        return executed(connection, *args, **options)

    monkeypatch.setattr(table_of(engine), "write", lose)
    engine.write([(PUT, b"k", b"1")])
    assert engine.get(b"k") == b"1"


def test_what_cannot_be_found_out_in_time_is_unknown(relay, through_relay, monkeypatch):
    engine = through_relay(call_timeout=1)
    engine.write([(PUT, b"k", b"0")])
    executed = table_of(engine).write

    def write_and_lose(connection, *args, **options):
        executed(connection, *args, **options)
        relay.probability = 1.0
        connection.cut()
        from pyelevator.engines.postgresql.connections.errors import LostConnection

        raise LostConnection("the answer was lost")

    monkeypatch.setattr(table_of(engine), "write", write_and_lose)
    with pytest.raises(EngineOutcomeUnknown) as caught:
        engine.write([(PUT, b"k", b"1")])
    assert caught.value.client_message.startswith("may have been executed: ")
    monkeypatch.undo()
    relay.probability = 0.0
    assert engine.get(b"k") == b"1"


def test_without_a_server_nothing_was_done_and_the_error_says_so(relay, through_relay):
    engine = through_relay(call_timeout=1)
    engine.write([(PUT, b"k", b"0")])
    relay.probability = 1.0
    for call in (lambda: engine.write([(PUT, b"k", b"1")]), lambda: engine.get(b"k")):
        with pytest.raises((EngineUnavailable, EngineOutcomeUnknown)):
            call()
    relay.probability = 0.0
    assert engine.get(b"k") in (b"0", b"1")


def test_after_a_restart_each_pooled_connection_fails_once_and_no_call(postgresql, open_storage):
    storage = open_storage(postgresql.new_url())
    engine = storage.open("db", {})
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda i: engine.write([(PUT, b"%d" % i, b"v")]), range(60)))
        postgresql.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'elevator'")
        list(pool.map(lambda i: engine.write([(PUT, b"%d" % i, b"w")]), range(60)))
    assert engine.multi_get([b"%d" % i for i in range(60)]) == [b"w"] * 60


@pytest.fixture
def lose_answer(monkeypatch):
    """Return a function that has the connection of the next statement with a word in it end, before or after it."""
    from pyelevator.engines.postgresql.connections.errors import LostConnection
    from pyelevator.engines.postgresql.connections.libpq import Connection

    def lose(word, meanwhile, *, is_executed):
        execute = Connection.query

        def query(connection, sql, parameters, until):
            if word not in sql:
                return execute(connection, sql, parameters, until)
            monkeypatch.undo()
            if is_executed:
                execute(connection, sql, parameters, until)
            meanwhile()
            connection.cut()
            raise LostConnection("the answer was lost")

        monkeypatch.setattr(Connection, "query", query)

    return lose


def test_a_drop_that_another_server_made_is_no_success(url, open_storage, lose_answer):
    one, other = open_storage(url).databases, open_storage(url).databases
    one.create("db", "name", "uid", {})
    dropped = []
    lose_answer(b"drop_database", lambda: dropped.append(other.drop("db")), is_executed=False)
    assert (one.drop("db"), dropped) == (False, [True])


def test_a_drop_without_an_answer_is_a_success(url, open_storage, lose_answer):
    one, other = open_storage(url).databases, open_storage(url).databases
    one.create("db", "name", "uid", {})
    dropped = []
    lose_answer(b"drop_database", lambda: dropped.append(other.drop("db")), is_executed=True)
    assert (one.drop("db"), dropped) == (True, [False])


def test_emptying_without_an_answer_is_not_repeated(url, open_storage, lose_answer):
    one, other = open_storage(url), open_storage(url)
    engine = other.open("db", {})
    engine.write([(PUT, b"old", b"v")])
    lose_answer(b"empty_database", lambda: engine.write([(PUT, b"new", b"v")]), is_executed=True)
    one.databases.empty("db")
    assert engine.multi_get([b"old", b"new"]) == [None, b"v"]


def test_a_creation_without_an_answer_is_a_success(url, open_storage, lose_answer):
    one, other = open_storage(url).databases, open_storage(url).databases
    found = []
    lose_answer(b"create_database", lambda: found.append(other.find("db")), is_executed=True)
    one.create("db", "name", "uid", {})
    assert found[0].gone == "Database uid doesn't exist"
    assert one.find("db").relation == found[0].relation


def test_a_write_that_arrives_after_its_outcome_was_asked_is_refused(url, open_storage, monkeypatch):
    """What was sent is still on its way when the connection ends: it would undo a later value."""
    from pyelevator.engines.postgresql.connections.errors import AlreadyExists, LostConnection
    from pyelevator.engines.postgresql.connections.libpq import Connection

    storage = open_storage(url)
    engine, other = storage.open("db", {}), open_storage(url).open("db", {})
    execute, delayed = Connection.query, []

    def hold_back(connection, sql, parameters, until):
        if b"write_" not in sql:
            return execute(connection, sql, parameters, until)
        monkeypatch.undo()
        delayed.append((sql, parameters))
        connection.cut()
        raise LostConnection("the answer was lost")

    monkeypatch.setattr(Connection, "query", hold_back)
    engine.write([(PUT, b"k", b"1")])
    other.write([(PUT, b"k", b"2")])
    with storage.client.pool.connection("test", storage.client.deadline()) as connection, pytest.raises(AlreadyExists):
        connection.query(*delayed[0], storage.client.deadline())
    assert engine.get(b"k") == b"2"


def test_who_asks_for_a_write_that_is_being_executed_waits_for_it(postgresql, url, open_storage):
    storage = open_storage(url)
    engine = storage.open("db", {})
    table, token, until = table_of(engine), bytes(16), monotonic() + 60
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'elevator'"
    with storage.client.pool.connection("test", until) as connection, ThreadPoolExecutor(1) as pool:
        connection.script(b"BEGIN", until)
        table.write(connection, Changes.fold([(PUT, b"k", b"1")]), token, until)
        asking = pool.submit(engine._writer._was_committed, "test", token, until)
        eventually(lambda: asking.done() or postgresql.execute(waiting) == "1", "the question waits for a lock")
        connection.script(b"COMMIT", until)
        assert asking.result(60) is True
    assert engine.get(b"k") == b"1"
