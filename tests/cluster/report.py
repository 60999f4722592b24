"""The sections of docs/reliability-cluster.md: each says when it was measured, and is replaced when it is measured anew."""

from torture.report import Findings, machine

BEGIN = "<!-- Below this line everything is written by `make torture-cluster`. -->"
END = "<!-- End of what `make torture-cluster` writes. -->"
_HEAD = f"""{BEGIN}

## How it was tried, and the figures

PostgreSQL, Patroni, etcd and all clients are on one machine.

"""


def described(found: Findings, version: str, seconds: float) -> str:
    """The section of a finding, with where and when it was measured."""
    return f"{found.section().rstrip()}\n\nMeasured in {seconds:,.0f} s on PostgreSQL {version}: {machine()}.\n"


def renewed(document: str, sections: list[str]) -> str:
    """The document with these sections in place of earlier ones of the same titles, and new ones behind the others."""
    prose, _, rest = document.partition(BEGIN)
    parts = rest.partition(END)[0].split("\n### ")[1:]
    kept = {title_of(part): part.strip() for part in parts}
    kept |= {title_of(section.removeprefix("### ")): section.removeprefix("### ").strip() for section in sections}
    return f"{prose.rstrip()}\n\n{_HEAD}" + "".join(f"### {part}\n\n" for part in kept.values()) + f"{END}\n"


def title_of(section: str) -> str:
    return section.partition("\n")[0].strip()
