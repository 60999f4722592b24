"""Who gets in, over real sockets: keys that fit, keys that do not, and keys that come and go."""

import asyncio
import gc
import logging
import os
import socket
import threading
from queue import SimpleQueue
from typing import Any

import pytest
import zmq

from pyelevator import AsyncElevator, AuthenticationFailed, ConnectFailed, Elevator, WriteBatch
from pyelevator.application import Application
from pyelevator.auth import ClientAuth
from pyelevator.auth.keys import ClientKeys, server_secret
from pyelevator.codec import ClassicCodec
from pyelevator.commands import PUT, Batch, DbList, Get, Ping, Slice
from pyelevator.errors import ConnectTimeout, CursorExpired, DatabaseError, PermissionDenied
from pyelevator.messages import Request, Response
from pyelevator.server import Server
from pyelevator.testing.servers import ANY_PORT, serve
from pyelevator.transports import Curve
from pyelevator.transports.authentication import CurveServer
from pyelevator.transports.curve import KeyPair
from pyelevator.transports.sockets.listener.listener import ZmtpListener
from pyelevator.transports.sockets.listener.refusal_log import RefusalLog
from support.applications import cursors_of
from support.connections import pretend_connected
from support.eventually import eventually
from support.forking import forks_with_threads
from support.optional import unwrap

CODEC = ClassicCodec()

SOON = 0.4
"""Seconds in which a connection that is let in is up, many times over."""


def test_the_right_key_gets_in(keys, secured):
    with secured().client(keys.let_in("alice")) as E:
        E.Put("k", "v")
        assert E.Get("k") == "v"
        with E.WriteBatch() as batch:
            batch.Put("k", "w")
        assert E.MGet(["k", "x"]) == ["w", None]


def test_a_batch_of_its_own_takes_keys_too(keys, secured):
    alice, server = keys.let_in("alice"), secured()
    with WriteBatch(endpoint=server.urls[0].removeprefix("tcp://"), curve=alice) as batch:
        batch.Put("k", "v")
    with server.client(alice) as E:
        assert E.Get("k") == "v"


def test_a_url_with_files_gets_in(keys, secured):
    keys.let_in("alice")
    files = f"curve_key={keys.secrets}/alice.key_secret&server_key={keys.directory}/server.key"
    with Elevator.from_url(f"{secured().urls[0]}/default?{files}") as E:
        assert E.ping() == "PONG"


def test_the_async_client_takes_keys_too(keys, secured):
    alice, mallory, server = keys.let_in("alice"), keys.make("mallory"), secured()
    endpoint = server.urls[0].removeprefix("tcp://")

    async def session(curve, timeout):
        async with AsyncElevator(endpoint=endpoint, curve=curve, timeout=timeout) as E:
            await E.Put("k", "v")
            return await E.Get("k")

    assert asyncio.run(session(alice, 20)) == "v"
    with pytest.raises(AuthenticationFailed, match="its keys: 400"):
        asyncio.run(session(mallory, 60))


def unknown_client(keys):
    return keys.make("mallory")


def with_another_server_s_key(keys):
    alice = keys.let_in("alice")
    return Curve(KeyPair.generate().public_key, alice.public_key, alice.secret_key)


def with_the_server_s_own_key_as_a_client(keys):
    server = KeyPair.read(keys.directory / "server.key_secret")
    return Curve(server.public_key, server.public_key, server.secret_key)


@pytest.mark.parametrize("make", [unknown_client, with_the_server_s_own_key_as_a_client])
def test_a_key_that_the_server_does_not_know_is_refused_at_once(keys, secured, make):
    curve, server = make(keys), secured()
    with pytest.raises(AuthenticationFailed) as caught:
        server.client(curve, timeout=60)
    assert str(caught.value) == (
        f"the server at {server.urls[0]} refuses this client: its keys: 400; the server has to know its public key "
        f"{curve.public_key}"
    )


def test_a_wrong_server_key_is_refused_and_the_error_says_where_to_look(keys, secured):
    curve, server = with_another_server_s_key(keys), secured()
    with pytest.raises(ConnectTimeout) as caught:
        server.client(curve, timeout=SOON)
    assert str(caught.value) == (
        f"no Elevator server answered at {server.urls[0]} within {SOON} s; it is stopped or busy, or a firewall is between"
        f"; if one runs there, then a key does not fit: the server has to know this client's public key {curve.public_key}, and "
        "server_key has to be what the server's own server.key holds"
    )


