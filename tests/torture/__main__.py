"""``python -m torture``: every try at full length, one after the other; writes docs/reliability.md."""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from torture import abuse, copies, frozen, full_disk, fuzzing, histories, kills, malformed, overload, replies, syncs
from torture.disks import available
from torture.report import Findings, generated, machine, renewed

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "reliability.md"

TRIES: Final[Mapping[str, Callable[[Path, Any], Findings]]] = {
    "kills": lambda folder, sizes: kills.run(folder, kills=sizes.kills, seed=sizes.seed),
    "copies": lambda folder, sizes: copies.run(folder, kills=sizes.kills, seed=sizes.seed),
    "syncs": lambda folder, sizes: syncs.run(folder, writes=sizes.calls * 5),
    "full-disk": lambda folder, sizes: full_disk.run(folder, available(folder), rounds=sizes.rounds, seed=sizes.seed),
    "frozen": lambda folder, sizes: frozen.run(folder, calls=sizes.calls, seed=sizes.seed),
    "replies": lambda _, sizes: replies.run(calls=sizes.calls * 10, seed=sizes.seed),
    "malformed": lambda folder, sizes: malformed.run(folder, messages=sizes.messages, seed=sizes.seed),
    "overload": lambda folder, _: overload.run(folder),
    "abuse": lambda folder, _: abuse.run(folder),
    "histories": lambda folder, sizes: histories.run(folder, seconds=sizes.seconds, seed=sizes.seed),
    "fuzzing": lambda _, sizes: fuzzing.run(seconds=sizes.fuzz_seconds),
}
"""Name -> try."""


def arguments(given: Sequence[str]) -> argparse.Namespace:
    """The sizes."""
    parser = argparse.ArgumentParser(prog="torture", description=__doc__)
    parser.add_argument("--only", choices=TRIES, action="append", help="this try only; the document stays as it is")
    parser.add_argument("--kills", type=int, default=50, help="SIGKILLs under load (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds with each kind of full disk (%(default)s)")
    parser.add_argument("--calls", type=int, default=100, help="calls of each thread to a frozen server (%(default)s)")
    parser.add_argument("--messages", type=int, default=1_000_000, help="malformed messages (%(default)s)")
    parser.add_argument("--seconds", type=float, default=15.0, help="length of each history (%(default)s)")
    parser.add_argument("--fuzz-seconds", type=int, default=20, help="for each codec target (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of everything that is random (%(default)s)")
    return parser.parse_args(given)


def attempt(name: str, sizes: argparse.Namespace) -> Findings:
    """One try, in a folder of its own; prints what it found."""
    print(f"trying: {name}", flush=True)
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="elevator-torture-") as folder:
        found = TRIES[name](Path(folder), sizes)
    print(f"{found.section()}\n{name}: {time.monotonic() - start:.0f} s\n", flush=True)
    return found


def main(given: Sequence[str]) -> int:
    """The exit code: 1 if something happened that must not."""
    sizes, start = arguments(given), time.monotonic()
    found = [attempt(name, sizes) for name in sizes.only or TRIES]
    if not sizes.only:
        part = generated(found, machine(), time.monotonic() - start)
        before = DOCUMENT.read_text() if DOCUMENT.exists() else "# Reliability\n"
        DOCUMENT.write_text(renewed(before, part))
    return int(any(one.violations for one in found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
