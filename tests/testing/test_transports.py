"""The public suites of transports tell sound transports of others from bad ones, and name the fault."""

import re
import subprocess
import sys

import pytest

from support.foreign_transports import ASYNC, BASIC, DEADLINES, FAULTS
from support.pages import ROOT
from support.programs import WAIT_TIMEOUT

MODULE = '''
import pytest
from pyelevator.application import Application
from pyelevator.testing import transports, unruly
from support import foreign_transports as foreign

unruly.HANG_TIMEOUT = {wait_timeout}


class _Served:
    @pytest.fixture
    def server(self, tmp_path):
        with foreign.plain.serve(str(tmp_path / "s"), Application.in_memory()):
            yield f"ipc://{{tmp_path}}/s"


def suite(name, transport):
    """The suite of that name over a transport."""

    def connect(self):
        return lambda url: transport(url.removeprefix("ipc://"))

    def over_server(self, server):
        with transport(server.removeprefix("ipc://")) as connection:
            yield connection

    kind = getattr(transports, name)
    return type("Test", (_Served, kind), {{"connect": pytest.fixture(connect), "transport": pytest.fixture(over_server)}})


'''


def run(tmp_path, classes, tests, wait_timeout, *options):
    """The names of the tests that failed, and what pytest said."""
    module = tmp_path / "test_foreign.py"
    module.write_text(MODULE.format(wait_timeout=wait_timeout) + classes)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", "--tb=short"]
    command += ["-c", str(tmp_path / "pytest.ini"), *options, *(f"{module}::{test}" for test in tests)]
    (tmp_path / "pytest.ini").write_text(f"[pytest]\npythonpath = {ROOT}/tests {ROOT}/src\n")
    ran = subprocess.run(command, check=False, capture_output=True, text=True, timeout=WAIT_TIMEOUT, cwd=tmp_path)
    return set(re.findall(r"^(?:FAILED|ERROR) \S*?::(\S+)", ran.stdout, re.MULTILINE)), ran.stdout


@pytest.mark.parametrize(
    ("transport", "suite"), [("Good", BASIC), ("Good", DEADLINES), ("AsyncGood", ASYNC)], ids=["basic", "sync", "async"]
)
def test_a_sound_third_party_transport_passes(tmp_path, transport, suite):
    failed, stated = run(tmp_path, f"Test = suite('{suite}', foreign.{transport})\n", ["Test"], 20)
    assert failed == set(), stated
    assert " passed" in stated


@pytest.mark.parametrize("suite", [BASIC, DEADLINES, ASYNC])
def test_each_bad_transport_fails_at_the_test_that_names_its_fault(tmp_path, suite):
    """In one run, whose workers wait at the same time for what hangs."""
    faults = {transport.__name__: test for transport, at, test in FAULTS if at == suite}
    classes = "".join(f"Test{name} = suite('{suite}', foreign.{name})\n" for name in faults)
    tests = {f"Test{name}::{test}" for name, test in faults.items()}
    failed, stated = run(tmp_path, classes, sorted(tests), 4, "--numprocesses=3")
    assert failed == tests, stated


def test_every_test_of_an_unruly_peer_that_is_named_exists():
    from pyelevator.testing import transports

    assert [test for _, suite, test in FAULTS if not hasattr(getattr(transports, suite), test.partition("[")[0])] == []
