"""Views of the keys with a prefix: every command stays inside, whatever it is, and what is about databases is unchanged."""

import threading

import attrs
import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st

from pyelevator import AsyncElevator, CursorExpired, Elevator, KeyNotFound, UsageError
from pyelevator.application import Application
from pyelevator.commands import COMMANDS, PIPELINED, Access, DeleteRange, Pipeline, Slice, Snapshot, Unknown
from pyelevator.engines.base import Bounds
from pyelevator.interceptors import Prefix, hooks
from pyelevator.interceptors.prefix import KEY_FIELDS
from pyelevator.messages import LazyPage, Request, Response
from pyelevator.testing.portals import Portal
from pyelevator.testing.strategies import commands, keys, values
from pyelevator.transports import FakeTransport

OF_KEYS = [kind for kind in COMMANDS.values() if issubclass(kind, PIPELINED)]
NO_KEYS = {
    "value", "expected", "sync", "fill_cache", "include_key", "include_value", "lazy", "reverse", "exclusive", "max_bytes",
    "cursor", "count", "by", "initial", "commands",
}  # fmt: skip
"""Fields of commands that read or write keys, in which there is none."""


# Every command


@pytest.mark.parametrize("kind", [*OF_KEYS, Pipeline], ids=lambda kind: kind.verb)
def test_it_is_known_which_fields_of_a_command_hold_keys(kind):
    names = {field.name for field in attrs.fields(kind)}
    assert names - KEY_FIELDS.keys() - NO_KEYS == set()


@pytest.mark.parametrize("kind", [kind for kind in COMMANDS.values() if kind.names_database], ids=lambda k: k.verb)
def test_a_command_about_a_database_by_its_name_holds_no_keys(kind):
    assert {field.name for field in attrs.fields(kind)} & {"key", "keys", "ops", "checks"} == set()


def of_keys(command):
    return isinstance(command, (*PIPELINED, Pipeline, DeleteRange))


def execute(application, uid, translation, command):
    """What a command answers through a prefix, or without one."""

    def forward(request):
        yield from ()
        return application(request)

    carry = forward if translation is None else translation.wrap(forward)
    try:
        next(carry(Request(command, uid)))
    except StopIteration as stop:
        return stop.value
    raise AssertionError


def stated(response):
    """What is the same inside of a view and outside: not the random id of a cursor, nor where a page ends."""
    if not isinstance(response, Response):
        return response
    if response.code is not None:
        return response.code
    payload = response.payload
    if isinstance(payload, LazyPage):
        payload = payload.decode_bytes()
    if isinstance(payload, list):
        return [
            stated(one) if isinstance(one, Response) else list(one) if isinstance(one, tuple) else one
            for one in payload
        ]
    return payload


NO_CURSORS = {"cursor": False, "max_bytes": None}


def without_cursors(command):
    """The command in one answer: other tests read on with cursors."""
    if isinstance(command, Pipeline):
        return Pipeline([without_cursors(one) for one in command.commands])
    known = {field.name for field in attrs.fields(type(command))}
    return attrs.evolve(command, **{name: value for name, value in NO_CURSORS.items() if name in known})


@example({b"": b""}, {}, b"p", [Slice(None, 1, exclusive=True)])
@example({b"": b"", b"k": b""}, {b"q": b""}, b"p", [Slice(None, 1, reverse=True, exclusive=True)])
@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(
    st.dictionaries(keys(), values(), max_size=8),
    st.dictionaries(keys(), values(), max_size=8),
    st.sampled_from([b"p", b"p:", b"\xff", b"a\xff\xff", "\u00e9".encode()[:1]]),
    st.lists(commands().filter(of_keys).map(without_cursors), min_size=1, max_size=6),
)
def test_a_view_answers_everything_as_if_no_other_key_were_there(held, others, prefix, asked):
    views, alone = Application.in_memory(), Application.in_memory()
    inside, outside = views.catalog.uid_of("default"), alone.catalog.uid_of("default")
    foreign = {key: value for key, value in others.items() if not key.startswith(prefix)}
    with views.catalog.get_database(inside) as engine:
        engine.write([(1, key, value) for key, value in foreign.items()])
        engine.write([(1, prefix + key, value) for key, value in held.items()])
    with alone.catalog.get_database(outside) as engine:
        engine.write([(1, key, value) for key, value in held.items()])
    for command in asked:
        got = execute(views, inside, Prefix(prefix), command)
        assert stated(got) == stated(execute(alone, outside, None, command)), command
    with views.catalog.get_database(inside) as engine, alone.catalog.get_database(outside) as other:
        found = contents(engine)
        kept = {key: value for key, value in found.items() if not key.startswith(prefix)}
        assert kept == foreign
        assert {key[len(prefix) :]: value for key, value in found.items() if key.startswith(prefix)} == contents(other)


