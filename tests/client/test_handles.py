"""Which commands are sent as they are, without a flow: that is chosen when a server introduces itself."""

import pytest

from pyelevator import Elevator
from pyelevator.client.handles import DatabaseHandle
from pyelevator.client.options import ClientOptions, ConstructorOptions, TypedOptions, UrlOptions
from pyelevator.codec import codec_for
from pyelevator.commands import COMMANDS, Batch, ConditionalBatch, Count, Get, Put, Range
from pyelevator.commands.features import FEATURES
from pyelevator.errors import DatabaseError
from pyelevator.interceptors import RequestLog
from support.connections import handle_of

READS = {"GET", "EXISTS", "MGET", "RANGE", "SLICE", "COUNT", "SIZES", "SNAPSHOT", "PIPELINE"}
WRITES = {"PUT", "DELETE", "BATCH", "CONDITIONALBATCH", "INCREMENT", "GETANDDELETE", "DELETERANGE"}


def handle(features, dialect="classic"):
    made = DatabaseHandle(codec_for(dialect))
    made.set("default", "u", features)
    return made


def verbs(handle):
    return {kind.verb for kind in handle.direct}


def test_our_server_takes_every_command_to_its_database_as_it_is():
    assert verbs(handle(FEATURES)) >= READS | WRITES
    assert {kind for kind in handle(FEATURES).direct if not kind.needs_uid} == set()


@pytest.mark.parametrize("features", [(), ("id",), ("pages", "sync")])
def test_nothing_is_sent_as_it_is_to_a_server_without_pipelines(features):
    assert handle(features).direct == frozenset()


def test_nothing_is_sent_as_it_is_in_the_flat_dialect():
    assert handle(FEATURES, "flat").direct == frozenset()


@pytest.mark.parametrize(
    ("missing", "asked"),
    [("sync", {Put, Batch, ConditionalBatch}), ("reverse", {Range}), ("cursors", {Range}), ("count", {Count})],
)
def test_a_command_that_needs_a_missing_feature_is_checked_first(missing, asked):
    features = tuple(feature for feature in FEATURES if feature != missing)
    assert asked & handle(features).direct == set()
    assert Get in handle(features).direct


def test_a_handle_that_was_cleared_sends_nothing_as_it_is():
    cleared = handle(FEATURES)
    cleared.clear()
    assert cleared.direct == frozenset()


def test_a_client_with_interceptors_sends_nothing_as_it_is():
    with Elevator(transport="fake", interceptors=[RequestLog()]) as E:
        assert handle_of(E).direct == frozenset()
        E.connect()
        assert handle_of(E).direct == frozenset()


def test_a_view_sends_without_a_flow_what_its_client_does():
    with Elevator(transport="fake") as E:
        assert handle_of(E.prefix("p")).direct == handle_of(E).direct
        assert Get in handle_of(E).direct


def test_a_view_of_a_client_with_interceptors_sends_nothing_as_it_is():
    with Elevator(transport="fake", interceptors=[RequestLog()]) as E:
        assert handle_of(E.prefix("p")).direct == frozenset()


def test_a_snapshot_sends_only_reads_as_they_are():
    with Elevator(transport="fake") as E, E.snapshot() as s:
        assert Get in handle_of(s).direct
        assert {kind for kind in handle_of(s).direct if kind.writes} == set()
        s.close()
        assert handle_of(s).direct == frozenset()


def test_a_client_that_cannot_connect_elsewhere_goes_on_where_it_was():
    with Elevator(transport="fake") as E:
        with pytest.raises(DatabaseError):
            E.connect("nope")
        assert handle_of(E).direct == handle(FEATURES).direct


def test_every_verb_that_names_no_database_is_a_flow():
    assert {verb for verb, kind in COMMANDS.items() if kind.needs_uid} >= READS | WRITES


def test_type_checkers_see_the_options_that_constructors_have():
    names = set(ClientOptions.__annotations__)
    assert set(ConstructorOptions.__annotations__) == names - {"db_name"}
    assert set(TypedOptions.__annotations__) == names - {"db_name", "encoding"}
    assert set(UrlOptions.__annotations__) == names - {"transport", "endpoint"}
