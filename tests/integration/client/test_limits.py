"""What a client takes from a server: limits with names, on every connection, and from servers of any age."""

import asyncio
import socket
import threading
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from pyelevator import AsyncElevator, Elevator, LimitExceeded, UsageError, WriteBatch
from pyelevator.application import Application
from pyelevator.codec import ClassicCodec, Limits
from pyelevator.errors import ElevatorError
from pyelevator.proxy import Proxy
from pyelevator.testing.servers import serve
from support.connections import transport_of

FRAME = 100_000
LIMITS = Limits(frame_bytes=FRAME)
BEGINNINGS = {
    "ZMTP 1": (b"\x01\x00", b"\xff" + (50_001).to_bytes(8, "big") + b"\x01"),
    "ZMTP 2": (b"\xff\0\0\0\0\0\0\0\x01\x7f\x01\x06\0\0", b"\x03" + (50_000).to_bytes(8, "big")),
}


def sync_get(url, **options):
    with Elevator.from_url(url, timeout=20, **options) as E:
        return E.Get("k")


def async_get(url, **options):
    async def main():
        async with AsyncElevator.from_url(url, timeout=20, **options) as E:
            return await E.Get("k")

    return asyncio.run(main())


GETS = pytest.mark.parametrize("get", [sync_get, async_get], ids=["sync", "async"])


@pytest.fixture(params=["tcp", "ipc"])
def server(request, tmp_path):
    with serve(
        Application.in_memory(), {"tcp": "tcp://127.0.0.1:0", "ipc": f"ipc://{tmp_path}/s"}[request.param]
    ) as it:
        yield it


@GETS
@pytest.mark.parametrize(
    "options", [{"limits": LIMITS}, {"dialect": ClassicCodec(LIMITS)}, {"limits": LIMITS, "dialect": "flat"}]
)
@pytest.mark.parametrize("size", [FRAME + 1000, 3 * FRAME])
def test_an_answer_over_the_limits_is_an_error(server, get, options, size):
    with Elevator.from_url(server.urls[0], timeout=20) as E:
        E.Put("k", "v" * size)
    with pytest.raises(LimitExceeded):
        get(server.urls[0], **options)
    with Elevator.from_url(server.urls[0], timeout=20) as E:
        E.Put("k", "v" * (FRAME - 1000))
    assert get(server.urls[0], **options) == "v" * (FRAME - 1000)


def test_a_batch_has_limits_too(server):
    with WriteBatch.from_url(server.urls[0], limits=LIMITS) as batch:
        batch.Put("k", "v")
    transport: Any = transport_of(batch)
    assert transport._max_message == 2 * FRAME


@pytest.mark.parametrize("kind", [Elevator, AsyncElevator, WriteBatch])
def test_limits_that_make_no_sense_are_refused(kind):
    with pytest.raises(UsageError, match="a Codec has its own"):
        kind(transport="fake", dialect=ClassicCodec(), limits=LIMITS)
    with pytest.raises(TypeError, match="limits must be Limits, not int"):
        kind(transport="fake", limits=5)


@contextmanager
def endless(beginning, chunk):
    """The URL of a server that begins as an old one does, and answers with a message that never ends."""
    listening = socket.create_server(("127.0.0.1", 0))
    sent = []

    def flood(peer):
        sent.append(0)
        at = len(sent) - 1
        with peer, suppress(OSError):
            peer.settimeout(20)
            peer.sendall(beginning)
            peer.recv(10)
            while sent[at] < 300_000_000:
                peer.sendall(chunk)
                sent[at] += len(chunk)

    def accept():
        with suppress(OSError):
            while True:
                threading.Thread(target=flood, args=(listening.accept()[0],)).start()

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield f"tcp://127.0.0.1:{listening.getsockname()[1]}", sent
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()


@GETS
@pytest.mark.parametrize("age", BEGINNINGS)
@pytest.mark.parametrize("through", ["directly", "through a proxy"])
def test_an_old_server_that_never_ends_a_message_is_left(get, age, through):
    beginning, head = BEGINNINGS[age]
    with endless(beginning, head + b"x" * 50_000) as (url, sent):
        if through == "directly":
            with pytest.raises(LimitExceeded, match="a message of more than 200,000 bytes"):
                get(url, limits=LIMITS)
        else:
            with Proxy(["tcp://127.0.0.1:0"], url, limits=LIMITS, timeout=2) as proxy, pytest.raises(ElevatorError):
                get(proxy.urls[0])
    assert 0 < max(sent) < 100_000_000, "more than the buffers of the system left over one connection"
