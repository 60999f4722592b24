"""What the pages show: programs and their output, sessions, and tests of programs; all of it is run."""

import doctest
import re
import shutil
import subprocess
import sys

import pytest

from support.pages import ROOT, load, output
from support.programs import WAIT_TIMEOUT

DOCS = ROOT / "docs"
shown = load("docs/shown.py")
PAGES = {str(page.relative_to(DOCS)): page.read_text() for page in sorted(DOCS.rglob("*.md"))}
HOWTOS = [name for name in PAGES if name.startswith("howto/")]
PROGRAM = re.compile(r"^<!-- program: (\S+\.py) -->$", re.MULTILINE)
OUTPUT = re.compile(r"^```(?:console\n\$ python \w+\.py|text)\n(.*?)^```", re.MULTILINE | re.DOTALL)
TESTS = re.compile(r"^```python\n(import pytest\n.*?)^```", re.MULTILINE | re.DOTALL)
DIRECTIVE = re.compile(r"^(?:```+|:::+)\{(\w[\w-]*)\}", re.MULTILINE)
SESSION = re.compile(r"^```python\n(>>> .*?)^```", re.MULTILINE | re.DOTALL)
SHOWN = [(name, PROGRAM.findall(page), OUTPUT.findall(page)) for name, page in PAGES.items() if OUTPUT.search(page)]

UNHURRIED = """
from hypothesis import settings

settings.register_profile("unhurried", deadline=None, max_examples=20)
settings.load_profile("unhurried")
"""
"""A conftest.py for loaded machines."""


@pytest.mark.parametrize(("name", "programs", "outputs"), SHOWN, ids=[name for name, _, _ in SHOWN])
def test_a_program_prints_what_its_page_shows(name, programs, outputs):
    (program,), (printed,) = programs, outputs
    assert output((DOCS / name).parent / program) == printed


@pytest.mark.parametrize("name", [name for name in HOWTOS if TESTS.search(PAGES[name])])
def test_the_tests_that_a_page_shows_pass(name, tmp_path):
    for program in PROGRAM.findall(PAGES[name]):
        shutil.copy((DOCS / name).parent / program, tmp_path)
    (tmp_path / "conftest.py").write_text(UNHURRIED)
    (tmp_path / "test_page.py").write_text("\n".join(TESTS.findall(PAGES[name])))
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:xdist", "-p", "no:cacheprovider", "test_page.py"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=WAIT_TIMEOUT, check=False)
    assert ran.returncode == 0, ran.stdout


@pytest.mark.parametrize("name", [name for name in HOWTOS if SESSION.search(PAGES[name])])
def test_the_sessions_of_a_page_print_what_they_show(name):
    names: dict[str, object] = {}
    for session in SESSION.findall(PAGES[name]):
        example = doctest.DocTestParser().get_doctest(session, names, name, name, 0)
        runner = doctest.DocTestRunner()
        runner.run(example, clear_globs=False)
        assert runner.failures == 0
        names |= example.globs


@pytest.mark.parametrize("name", [name for name in PAGES if PROGRAM.search(PAGES[name])])
def test_a_page_shows_its_programs_as_their_files_have_them(name):
    page = DOCS / name
    assert len(shown.PROGRAM.findall(PAGES[name])) == len(PROGRAM.findall(PAGES[name]))
    assert PAGES[name] == shown.renewed(page), f"python docs/shown.py writes the programs into {name}"


def test_pages_show_on_a_code_forge_what_they_show_in_the_site():
    used = {name: set(DIRECTIVE.findall(page)) for name, page in PAGES.items() if not name.startswith("reference/")}
    of_the_site = {"toctree", "include"}  # navigation, and the changelog, which is a page of its own there
    assert {name: found - of_the_site for name, found in used.items() if found - of_the_site} == {}


def test_every_program_is_shown_and_run():
    on_pages = {
        (DOCS / name).parent.joinpath(program).resolve() for name in PAGES for program in PROGRAM.findall(PAGES[name])
    }
    run = {(DOCS / name).parent.joinpath(program).resolve() for name, (program,), _ in SHOWN}
    there = {*DOCS.glob("programs/*.py"), *ROOT.glob("examples/*.py")}
    elsewhere = {"bookmarks.py", "test_bookmarks.py", "test_visits.py", "session.py"}  # test_tutorial, below, make demo
    assert {path for path in there - run if path.name not in elsewhere} == set()
    assert {path for path in there - on_pages if path.name != "session.py"} == set()


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
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=WAIT_TIMEOUT, check=False)
    assert "7 passed" in ran.stdout, ran.stdout


def test_the_readme_s_links_lead_somewhere():
    links = re.findall(r"\]\((?!http)([^)#]+)", (ROOT / "README.md").read_text())
    assert [link for link in links if not (ROOT / link).exists()] == []
    assert len(links) > 5


def test_every_answer_of_the_demo_is_the_documented_one():
    ran = subprocess.run(
        [sys.executable, "examples/session.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=WAIT_TIMEOUT,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout
    assert ran.stdout.endswith("\nEvery answer is the documented one.\n")


def test_the_benchmarks_begin_with_a_picture_and_what_it_means():
    page = PAGES["benchmarks.md"]
    head, _, table = page.partition("\n## All figures\n")
    assert re.match(r"# Benchmarks\n\n!\[.*\]\((plots/\w+\.svg)\)\n", head)
    assert len(re.findall(r"^- .*\*\*[\d.]+x?\*\*", head, re.MULTILINE)) == 10
    assert max(len(line.split("|")) for line in table.splitlines() if line.startswith("| sync Get")) == 8  # six columns
