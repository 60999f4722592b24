"""A directory of keys that tests change, and servers that ask for them."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import zmq

from pyelevator.application import Application
from pyelevator.auth import ClientAuth
from pyelevator.auth.keys import generate_keys
from pyelevator.client import Elevator
from pyelevator.server import Server
from pyelevator.testing.servers import ANY_PORT
from pyelevator.transports import Curve


class Keys:
    """A server's directory of keys, and the clients' secrets elsewhere."""

    def __init__(self, root: Path) -> None:
        self.directory = root / "keys"
        self.secrets = root / "secrets"
        self.server_key = generate_keys(self.directory)

    def file(self, name: str) -> Path:
        """The file that lets a client in."""
        return self.directory / "clients" / f"{name}.key"

    def make(self, name: str) -> Curve:
        """A client that the server does not know."""
        generate_keys(self.secrets, name)
        return Curve.from_files(self.secrets / f"{name}.key_secret", self.directory / "server.key")

    def let_in(self, name: str) -> Curve:
        """A client that the server knows."""
        curve = self.make(name)
        shutil.copy(self.secrets / f"{name}.key", self.file(name))
        return curve

    def permit(self, text: str) -> None:
        """Writes the permissions."""
        (self.directory / "permissions.toml").write_text(text)


class Secured:
    """A server in a thread that asks for keys; without a data directory."""

    def __init__(self, keys: Keys, *binds: str, **options) -> None:
        self.application = Application.in_memory()
        self.auth = ClientAuth.from_directory(keys.directory)
        self.server = Server(self.application, binds or (ANY_PORT,), auth=self.auth, **options)
        self.urls = self.server.urls

    def client(self, curve: Curve | None, db_name: str | None = None, **options) -> Elevator[str]:
        """A client of the first URL."""
        return Elevator(db_name, endpoint=self.urls[0].removeprefix("tcp://"), curve=curve, **options)


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path)


@pytest.fixture
def secured(keys: Keys) -> Iterator[Callable[..., Secured]]:
    """Starts servers with ``keys``."""
    with ExitStack() as stack:

        def start(*binds: str, **options) -> Secured:
            secured = Secured(keys, *binds, **options)
            stack.enter_context(secured.server)
            return secured

        yield start


@pytest.fixture
def dealer() -> Iterator[Callable[..., zmq.Socket]]:
    """Opens DEALER sockets, plain or with keys."""
    context, sockets = zmq.Context(), []

    def connect(url: str | None, curve: Curve | None = None, routing_id: bytes = b"") -> zmq.Socket:
        socket = context.socket(zmq.DEALER)
        sockets.append(socket)
        socket.set(zmq.LINGER, 0)
        socket.set(zmq.IMMEDIATE, 1)
        socket.set(zmq.RCVTIMEO, 10_000)
        if routing_id:
            socket.set(zmq.ROUTING_ID, routing_id)
        if curve is not None:
            socket.curve_serverkey = curve.server_public_key.encode()
            socket.curve_publickey = curve.public_key.encode()
            socket.curve_secretkey = curve.secret_key.encode()
        if url is not None:
            socket.connect(url)
        return socket

    yield connect
    for socket in sockets:
        socket.close(0)
    context.term()
