"""The page on the command line and the shell, and the README's tour, typed into a real terminal."""

import re

import pytest

from pyelevator.application import Application
from pyelevator.cli.errors import EXIT_CODES_HELP
from pyelevator.testing.servers import serve
from support.consoles import BLOCK, Console
from support.pages import ROOT

PAGE = (ROOT / "docs" / "howto" / "shell.md").read_text()
README = (ROOT / "README.md").read_text()


@pytest.fixture
def play(tmp_path):
    """Types blocks into one terminal."""
    with serve(Application.in_memory(), "tcp://127.0.0.1:0") as server:
        console = Console(tmp_path, ELEVATOR_URL=server.urls[0])
        yield lambda block: console.play(block, server.urls[0].removeprefix("tcp://"))
        console.close()


def test_the_page_shows_what_a_terminal_shows(play):
    blocks = [block for block in BLOCK.findall(PAGE) if "db.example" not in block]
    assert len(blocks) == 11
    for block in blocks:
        play(block)


def test_the_readme_s_tour_shows_what_a_terminal_shows(play):
    (tour,) = [block for block in BLOCK.findall(README) if "elevator shell" in block]
    play(tour)


def test_the_table_of_exit_codes_is_that_of_the_help():
    rows = re.findall(r"^\| (\d) \| (.*) \|$", PAGE, re.MULTILINE)
    assert rows == re.findall(r"^  (\d)  (.*)$", EXIT_CODES_HELP, re.MULTILINE)
