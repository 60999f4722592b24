"""What a try found, and the part of docs/reliability.md that is made of it."""

import os
import platform
import statistics
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from importlib.metadata import version

import zmq
from attrs import frozen

from pyelevator.engines.leveldb.binding.library import DISTRIBUTIONS, load_binding

BEGIN = "<!-- Below this line everything is written by `make torture`. -->"
END = "<!-- End of what `make torture` writes. -->"


@frozen
class Findings:
    """What one try found.

    Attributes:
        title: of its section.
        how: what was done, in a sentence or two.
        figures: what was counted or measured -> the result, as text; or the results, one for each further column.
        violations: what must not have happened; the try has passed if there are none.
        columns: the heads of the table.
    """

    title: str
    how: str
    figures: Mapping[str, str | Sequence[str]]
    violations: Sequence[str] = ()
    columns: Sequence[str] = ("figure", "result")

    def section(self) -> str:
        """As Markdown."""
        rows = [[what, *([result] if isinstance(result, str) else result)] for what, result in self.figures.items()]
        table = "\n".join(f"| {' | '.join(row)} |" for row in [self.columns, ["---"] * len(self.columns), *rows])
        wrong = "".join(f"\n- **VIOLATED**: {violation}" for violation in self.violations)
        return f"### {self.title}\n\n{self.how}\n\n{table}\n{wrong}\n"


def machine() -> str:
    """On what the figures were measured."""
    libraries = ", ".join(
        f"{name} {version(name)}" for name in ("pyzmq", "msgpack", DISTRIBUTIONS[load_binding().__name__])
    )
    cores = len(os.sched_getaffinity(0))
    return (
        f"{date.today().isoformat()}, {platform.system()} {platform.machine()} with {cores} cores, "
        f"Python {platform.python_version()}, {libraries}, libzmq {zmq.zmq_version()}; "
        f"at the end {os.getloadavg()[1]:.1f} processes wanted to run"
    )


def generated(findings: Iterable[Findings], place: str, seconds: float) -> str:
    """The marked part of the document."""
    sections = "\n".join(found.section() for found in findings)
    return (
        f"{BEGIN}\n\n## How it was tried, and the figures\n\n"
        f"Measured by one run of `make torture` ({seconds:,.0f} s): {place}.\n\n{sections}\n{END}\n"
    )


def renewed(document: str, part: str) -> str:
    """The document with its marked part replaced, or with the part behind it if it has none yet."""
    prose, _, rest = document.partition(BEGIN)
    _, _, behind = rest.partition(END)
    return f"{prose.rstrip()}\n\n{part.strip()}{behind or chr(10)}"


def count(number: int) -> str:
    """A number as text: ``1,234``."""
    return f"{number:,}"


def ms(seconds: float) -> str:
    """Seconds as text: ``1.5 ms``."""
    return f"{seconds * 1000:,.1f} ms"


def megabytes(size: float) -> str:
    """Bytes as text: ``1.5 MB``."""
    return f"{size / 2**20:,.1f} MB"


def percentile(values: Sequence[float], percent: int) -> float:
    """The value below which so many percent of ``values`` lie; at least two values."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]
