"""`python -m benchmarks`: measures, prints the goal table, and writes docs/benchmarks.md with its plots."""

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks import report
from benchmarks.bed import DEFAULT, FULL, QUICK, Bed, Plan
from benchmarks.measure import HEADINGS, Row, table
from benchmarks.report import DOCUMENT
from benchmarks.rows import ROWS


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parts = [*ROWS, *report.SECTIONS]
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"only these: {', '.join(parts)}")
    plans = parser.add_mutually_exclusive_group()
    plans.add_argument(
        "--quick", dest="plan", action="store_const", const=QUICK, help="under a minute, rough, and the goal table only"
    )
    plans.add_argument(
        "--full", dest="plan", action="store_const", const=FULL, help="longer, with more rounds and calls"
    )
    parser.add_argument("--output", type=Path, help=f"what to write; by default {DOCUMENT.name}, if all is measured")
    parser.set_defaults(plan=DEFAULT)
    given = parser.parse_args(words)
    if unknown := set(given.parts) - set(parts):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(parts)}")
    if given.output is None and given.plan is not QUICK and not given.parts:
        given.output = DOCUMENT
    return given


def goal_rows(bed: Bed, wanted: Callable[[str], bool]) -> list[Row]:
    """The rows of the goal table; one that fails is reported as failed, and the rest goes on."""
    rows: list[Row] = []
    for name, measure in ROWS.items():
        if not wanted(name):
            continue
        begin = time.monotonic()
        try:
            for row in measure(bed):
                rows.append(row)
                say(" ".join(row.cells).replace("  ", " "))
        except Exception as error:  # noqa: BLE001 - whatever it is
            rows.append(failed(name, error))
            say(f"{name} failed: {error!r}")
        say(f"    {name}: {time.monotonic() - begin:.1f} s")
    return rows


def failed(name: str, error: Exception) -> Row:
    return Row(name, "", failure=f"{type(error).__name__}: {error}"[:80].replace("|", "/").replace("\n", " "))


def sections(bed: Bed, wanted: Callable[[str], bool], folder: Path) -> Mapping[str, str]:
    """The other parts of the document: name -> text."""
    texts = {}
    for name, section in report.SECTIONS.items():
        if wanted(name):
            begin = time.monotonic()
            try:
                texts[name] = section(bed, folder)
            except Exception as error:  # noqa: BLE001 - whatever it is
                texts[name] = f"This part failed: {type(error).__name__}: {error}\n"
            say(f"    {name}: {time.monotonic() - begin:.1f} s")
    return texts


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    given = arguments()
    plan: Plan = given.plan
    folder = given.output.parent if given.output else None

    def wanted(name: str) -> bool:
        return name in given.parts or (not given.parts and name != "awaited" and (plan.all_parts or name in ROWS))

    with Bed(plan) as bed:
        rows = goal_rows(bed, wanted)
        texts = sections(bed, wanted, (folder or bed.folder) / "plots")
    print(table(HEADINGS, [row.cells for row in rows]))
    for text in texts.values():
        print(f"\n{text}")
    if given.output:
        given.output.parent.mkdir(parents=True, exist_ok=True)
        given.output.write_text(report.document(rows, texts, plan))


if __name__ == "__main__":
    main()
