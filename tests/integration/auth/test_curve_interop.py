"""Keys between us and libzmq over real sockets, both ways: sync, async, through a proxy, and large messages."""

import asyncio
import subprocess
import sys
import threading

import pytest
import zmq

from pyelevator import AsyncElevator, Elevator
from pyelevator.application import Application
from pyelevator.codec import ClassicCodec
from pyelevator.commands import DbConnect, Get, Put
from pyelevator.errors import ConnectTimeout
from pyelevator.messages import Request
from pyelevator.protocol import RequestDecoder
from pyelevator.proxy import Proxy, Upstream
from pyelevator.transports import Curve
from pyelevator.transports.curve import KeyPair

LARGE = "v" * (5 << 20)


class LibzmqServer:
    """An application behind a ROUTER of libzmq that asks for keys, in a thread."""

    def __init__(self):
        pair, mine = KeyPair.generate(), KeyPair.generate()
        self.curve = Curve(pair.public_key, mine.public_key, mine.secret_key)
        self._application, self._decoder = Application.in_memory(), RequestDecoder()
        self._context = zmq.Context()
        self._router = self._context.socket(zmq.ROUTER)
        self._router.set(zmq.LINGER, 0)
        self._router.curve_server, self._router.curve_secretkey = True, pair.secret_key.encode()
        self.endpoint = f"127.0.0.1:{self._router.bind_to_random_port('tcp://127.0.0.1')}"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self):
        while not self._stop.is_set():
            if self._router.poll(20):
                identity, *frames = self._router.recv_multipart()
                self._router.send_multipart([identity, *self._decoder.read(frames).answer(self._application)])
        self._router.close()

    def close(self):
        self._stop.set()
        self._thread.join()
        self._context.term()


@pytest.fixture
def libzmq():
    server = LibzmqServer()
    yield server
    server.close()


def test_a_sync_client_of_ours_talks_to_libzmq(libzmq):
    with Elevator(endpoint=libzmq.endpoint, curve=libzmq.curve, timeout=60) as E:
        E.Put("k", LARGE)
        assert (E.Get("k") == LARGE, E.ping(), E.MGet(["x"])) == (True, "PONG", [None])


def test_an_async_client_of_ours_talks_to_libzmq(libzmq):
    async def session():
        async with AsyncElevator(endpoint=libzmq.endpoint, curve=libzmq.curve, timeout=60) as E:
            await E.Put("k", LARGE)
            return [value == LARGE for value in await asyncio.gather(*[E.Get("k") for _ in range(20)])]

    assert asyncio.run(session()) == [True] * 20


def test_a_proxy_of_ours_talks_to_libzmq(libzmq):
    with Proxy(["tcp://127.0.0.1:0"], Upstream(f"tcp://{libzmq.endpoint}", curve=libzmq.curve)) as proxy:
        with Elevator(endpoint=proxy.urls[0].removeprefix("tcp://"), timeout=60) as E:
            E.Put("k", LARGE)
            assert E.Get("k") == LARGE


def test_a_client_of_ours_does_not_talk_to_libzmq_with_another_key(libzmq):
    curve = Curve(KeyPair.generate().public_key, libzmq.curve.public_key, libzmq.curve.secret_key)
    with pytest.raises(ConnectTimeout, match="a key does not fit"):
        Elevator(endpoint=libzmq.endpoint, curve=curve, timeout=0.3)


def test_a_client_of_libzmq_talks_to_a_server_of_ours(keys, secured, dealer):
    client, codec = dealer(secured().urls[0], keys.let_in("alice")), ClassicCodec()

    def call(command, uid=None):
        request = Request(command, uid, id=7)
        client.send_multipart(codec.encode_request(request))
        return codec.decode_response(client.recv_multipart(), request).payload

    uid = call(DbConnect("default")).decode()
    assert call(Put("k", LARGE), uid) is None
    assert call(Get("k"), uid) == LARGE.encode()


def test_a_heartbeat_of_libzmq_is_answered_under_keys(keys, secured, dealer):
    client = dealer(None, keys.let_in("alice"))
    client.set(zmq.HEARTBEAT_IVL, 20)
    client.set(zmq.HEARTBEAT_TIMEOUT, 2000)
    client.connect(secured().urls[0])
    with client.get_monitor_socket(zmq.EVENT_DISCONNECTED) as monitor:
        assert client.poll(10_000, zmq.POLLOUT)
        ended = monitor.poll(3000)
        client.disable_monitor()
    assert not ended


PROGRAM = """
import sys
sys.modules["nacl"] = None
from pyelevator import Curve, Elevator, MissingExtra
from pyelevator.transports.curve import KeyPair
from pyelevator.transports.sockets.listener.listener import ZmtpListener
from pyelevator.transports.authentication import CurveServer
pair = KeyPair.generate()
for use in (
    lambda: Elevator(curve=Curve(pair.public_key, pair.public_key, pair.secret_key)),
    lambda: ZmtpListener("tcp://127.0.0.1:0", curve=CurveServer(pair.secret_key, lambda _: True)),
):
    try:
        use()
    except MissingExtra as error:
        print(error)
"""


def test_without_the_library_keys_say_what_to_install():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout == "keys need PyNaCl; install it with: pip install 'pyelevator[curve]'\n" * 2
