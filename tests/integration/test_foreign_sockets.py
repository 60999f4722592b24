"""REQ sockets, and peers behind devices: what came as an envelope is put before every reply."""

from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import msgpack
import pytest
import zmq

from pyelevator import Elevator
from pyelevator.application import Application
from pyelevator.auth import ClientAuth
from pyelevator.auth.keys import generate_keys
from pyelevator.protocol import split_envelope
from pyelevator.proxy import Proxy
from pyelevator.server import Server
from pyelevator.testing.servers import ANY_PORT
from pyelevator.transports import Curve
from support.old_servers import OldServerOnSocket


@contextmanager
def server():
    with Server(Application.in_memory(), [ANY_PORT]) as running:
        yield running.urls[0]


@contextmanager
def server_with_keys(directory):
    with Server(Application.in_memory(), [ANY_PORT], auth=ClientAuth.from_directory(directory)) as running:
        yield running.urls[0]


@contextmanager
def proxy():
    with server() as url, Proxy([ANY_PORT], url) as running:
        yield running.urls[0]


@contextmanager
def proxy_with_keys(directory):
    auth = ClientAuth.from_directory(directory)
    with server() as url, Proxy([ANY_PORT], url, (auth.interceptor(),), curve=auth.curve) as running:
        yield running.urls[0]


@contextmanager
def proxy_to_an_old_server():
    with OldServerOnSocket("0.5") as old, Proxy([ANY_PORT], old.url) as running:
        yield running.urls[0]


@pytest.fixture
def curve(tmp_path):
    generate_keys(tmp_path / "keys")
    generate_keys(tmp_path / "keys" / "clients", "ann")
    return Curve.from_files(tmp_path / "keys" / "clients" / "ann.key_secret", tmp_path / "keys" / "server.key")


PLACES: dict[str, Callable[..., Any]] = {
    "server": server,
    "proxy": proxy,
    "old": proxy_to_an_old_server,
    "server+keys": server_with_keys,
    "proxy+keys": proxy_with_keys,
}


@pytest.fixture(params=PLACES)
def peer(request, tmp_path, curve):
    """Makes sockets that are connected to one of the places."""
    keyed = request.param.endswith("keys")
    context, sockets = zmq.Context(), []
    with PLACES[request.param](*([tmp_path / "keys"] if keyed else [])) as url:

        def connect(kind, *options):
            socket = context.socket(kind)
            sockets.append(socket)
            socket.set(zmq.LINGER, 0)
            socket.set(zmq.RCVTIMEO, 20_000)
            for option in options:
                socket.set(option, 1)
            if keyed:
                socket.curve_serverkey = curve.server_public_key.encode()
                socket.curve_publickey, socket.curve_secretkey = curve.public_key.encode(), curve.secret_key.encode()
            socket.connect(url)
            return socket

        yield connect
        for socket in sockets:
            socket.close(0)
        context.term()


def classic(cmd, args, uid=None, **meta):
    return msgpack.packb({"cmd": cmd, "meta": meta, "uid": uid, "args": args}, use_bin_type=False)


def reported(frames):
    header, content = map(msgpack.unpackb, frames)
    return header["err_code"], header["err_msg"], content["datas"]


@pytest.mark.parametrize("options", [(), (zmq.REQ_CORRELATE,), (zmq.REQ_CORRELATE, zmq.REQ_RELAXED)])
def test_a_req_socket_gets_its_answers_and_its_errors(peer, options):
    socket = peer(zmq.REQ, *options)

    def ask(*request, **meta):
        socket.send(classic(*request, **meta))
        return reported(socket.recv_multipart())

    [uid] = ask("DBCONNECT", ["default"])[2]
    assert ask("PUT", ["k", "v"], uid) == (None, None, None)
    assert ask("GET", ["k"], uid) == (None, None, ["v"])
    assert ask("GET", ["k"], uid, id="text") == (None, None, ["v"])
    assert ask("GET", ["l"], uid, id=7)[:2] == (1, "Key 'l' does not exist")
    assert ask("PUT", ["k", 5], uid)[:2] == (0, "Unsupported value type : value must be str or bytes, not int")
    assert ask("PUT", ["k", "v"], "unknown")[0] in (4, 6)
    assert ask("RANGE", ["a", "z", True, True], uid)[2] == [["k", "v"]]
    socket.send(b"\xc1")
    assert reported(socket.recv_multipart())[:2] == (8, "not a msgpack value")
    socket.send(b"")
    assert reported(socket.recv_multipart())[0] == 8
    assert ask("PUT", ["k", "w" * 100_000], uid) == (None, None, None)
    assert ask("GET", ["k"], uid, id=8) == (None, None, ["w" * 100_000])