def test_no_key_does_not_get_in(secured):
    with pytest.raises(AuthenticationFailed, match=r"asks for keys \(CURVE\)"):
        secured().client(None, timeout=60)


def test_a_plaintext_client_does_not_reach_a_curve_port(secured, dealer):
    plain = dealer(secured().urls[0])
    assert not plain.poll(400, zmq.POLLOUT)


def test_a_client_with_keys_does_not_talk_to_a_server_without(keys):
    """It must not fall back to plaintext."""
    with serve(Application.in_memory()) as server:
        with pytest.raises(AuthenticationFailed, match="has no keys; leave curve= away"):
            Elevator(endpoint=server.urls[0].removeprefix("tcp://"), curve=keys.let_in("alice"), timeout=60)


def test_plain_password_authentication_does_not_get_in(secured):
    with zmq.Context() as context, context.socket(zmq.DEALER) as plain:
        plain.set(zmq.LINGER, 0)
        plain.set(zmq.IMMEDIATE, 1)
        plain.set(zmq.PLAIN_USERNAME, b"alice")
        plain.set(zmq.PLAIN_PASSWORD, b"secret")
        plain.connect(secured().urls[0])
        assert not plain.poll(400, zmq.POLLOUT)


def test_the_server_goes_on_after_refusing(keys, secured):
    server = secured()
    for _ in range(3):
        with pytest.raises(ConnectFailed):
            server.client(None, timeout=0.05)
    with server.client(keys.let_in("alice")) as E:
        assert E.ping() == "PONG"


def test_an_added_key_is_accepted_without_a_restart(keys, secured):
    server, alice = secured(), keys.make("alice")
    with server.client(alice, auto_connect=False) as E:
        with pytest.raises(AuthenticationFailed):
            E.connect(timeout=60)
        keys.file("alice").write_bytes((keys.secrets / "alice.key").read_bytes())
        E.connect(timeout=20)
        assert E.ping() == "PONG"


def test_without_default_a_client_names_its_database_or_creates_it(keys, secured):
    owner = keys.let_in("owner")
    keys.permit("[owner]\nadmin = 'mine'")
    server = secured()
    with pytest.raises(PermissionDenied, match="DBCONNECT needs read access to the database default"):
        server.client(owner)
    with server.client(owner, auto_connect=False) as E:
        E.createdb("mine")
        E.connect("mine")
        E.Put("k", "v")
    with server.client(owner, "mine") as E:
        assert E.Get("k") == "v"


def test_a_key_removed_while_connected_is_refused_at_the_next_request(keys, secured):
    server, alice = secured(), keys.let_in("alice")
    with server.client(alice) as E:
        E.Put("k", "v")
        keys.file("alice").unlink()
        server.auth.clients.reload_if_changed()
        for call in (lambda: E.Get("k"), E.ping, E.listdb, E.connect, lambda: E.Put("k", "w")):
            with pytest.raises(PermissionDenied, match="the server does not know this client's key"):
                call()
        keys.let_in("bob")
        with pytest.raises(AuthenticationFailed):
            server.client(alice, timeout=60)


def test_a_removed_key_is_refused_by_itself_within_the_second(keys):
    alice, now = keys.let_in("alice"), [0.0]
    clients = ClientKeys(keys.directory, clock=lambda: now[0])
    auth = ClientAuth(CurveServer(server_secret(keys.directory), clients.is_known), clients)
    auth.clients.reload_if_changed()
    with Server(Application.in_memory(), [ANY_PORT], auth=auth) as server:
        with Elevator(endpoint=server.urls[0].removeprefix("tcp://"), curve=alice) as E:
            keys.file("alice").unlink()
            assert E.ping() == "PONG"
            now[0] = 1.0
            with pytest.raises(PermissionDenied):
                E.ping()


def test_a_changed_role_holds_for_connected_clients(keys, secured):
    server, alice = secured(), keys.let_in("alice")
    with server.client(alice) as E:
        E.Put("k", "v")
        keys.permit("[alice]\nread = '*'")
        server.auth.clients.reload_if_changed()
        with pytest.raises(PermissionDenied, match=r"^not allowed: PUT needs write access to the database default$"):
            E.Put("k", "w")
        assert E.Get("k") == "v"


