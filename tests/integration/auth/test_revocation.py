"""Rights that are taken from a client while it is at work: it loses what it has opened as well, server and proxy alike."""

import os
import signal
from contextlib import ExitStack

import pytest

from pyelevator import Curve, Elevator
from pyelevator.auth.keys import generate_keys
from pyelevator.errors import PermissionDenied
from pyelevator.testing.servers import ProxyProcess, ServerProcess
from support.eventually import eventually


class Place:
    """A server, or a proxy before one, with keys and permissions, in a process of its own."""

    def __init__(self, kind, tmp_path, stack):
        self.keys = tmp_path / "keys"
        generate_keys(self.keys)
        generate_keys(self.keys / "clients", "alice")
        (self.keys / "clients" / "alice.key_secret").rename(tmp_path / "alice.key_secret")
        self.curve = Curve.from_files(tmp_path / "alice.key_secret", self.keys / "server.key")
        self.permit("admin = '*'")
        args = ["--curve-keys", str(self.keys)]
        server = stack.enter_context(ServerProcess(tmp_path / "data", args=args if kind == "server" else []))
        proxied = kind == "proxy"
        self.process = stack.enter_context(ProxyProcess(server.urls[0], args=args)) if proxied else server

    def permit(self, stated):
        (self.keys / "permissions.toml").write_text(f"[alice]\n{stated}\n")

    def reload(self):
        os.kill(self.process.pid, signal.SIGHUP)

    def client(self):
        return Elevator(endpoint=self.process.urls[0].removeprefix("tcp://"), curve=self.curve, timeout=20)


@pytest.fixture(params=["server", "proxy"])
def place(request, tmp_path):
    with ExitStack() as stack:
        yield Place(request.param, tmp_path, stack)


def refused(call):
    """Whether a call is refused for want of rights."""
    try:
        call()
    except PermissionDenied:
        return True
    return False


def test_cursors_and_snapshots_are_lost_with_the_right_or_the_key(place):
    with place.client() as E:
        with E.WriteBatch() as batch:
            for number in range(12_000):
                batch.Put(f"{number:05}", "v" * 1000)
        rows = E.RangeIter(consistent=True)
        assert next(rows) == ["00000", "v" * 1000]
        with E.snapshot() as snapshot:
            assert snapshot.Get("00000") == "v" * 1000
            place.permit("read = 'another'")
            place.reload()
            eventually(lambda: refused(lambda: E.Get("00000")))
            assert refused(lambda: snapshot.Get("00000"))
            assert refused(lambda: list(rows))
            assert refused(lambda: list(snapshot.RangeIter()))
            place.permit("read = '*'")
            place.reload()
            eventually(lambda: not refused(lambda: E.Get("00000")))
            assert refused(lambda: E.Put("00000", "w"))
            assert snapshot.Get("00000") == "v" * 1000
            (place.keys / "clients" / "alice.key").unlink()
            place.reload()
            eventually(lambda: refused(E.ping))
            assert refused(lambda: snapshot.Get("00000"))
