"""Each sentence of the pages that promise something has a test, by its name, in promises.toml; others are explanations."""

import ast
import tomllib
from pathlib import Path

import pytest

from support.statements import statements

ROOT = Path(__file__).parents[2]
LISTED = tomllib.loads((Path(__file__).parent / "promises.toml").read_text())
EXPLANATIONS = LISTED.pop("explanations")
PAGES = {page: statements((ROOT / "docs" / page).read_text()) for page in LISTED}
PROMISES = [(page, beginning, names) for page, promises in LISTED.items() for beginning, names in promises.items()]


def names_of_tests():
    """The names of all tests, those of the public suites among them."""
    for directory in ("tests", "src/pyelevator/testing"):
        for file in (ROOT / directory).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                    yield node.name


def listed(page):
    """What the statements of a page begin with."""
    return [*LISTED[page], *EXPLANATIONS[page]]


def unlisted(stated, beginnings):
    """The statements that begin with nothing listed."""
    return [statement for statement in stated if not statement.startswith(tuple(beginnings))]


def test_every_page_that_promises_something_is_listed():
    assert LISTED.keys() == EXPLANATIONS.keys() == {"promises.md", "reliability.md", "security.md"}


@pytest.mark.parametrize("page", LISTED)
def test_every_sentence_has_its_tests_or_explains_something(page):
    assert unlisted(PAGES[page], listed(page)) == []


@pytest.mark.parametrize("page", LISTED)
def test_everything_that_is_listed_stands_in_its_page_once(page):
    times = {beginning: sum(stated.startswith(beginning) for stated in PAGES[page]) for beginning in listed(page)}
    assert {beginning: count for beginning, count in times.items() if count != 1} == {}


def test_the_tests_of_every_promise_are_there():
    there = set(names_of_tests())
    assert [(page, beginning, name) for page, beginning, names in PROMISES for name in names if name not in there] == []
    assert [(page, beginning) for page, beginning, names in PROMISES if not names] == []


def test_a_new_sentence_is_noticed():
    text = "# Heading\n\nOne is `kept`. Two\nis\nlonger: see `x`.\n\n- Three.\n- Four. Five.\n\n| a | b |\n|---|---|\n| c | d. E |\n"
    stated = ["One is `kept`.", "Two is longer: see `x`.", "Three.", "Four.", "Five.", "| c | d. E |"]
    assert statements(text) == stated
    assert unlisted(stated, ["One", "Two", "Three.", "Four", "| c"]) == ["Five."]


def test_what_is_no_prose_is_no_statement():
    text = "<!-- a\n\nb -->\nOne.\n\n```python\nTwo.\n\nThree.\n```\n\nFour.\n\n<!-- Below this line all is written -->\nFive."
    assert statements(text) == ["One.", "Four."]
