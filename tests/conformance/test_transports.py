"""The public transport suite over every transport of ours."""

import pytest

from pyelevator.application import Application
from pyelevator.testing.servers import serve
from pyelevator.testing.transports import TransportConformance
from pyelevator.transports import FakeTransport, IpcTransport, TcpTransport


class TestFake(TransportConformance):
    @pytest.fixture
    def transport(self):
        with FakeTransport() as lane:
            yield lane


class TestTcp(TransportConformance):
    @pytest.fixture
    def transport(self):
        with serve(Application.in_memory(), "tcp://127.0.0.1:0") as server:
            with TcpTransport(server.urls[0].partition("://")[2]) as lane:
                yield lane


class TestIpc(TransportConformance):
    @pytest.fixture
    def transport(self, tmp_path):
        with serve(Application.in_memory(), f"ipc://{tmp_path}/e.sock") as server:
            with IpcTransport(server.urls[0].partition("://")[2]) as lane:
                yield lane
