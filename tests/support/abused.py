"""A server in a process of its own that peers abuse: over TCP without keys, with them, or over a socket file beside them."""

import shutil
import socket

from pyelevator import Curve, Elevator
from pyelevator.auth.keys import generate_keys
from pyelevator.codec import ClassicCodec
from pyelevator.commands import DbConnect
from pyelevator.deadlines import Deadline
from pyelevator.messages import Request
from pyelevator.testing.servers import ServerProcess
from pyelevator.transports.sockets.blocking import BlockingConnection
from pyelevator.transports.sockets.resolver import Resolver
from pyelevator.transports.zmtp.handshake import SIGNATURE

MB = 1 << 20
CODEC = ClassicCodec()
ENDLESS_HANDSHAKE = SIGNATURE + b"\x03\x01" + b"CURVE".ljust(20, b"\0") + bytes(32) + b"\x06"
"""The beginning of a command of so many bytes, sent before authentication."""


class Abused:
    """A server, reached over TCP without keys, with them, or over the socket file beside them."""

    def __init__(self, tmp_path, way, *args):
        self.curve = None
        self.ipc = f"ipc://{tmp_path}/socket"
        keys = []
        if way != "plain":
            generate_keys(tmp_path / "keys")
            generate_keys(tmp_path / "secrets", "alice")
            shutil.copy(tmp_path / "secrets" / "alice.key", tmp_path / "keys" / "clients")
            keys = ["--curve-keys", str(tmp_path / "keys")]
            if way == "keys":
                self.curve = Curve.from_files(
                    tmp_path / "secrets" / "alice.key_secret", tmp_path / "keys" / "server.key"
                )
        binds = ["tcp://127.0.0.1:0", self.ipc]
        self.process = ServerProcess(tmp_path / "data", binds=binds, args=[*keys, *args])
        self.url = self.process.urls[0] if way != "file" else self.ipc
        self.pid = self.process.pid

    def line(self):
        """A connection that is up."""
        (address,) = Resolver(self.url).resolve(Deadline.after(20))
        return BlockingConnection.open(address, self.url, Deadline.after(20), self.curve)

    def unknown_client(self):
        """A connection over TCP that has said nothing."""
        host, _, port = self.process.urls[0].removeprefix("tcp://").rpartition(":")
        return socket.create_connection((host, int(port)), timeout=20)

    def client(self, **options):
        if self.url.startswith("ipc"):
            return Elevator(transport="ipc", endpoint=self.url.removeprefix("ipc://"), timeout=30, **options)
        return Elevator(endpoint=self.url.removeprefix("tcp://"), curve=self.curve, timeout=30, **options)


def connected(line):
    """The uid of the database ``default``, asked for over a line."""
    request, deadline = Request(DbConnect("default"), id=1), Deadline.after(20)
    line.send(CODEC.encode_request(request), deadline)
    return CODEC.decode_response(line.receive(deadline), request).payload.decode()


def send_without_end(line, deadline):
    """Sends frames of one message, up to 300 MB of them."""
    for _ in range(300):
        for chunk in line._encode([b"x" * 100_000] * 11)[:-1]:  # the last one has no MORE
            line._send_rest(memoryview(chunk), deadline)


def of_elements(element, size):
    """An MGET with an array of so many bytes in the place of its keys."""
    count = size // len(element)
    head = b"\x84\xa3cmd\xa4MGET\xa4meta\x81\xa2id\x07\xa3uid\xa1u\xa4args\x91\xdd"
    return head + count.to_bytes(4, "big") + element * count
