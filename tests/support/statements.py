"""The statements of a page: its sentences and the rows of its tables."""

import re

_WRITTEN = "<!-- Below this line"
"""From here on a page is written by a program, which measures."""

_NOTHING_STATED = re.compile(r"<!--.*?-->|^```.*?^```$|^#.*?$|^\|[-| ]+\|$", re.MULTILINE | re.DOTALL)
_HEAD = re.compile(r"^\|.*\|\n(?=\|[-| ]+\|$)", re.MULTILINE)
_ITEM = re.compile(r"^(?=\||- )", re.MULTILINE)
_END = re.compile(r"(?<=[.?!])(?:\*\*)?\s+(?=[A-Z`*\[])")


def statements(page: str) -> list[str]:
    """The statements of a page, in its order, each in one line."""
    text = _NOTHING_STATED.sub("\n", _HEAD.sub("\n", page.partition(_WRITTEN)[0]))
    parts = [part for block in re.split(r"\n\s*\n", text) for part in _ITEM.split(block)]
    lines = [" ".join(part.removeprefix("- ").split()) for part in parts]
    return [stated for line in lines if line for stated in ([line] if line.startswith("|") else _END.split(line))]
