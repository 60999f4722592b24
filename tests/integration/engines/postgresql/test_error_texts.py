"""A cluster that was broken by hand: what clients are told says what is so, and shows nothing of the cluster."""

from time import monotonic

import pytest

from pyelevator import DatabaseError, DatabaseUnavailable, Elevator
from pyelevator.application import Application
from pyelevator.commands import PUT
from pyelevator.engines.base import EngineUnavailable
from pyelevator.errors import ElevatorError
from pyelevator.transports import FakeTransport
from support.applications import storage_of
from support.postgresql import PostgreSql

INCOMPLETE = "the database's tables and functions are not all there in the cluster; see docs/howto/distributed.md"
DAMAGED = "the database reports that what it has on its disk is damaged; nothing was done, and its log says more"
REFUSED = "the database refused a statement (SQLSTATE P0001); the server's log says more"
TRIGGER = """
CREATE FUNCTION {s}.fail() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'SELECT of db1.internal' USING ERRCODE = '%s'; END $$;
CREATE TRIGGER fail BEFORE INSERT OR UPDATE OR DELETE ON {s}.pairs_{n} FOR EACH ROW EXECUTE FUNCTION {s}.fail()
"""
VERBS = {
    "Get": lambda client: client.Get("k"),
    "MGet": lambda client: client.MGet(["k", "x"]),
    "Range": lambda client: client.Range(),
    "consistent iteration": lambda client: list(client.RangeIter(consistent=True)),
    "Count": lambda client: client.Count(),
    "sizes": lambda client: client.sizes([("a", "b")]),
    "Put": lambda client: client.Put("k", "v"),
    "Delete": lambda client: client.Delete("x"),
    "Increment": lambda client: client.Increment("n"),
    "DeleteRange": lambda client: client.DeleteRange("x", "y"),
    "createdb": lambda client: client.createdb("new"),
}
SINGLE_READS = ("Get", "MGet", "Count", "sizes")
READS = (*SINGLE_READS, "Range", "consistent iteration")
WRITES = ("Put", "Increment")
FAULTS = {
    "the table was renamed": (
        "ALTER TABLE {s}.pairs_{n} RENAME TO other",
        (*READS, *WRITES, "Delete"),
        INCOMPLETE,
    ),
    "the function was dropped": ("DROP FUNCTION {s}.write_{n}", (*WRITES, "Delete"), INCOMPLETE),
    "the tokens were dropped": ("DROP TABLE {s}.tokens", (*WRITES, "createdb"), INCOMPLETE),
    "the catalog was dropped": ("DROP TABLE {s}.databases", (*WRITES, "Range", "createdb"), INCOMPLETE),
    "the version was dropped": ("DROP TABLE {s}.version", ("createdb",), INCOMPLETE),
    "the version is missing": ("DELETE FROM {s}.version", ("createdb",), INCOMPLETE),
    "the schema was renamed": ("ALTER SCHEMA {s} RENAME TO {s}_other", (*READS, *WRITES, "createdb"), INCOMPLETE),
    "a trigger fails": (TRIGGER % "P0001", (*WRITES, "DeleteRange"), REFUSED),
    "an index is damaged": (TRIGGER % "XX002", (*WRITES, "DeleteRange"), DAMAGED),
}
"""What is done to the cluster, the verbs that fail then, and what they say."""


@pytest.fixture
def application(postgresql):
    application = Application.on_url(postgresql.new_url(call_timeout=10))
    yield application
    application.close()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_cluster_is_told_without_showing_it(application, postgresql, fault):
    sql, verbs, text = FAULTS[fault]
    schema = storage_of(application.catalog).client.settings.schema
    with Elevator(transport=FakeTransport(application)) as client:
        client.Put("k", "v")
        client.Put("x", "y")
        relation = postgresql.execute(f"SELECT relation FROM {schema}.databases WHERE name = 'default'")
        postgresql.execute(sql.replace("{s}", schema).replace("{n}", relation))
        reported = {}
        for verb, call in VERBS.items():
            try:
                call(client)
            except ElevatorError as error:
                reported[verb] = str(error)
        assert {verb: reported.get(verb) for verb in verbs} == dict.fromkeys(verbs, text)
        assert set(reported.values()) == {text}
        client.ping()


def test_a_cluster_that_became_read_only_has_done_nothing(postgresql):
    url = postgresql.new_url(call_timeout=2)
    Application.on_url(url).close()
    application = Application.on_url(f"{url}&options=-c%20default_transaction_read_only%3Don")
    with Elevator(transport=FakeTransport(application)) as client:
        for verb in ("Put", "createdb"):
            with pytest.raises(DatabaseUnavailable, match="nothing was done"):
                VERBS[verb](client)
        with pytest.raises(DatabaseError, match="already exists"):
            client.createdb("default")
        assert client.MGet(["k"]) == [None]
    application.close()


def test_large_calls_wait_no_longer_for_a_connection_than_small(open_storage, monkeypatch):
    monkeypatch.setattr(
        "pyelevator.engines.postgresql.cluster_client._ROWS_PER_SECOND", 50
    )  # so they may take a minute
    calls = [
        lambda engine: engine.collect([b"%d" % i for i in range(3000)]),
        lambda engine: engine.compact(),
        lambda engine: engine.write([(PUT, b"%d" % i, b"") for i in range(3000)]),
    ]
    with PostgreSql() as server:
        engine = open_storage(server.new_url(call_timeout=1)).open("db", {})
        engine.get(b"k")
        server.stop()
        for call in calls:
            started = monotonic()
            with pytest.raises(EngineUnavailable, match="nothing was done"):
                call(engine)
            assert monotonic() - started < 30  # it was all of it, and an hour for a compaction
