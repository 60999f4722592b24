"""``python -m cluster``: faults of a three-node cluster, at full length; writes docs/reliability-cluster.md."""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from cluster import cuts, faults
from cluster.nodes import missing_programs
from support.postgresql import PROGRAMS
from torture.report import BEGIN, Findings, generated, machine

DOCUMENT = Path(__file__).parents[2] / "docs" / "reliability-cluster.md"


def arguments(given: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="cluster", description=__doc__)
    parser.add_argument(
        "--only", choices=faults.FAULTS, action="append", help="this fault only; no document is written"
    )
    parser.add_argument("--seconds", type=float, default=35.0, help="for which each fault lasts (%(default)s)")
    parser.add_argument("--cuts", type=int, default=1000, help="connections that are cut around COMMIT (%(default)s)")
    return parser.parse_args(given)


def main(given: Sequence[str]) -> int:
    """Return the exit code: 1 if something happened that must not."""
    if missing := missing_programs():
        print(f"this needs three nodes of PostgreSQL: apt-get install {' '.join(missing)}")
        return 2
    sizes, start = arguments(given), time.monotonic()
    found: list[Findings] = []
    if not sizes.only:
        found.append(cuts.run(sizes.cuts))
        print(found[-1].section(), flush=True)
    found += faults.run(sizes.only or list(faults.FAULTS), sizes.seconds)
    if not sizes.only:
        place = f"PostgreSQL {PROGRAMS[-1].parts[4]} under Patroni, three nodes, etcd and all clients on one machine: {machine()}"
        part = generated(found, place, time.monotonic() - start).replace("`make torture`", "`make torture-cluster`")
        prose = DOCUMENT.read_text().partition(BEGIN.replace("`make torture`", "`make torture-cluster`"))[0]
        DOCUMENT.write_text(f"{prose.rstrip()}\n\n{part}")
    return int(any(one.violations for one in found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
