"""Every method and every verb at stand-ins of the old servers, which fail at the first request outside of what they take."""

from contextlib import suppress

import pytest
import zmq

from pyelevator import DatabaseError, Elevator, ElevatorError, KeyNotFound, WriteBatch
from pyelevator.codec import ClassicCodec, FlatCodec, UnsupportedByDialect
from pyelevator.commands import (
    COMMANDS,
    DELETE,
    IS_MISSING,
    PUT,
    Backup,
    Batch,
    Compact,
    ConditionalBatch,
    Count,
    DbConnect,
    DbCreate,
    DbDrop,
    DbForget,
    DbList,
    DbMount,
    DbRepair,
    DbUmount,
    Delete,
    DeleteRange,
    Exists,
    Get,
    GetAndDelete,
    Increment,
    MGet,
    Ping,
    Pipeline,
    Progress,
    Put,
    Range,
    Sizes,
    Slice,
    SlowLog,
    Snapshot,
    Stats,
    Unknown,
)
from pyelevator.messages import Request
from pyelevator.proxy import Proxy
from pyelevator.testing.portals import Portal
from support.old_servers import DIALECTS, KINDS, OldServer, OldServerOnSocket

ROWS = [["a", "1"], ["ab", "2"], ["ac", "3"], ["b", ""], ["\udcff", "4"], ["\udcff\udcff", "5"]]
KEYS = [key for key, _ in ROWS]


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture(params=["sync", "async"])
def make(request):
    if request.param == "sync":
        yield lambda kind, *args, **options: kind(*args, **options)
        return
    with Portal() as portal:
        yield portal.connect


@pytest.fixture(params=["direct", "through a proxy"])
def E(request, kind, make):
    if request.param == "direct":
        with make(Elevator, transport=OldServer(kind), dialect=DIALECTS[kind], timeout=30) as client:
            yield filled(client)
        return
    with (
        OldServerOnSocket(kind) as old,
        Proxy(["tcp://127.0.0.1:0"], old.url) as proxy,
        make(Elevator, endpoint=proxy.urls[0].removeprefix("tcp://"), timeout=30) as client,
    ):
        yield filled(client)
    assert old.killed == []


def filled(client):
    for key, value in ROWS:
        client.Put(key, value)
    return client


