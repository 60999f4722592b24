"""Runs in turn, ours and the peer's, the median of their ratios, and the line of the table that comes of it."""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Final

from attrs import frozen


@frozen
class Goal:
    """What issue 4 asks for.

    Attributes:
        bound, aim: what must be reached, and what we want.
        smaller: True if smaller numbers are better.
        unit: of both, in the table.
    """

    bound: float
    aim: float
    smaller: bool = False
    unit: str = ""

    def verdict(self, value: float) -> str:
        """How a value does, in a word."""
        reached = [value <= wanted if self.smaller else value >= wanted for wanted in (self.bound, self.aim)]
        return "missed" if not reached[0] else "met" if not reached[1] else "aim reached"


@frozen
class Row:
    """One line of the goal table.

    Attributes:
        name, peer: what was done, and beside what.
        ours, theirs: what both gave, to read.
        values: what is compared with the goal, one number for each round.
        goal: None for a line that is there for comparison only.
        failure: why there are no values.
    """

    name: str
    peer: str
    ours: str = ""
    theirs: str = ""
    values: Sequence[float] = ()
    goal: Goal | None = None
    failure: str = ""

    @property
    def cells(self) -> tuple[str, ...]:
        if self.failure:
            return self.name, self.peer, "", "", f"failed: {self.failure}", f"**failed**{self._wanted}"
        spread = f" ({min(self.values):.2f} to {max(self.values):.2f})" if len(self.values) > 1 else ""
        verdict = self.goal.verdict(self.value) if self.goal else ""
        return self.name, self.peer, self.ours, self.theirs, f"**{self.shown}**{spread}", f"{verdict}{self._wanted}"

    @property
    def value(self) -> float:
        """The median of the values."""
        return statistics.median(self.values)

    @property
    def shown(self) -> str:
        """The median of the values with its unit, to read."""
        return f"{self.value:.2f}{self.goal.unit if self.goal else ''}"

    @property
    def _wanted(self) -> str:
        goal = self.goal
        return "" if goal is None else f" (goal {goal.bound:g}{goal.unit}, aim {goal.aim:g}{goal.unit})"


HEADINGS: Final = ("work", "beside", "ours", "the peer", "ratio (spread)", "goal")


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose columns line up."""
    widths = [max(len(cell) for cell in column) for column in zip(headings, *rows, strict=True)]
    lines = [headings, ["-" * width for width in widths], *rows]
    return "\n".join(
        f"| {' | '.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))} |" for line in lines
    )


def rate(work: Callable[[], object], operations: int) -> float:
    """Operations per second of one run."""
    start = time.perf_counter()
    work()
    return operations / (time.perf_counter() - start)


Measure = Callable[[], float]


def in_turn(sides: Sequence[Measure], rounds: int, settle: Callable[[], None] = lambda: None) -> list[list[float]]:
    """What each side gives, one number a round; who goes first changes from round to round.

    ``settle`` is called before each measurement.
    """
    given: list[list[float]] = [[] for _ in sides]
    order = list(enumerate(sides))
    for number in range(rounds):
        for index, side in order if number % 2 else reversed(order):
            settle()
            given[index].append(side())
    return given


def compare(
    name: str,
    peer: str,
    ours: Measure,
    theirs: Measure,
    goal: Goal | None,
    rounds: int,
    *,
    settle: Callable[[], None] = lambda: None,
    show: str = "{:,.0f}/s",
) -> Row:
    """Measures both in turn, after one run each to warm up."""
    ours()
    theirs()
    mine, others = in_turn([ours, theirs], rounds, settle)
    ratios = [one / other for one, other in zip(mine, others, strict=True)]
    return Row(name, peer, show.format(statistics.median(mine)), show.format(statistics.median(others)), ratios, goal)
