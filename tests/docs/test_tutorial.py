"""The tutorial, step by step, as a reader follows it: its servers and programs are real processes."""

import doctest
import os
import re
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.pages import ROOT
from support.programs import WAIT_TIMEOUT
from support.puppets import unused_endpoint

PAGE = (ROOT / "docs" / "tutorial.md").read_text()
PROGRAM = re.compile(r"^<!-- program: (\S+) -->\n```python\n.*?^```", re.MULTILINE | re.DOTALL)
BLOCKS = re.findall(r"^```(console|python)\n(.*?)^```", PROGRAM.sub("", PAGE), re.MULTILINE | re.DOTALL)
LASTING = re.compile(r"elevator (serve|proxy)")
INSTALLS = re.compile(r"-m venv|pip install")


class Reader:
    """Does what the tutorial says, on ports of this test's own."""

    def __init__(self, folder, stack):
        self._folder, self._stack = folder, stack
        self._places = {f"127.0.0.1:{port}": unused_endpoint() for port in (4141, 4140)}
        self._places["venv/bin/"] = f"{Path(sys.executable).parent}/"
        self._names = {}
        self.steps = 0
        self.environment = {
            **os.environ,
            "ELEVATOR_URL": f"tcp://{self._places['127.0.0.1:4141']}",
            "PYTHONUNBUFFERED": "1",
        }

    def _here(self, text):
        """The text with this test's places. In one pass: the port of one may begin as the number of another."""
        return re.sub("|".join(map(re.escape, self._places)), lambda found: self._places[found[0]], text)

    def console(self, block):
        for command, reported in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE):
            self.steps += 1
            if not INSTALLS.search(command):
                self._run(self._here(command), self._here(reported))

    def _run(self, command, reported):
        if LASTING.search(command):
            self._start(command, reported)
            return
        with self._process(command) as process:
            out, _ = process.communicate(timeout=WAIT_TIMEOUT)
        assert process.returncode == 0, out
        assert out.startswith(reported), out
        assert out == reported or "pytest" in command  # which tells how long it took

    def _start(self, command, reported):
        """What runs until the end; it is up when it says where it serves."""
        bind = f" --bind {self.environment['ELEVATOR_URL']}" if "serve" in command else ""
        process = self._stack.enter_context(self._process(f"exec {command}{bind}"))
        self._stack.callback(process.terminate)
        assert process.stdout.readline() == reported

    def _process(self, command):
        return subprocess.Popen(
            command,
            shell=True,
            cwd=self._folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def python(self, block):
        self.steps += 1
        example = doctest.DocTestParser().get_doctest(self._here(block), self._names, "tutorial", "tutorial.md", 0)
        runner = doctest.DocTestRunner(optionflags=doctest.IGNORE_EXCEPTION_DETAIL)
        runner.run(example, clear_globs=False)
        assert runner.failures == 0
        self._names.update(example.globs)


def test_the_tutorial_does_what_it_says(tmp_path, monkeypatch):
    for program in ("bookmarks.py", "test_bookmarks.py"):
        shutil.copy(ROOT / "docs" / "programs" / program, tmp_path)
    with ExitStack() as stack:
        reader = Reader(tmp_path, stack)
        monkeypatch.setenv("ELEVATOR_URL", reader.environment["ELEVATOR_URL"])
        for kind, block in BLOCKS:
            getattr(reader, kind)(block)
    assert reader.steps > 15


@pytest.mark.parametrize("program", PROGRAM.findall(PAGE))
def test_the_programs_that_it_shows_are_there(program):
    assert (ROOT / "docs" / program).exists()
