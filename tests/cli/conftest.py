"""A server and the command line, for the tests of commands that call one."""

import pytest
from click.testing import CliRunner

from pyelevator import Elevator
from pyelevator.application import Application
from pyelevator.cli.main import elevator
from pyelevator.testing.servers import serve


@pytest.fixture
def server_url():
    with serve(Application.in_memory(), "tcp://127.0.0.1:0") as server:
        yield server.urls[0]


@pytest.fixture
def db(server_url):
    """A client of the server's database."""
    with Elevator.from_url(server_url, encoding=None) as client:
        yield client


@pytest.fixture
def run(server_url):
    """Runs a command at the server; its exit code, stdout and stderr, as bytes and text."""

    def call(*args, stdin=b""):
        words = [str(arg) for arg in args]
        result = CliRunner().invoke(elevator, words, input=stdin, env={"ELEVATOR_URL": server_url})
        return result.exit_code, result.stdout_bytes, result.stderr

    return call
