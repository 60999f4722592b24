"""The public transport suite over every transport of ours."""

import pytest

from pyelevator.application import Application
from pyelevator.testing.servers import serve
from pyelevator.testing.transports import TransportConformance
from pyelevator.transports import FakeTransport, IpcTransport, TcpTransport
from support.old_peers import OldPeer


class TestFake(TransportConformance):
    @pytest.fixture
    def transport(self):
        with FakeTransport() as connection:
            yield connection


class TestTcp(TransportConformance):
    @pytest.fixture
    def transport(self):
        with serve(Application.in_memory(), "tcp://127.0.0.1:0") as server:
            with TcpTransport(server.urls[0].partition("://")[2]) as connection:
                yield connection


class TestIpc(TransportConformance):
    @pytest.fixture
    def transport(self, tmp_path):
        with serve(Application.in_memory(), f"ipc://{tmp_path}/e.sock") as server:
            with IpcTransport(server.urls[0].partition("://")[2]) as connection:
                yield connection


@pytest.mark.parametrize("revision", [0, 1], ids=["ZMTP 1.0", "ZMTP 2.0"])
class TestTcpToAnOldPeer(TransportConformance):
    """Servers with libzmq 2 or 3, as the old Elevator servers have."""

    @pytest.fixture
    def transport(self, revision):
        with OldPeer(revision) as server:
            with TcpTransport(server.endpoint) as connection:
                yield connection
        assert server.garbage == []