def test_roles_and_patterns_through_the_documented_methods(keys, secured):
    reader, writer, admin = keys.let_in("reader"), keys.let_in("writer"), keys.let_in("admin")
    keys.permit("[reader]\nread = 'app'\n[writer]\nwrite = 'app'\n[admin]\nadmin = '*'")
    server = secured()
    with server.client(admin) as E:
        E.createdb("app")
        E.connect("app")
        E.Put("k", "v")
    with server.client(reader, "app") as E:
        assert (E.Get("k"), E.Range(), E.listdb()) == ("v", [["k", "v"]], ["app"])
        with pytest.raises(PermissionError):
            E.Delete("k")
        with pytest.raises(PermissionError):
            with E.WriteBatch() as batch:
                batch.Put("k", "w")
    with server.client(writer, "app") as E:
        E.Put("k", "w")
        refused = [lambda: E.connect("default"), lambda: E.dropdb("app"), E.repairdb, lambda: E.mount("app")]
        for call in [*refused, lambda: E.unmount("app"), lambda: E.createdb("mine")]:
            with pytest.raises(PermissionDenied):
                call()
        assert E.Get("k") == "w"
    with pytest.raises(PermissionDenied, match="DBCONNECT needs read access to the database default"):
        server.client(reader)


def test_a_connection_with_keys_that_ends_gives_its_cursors_back(keys, secured):
    server = secured()
    with server.client(keys.let_in("alice")) as A:
        with A.WriteBatch() as batch:
            for number in range(300):
                batch.Put(f"{number:03}", "v")
        bob = server.client(keys.let_in("bob"))
        his = bob.RangeIter(consistent=True)
        next(his)
        (kept,) = cursors_of(server.application)
        del his
        bob.disconnect()
        eventually(lambda: kept.is_disconnected)


def test_a_cursor_is_of_the_client_that_opened_it(keys, secured, dealer):
    server = secured()
    uid = server.application.catalog.uid_of("default")
    server.application(Request(Batch([(PUT, b"%d" % number, b"v") for number in range(9)]), uid))
    alice, bob = (dealer(server.urls[0], keys.let_in(name)) for name in ("alice", "bob"))

    def page(client, cursor, start=None):
        command = Slice(start, 5, cursor=cursor)
        client.send_multipart(CODEC.encode_request(Request(command, uid, 1)))
        return CODEC.decode_response(client.recv_multipart(), Request(command))

    first = page(alice, True)
    assert (len(first.payload), type(first.cursor)) == (5, bytes)
    stolen = page(bob, first.cursor, b"5")
    with pytest.raises(CursorExpired):
        raise Slice(None, 5).error(stolen.code, stolen.message)
    assert page(alice, first.cursor, b"5").payload == [[b"%d" % number, b"v"] for number in range(5, 9)]


def test_a_client_that_is_refused_while_it_is_made_leaves_nothing_open(keys, secured, recwarn):
    alice, server = keys.let_in("alice"), secured()
    gc.collect()
    recwarn.clear()  # of what other tests have left
    with pytest.raises(DatabaseError):
        server.client(alice, "nothing")
    gc.collect()
    assert [str(warning.message) for warning in recwarn] == []


def test_no_interceptor_answers_before_authorization(keys, secured):
    """A cache that stood before the guard would give one client what another one read."""
    alice, bob = keys.let_in("alice"), keys.let_in("bob")
    keys.permit("[alice]\nadmin = '*'\n[bob]\nread = 'other'")

    def generous(request, forward):
        if isinstance(request.command, Get):
            return Response(b"what alice read", id=request.id)
        return (yield from forward(request))

    server = secured(interceptors=[generous])
    with server.client(alice) as A:
        assert A.Get("k") == "what alice read"
        A.createdb("other")
        with server.client(bob, "other") as B:
            assert B.Get("k") == "what alice read"
            pretend_connected(B, A.db_uid, B.db_name)
            with pytest.raises(PermissionDenied):
                B.Get("k")


