"""Snapshots that are kept between requests: whose they are, how many, how long, and that they hold nothing up."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import pytest
from attrs import asdict, evolve

from pyelevator.application import Application, Catalog, InterceptedApplication, Policy
from pyelevator.application.cursors import Cursors
from pyelevator.auth.authorizing_application import AuthorizingApplication
from pyelevator.commands import DELETE, PUT, Batch, DbUmount, Put, Slice
from pyelevator.engines.base import Bounds, Capability
from pyelevator.engines.leveldb import LevelDbStorage
from pyelevator.engines.memory import MemoryStorage
from pyelevator.errors import CursorExpired, ErrorCode
from pyelevator.messages import CallContext, Request
from support.clocks import Clock

WAIT = 30


class World:
    """An application of few cursors on a clock that is set by hand."""

    def __init__(self, catalog, most=4):
        self.clock = Clock()
        self.catalog = catalog
        policy = Policy(max_cursors=most, cursor_idle=60, cursor_age=300)
        self.application = Application(catalog, policy, self.clock)
        self.cursors = self.application.cursors
        self.fill("default")

    def fill(self, name):
        self.ask(Batch([(PUT, b"%d" % i, b"old") for i in range(10)]), name)

    def ask(self, command, name="default", peer=None, over=None):
        return self.application(Request(command, self.catalog.uid_of(name), context=CallContext(peer, over)))

    def open(self, name="default", peer=None, count=1, over=None):
        response = self.ask(Slice(None, count, cursor=True), name, peer, over)
        assert response.code is None, response.message
        return response.cursor

    def read(self, cursor, name="default", peer=None, over=None):
        return self.ask(Slice(None, 20, cursor=cursor), name, peer, over)

    def is_gone(self, cursor, name="default", peer=None, over=None):
        response = self.read(cursor, name, peer, over)
        if response.code is None:
            return False
        error = Slice().error(response.code, response.message)
        assert type(error) is CursorExpired
        assert response.code is ErrorCode.RUNTIME
        assert "start the iteration again" in str(error)
        return True


@pytest.fixture
def world(catalog):
    return World(catalog)


def test_a_cursor_reads_what_there_was_when_it_was_opened(world):
    cursor = world.open()
    world.ask(Batch([(PUT, b"3", b"new"), (DELETE, b"4"), (PUT, b"x", b"new")]))
    response = world.read(cursor)
    assert response.payload == [(b"%d" % i, b"old") for i in range(10)]
    assert response.cursor == cursor
    assert world.ask(Slice(b"3", 2)).payload == [(b"3", b"new"), (b"5", b"old")]


def test_ids_are_long_and_never_the_same(world):
    first, second = world.open(), world.open()
    assert first != second
    assert len(first) == len(second) == 32


@pytest.mark.parametrize("count", [11, 0, -1])
def test_a_slice_up_to_the_last_key_keeps_no_cursor(world, count):
    assert world.ask(Slice(None, count, cursor=True)).cursor is None
    assert len(world.cursors) == 0


def test_a_page_cut_by_bytes_keeps_its_snapshot(world):
    response = world.ask(Slice(None, 100, max_bytes=1, cursor=True))
    assert (len(response.payload), response.more, response.cursor is None) == (1, True, False)


def test_a_count_below_one_closes_the_cursor_even_twice(world):
    cursor = world.open()
    for _ in range(2):
        response = world.ask(Slice(cursor=cursor))
        assert (response.code, response.payload, response.cursor) == (None, [], None)
    assert world.is_gone(cursor)
    assert len(world.cursors) == 0


@pytest.mark.parametrize("cursor", [b"", b"x", b"0" * 32])
def test_an_unknown_cursor_is_a_clear_error(world, cursor):
    assert world.is_gone(cursor)


def test_a_cursor_is_of_one_database(world):
    world.catalog.create("other")
    world.fill("other")
    cursor = world.open()
    assert world.is_gone(cursor, "other")
    world.ask(Slice(cursor=cursor), "other")
    assert not world.is_gone(cursor)


def test_a_cursor_is_of_one_peer(world):
    cursor = world.open(peer="ann")
    assert world.is_gone(cursor, peer="bob")
    assert world.is_gone(cursor)
    world.ask(Slice(cursor=cursor), peer="bob")
    assert not world.is_gone(cursor, peer="ann")


def test_a_used_cursor_stays_and_an_idle_one_expires(world):
    used, unused = world.open(), world.open()
    for _ in range(3):
        world.clock.now += 59
        assert not world.is_gone(used)
    assert world.is_gone(unused)
    world.clock.now += 61
    assert world.is_gone(used)


def test_no_cursor_grows_older_than_the_limit(world):
    cursor = world.open()
    for _ in range(5):
        world.clock.now += 59
        assert not world.is_gone(cursor)
    world.clock.now += 59
    assert world.is_gone(cursor)


def test_maintenance_closes_idle_snapshots(world):
    world.open()
    world.application.run_maintenance()
    assert len(world.cursors) == 1
    world.clock.now += 61
    world.application.run_maintenance()
    assert len(world.cursors) == 0


def test_ticks_are_wanted_often_enough_for_the_cursors():
    assert Application.in_memory().maintenance_interval == 5
    assert Application.in_memory(Policy(cursor_idle=2)).maintenance_interval == 0.5
    assert Application.in_memory(Policy(cursor_idle=2, idle_unmount=1)).maintenance_interval == 0.25


def test_above_the_limit_a_new_cursor_is_refused_and_others_stay(world):
    cursors = [world.open() for _ in range(4)]
    response = world.ask(Slice(None, 1, cursor=True))
    assert (response.code, response.cursor) == (ErrorCode.RUNTIME, None)
    assert response.message.startswith("all 4 cursors are in use; close iterators")
    assert not any(world.is_gone(cursor) for cursor in cursors)
    world.ask(Slice(cursor=cursors[0]))
    world.open()


def test_expired_cursors_make_room(world):
    for _ in range(4):
        world.open()
    world.clock.now += 61
    assert not world.is_gone(world.open())
    assert len(world.cursors) == 1


def test_the_longest_idle_cursor_of_the_peer_with_most_is_evicted(world):
    hoarded = []
    for _ in range(4):
        hoarded.append(world.open(peer="hoarder"))
        world.clock.now += 1
    world.read(hoarded[0], peer="hoarder")
    mine = world.open(peer="ann")
    assert [world.is_gone(cursor, peer="hoarder") for cursor in hoarded] == [False, True, False, False]
    assert not world.is_gone(mine, peer="ann")
    world.open(peer="ann")
    assert world.ask(Slice(None, 1, cursor=True), peer="ann").code is ErrorCode.RUNTIME
    assert world.ask(Slice(None, 1, cursor=True), peer="hoarder").code is ErrorCode.RUNTIME


CLOSINGS = {
    "unmount": lambda world: world.catalog.unmount("default"),
    "drop": lambda world: world.catalog.drop("default"),
    "repair": lambda world: world.catalog.repair(world.catalog.uid_of("default")),
    "idle unmount": lambda world: world.catalog.unmount_idle(-WAIT),
}


@pytest.mark.parametrize("closing", CLOSINGS)
def test_what_closes_a_database_ends_its_cursors_and_waits_for_none(world, closing):
    world.catalog.create("other")
    world.fill("other")
    cursor, other = world.open(), world.open("other") if closing != "idle unmount" else None
    CLOSINGS[closing](world)
    assert len(world.cursors) == (other is not None)
    assert world.is_gone(cursor)
    world.fill("default")
    assert not world.is_gone(world.open())
    assert other is None or not world.is_gone(other, "other")


def test_the_end_of_the_application_ends_all_cursors(tmp_path):
    world = World(Catalog(LevelDbStorage(), str(tmp_path)))
    world.open()
    world.application.close()
    assert len(world.cursors) == 0


def test_a_database_that_is_opened_again_does_not_revive_a_cursor(world):
    cursor = world.open()
    world.ask(DbUmount("default"))
    world.ask(Put("k", "v"))
    assert world.is_gone(cursor)


ANN = Request(Slice(), context=CallContext("ann"))


class Watched:
    """A snapshot that says when it is closed, and a scan of which waits."""

    def __init__(self):
        self.closed = False
        self.scanning, self.go_on = threading.Event(), threading.Event()

    def scan(self):
        self.scanning.set()
        assert self.go_on.wait(WAIT)
        assert not self.closed

    def close(self):
        self.closed = True


@pytest.mark.parametrize("ending", ["close", "expire", "evict"])
def test_a_snapshot_that_is_being_read_is_closed_only_afterwards(ending):
    clock = Clock()
    snapshot: Any = Watched()
    engine: Any = object()
    cursors = Cursors(1, 60, 300, clock)
    cursor = cursors.add({engine: snapshot}, ANN).id
    clock.now += 1

    def read():
        with cursors.reading(cursor, engine, ANN) as found:
            cast(Any, found.views[engine]).scan()

    def expire():
        clock.now += 301
        cursors.expire()

    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read)
        assert snapshot.scanning.wait(WAIT)
        endings = {
            "close": lambda: cursors.close(cursor, engine, ANN),
            "expire": expire,
            "evict": lambda: cursors.add({engine: cast(Any, Watched())}, Request(Slice(), context=CallContext("bob"))),
        }
        endings[ending]()
        assert not snapshot.closed
        with pytest.raises(CursorExpired), cursors.reading(cursor, engine, ANN):
            pass
        snapshot.go_on.set()
        reading.result(WAIT)
    assert snapshot.closed


def test_a_cursor_that_is_in_use_does_not_expire_for_want_of_use():
    clock = Clock()
    engine: Any = object()
    cursors = Cursors(1, 60, 300, clock)
    cursor = cursors.add({engine: cast(Any, Watched())}, ANN).id
    with cursors.reading(cursor, engine, ANN):
        clock.now += 200
        cursors.expire()
        assert len(cursors) == 1
    clock.now += 59
    with cursors.reading(cursor, engine, ANN):
        pass


@pytest.mark.parametrize("storage", [MemoryStorage, LevelDbStorage])
def test_many_threads_open_read_close_and_unmount(storage, tmp_path):
    assert Capability.SNAPSHOT in storage.capabilities
    catalog = Catalog(storage(), str(tmp_path))
    world = World(catalog, most=3)
    start = threading.Barrier(5)

    def iterate(peer):
        start.wait(WAIT)
        pages = 0
        for _ in range(60):
            response = world.ask(Slice(None, 3, cursor=True), peer=peer)
            while response.code is None and response.cursor is not None:
                last = response.payload[-1][0]
                assert {value for _, value in response.payload} == {b"old"}
                pages += 1
                response = world.ask(Slice(last + b"\0", 3, cursor=response.cursor), peer=peer)
                if response.code is None and not response.payload:
                    world.ask(Slice(cursor=response.cursor), peer=peer)
                    break
            assert response.code in (None, ErrorCode.RUNTIME), response.message
        return pages

    def unmount():
        start.wait(WAIT)
        for _ in range(60):
            catalog.unmount("default")
            world.application.run_maintenance()

    with ThreadPoolExecutor(5) as pool:
        pages = [pool.submit(iterate, peer) for peer in ("ann", "bob", None, "eve")]
        pool.submit(unmount).result(WAIT)
        assert sum(page.result(WAIT) for page in pages) > 0
    catalog.close()
    assert len(world.cursors) == 0


# Connections


def test_without_keys_a_connection_is_a_peer(world):
    hoarded = [world.open(over=b"hoarder") for _ in range(4)]
    assert world.ask(Slice(None, 1, cursor=True), over=b"hoarder").code is ErrorCode.RUNTIME
    mine = world.open(over=b"mine")
    assert [world.is_gone(cursor) for cursor in hoarded] == [True, False, False, False]
    assert not world.is_gone(mine)


def test_socket_files_of_a_server_with_keys_are_peers_as_connections_are(world):
    hoarded = [world.open(peer="local", over=b"hoarder") for _ in range(4)]
    mine = world.open(peer="local", over=b"mine")
    assert [world.is_gone(cursor, peer="local", over=b"hoarder") for cursor in hoarded] == [True, False, False, False]
    assert not world.is_gone(mine, peer="local", over=b"mine")


def test_a_user_is_one_peer_over_many_connections(world):
    for number in range(4):
        world.open(peer="ann", over=b"%d" % number)
    assert world.ask(Slice(None, 1, cursor=True), peer="ann", over=b"another").code is ErrorCode.RUNTIME


def test_what_is_idle_longest_makes_room_for_a_peer_that_has_none(world):
    cursors = []
    for number in range(4):
        cursors.append(world.open(over=b"%d" % number))
        world.clock.now += 1
    world.read(cursors[0], over=b"0")
    world.open(over=b"another")
    assert [world.is_gone(cursor) for cursor in cursors] == [False, True, False, False]


def test_what_is_idle_for_long_makes_room_for_its_own_peer(world):
    cursors = [world.open(over=b"proxy") for _ in range(4)]
    world.clock.now += 11
    world.read(cursors[0], over=b"proxy")
    world.open(over=b"proxy")
    assert [world.is_gone(cursor, over=b"proxy") for cursor in cursors] == [False, True, False, False]


def test_the_text_of_a_refusal_names_the_option_of_the_command_line(world):
    for _ in range(4):
        world.open()
    assert "(--max-cursors)" in world.ask(Slice(None, 1, cursor=True)).message


def test_a_cursor_can_be_read_over_another_connection_and_is_then_its(world):
    cursor = world.open(over=b"first")
    assert world.read(cursor, over=b"second").code is None
    world.application.connection_ended(b"first")
    world.clock.now += 30
    assert world.read(cursor, over=b"second").code is None
    world.application.connection_ended(b"second")
    world.clock.now += 30
    assert world.is_gone(cursor)


def test_what_was_opened_over_a_connection_that_ends_makes_room_at_once(world):
    theirs = [world.open(over=b"theirs") for _ in range(3)]
    mine = world.open(over=b"mine")
    world.application.connection_ended(b"theirs")
    for _ in range(3):
        world.open(over=b"mine")
    assert [world.is_gone(cursor) for cursor in [*theirs, mine]] == [True, True, True, False]


def test_what_was_opened_over_a_connection_that_ends_ends_soon_by_itself(world):
    world.open(over=b"theirs")
    world.application.connection_ended(b"theirs")
    world.clock.now += 6
    world.application.run_maintenance()
    assert len(world.cursors) == 0


def test_a_running_request_of_an_ended_connection_keeps_no_cursor(world):
    read = world.open(over=b"theirs")
    world.application.connection_ended(b"theirs")
    world.read(read, over=b"theirs")
    world.open(over=b"theirs")
    world.clock.now += 6
    world.application.run_maintenance()
    assert len(world.cursors) == 0


def test_a_client_that_comes_back_over_another_connection_goes_on(world):
    cursor = world.open(over=b"first")
    world.application.connection_ended(b"first")
    world.clock.now += 3
    assert world.read(cursor, over=b"second").code is None
    world.clock.now += 30
    assert not world.is_gone(cursor)


@pytest.mark.parametrize(
    "wrap", [lambda one: InterceptedApplication(one, []), lambda one: AuthorizingApplication(one, dict)]
)
def test_applications_around_another_one_share_its_cursors(world, wrap):
    outer = wrap(world.application)
    world.open(over=b"mine")
    assert outer.cursors is world.cursors
    outer.connection_ended(b"mine")
    world.clock.now += 6
    outer.run_maintenance()
    assert len(world.cursors) == 0
    world.open()
    world.catalog.unmount("default")
    assert len(world.cursors) == 0


def test_applications_of_one_policy_share_no_cursors():
    policy = Policy(max_cursors=1)
    worlds = [Application.in_memory(one) for one in (policy, policy, evolve(policy, max_cursors=3))]
    opened = []
    for application in worlds:
        uid = application.catalog.uid_of("default")
        application(Request(Batch([(PUT, b"a", b"1"), (PUT, b"b", b"1")]), uid))
        some = [application(Request(Slice(None, 1, cursor=True), uid)).cursor for _ in range(4)]
        opened.append(sum(cursor is not None for cursor in some))
    assert opened == [1, 1, 3]
    assert worlds[0].cursors is not worlds[1].cursors


def test_a_policy_holds_values_and_nothing_that_lives():
    assert all(isinstance(value, (bool, int, float, type(None))) for value in asdict(Policy()).values())
    assert Policy() == Policy()
    assert hash(Policy()) == hash(Policy())


def test_a_policy_makes_cursors_of_its_limits():
    policy = Policy(max_cursors=1, cursor_idle=5)
    application = Application.in_memory(policy)
    uid = application.catalog.uid_of("default")
    application(Request(Batch([(PUT, b"a", b"1"), (PUT, b"b", b"1")]), uid))
    assert application(Request(Slice(None, 1, cursor=True), uid)).cursor
    assert application(Request(Slice(None, 1, cursor=True), uid)).message.startswith("all 1 cursors are in use")
    assert policy == evolve(policy)


def test_a_snapshot_of_an_open_cursor_survives_compaction(tmp_path):
    world = World(Catalog(LevelDbStorage(), str(tmp_path)))
    cursor = world.open()
    world.ask(Batch([(DELETE, b"%d" % i) for i in range(10)]))
    with world.catalog.get_database(world.catalog.uid_of("default")) as engine:
        engine.compact()
        assert list(engine.scan(Bounds())) == []
    assert len(world.read(cursor).payload) == 10
    world.application.close()