def contents(engine):
    return dict(engine.scan(Bounds()))


@pytest.mark.parametrize("verb", [v for v, kind in COMMANDS.items() if v not in ("PIPELINE",)])
def test_every_command_of_keys_is_pipelined_or_of_no_single_database(verb):
    kind = COMMANDS[verb]
    fields = {field.name for field in attrs.fields(kind)}
    if kind.access in (Access.READ, Access.WRITE) and not kind.names_database and kind is not Snapshot:
        assert fields & KEY_FIELDS.keys(), f"{verb} reads or writes keys, and no field of it is known to hold any"


def test_an_unknown_verb_passes_unchanged():
    command = Unknown("FROBNICATE", [b"k"])
    assert Prefix("p").add_to(command) is command


# Views of a client


def test_a_view_of_a_view_is_under_both_prefixes(make):
    with make(transport="fake") as E:
        inner = E.prefix("a:").prefix(b"b:")
        inner.Put("k", "v")
        assert (inner.Get("k"), E.prefix("a:b:").Get("k"), E.Range()) == ("v", "v", [["a:b:k", "v"]])


def test_an_empty_prefix_is_a_view_of_everything(make):
    with make(transport="fake") as E:
        E.Put("k", "v")
        assert E.prefix("").Range() == [["k", "v"]]


def test_a_view_has_the_results_of_its_client_and_keys_of_its_own(make):
    with make(transport="fake", encoding=None) as E:
        view = E.prefix("p:")
        view.Put("k", "v")
        assert (view.Get("k"), view.Range()) == (b"v", [[b"k", b"v"]])
        with pytest.raises(KeyNotFound) as caught:
            view.Get("missing")
        assert caught.value.key == b"missing"


def test_batches_pipelines_and_iterators_stay_inside(make):
    with make(transport="fake") as E:
        E.Put("q", "of others")
        view = E.prefix("p:")
        with view.WriteBatch() as batch:
            for number in range(300):
                batch.Put(f"{number:03}", str(number))
            batch.Delete("q")
        with view.pipeline() as p:
            handles = [p.Get("007"), p.Range("000", "001"), p.MGet(["298", "q"]), p.Slice("298", 9), p.Put("300", "x")]
        assert [handle.result() for handle in handles] == [
            "7", [["000", "0"], ["001", "1"]], ["298", None], [["298", "298"], ["299", "299"]], None,
        ]  # fmt: skip
        assert [key for key, _ in view.RangeIter()] == [f"{number:03}" for number in range(301)]
        assert list(view.RangeIter(reverse=True, include_value=False, consistent=True))[:2] == ["300", "299"]
        assert E.Get("q") == "of others"


def test_a_long_range_comes_in_pages_and_stays_inside(make):
    with make(transport="fake") as E:
        view = E.prefix("p\u00e9:")
        with E.WriteBatch() as batch:
            for number in range(60):
                batch.Put(f"p\u00e9:{number:02}", "x" * 200_000)
                batch.Put(f"q{number:02}", "x")
        assert [key for key, _ in view.Range()] == [f"{number:02}" for number in range(60)]
        assert [key for key, _ in view.Range("10", "20")] == [f"{number:02}" for number in range(10, 21)]
        assert [key for key, _ in view.RangeIter("50")] == [f"{number:02}" for number in range(50, 60)]