def test_the_uid_of_another_client_s_database_is_refused_on_the_wire(keys, secured, dealer):
    alice = keys.let_in("alice")
    keys.permit("[alice]\nadmin = 'app-*'")
    server, codec = secured(), ClassicCodec()
    uid = server.application.catalog.uid_of("default")
    request = Request(Get("k"), uid, 7)
    socket = dealer(server.urls[0], alice)
    socket.send_multipart(codec.encode_request(request))
    response = codec.decode_response(socket.recv_multipart(), request)
    reported = f"not allowed: GET needs read access to the database {uid}"  # and not what it is called
    assert (response.code, response.message) == (5, reported)


def test_the_peer_is_what_the_handshake_proved_not_what_it_claims(keys, secured, dealer):
    alice, bob = keys.let_in("alice"), keys.let_in("bob")
    keys.permit("[alice]\nadmin = '*'")
    server, codec = secured(), ClassicCodec()
    for curve, routing_id, names in ((alice, b"bob", [b"default"]), (bob, alice.public_key.encode(), [])):
        socket = dealer(server.urls[0], curve, routing_id)
        socket.send_multipart(codec.encode_request(Request(DbList(), None, 1)))
        assert codec.decode_response(socket.recv_multipart(), Request(DbList())).payload == names


# Several URLs on one socket


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (1, 2, 0)], ids=str)
def test_tcp_ports_ask_for_keys_and_socket_files_do_not_in_any_order(keys, secured, tmp_path, dealer, order):
    alice = keys.let_in("alice")
    binds = (ANY_PORT, f"ipc://{tmp_path}/socket", ANY_PORT)
    server, codec = secured(*[binds[i] for i in order]), ClassicCodec()
    for url in server.urls:
        right, wrong = (None, alice) if url.startswith("ipc") else (alice, None)
        socket = dealer(url, right)
        socket.send_multipart(codec.encode_request(Request(Ping())))
        assert codec.decode_response(socket.recv_multipart(), Request(Ping())).payload == b"PONG"
        assert not dealer(url, wrong).poll(200, zmq.POLLOUT)


def test_permissions_for_socket_files_hold_there_alone(keys, secured, tmp_path):
    alice = keys.let_in("alice")
    keys.permit("[local]\nread = '*'\n[alice]\nadmin = '*'")
    server = secured(ANY_PORT, f"ipc://{tmp_path}/socket")
    with Elevator(transport="ipc", endpoint=f"{tmp_path}/socket") as E:
        with pytest.raises(PermissionDenied):
            E.Put("k", "v")
    with server.client(alice) as E:
        E.Put("k", "v")


def read(peer, size):
    got = b""
    while len(got) < size:
        more = peer.recv(size - len(got))
        assert more, "the connection was closed"
        got += more
    return got


def zmtp_frame(flags, body):
    return bytes([flags, len(body)]) + body


def zmtp_property(name, value):
    return bytes([len(name)]) + name + len(value).to_bytes(4, "big") + value