def test_a_req_socket_speaks_flat_as_well(peer):
    socket = peer(zmq.REQ)
    socket.send(msgpack.packb(["", "DBCONNECT", "default"]))
    [status, *_, uid] = msgpack.unpackb(socket.recv())
    socket.send(msgpack.packb([uid, "GET"]))
    failed = msgpack.unpackb(socket.recv())
    assert (status, failed[0]) == (1, -1)


def test_addresses_of_devices_come_back_before_every_answer(peer):
    socket = peer(zmq.DEALER)
    envelope = [b"one", b"\0two", b""]
    for request in (classic("PING", []), classic("FOO", [], id=7), b"\xc1"):
        socket.send_multipart([*envelope, request])
        answer = socket.recv_multipart()
        assert answer[:3] == envelope
        assert len(answer) == 5


def test_clients_of_all_kinds_meet_behind_one_device(peer):
    behind, context = peer(zmq.DEALER), zmq.Context()
    with context, context.socket(zmq.ROUTER) as front, context.socket(zmq.REQ) as one, context.socket(zmq.REQ) as other:
        port = front.bind_to_random_port("tcp://127.0.0.1")
        for socket in (one, other):
            socket.connect(f"tcp://127.0.0.1:{port}")
            socket.set(zmq.RCVTIMEO, 20_000)
            socket.send(classic("PING", []))
        for _ in (one, other):
            behind.send_multipart(front.recv_multipart())
        for _ in (one, other):
            front.send_multipart(behind.recv_multipart())
        for socket in (one, other):
            assert reported(socket.recv_multipart()) == (None, None, ["PONG"])


def test_what_is_longer_than_an_envelope_is_a_wrong_message(peer):
    socket = peer(zmq.DEALER)
    for frames in ([b"x" * 256, b"", classic("PING", [])], [b"x"] * 17 + [b"", classic("PING", [])]):
        socket.send_multipart(frames)
        assert reported(socket.recv_multipart())[:2] == (8, f"a request is one frame, not {len(frames)}")


def test_a_put_that_fails_is_no_success_without_the_first_frame(peer):
    socket = peer(zmq.DEALER)
    socket.send_multipart([b"", classic("PUT", ["k", 5], "u")])
    _, *rest = socket.recv_multipart()
    assert reported(rest)[0] == 0


def test_the_fake_keeps_envelopes_too():
    from pyelevator.transports import FakeTransport

    assert FakeTransport().answer([b"", classic("PING", [])])[0] == b""


@pytest.mark.parametrize(
    ("frames", "envelope"),
    [
        ([b"r"], 0),
        ([b""], 0),
        ([b"", b"r"], 1),
        ([b"a", b"", b"r"], 2),
        ([b"", b"", b"r"], 1),
        ([b"a", b"r"], 0),
        ([b"a", b""], 0),
        ([b"", b""], 1),
    ],
)
def test_an_envelope_ends_with_the_first_empty_frame_before_the_last(frames, envelope):
    assert split_envelope(frames) == (frames[:envelope] if envelope else (), frames[envelope:])


def test_our_own_clients_send_no_envelope():
    with server() as url, Elevator(endpoint=url.removeprefix("tcp://"), timeout=20) as E:
        E.Put("k", "v")
        assert E.Get("k") == "v"
