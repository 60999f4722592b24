"""Each program of examples/, as a process of its own."""

import subprocess
import sys

import pytest

from support.pages import ROOT, output

SHOWN = {
    "tenants": """\
ann sees: [['color', 'blue']] ['tenants']
bob sees: [['color', 'red'], ['size', '42']]
bob: not allowed: DBDROP is for the operators
bob: Database does not exist
a stranger gets no connection
in the server: ['ann/color', 'bob/color', 'bob/size']
""",
    "replay": """\
at the server:  Ann is ['1'], Anna is ['1']
in the journal: 6 lines
replayed:       Ann is ['1'], Anna is ['1']
mended:         line 4 is where the mended program differs
mended:         Ann is [], Anna is ['1']
""",
    "migration": """\
the shop sells before: True
copied default: True
copied orders: True
default is the same on both: True
orders is the same on both: True
the shop sells afterwards: True
every acknowledged order is at the new server, and no other: True
""",
}


@pytest.mark.parametrize("name", SHOWN)
def test_the_example_prints_what_the_page_shows(name):
    assert output(f"examples/{name}.py") == SHOWN[name]


def test_the_unit_tests_with_the_fake_pass():
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        "examples/test_visits.py",
    ]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert "7 passed" in ran.stdout, ran.stdout


def test_every_example_is_run():
    programs = {path.stem for path in (ROOT / "examples").glob("*.py")}
    assert programs == {*SHOWN, "session", "test_visits"}  # the session is what `make demo` runs