METHODS = {
    "ping": (lambda E: E.ping(), "PONG"),
    "listdb": (lambda E: E.listdb(), ["default"]),
    "Get": (lambda E: E.Get("a"), "1"),
    "Get of an empty value": (lambda E: E.Get("b"), ""),
    "Exists": (lambda E: E.Exists("ab"), True),
    "Exists of an empty value": (lambda E: E.Exists("b"), True),
    "Exists of nothing": (lambda E: E.Exists("abc"), False),
    "Exists of the empty key": (lambda E: E.Exists(""), False),
    "MGet": (lambda E: E.MGet(["ac", "x", "a", "b", "a"]), ["3", None, "1", "", "1"]),
    "MGet of nothing": (lambda E: E.MGet([]), []),
    "Put": (lambda E: E.Put("k", "v"), None),
    "Put of nothing": (lambda E: E.Put("", ""), None),
    "Delete": (lambda E: E.Delete("a"), None),
    "Range": (lambda E: E.Range("a", "ab"), ROWS[:2]),
    "Range of all": (lambda E: E.Range(), ROWS),
    "Range from a key": (lambda E: E.Range("ac"), ROWS[2:]),
    "Range of so many": (lambda E: E.Range("ab", 2), ROWS[1:3]),
    "Range the wrong way round": (lambda E: E.Range("b", "a"), []),
    "Range of keys": (lambda E: E.Range("a", "b", include_value=False), KEYS[:4]),
    "Range of values": (lambda E: E.Range("a", "b", include_key=False), ["1", "2", "3", ""]),
    "Range under a prefix": (lambda E: E.Range(prefix="a"), ROWS[:3]),
    "Range under a prefix whose successor is there": (lambda E: E.Range(prefix="a", include_value=False), KEYS[:3]),
    "Range of values under a prefix": (lambda E: E.Range(prefix="a", include_key=False), ["1", "2", "3"]),
    "Range under a prefix with bounds": (lambda E: E.Range("ab", "z", prefix="a"), ROWS[1:3]),
    "Range under a prefix that is below": (lambda E: E.Range(None, "a", prefix="b"), []),
    "Range under the last prefix": (lambda E: E.Range(prefix="\udcff"), ROWS[4:]),
    "Range under no prefix": (lambda E: E.Range(prefix=""), ROWS),
    "Range reversed": (lambda E: E.Range("a", "ac", reverse=True), ROWS[2::-1]),
    "Range reversed under a prefix": (lambda E: E.Range(prefix="a", reverse=True), ROWS[2::-1]),
    "Slice": (lambda E: E.Slice("ab", 2), ROWS[1:3]),
    "Slice of nothing": (lambda E: E.Slice("a", 0), []),
    "Slice of less than nothing": (lambda E: E.Slice("a", -1), []),
    "Slice of keys": (lambda E: E.Slice("ab", 2, include_value=False), KEYS[1:3]),
    "Slice from the start": (lambda E: E.Slice(None, 1), ROWS[:1]),
    "Slice under a prefix": (lambda E: E.Slice(None, 9, prefix="a"), ROWS[:3]),
    "RangeIter": (lambda E: list(E.RangeIter()), ROWS),
    "RangeIter of keys": (lambda E: list(E.RangeIter("ab", include_value=False)), KEYS[1:]),
    "RangeIter under a prefix": (lambda E: list(E.RangeIter(prefix="a")), ROWS[:3]),
    "compressed": (lambda E: E.Range("a", "b", compression=False), ROWS[:4]),
    "mount": (lambda E: E.mount("default"), None),
    "mount twice": (lambda E: (E.mount("default"), E.mount("default")), (None, None)),
    "unmount": (lambda E: E.unmount("default"), None),
    "unmount twice": (lambda E: (E.unmount("default"), E.unmount("default")), (None, None)),
    "unmount and read": (lambda E: (E.unmount("default"), E.Get("a")), (None, "1")),
    "unmount and mount": (lambda E: (E.unmount("default"), E.mount("default"), E.Get("a")), (None, None, "1")),
    "createdb": (lambda E: (E.createdb("x"), E.listdb()), (None, ["default", "x"])),
    "connect": (lambda E: (E.createdb("x"), E.connect("x"), E.Range()), (None, None, [])),
    "dropdb": (lambda E: (E.createdb("x"), E.dropdb("x"), E.listdb()), (None, None, ["default"])),
}


@pytest.mark.parametrize("name", METHODS)
def test_a_method_gives_what_it_gives_at_a_server_of_ours(E, name):
    call, result = METHODS[name]
    assert call(E) == result


def pipelined(name, *args):
    """A call of a pipeline's method, and what becomes of the commands around it."""

    def call(E):
        p = E.pipeline(raise_errors=False)
        first, asked, last = p.Put("k", "1"), getattr(p, name)(*args), p.Get("k")
        p.execute()
        assert (first.result(), last.result()) == (None, "1")
        asked.result()

    return call


