"""Raw clients, and an application whose slow requests end when the test says so."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import zmq

from pyelevator.application.monitoring.monitor import Monitor
from pyelevator.codec import ClassicCodec
from pyelevator.commands import Command, Range
from pyelevator.messages import Request, Response

CODEC = ClassicCodec()
PONG = [
    bytes.fromhex("84a673746174757301a76572725f6d7367c0ab636f6d7072657373696f6ec2a86572725f636f6465c0"),
    bytes.fromhex("81a5646174617391a4504f4e47"),
]
"""The recorded answer to PING."""


class Raw:
    """A DEALER socket that sends what it is given."""

    def __init__(self, context: zmq.Context, url: str) -> None:
        self.socket = context.socket(zmq.DEALER)
        self.socket.set(zmq.LINGER, 0)
        self.socket.set(zmq.SNDHWM, 0)
        self.socket.set(zmq.RCVTIMEO, 20_000)
        self.socket.connect(url)

    def send(self, *frames: bytes) -> None:
        self.socket.send_multipart(frames)

    def ask(self, command: Command, id: int | None = None, uid: str | None = None) -> None:
        self.send(*CODEC.encode_request(Request(command, uid, id)))

    def receive(self) -> list[bytes]:
        return list(self.socket.recv_multipart())

    def answer(self, command: Command) -> Response:
        """The next message, as the answer to ``command``."""
        return CODEC.decode_response(self.receive(), Request(command))


class Gated:
    """Answers every command with its own key; a RANGE is slow, and waits for the event ``resume``."""

    maintenance_interval = None

    def __init__(self) -> None:
        self.resume = threading.Event()
        self.entered = threading.Semaphore(0)
        self.asked: list[bytes] = []
        self.closed = False
        self.monitor = Monitor()

    def try_handle(self, request: Request) -> Response | None:
        return None if isinstance(request.command, Range) else self(request)

    def __call__(self, request: Request) -> Response:
        if isinstance(request.command, Range):
            self.entered.release()
            self.resume.wait(20)
            return Response([[request.command.start, b""]], id=request.id)
        command: Any = request.command
        self.asked.append(command.key[:100])
        return Response(command.key, id=request.id)

    def connection_ended(self, connection: bytes) -> None:
        pass

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def gated() -> Iterator[Gated]:
    application = Gated()
    yield application
    application.resume.set()


@pytest.fixture(scope="module")
def raw() -> Iterator[Callable[[str], Raw]]:
    """Opens raw clients."""
    context, clients = zmq.Context(), []

    def open_client(url: str) -> Raw:
        clients.append(Raw(context, url))
        return clients[-1]

    yield open_client
    for client in clients:
        client.socket.close(0)
    context.term()


@pytest.fixture(scope="session")
def pong() -> list[bytes]:
    return PONG
