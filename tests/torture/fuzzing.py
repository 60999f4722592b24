"""``make fuzz`` as one of the tries: how much was run, and whether anything was found."""

import re
import subprocess
from importlib.util import find_spec
from typing import Final

from fuzz.__main__ import FOLDER, command
from fuzz.targets import TARGETS
from torture.report import Findings, count

COLUMNS: Final = ("target", "inputs", "edges reached", "failures")


def fuzz(name: str, seconds: int) -> tuple[tuple[str, str, str], str | None]:
    """The figures of one target, and what was found, if anything."""
    ended = subprocess.run(command(name, str(seconds)), check=False, capture_output=True, text=True, errors="replace")
    inputs = re.findall(r"number_of_executed_units: (\d+)", ended.stderr) or ["0"]
    edges = re.findall(r" cov: (\d+)", ended.stderr) or ["0"]
    failed = ended.returncode != 0
    found = f"{name}: an input failed; it is in {FOLDER.name}/, and `make fuzz` runs it again" if failed else None
    return (count(int(inputs[-1])), edges[-1], str(int(failed))), found


def run(*, seconds: int) -> Findings:
    """Fuzzes each codec target for so many seconds; without atheris it says that it did not."""
    there = find_spec("atheris") is not None
    results = {name: fuzz(name, seconds) for name in TARGETS} if there else {}
    how = (
        f"Each target runs {seconds} s in a process of its own, guided by coverage (atheris), from the recordings: any "
        "bytes must give a value, MalformedMessage or LimitExceeded, and what decodes must encode to something that "
        "decodes to the same."
    )
    return Findings(
        "Fuzzing of the codecs",
        how if there else "Not done in this run: atheris is not installed (`make fuzz` installs it).",
        {name: figures for name, (figures, _) in results.items()},
        [found for _, found in results.values() if found],
        COLUMNS,
    )
