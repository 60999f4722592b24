"""A console before a server, both in threads of this process."""

import pytest

from pyelevator import Elevator
from pyelevator.application import Application
from pyelevator.testing.servers import serve
from support.web_console import Client, running_console


@pytest.fixture
def server():
    with serve(Application.in_memory()) as running:
        yield running


@pytest.fixture
def database(server):
    with Elevator.from_url(server.urls[0], encoding=None, timeout=60) as E:
        yield E


@pytest.fixture
def console(server):
    with running_console(server.urls[0], write=True) as running:
        yield running


@pytest.fixture
def client(console):
    return Client(console.url)


@pytest.fixture
def reader(server):
    """The client of a console that only reads."""
    with running_console(server.urls[0]) as running:
        yield Client(running.url)
