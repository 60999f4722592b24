"""The README's code blocks, run as written."""

import doctest
import re
from pathlib import Path
from typing import Any

import pytest

from pyelevator.application import Application
from pyelevator.testing.servers import serve

README = Path(__file__).parents[1] / "README.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)
SESSIONS = [block for block in BLOCKS if block.startswith(">>>")]
PROGRAMS = [block for block in BLOCKS if not block.startswith(">>>")]


def test_the_sessions_print_what_they_show(monkeypatch):
    with serve(Application.in_memory(), "tcp://127.0.0.1:0") as server:
        monkeypatch.setenv("ELEVATOR_URL", server.urls[0])
        names: dict[str, Any] = {}
        for session in SESSIONS:
            example = doctest.DocTestParser().get_doctest(session, names, "README", str(README), 0)
            runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
            runner.run(example, clear_globs=False)
            assert runner.failures == 0
            names |= example.globs
        names["E"].disconnect()


@pytest.mark.parametrize("program", PROGRAMS, ids=range(len(PROGRAMS)))
def test_a_program_s_own_tests_pass(program):
    names: dict[str, Any] = {}
    exec(compile(program, str(README), "exec"), names)
    tests = [thing for name, thing in names.items() if name.startswith("test_")]
    assert tests
    for test in tests:
        test()


def test_every_kind_of_block_is_there():
    assert len(SESSIONS) == 7
    assert len(PROGRAMS) == 3
