"""The page for contributors names files that are there, and has each word once (test_imports holds its rooms)."""

import re

from support.pages import ROOT

PAGE = (ROOT / "docs/contributing.md").read_text()


def cells(heading):
    section = PAGE.partition(f"\n{heading}\n")[2].partition("\n## ")[0]
    return [line.split("|")[1:-1] for line in section.splitlines() if line.startswith("| ")][1:]


def test_files_that_the_page_names_are_there():
    named = re.findall(r"`((?:\w+/)*\w+\.py)`", PAGE)
    assert len(named) > 4
    assert [name for name in named if not any((ROOT / base / name).exists() for base in ("", "src/pyelevator"))] == []


def test_the_glossary_is_in_order_and_has_each_term_once():
    terms = [row[0].strip() for row in cells("## Words")]
    assert terms == sorted(set(terms))
    assert len(terms) > 40


def test_a_term_is_no_older_name_of_another():
    rows = cells("## Words")
    older = {name.strip() for row in rows for name in row[2].split(",") if name.strip()}
    assert older & {name.strip() for row in rows for name in row[0].split(",")} == set()


def test_documents_that_the_source_cites_are_there():
    cited = {
        path
        for source in (ROOT / "src").rglob("*.py")
        for path in re.findall(r"\bdocs/[\w/-]+\.md|\btests/[\w/-]+\.\w+", source.read_text())
    }
    assert "docs/protocol.md" in cited
    assert [path for path in sorted(cited) if not (ROOT / path).exists()] == []