def test_a_view_asks_in_as_many_messages_as_its_client():
    seen = []
    with Elevator(
        transport="fake", interceptors=[hooks(on_request=lambda request: seen.append(request.command.verb))]
    ) as E:
        with E.prefix("p:").pipeline() as p:
            p.Put("a", "1")
            p.Get("a")
    assert seen == ["DBCONNECT", "PUT", "GET"]


def test_interceptors_of_the_client_see_the_keys_that_the_server_has():
    seen = []
    with Elevator(
        transport="fake", interceptors=[hooks(on_request=lambda r: seen.append(getattr(r.command, "key", None)))]
    ) as E:
        E.prefix("p:").Put("k", "v")
    assert seen == [None, b"p:k"]


def test_a_view_keeps_its_database_when_its_client_connects_to_another(make):
    with make(transport="fake") as E:
        view = E.prefix("p:")
        E.connect("other", create=True)
        view.Put("k", "v")
        assert (view.db_name, E.Range()) == ("default", [])
        view.connect("other")
        view.Put("k", "w")
        assert E.Range() == [["p:k", "w"]]


def test_leaving_a_view_leaves_its_client_connected(make):
    with make(transport="fake") as E:
        with E.prefix("p:") as view:
            view.Put("k", "v")
        assert E.Get("p:k") == "v"
        assert view.db_name is None
        view.connect()
        assert view.Get("k") == "v"


def test_what_is_about_databases_is_the_same_in_a_view(make):
    with make(transport="fake") as E:
        view = E.prefix("p:")
        view.createdb("testdb")
        assert (view.listdb(), view.ping()) == (["default", "testdb"], "PONG")


def test_a_view_says_what_it_is(make):
    with make(transport="fake") as E:
        assert repr(E.prefix("p:")).endswith("Elevator fake:// connected to 'default' under b'p:'>")


@pytest.mark.parametrize("prefix", [None, 7, ["p"]])
def test_a_prefix_is_text_or_bytes(make, prefix):
    with make(transport="fake") as E, pytest.raises(UsageError, match="prefix must be str or bytes"):
        E.prefix(prefix)


def test_a_view_of_an_unconnected_async_client_connects_by_itself():
    async def main():
        view = AsyncElevator(transport=FakeTransport()).prefix("p:")
        await view.Put("k", "v")
        return await view.Range()

    with Portal() as portal:
        assert portal.run(main()) == [["k", "v"]]


def test_threads_share_a_view():
    with Elevator(transport="fake") as E:
        view = E.prefix("p:")
        threads = [threading.Thread(target=view.Put, args=(str(number), "v")) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(view.Range()) == 8


def test_the_cursor_of_an_iterator_in_a_view_is_given_back(make):
    server = FakeTransport()
    with make(transport=server) as E:
        view = E.prefix("p:")
        for number in range(300):
            view.Put(f"{number:03}", "v")
        with view.RangeIter(consistent=True) as rows:
            next(iter(rows))
            assert len(server.application.cursors) == 1
        assert len(server.application.cursors) == 0


def test_a_lost_cursor_in_a_view_is_said_so():
    server = FakeTransport()
    with Elevator(transport=server, interceptors=[hooks()]) as E:
        view = E.prefix("p:")
        for number in range(300):
            view.Put(f"{number:03}", "v")
        rows = iter(view.RangeIter(consistent=True))
        next(rows)
        E.unmount("default")
        with pytest.raises(CursorExpired):
            list(rows)


def test_a_view_finds_its_database_again_under_another_uid(make):
    server = FakeTransport()
    with Elevator(transport=server) as other, make("default", transport=server) as E:
        other.createdb("shop")
        E.connect("shop")
        view = E.prefix("user:")
        view.Put("ann", "1")
        other.dropdb("shop")
        other.createdb("shop")
        other.connect("shop")
        other.Put("user:bob", "2")
        assert view.Get("bob") == "2"
        assert view.Range() == [["bob", "2"]]
        with pytest.raises(KeyNotFound) as missing:
            view.Get("ann")
        assert missing.value.key == "ann"
