"""py-elevator's own test suite, as its sdist has it: what passes on Elevator 0.5 passes on our server."""

import re
import shlex
import subprocess
import sys

import pytest

from support import elevator05

pytestmark = [elevator05.needs_the_old_software, pytest.mark.timeout(400)]

# Its daemon is `elevator --config F --bind IP --port N --log-level CRITICAL`, killed without a warning.
OLD = """#!/bin/sh
echo majordome_interval = 0 >> "$2"
exec {python2} -c {server} "$@" >> {home}/server.txt 2>&1
"""
NEW = """#!/bin/sh
unset PYTHONPATH
exec {python} -P -m pyelevator serve --config "$2" --bind "tcp://$4:$6" --allow-path /tmp >> {home}/server.txt 2>&1
"""

BROKEN = {
    "test_range_of_len_one_without_keys": "FAIL",
    "test_range_of_len_ten_without_keys": "FAIL",
    "test_slice_of_len_one_without_keys": "FAIL",
    "test_slice_of_len_ten_without_keys": "FAIL",
    "test_spawn_writebatch_from_elevator": "ERROR",
}
"""What fails on any server: it is defined twice, or asks for an attribute that clients do not have."""


class Suite:
    def __init__(self, home, daemon):
        self.home = home
        programs = home / "bin"
        programs.mkdir()
        script = programs / "elevator"
        words = {"python2": elevator05.python2(), "server": elevator05.SERVER, "python": sys.executable, "home": home}
        script.write_text(daemon.format(**{name: shlex.quote(str(word)) for name, word in words.items()}))
        script.chmod(0o755)
        env = elevator05.environment(home, OLD_SUITE="yes", TMPDIR=str(home))
        env["PATH"] = f"{programs}:{env['PATH']}"
        self.output = (home / "output.txt").open("w+")
        self.process = subprocess.Popen(
            [elevator05.python2(), "-m", "nose", "--verbose", "tests"],
            cwd=elevator05.SUITE,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=self.output,
            stderr=self.output,
        )

    def results(self):
        """Name of a test -> how it went."""
        self.process.wait(300)
        self.output.seek(0)
        text = self.output.read()
        found = dict(re.findall(r"^(test_\w+) \(tests\.\w+\.\w+\) \.\.\. (\w+)$", text, re.MULTILINE))
        assert "Ran 39 tests in " in text, text
        assert len(found) == 39, text
        return found

    def close(self):
        self.process.kill()
        self.process.wait(20)
        self.output.close()


@pytest.fixture
def suites(tmp_path):
    """The suite on the old server and on ours, both under way."""
    suites = []
    for name, daemon in (("old", OLD), ("new", NEW)):
        (tmp_path / name).mkdir()
        suites.append(Suite(tmp_path / name, daemon))
    yield suites
    for suite in suites:
        suite.close()


def test_what_passes_on_the_old_server_passes_on_ours(suites):
    old, new = [suite.results() for suite in suites]
    assert new == old
    assert {name: result for name, result in old.items() if result != "ok"} == BROKEN
