"""Pairs of runs, ours and the peer's in turn, and the median of their ratios."""

import statistics
import time
from collections.abc import Callable

from attrs import frozen


@frozen
class Comparison:
    """What one work gave.

    Attributes:
        name, peer: what was done, and beside what.
        ours, theirs: operations per second, one number a round.
        goal: the ratio that we want to reach at least.
    """

    name: str
    peer: str
    ours: list[float]
    theirs: list[float]
    goal: float

    @property
    def ratios(self) -> list[float]:
        return [mine / other for mine, other in zip(self.ours, self.theirs, strict=True)]

    @property
    def ratio(self) -> float:
        return statistics.median(self.ratios)

    def row(self) -> str:
        low, high = min(self.ratios), max(self.ratios)
        rates = f"{statistics.median(self.ours):,.0f}/s | {statistics.median(self.theirs):,.0f}/s"
        return f"| {self.name} | {self.peer} | {rates} | **{self.ratio:.2f}** | {low:.2f} to {high:.2f} | {self.goal} |"


def rate(work: Callable[[], object], operations: int) -> float:
    """Operations per second of one run."""
    start = time.perf_counter()
    work()
    return operations / (time.perf_counter() - start)


def compare(
    name: str,
    peer: str,
    ours: Callable[[], object],
    theirs: Callable[[], object],
    operations: int,
    goal: float,
    rounds: int = 7,
) -> Comparison:
    """Runs both in turn, after one run each to warm up; who goes first changes from round to round."""
    ours()
    theirs()
    mine: list[float] = []
    others: list[float] = []
    for number in range(rounds):
        pair = [(mine, ours), (others, theirs)]
        for rates, work in pair if number % 2 else reversed(pair):
            rates.append(rate(work, operations))
    return Comparison(name, peer, mine, others, goal)