ERRORS = {
    "Get of nothing": (lambda E: E.Get("x"), KeyNotFound, "Key not found"),
    "connect to nothing": (lambda E: E.connect("nope"), DatabaseError, "Database does not exist"),
    "mount of nothing": (lambda E: E.mount("nope"), DatabaseError, "Database nope does not exist"),
    "unmount of nothing": (lambda E: E.unmount("nope"), DatabaseError, "Database nope does not exist"),
    "dropdb of nothing": (lambda E: E.dropdb("nope"), DatabaseError, "Database nope does not exist"),
    "createdb of no name": (lambda E: E.createdb(""), DatabaseError, "A database needs a name"),
    "createdb beyond ASCII": (lambda E: E.createdb("d\u00e9"), DatabaseError, "ASCII"),
    "createdb with NUL": (lambda E: E.createdb("d\0"), DatabaseError, "NUL"),
    "createdb of a long name": (lambda E: E.createdb("d" * 256), DatabaseError, "255"),
    "createdb of an own file": (lambda E: E.createdb("store.json"), DatabaseError, "own"),
    "createdb with a slash too many": (lambda E: E.createdb("/tmp/x/"), DatabaseError, "one spelling"),
    "connect beyond ASCII": (lambda E: E.connect("d\u00e9"), DatabaseError, None),
    "connect to no name": (lambda E: E.connect(""), DatabaseError, None),
    "dropdb beyond ASCII": (lambda E: E.dropdb("d\u00e9"), DatabaseError, "ASCII"),
    "an option of another type": (lambda E: E.createdb("x", {"block_size": "4096"}), ElevatorError, "block_size"),
    "an option out of range": (lambda E: E.createdb("x", {"block_size": -1}), ElevatorError, "block_size"),
    "an option of later": (lambda E: E.createdb("x", {"compression": False}), ElevatorError, "compression"),
    "an unknown option": (lambda E: E.createdb("x", {"blok_size": 4096}), ValueError, "blok_size"),
    "a repair": (lambda E: E.repairdb(), ElevatorError, "worker|no DBREPAIR"),
    "forgetting": (lambda E: E.forgetdb("default"), ElevatorError, "off its list|no DBFORGET"),
    "Slice reversed": (lambda E: E.Slice("b", 2, reverse=True), ValueError, "Range"),
    "stats": (lambda E: E.stats(), ElevatorError, "this server does not know STATS|no STATS"),
    "a backup": (lambda E: E.backup("default", "/b"), ElevatorError, "this server does not know BACKUP|no BACKUP"),
    "a compaction": (lambda E: E.compact(), ValueError, "this server does not know COMPACT"),
    "sizes": (lambda E: E.sizes(["a"]), ValueError, "this server does not know SIZES"),
    "progress": (lambda E: E.progress(), ElevatorError, "this server does not know PROGRESS|no PROGRESS"),
    "slowlog": (lambda E: E.slowlog(), ElevatorError, "this server does not know SLOWLOG|no SLOWLOG"),
    "stats in a pipeline": (pipelined("stats"), ElevatorError, "this server does not know STATS|no STATS"),
    "a backup in a pipeline": (pipelined("backup", "default", "/b"), ElevatorError, "does not know BACKUP|no BACKUP"),
    "a compaction in a pipeline": (pipelined("compact"), ValueError, "this server does not know COMPACT"),
    "sizes in a pipeline": (pipelined("sizes", ["a"]), ValueError, "this server does not know SIZES"),
    "progress in a pipeline": (pipelined("progress"), ElevatorError, "does not know PROGRESS|no PROGRESS"),
    "slowlog in a pipeline": (pipelined("slowlog"), ElevatorError, "does not know SLOWLOG|no SLOWLOG"),
    "DeleteRange in a pipeline": (pipelined("DeleteRange"), ValueError, "this server does not know DELETERANGE"),
    "snapshot": (lambda E: E.snapshot().__enter__(), ElevatorError, "does not know SNAPSHOT; nothing was sent"),
    "sync": (lambda E: E.Put("k", "v", sync=True), ValueError, "sync"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_what_an_old_server_cannot_do_is_an_error_and_not_sent(kind, E, name):
    call, error, text = ERRORS[name]
    if kind == "0.7" and "option" in name:
        text = f"{text}|options|no DBCREATE"
    with pytest.raises(error, match=text):
        call(E)
    assert E.Get("a") == "1"


def test_a_pipeline_is_one_command_after_the_other(E):
    with E.pipeline(raise_errors=False) as p:
        p.Get("a")
        p.Exists("b")
        p.Exists("x")
        p.MGet(["ab", "a"])
        p.Range(prefix="a", include_value=False)
        p.Get("x")
    assert p.results[:5] == ["1", True, False, ["2", "1"], KEYS[:3]]
    assert isinstance(p.results[5], KeyNotFound)


def test_a_batch_is_written(E):
    batch = E.WriteBatch()
    batch.Put("n", "1")
    batch.Delete("a")
    batch.Write()
    assert E.MGet(["n", "a"]) == ["1", None]


@pytest.mark.parametrize(
    "call",
    [
        lambda E: E.ping() == "PONG",
        lambda E: E.listdb() == ["default"],
        lambda E: (E.createdb("x"), E.dropdb("x")) == (None, None),
        lambda E: (E.mount("default"), E.unmount("default")) == (None, None),
        lambda E: E.connect("default") is None,
    ],
)
def test_a_client_that_is_not_connected_finds_out_first(kind, make, call):
    with make(Elevator, transport=OldServer(kind), dialect=DIALECTS[kind], auto_connect=False, timeout=30) as E:
        assert call(E)


def test_a_batch_of_its_own_connects_first(kind, make):
    old = OldServer(kind)
    with make(WriteBatch, transport=old, dialect=DIALECTS[kind], auto_connect=False, timeout=30) as batch:
        batch.Put("a", "1")
    with make(Elevator, transport=old, dialect=DIALECTS[kind], timeout=30) as E:
        assert E.Get("a") == "1"


SOUND = {
    "GET": Get("a"),
    "PUT": Put("k", "v"),
    "DELETE": Delete("a"),
    "EXISTS": Exists("a"),
    "MGET": MGet(["b", "a", "a"]),
    "RANGE": Range(prefix="a"),
    "SLICE": Slice("a", 2),
    "BATCH": Batch([(PUT, "k", "v"), (DELETE, "a")]),
    "CONDITIONALBATCH": ConditionalBatch([(PUT, "k", "v")], [(IS_MISSING, "k")]),
    "INCREMENT": Increment("k"),
    "GETANDDELETE": GetAndDelete("k"),
    "COUNT": Count("a"),
    "DELETERANGE": DeleteRange("a"),
    "PING": Ping(),
    "DBCONNECT": DbConnect("default"),
    "DBMOUNT": DbMount("default"),
    "DBUMOUNT": DbUmount("default"),
    "DBCREATE": DbCreate("x"),
    "DBDROP": DbDrop("x"),
    "DBFORGET": DbForget("default"),
    "DBLIST": DbList(),
    "DBREPAIR": DbRepair(),
    "STATS": Stats(),
    "BACKUP": Backup("default", "/nowhere/backup"),
    "COMPACT": Compact(),
    "SIZES": Sizes(["a"]),
    "PROGRESS": Progress(),
    "SLOWLOG": SlowLog(),
    "SNAPSHOT": Snapshot(),
    "PIPELINE": Pipeline([Get("a"), Exists("b")]),
}


def test_every_verb_is_tried():
    assert SOUND.keys() == COMMANDS.keys()


@pytest.mark.parametrize("uid", ["known", "unknown", None])
@pytest.mark.parametrize("command", [*SOUND.values(), MGet([]), Slice("a", 1, reverse=True), Unknown("FOO", [b"a"])])
def test_a_foreign_client_gets_one_answer_to_whatever_it_sends_a_proxy(kind, command, uid):
    with OldServerOnSocket(kind) as old, Proxy(["tcp://127.0.0.1:0"], old.url) as proxy:
        connected = ask(proxy, ClassicCodec(), DbConnect("default"), None)
        uids = {"known": connected.decode(), "unknown": "6c66e7d0-9cc4-444d-a23f-2404fcf28c32", None: None}
        ask(proxy, ClassicCodec(), command, uids[uid])
        assert ask(proxy, ClassicCodec(), Ping(), None) == b"PONG"
        if not isinstance(command, (Pipeline, Unknown, DbForget, DbRepair, Exists, Ping)):
            with suppress(UnsupportedByDialect):
                ask(proxy, FlatCodec(), command, uids[uid])
        assert ask(proxy, ClassicCodec(), Ping(), None) == b"PONG"
    assert old.killed == []


def ask(proxy, codec, command, uid):
    """The payload of the one answer to a request without an id, as an old client sends it."""
    request = Request(command, uid)
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.linger, socket.rcvtimeo = 0, 30_000
        socket.connect(proxy.urls[0])
        socket.send_multipart(codec.encode_request(request))
        return codec.decode_response(socket.recv_multipart(), request).payload
