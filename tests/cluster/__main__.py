"""``python -m cluster``: faults and contention on a cluster, at full length; writes docs/reliability-cluster.md."""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from cluster import contention, cuts, faults
from cluster.nodes import missing_programs
from cluster.report import described, renewed
from support.postgresql import PROGRAMS
from torture.report import Findings

DOCUMENT = Path(__file__).parents[2] / "docs" / "reliability-cluster.md"

TRIES: dict[str, Callable[[argparse.Namespace], list[Findings]]] = {
    "cuts": lambda sizes: [cuts.run(sizes.cuts)],
    "opposite batches": lambda sizes: [contention.opposite_batches(sizes.opposite)],
    "torn reads": lambda sizes: [contention.torn_reads(sizes.reads)],
    "equal names": lambda sizes: [contention.equal_names(sizes.rounds)],
    "faults": lambda sizes: faults.run(list(faults.FAULTS), sizes.seconds),
    "haproxy": lambda sizes: faults.run_behind_haproxy(sizes.seconds),
    **{name: lambda sizes, name=name: faults.run([name], sizes.seconds) for name in faults.FAULTS},  # type: ignore[misc]
}
"""Name -> what tries it. All faults of nodes share one cluster; ``haproxy`` needs Debian's package of that name."""

_ALL = ("cuts", "opposite batches", "torn reads", "equal names", "faults")


def arguments(given: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="cluster", description=__doc__)
    parser.add_argument("--only", choices=TRIES, action="append", help="only this; can be repeated")
    parser.add_argument("--seconds", type=float, default=35.0, help="for which each fault lasts (%(default)s)")
    parser.add_argument("--cuts", type=int, default=1000, help="connections that are cut around COMMIT (%(default)s)")
    parser.add_argument("--opposite", type=float, default=600.0, help="seconds of opposite batches (%(default)s)")
    parser.add_argument("--reads", type=int, default=100_000, help="reads beside batches (%(default)s)")
    parser.add_argument("--rounds", type=int, default=25, help="rounds of creates and drops (%(default)s)")
    return parser.parse_args(given)


def main(given: Sequence[str]) -> int:
    """Return the exit code: 1 if something happened that must not."""
    if missing := missing_programs():
        print(f"this needs three nodes of PostgreSQL: apt-get install {' '.join(missing)}")
        return 2
    sizes = arguments(given)
    is_violated = False
    for name in sizes.only or _ALL:
        start = time.monotonic()
        found = TRIES[name](sizes)
        each = (time.monotonic() - start) / len(found)
        sections = [described(one, PROGRAMS[-1].parts[4], each) for one in found]
        print("\n".join(sections), flush=True)
        DOCUMENT.write_text(renewed(DOCUMENT.read_text(), sections))
        is_violated = is_violated or any(one.violations for one in found)
    return int(is_violated)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
