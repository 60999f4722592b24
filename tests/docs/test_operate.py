"""The sessions of the page on operating a server: each command is run, and prints what the page shows."""

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pyelevator import Elevator
from pyelevator.testing.servers import ServerProcess
from support.pages import ROOT

PAGE = (ROOT / "docs" / "howto" / "operate.md").read_text()
SESSION = re.compile(r"^<!-- session -->\n```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)
SESSIONS = SESSION.findall(PAGE)


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    """Runs a command of the page; a server with a database is there, and another one."""
    directory = tmp_path_factory.mktemp("operate")
    with (
        ServerProcess(data=directory / "data", args=("--allow-path", str(directory))) as server,
        ServerProcess(data=directory / "other") as other,
    ):
        with Elevator.from_url(server.urls[0]) as client:
            client.createdb("shop")
            client.connect("shop")
            client.Put("apple", "3")
            client.Put("pear", "5")
        environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "ELEVATOR_URL": server.urls[0],
            "OTHER_URL": other.urls[0],
            "BACKUPS": str(directory),
        }

        def run(command):
            ran = subprocess.run(
                ["bash", "-ec", command],
                cwd=directory,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=120,
                check=False,
            )
            return ran.returncode, ran.stdout

        yield run


def test_the_sessions_print_what_the_page_shows(shell):
    assert len(SESSIONS) > 2
    for session in SESSIONS:
        for command, expected in COMMAND.findall(session):
            code, printed = shell(command)
            lines = "".join(sorted(printed.splitlines(keepends=True))) if "|" in command else printed
            wanted = "".join(sorted(expected.splitlines(keepends=True))) if "|" in command else expected
            same = doctest.OutputChecker().check_output(wanted, lines, doctest.ELLIPSIS)
            assert (code, same) == (0, True), f"{command}\n{printed}"
