"""`python -m benchmarks.goals`: the rows with goals without the extension in C++ and with it, in one table in the docs.

The whole run takes about ten minutes. Names of rows measure these alone, and print the table only; ``--quick`` is
rough. ``--streamed N`` is the number of pairs of the sustained load, 2,000,000 by default; ``python -m benchmarks.goals
--streamed 10000000 sustained`` is the load of the goal, and takes some minutes on its own.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from os import environ
from typing import Any, Final

from attrs import asdict, evolve

from benchmarks.bed import DEFAULT, QUICK, Bed, Plan
from benchmarks.measure import Goal, Row, table
from benchmarks.report import DOCUMENT, goals_section, machine

GOALS: Final = (
    *("get", "put", "clients", "mget", "batch", "pipeline", "range", "rangeiter", "plain", "fake", "awaited"),
    *("import", "scans", "answer", "busy", "sustained"),
)
"""The rows that are measured."""

_PLAN: Final = evolve(DEFAULT, rounds=5, seconds=0.5, calls=3_000, streamed=2_000_000)
_SIDES: Final = {"0": "without", "1": "with"}
_HEADINGS: Final = ("work", "beside", "without the extension", "with it", "goal, aim")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.goals", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"only these: {', '.join(GOALS)}")
    parser.add_argument("--quick", action="store_true", help="rough, in two or three minutes")
    parser.add_argument("--streamed", type=int, metavar="N", help="pairs of the sustained load")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if unknown := set(given.rows) - set(GOALS):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(GOALS)}")
    return given


def plan_of(given: argparse.Namespace) -> Plan:
    plan = evolve(QUICK, rounds=3) if given.quick else _PLAN
    return plan if given.streamed is None else evolve(plan, streamed=given.streamed)


def measure_here(given: argparse.Namespace) -> None:
    """Measure in this process, and print the rows as JSON in one line."""
    from benchmarks.__main__ import goal_rows  # which needs what only a measurement has, as uvloop

    wanted = given.rows or GOALS
    with Bed(plan_of(given)) as bed:
        rows = goal_rows(bed, wanted.__contains__)
    print(json.dumps({"machine": machine(), "rows": [asdict(row) for row in rows]}))


def measure(side: str) -> tuple[str, list[Row]]:
    """Return the machine and the rows, measured in a process that has the extension or has it not."""
    say(f"\n## {_SIDES[side]} the extension\n")
    command = [sys.executable, "-m", "benchmarks.goals", "--child", *sys.argv[1:]]
    environment = {**environ, "PYELEVATOR_NATIVE": side}
    ran = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    found = json.loads(ran.stdout.splitlines()[-1])
    return found["machine"], [_row(row) for row in found["rows"]]


def _row(reported: Mapping[str, Any]) -> Row:
    goal = reported["goal"]
    return Row(**{**reported, "goal": None if goal is None else Goal(**goal)})


def merged(without: Sequence[Row], with_it: Sequence[Row]) -> str:
    """Return the table of both; rows are told apart by what they did and beside what."""
    found = {(row.name, row.peer): row for row in with_it}
    lines = []
    for row in without:
        other = found.get((row.name, row.peer), Row(row.name, row.peer, failure="not measured"))
        wanted = "" if row.goal is None else f"{row.goal.bound:g}{row.goal.unit}, {row.goal.aim:g}{row.goal.unit}"
        lines.append((row.name, row.peer, _cell(row), _cell(other), wanted))
    return table(_HEADINGS, lines)


def _cell(row: Row) -> str:
    if row.failure:
        return f"failed: {row.failure}"
    spread = f" ({min(row.values):.2f} to {max(row.values):.2f})" if len(row.values) > 1 else ""
    verdict = f", {row.goal.verdict(row.value)}" if row.goal else ""
    return f"**{row.shown}**{spread}{verdict}"


def summary(without: Sequence[Row], with_it: Sequence[Row]) -> str:
    """Return how many goals are reached, and which are missed by how much, nearest first."""
    lines = []
    for rows, side in ((without, "Without"), (with_it, "With")):
        judged = [row for row in rows if row.goal is not None and not row.failure]
        missed = [row for row in judged if row.goal is not None and row.goal.verdict(row.value) == "missed"]
        names = "; ".join(f"{row.name} beside {row.peer or 'it'} {row.shown}" for row in missed)
        lines.append(f"- {side} the extension {len(judged) - len(missed)} of {len(judged)} goals are reached.")
        lines += [f"  Missed: {names}."] if missed else []
    return "\n".join(lines)


def write_section(text: str) -> None:
    """Put the section into the document, in place of the last one."""
    document = DOCUMENT.read_text()
    DOCUMENT.write_text(document.replace(goals_section(document), goals_section(text)))


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


_SECTION: Final = """{summary}

Written by `python -m benchmarks.goals` without the extension on {without}; with it on {with_it}. Medians of the rounds' ratios, with the smallest and the largest.

{table}"""


def main() -> int:
    given = arguments()
    if given.child:
        measure_here(given)
        return 0
    begin = time.monotonic()
    (machine_without, without), (machine_with, with_it) = measure("0"), measure("1")
    section = _SECTION.format(
        summary=summary(without, with_it),
        without=machine_without,
        with_it=machine_with,
        table=merged(without, with_it),
    )
    print(section)
    say(f"\n{time.monotonic() - begin:.0f} s")
    if not given.rows and not given.quick:
        write_section(section)
    return 0


if __name__ == "__main__":
    sys.exit(main())
