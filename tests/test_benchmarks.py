"""The page that `make bench` writes: what it says in short, and its table."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT))

from benchmarks import goals  # noqa: E402
from benchmarks.measure import HEADINGS, Goal, Row  # noqa: E402
from benchmarks.report import summary  # noqa: E402

RANGE = Row("Range of 100,000", "plyvel in process", "653/s", "1,019/s", [0.45, 0.61, 0.81], Goal(0.55, 0.8))
ITERATOR = Row("RangeIter over 100,000", "plyvel in process", "638/s", "1,014/s", [0.55], Goal(0.45, 0.7))


def test_a_row_has_a_cell_for_each_heading():
    failed = Row("Range of 100,000", "redis", goal=Goal(1, 2), failure="no redis")
    assert [len(row.cells) for row in (RANGE, ITERATOR, failed)] == [len(HEADINGS)] * 3
    assert RANGE.cells[4:] == ("**0.61** (0.45 to 0.81)", "met (goal 0.55, aim 0.8)")
    assert ITERATOR.cells[4:] == ("**0.55**", "met (goal 0.45, aim 0.7)")
    assert failed.cells[4:] == ("failed: no redis", "**failed** (goal 1, aim 2)")


def test_the_summary_has_the_figures_of_the_rows():
    assert summary([RANGE, ITERATOR]) == (
        "- A Range of 100,000 pairs over the network reaches **0.61** of plyvel's rate in the same process, a RangeIter **0.55**."
    )


def test_a_row_that_was_not_measured_leaves_its_line_out():
    assert summary([RANGE]) == ""
    assert summary([RANGE, Row("RangeIter over 100,000", "plyvel in process", failure="no plyvel")]) == ""


def test_the_goals_are_shown_without_the_extension_and_with_it():
    goal = Goal(1.0, 1.3)
    without, with_it = (
        Row("Get", "redis", values=[0.5, 0.8, 0.9], goal=goal),
        Row("Get", "redis", values=[1.2], goal=goal),
    )
    alone = Row("Put", "redis", values=[1.4], goal=goal)
    lines = goals.merged([without, alone], [with_it]).splitlines()
    assert [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:]] == [
        ["Get", "redis", "**0.80** (0.50 to 0.90), missed", "**1.20**, met", "1, 1.3"],
        ["Put", "redis", "**1.40**, aim reached", "failed: not measured", "1, 1.3"],
    ]
    assert goals.summary([without, alone], [with_it]).splitlines() == [
        "- Without the extension 1 of 2 goals are reached.",
        "  Missed: Get beside redis 0.80.",
        "- With the extension 1 of 1 goals are reached.",
    ]


def test_the_section_of_the_goals_is_exchanged_and_nothing_else(tmp_path, monkeypatch):
    document = tmp_path / "benchmarks.md"
    document.write_text("before\n<!-- goals -->\n\nold\n\n<!-- end of goals -->\nafter\n")
    monkeypatch.setattr(goals, "DOCUMENT", document)
    goals.write_section("new")
    goals.write_section("newer")
    assert document.read_text() == "before\n<!-- goals -->\n\nnewer\n\n<!-- end of goals -->\nafter\n"