def test_what_a_peer_says_of_itself_is_not_believed(listener, tmp_path):
    """A hand-made ZMTP 3.0 peer (RFC 23) on the plain socket file says that its User-Id is an admin's key."""
    listening, curve = listener(lambda _: True, f"ipc://{tmp_path}/socket")
    stated = {b"Socket-Type": b"DEALER", b"Identity": b"", b"User-Id": curve.public_key.encode()}
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(10)
        peer.connect(f"{tmp_path}/socket")
        peer.sendall(b"\xff" + bytes(8) + b"\x7f" + b"\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32))
        read(peer, 64)
        peer.sendall(zmtp_frame(4, b"\x05READY" + b"".join(zmtp_property(*pair) for pair in stated.items())))
        read(peer, read(peer, 2)[1])
        peer.sendall(zmtp_frame(0, b"question"))
        assert listening.next() == ([b"question"], "local")


class Attended:
    """A listener in a thread, and what has come in."""

    def __init__(self, *urls, allows, secret_key):
        self.listener = ZmtpListener(*urls, curve=CurveServer(secret_key, allows))
        self.urls = self.listener.urls
        self._messages: SimpleQueue[Any] = SimpleQueue()
        self._closing = False
        self._thread = threading.Thread(target=self._attend)
        self._thread.start()

    def _attend(self):
        while not self._closing:
            message = self.listener.wait()
            if message is not None:
                self._messages.put((message[1], self.listener.peer))

    def next(self):
        """The frames of the next message, and who sent it."""
        return self._messages.get(timeout=20)

    def pause(self):
        """Leaves the listener to the caller."""
        self._closing = True
        self.listener.wakeup()
        self._thread.join()

    def close(self):
        self.pause()
        self.listener.close()


@pytest.fixture
def listener():
    """Makes listeners that ask ``allows``, and the client that fits."""
    listeners = []

    def make(allows, *urls):
        pair, mine = KeyPair.generate(), KeyPair.generate()
        listeners.append(Attended(*urls or (ANY_PORT,), allows=allows, secret_key=pair.secret_key))
        return listeners[-1], Curve(pair.public_key, mine.public_key, mine.secret_key)

    yield make
    for each in listeners:
        each.close()


def test_a_check_of_keys_that_fails_refuses_the_client_and_goes_on(listener, dealer, caplog):
    answers = iter([KeyError("broken")])

    def allows(_):
        for error in answers:
            raise error
        return True

    listening, curve = listener(allows)
    assert not dealer(listening.urls[0], curve).poll(400, zmq.POLLOUT)
    assert dealer(listening.urls[0], curve).poll(10_000, zmq.POLLOUT)
    assert "a client was refused, because its key could not be checked" in caplog.text


def test_the_listener_tells_the_sender_of_messages_of_any_number_of_frames(listener, dealer, tmp_path):
    listening, curve = listener(lambda _: True, ANY_PORT, f"ipc://{tmp_path}/socket")
    tcp, ipc = dealer(listening.urls[0], curve), dealer(listening.urls[1])
    for client, peer in ((tcp, curve.public_key), (ipc, "local"), (tcp, curve.public_key)):
        for frames in ([b"one"], [b"one", b"two", b""]):
            client.send_multipart(frames)
            assert listening.next() == (frames, peer)


def test_without_keys_clients_have_no_identity(dealer):
    listener = ZmtpListener(ANY_PORT)
    client = dealer(listener.url)
    eventually(lambda: listener.receive() or client.poll(0, zmq.POLLOUT))
    client.send(b"question")
    assert unwrap(eventually(listener.receive))[1] == [b"question"]
    assert listener.peer is None
    listener.close()


def test_receive_tells_the_sender_too(listener, dealer):
    listening, curve = listener(lambda _: True)
    client = dealer(listening.urls[0], curve)
    assert client.poll(10_000, zmq.POLLOUT)
    listening.pause()
    client.send(b"question")
    while (message := listening.listener.receive()) is None:
        pass
    assert (message[1], listening.listener.peer) == ([b"question"], curve.public_key)
    assert listening.listener.receive() is None


# What the log says


def test_a_refused_handshake_is_logged_with_address_and_key(keys, secured, caplog):
    mallory, server = keys.make("mallory"), secured()
    for _ in range(3):
        with pytest.raises(AuthenticationFailed):
            server.client(mallory, timeout=60)
    reported = [record for record in caplog.records if mallory.public_key in record.getMessage()]
    assert [record.levelno for record in reported] == [logging.WARNING], "once, though it tries again and again"
    assert reported[0].getMessage() == (
        f"refused a client at 127.0.0.1: its public key {mallory.public_key} is not among the server's clients"
    )


def test_refusals_are_told_once_a_minute_for_each_key_and_not_without_end(caplog):
    now = [0.0]
    refusals = RefusalLog(lambda: now[0])
    for _ in range(5):
        refusals.log("10.0.0.1", "key a")
        refusals.log("10.0.0.1", "key b")
    assert len(caplog.records) == 2
    now[0] = 61.0
    for i in range(1000):
        refusals.log("10.0.0.1", f"key {i}")
    assert len(caplog.records) == 2 + RefusalLog.MAX_PER_PERIOD + 1
    assert caplog.messages[-1] == "refused more clients than are logged; logging goes on in a minute"
    now[0] = 122.0
    refusals.log("10.0.0.1", "key a")
    assert len(caplog.records) == 2 + RefusalLog.MAX_PER_PERIOD + 2


@forks_with_threads
def test_a_fork_does_not_share_keys_wrongly(keys, secured):
    """Parent and child use the same client; both are let in."""
    with secured().client(keys.let_in("alice")) as E:
        E.Put("k", "v")
        read, write = os.pipe()
        child = os.fork()
        if not child:
            os.write(write, E.Get("k").encode())
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert (os.read(read, 10), E.Get("k")) == (b"v", "v")
        os.close(read)
        os.close(write)
