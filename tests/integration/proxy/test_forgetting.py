"""forgetdb, and options that do not exist, through a proxy: to our servers, to several, and to old ones."""

import msgpack
import pytest
import zmq

from pyelevator import DatabaseError, Elevator, UsageError
from pyelevator.application import Application
from pyelevator.codec import ClassicCodec, FlatCodec
from pyelevator.commands import DbForget
from pyelevator.messages import Request
from pyelevator.proxy import Proxy, Upstream
from pyelevator.testing.servers import ANY_PORT, serve
from support.old_servers import KINDS, OldServerOnSocket


def through(*upstreams):
    return Proxy([ANY_PORT], upstreams)


def asked(url, frames):
    """The reply to a message of a peer that is not our client."""
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.linger = 0
        socket.connect(url)
        socket.send_multipart(frames)
        assert socket.poll(20_000)
        return socket.recv_multipart()


def old_client(verb, args, uid="u"):
    """A request as the Python 2 client sends it: without an id."""
    return [msgpack.packb({"meta": {"compression": False}, "cmd": verb, "uid": uid, "args": args})]


@pytest.fixture
def ours():
    with serve(Application.in_memory()) as server:
        yield server


@pytest.fixture
def two(ours):
    with serve(Application.in_memory()) as west:
        with through(Upstream(west.urls[0], ("west-*",), name="west"), Upstream(ours.urls[0], name="east")) as proxy:
            yield proxy


def test_each_database_is_forgotten_by_the_server_that_has_it(two):
    with Elevator.from_url(two.urls[0]) as E:
        for name in ("west-1", "local"):
            E.createdb(name)
            E.connect(name)
            E.Put("k", name)
            E.forgetdb(name)
            assert E.listdb() == ["default"]
            E.createdb(name)
            assert E.Get("k") == name
            with pytest.raises(DatabaseError, match="forgetdb takes it off the list"):
                E.dropdb(name)
            E.dropdb(name, force=True)
        with pytest.raises(DatabaseError):
            E.forgetdb("west-1")


@pytest.mark.parametrize("kind", KINDS)
def test_our_client_asks_no_old_server_behind_a_proxy_to_forget(kind):
    with OldServerOnSocket(kind) as old, through(old.url) as proxy, Elevator.from_url(proxy.urls[0]) as E:
        with pytest.raises(UsageError, match="off its list only with its files; nothing was sent"):
            E.forgetdb("default")
        assert E.listdb() == ["default"]
        assert old.killed == []


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("0.5", "takes a database off its list only with its files"),
        ("2014", "takes a database off its list only with its files"),
        ("0.7", "the flat dialect has no DBFORGET"),
    ],
)
@pytest.mark.parametrize("uid", [None, "u"])
def test_others_are_told_what_an_old_server_lacks(kind, text, uid):
    with OldServerOnSocket(kind) as old, through(old.url) as proxy:
        for frames in (old_client("DBFORGET", ["default"], uid), ClassicCodec().encode_request(_forget(uid, 7))):
            header = msgpack.unpackb(asked(proxy.urls[0], frames)[0])
            assert (header["status"], text in header["err_msg"]) == (-1, True), header
        assert old.killed == []


def _forget(uid, number):
    return Request(DbForget("default"), uid, number)


def test_a_flat_client_may_forget_at_our_server(ours):
    with Elevator.from_url(ours.urls[0]) as E:
        E.createdb("x")
        reply = asked(ours.urls[0], [msgpack.packb(["", "DBFORGET", "x"])])
        assert FlatCodec().decode_response(reply, Request(DbForget("x"))).code is None
        assert E.listdb() == ["default"]


@pytest.mark.parametrize("way", ["server", "proxy", "two"])
def test_an_old_client_may_misspell_options(ours, way):
    with (
        through(ours.urls[0]) as one,
        through(Upstream(ours.urls[0], name="a"), Upstream(ours.urls[0], name="b")) as two,
    ):
        url = {"server": ours, "proxy": one, "two": two}[way].urls[0]
        with Elevator.from_url(url) as E:
            create = old_client("DBCREATE", ["x", {"blok_size": 3, "block_size": 4096}], E.db_uid)
            header = msgpack.unpackb(asked(url, create)[0])
            assert (header["status"], header["err_msg"]) == (1, None)
            assert "x" in E.listdb()


@pytest.mark.parametrize("way", ["server", "proxy", "two"])
def test_a_client_with_ids_may_not_misspell_options(ours, way):
    with (
        through(ours.urls[0]) as one,
        through(Upstream(ours.urls[0], name="a"), Upstream(ours.urls[0], name="b")) as two,
    ):
        url = {"server": ours, "proxy": one, "two": two}[way].urls[0]
        with Elevator.from_url(url) as E:
            message = {"meta": {"id": 7}, "cmd": "DBCREATE", "uid": E.db_uid, "args": ["x", {"blok_size": 3}]}
            header = msgpack.unpackb(asked(url, [msgpack.packb(message)])[0])
            assert header["err_msg"] == "there is no option 'blok_size'; did you mean block_size?"
            assert "x" not in E.listdb()
