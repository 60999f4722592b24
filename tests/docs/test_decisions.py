"""The records of decisions: one file each, all of them in the index, and nothing but the index in the index."""

import re

from support.pages import ROOT

INDEX = (ROOT / "docs/decisions.md").read_text()
RECORDS = sorted((ROOT / "docs/decisions").glob("*.md"))


def test_records_are_numbered_without_a_gap():
    assert len(RECORDS) >= 100
    assert [path.name[:4] for path in RECORDS] == [f"{number:04d}" for number in range(1, len(RECORDS) + 1)]


def test_the_index_lists_each_record_under_its_title():
    lines = re.findall(r"^\| \[(\d{4})\]\(decisions/(\S+\.md)\) \| (.*) \|$", INDEX, re.MULTILINE)
    assert [(number, name) for number, name, _ in lines] == [(path.name[:4], path.name) for path in RECORDS]
    titles = [path.read_text().partition("\n")[0] for path in RECORDS]
    assert [f"# {int(number)}. {title}" for number, _, title in lines] == titles


def test_a_record_says_something_below_its_title():
    assert [path.name for path in RECORDS if len(path.read_text().splitlines()) < 3] == []


def test_decisions_are_not_appended_to_the_index():
    assert re.findall(r"^\*\*.*", INDEX, re.MULTILINE) == []
