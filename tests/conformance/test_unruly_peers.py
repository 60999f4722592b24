"""The public suites on unruly peers over every transport of ours, and that a transport without deadlines fails them."""

import asyncio

import pytest

from pyelevator import AsyncElevator, Elevator, LimitExceeded, MalformedMessage
from pyelevator.application import Application
from pyelevator.deadlines import Deadline
from pyelevator.testing.servers import serve
from pyelevator.testing.transports import AsyncTransportConformance, DeadlineConformance
from pyelevator.testing.unruly import UnrulyRelay, call_in_time
from pyelevator.transports import IpcTransport, TcpTransport
from support.pages import load

TOO_LARGE = b"\x02" + (1 << 62).to_bytes(8, "big")


class OverTcp:
    @pytest.fixture
    def server(self):
        with serve(Application.in_memory()) as server:
            yield server.urls[0]

    @pytest.fixture(params=[b"\xff" * (64 << 10), TOO_LARGE], ids=["junk", "too large"])
    def oversized(self, request):
        return request.param


class OverIpc(OverTcp):
    @pytest.fixture
    def server(self, tmp_path):
        with serve(Application.in_memory(), f"ipc://{tmp_path}/e.sock") as server:
            yield server.urls[0]


class TestTcp(OverTcp, DeadlineConformance):
    @pytest.fixture
    def connect(self):
        return lambda url: TcpTransport(url.removeprefix("tcp://"))


class TestIpc(OverIpc, DeadlineConformance):
    @pytest.fixture
    def connect(self):
        return lambda url: IpcTransport(url.removeprefix("ipc://"))


class TestAsyncTcp(OverTcp, AsyncTransportConformance):
    @pytest.fixture
    def connect(self):
        return lambda url: TcpTransport(url.removeprefix("tcp://")).to_async()


class TestAsyncIpc(OverIpc, AsyncTransportConformance):
    @pytest.fixture
    def connect(self):
        return lambda url: IpcTransport(url.removeprefix("ipc://")).to_async()


def sync_ping(relay, url):
    with Elevator.from_url(url, timeout=20) as E:
        assert E.ping() == "PONG"
        relay.answer = "replaced"
        E.ping()


def async_ping(relay, url):
    async def main():
        async with AsyncElevator.from_url(url, timeout=20) as E:
            assert await E.ping() == "PONG"
            relay.answer = "replaced"
            await E.ping()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("replacement", "error"),
    [
        (b"\xff" * 100, MalformedMessage),
        (b"\x04\x00", MalformedMessage),
        (TOO_LARGE, LimitExceeded),
        (b"\x00\x01x", MalformedMessage),
        (b"\x01\x01x\x00\x01x", MalformedMessage),
    ],
    ids=["junk", "an empty command", "too large", "one frame", "no header"],
)
@pytest.mark.parametrize("ping", [sync_ping, async_ping], ids=["sync", "async"])
@pytest.mark.parametrize("transport", ["tcp", "ipc"])
def test_an_answer_that_makes_no_sense_is_the_same_error_everywhere(transport, ping, replacement, error, tmp_path):
    bind = {"tcp": "tcp://127.0.0.1:0", "ipc": f"ipc://{tmp_path}/e.sock"}[transport]
    with serve(Application.in_memory(), bind) as server, UnrulyRelay(server.urls[0]) as relay:
        relay.replacement = replacement
        with pytest.raises(error):
            ping(relay, relay.url)


@pytest.fixture
def plain():
    """The program of docs/howto/transport.md."""
    return load("docs/programs/transport.py")


class TestTheTransportOfTheHowTo(DeadlineConformance):
    @pytest.fixture
    def server(self, tmp_path, plain):
        with plain.serve(str(tmp_path / "s"), Application.in_memory()):
            yield f"ipc://{tmp_path}/s"

    @pytest.fixture
    def connect(self, plain):
        return lambda url: plain.PlainTransport(url.removeprefix("ipc://"))


class IgnoringDeadlines(TcpTransport):
    """Ignores deadlines."""

    def send(self, frames, deadline):
        super().send(frames, Deadline.after(None))

    def receive(self, deadline):
        return super().receive(Deadline.after(None))


class PerChunk(TcpTransport):
    """Counts its time anew whenever some has passed."""

    def receive(self, deadline):
        while True:
            try:
                return super().receive(Deadline.after(deadline.seconds))
            except TimeoutError:
                continue


@pytest.mark.parametrize("kind", [IgnoringDeadlines, PerChunk])
@pytest.mark.parametrize("answer", ["stalled", "dripped"])
def test_a_transport_that_ignores_deadlines_cannot_pass(kind, answer, monkeypatch):
    monkeypatch.setattr("pyelevator.testing.unruly.HANG_TIMEOUT", 2.0)
    suite = DeadlineConformance()
    with serve(Application.in_memory()) as server, UnrulyRelay(server.urls[0]) as relay:
        connection = kind(relay.url.removeprefix("tcp://"))
        call_in_time(lambda: connection.send([b"\xc0"], Deadline.after(30)))
        connection.receive(Deadline.after(30))
        with pytest.raises(AssertionError, match="did not end within"):
            suite.test_no_answer_is_an_error_in_time_and_a_reset_brings_nothing_old(relay, connection, answer)
