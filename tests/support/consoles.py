"""What pages show of a terminal, typed into a real one: commands at prompts, and what they print."""

import re
import sys
from pathlib import Path
from typing import Any

from support.terminals import Terminal

BLOCK = re.compile(r"^```console\n(\$ .*?)^```", re.MULTILINE | re.DOTALL)
_LINE = re.compile(r"^(\$|>|\.\.\.|\w+>) (.*)$")
_READY = "ready$ "
_TIME = re.compile(r"\([\d,.]+ ms\)")
_CLOCK = re.compile(r"^\d\d:\d\d:\d\d ", re.MULTILINE)


def steps(block):
    """Each command of a block with its prompt and what it prints; the lines that continue one belong to it."""
    found: list[Any] = []
    for line in block.splitlines():
        match = _LINE.match(line)
        if match is None:
            found[-1][2].append(line)
        elif match[1] in (">", "..."):
            found[-1][1].append(match[2])
        else:
            found.append((match[1], [match[2]], []))
    return found


def normal(text):
    """A text without what differs from run to run."""
    return _CLOCK.sub("09:30:00 ", _TIME.sub("(0.4 ms)", text))


class Console:
    """A terminal with bash in it, and ``elevator`` on its path."""

    def __init__(self, directory, **environment):
        path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
        self._terminal = Terminal(
            "bash",
            "--norc",
            "--noediting",
            cwd=directory,
            PS1=_READY,
            PATH=path,
            HOME=str(directory),
            PS2="",
            **environment,
        )
        self._terminal.read_until(_READY_PATTERN)
        self._terminal.enter("stty -echo", _READY_PATTERN)

    def play(self, block, address):
        """Type the commands of a block, and compare what they print.

        Args:
            block: as it stands on the page.
            address: of the server, in place of the page's.
        """
        for prompt, lines, printed in steps(block):
            expected = "\n".join(printed).replace("127.0.0.1:4141", address)
            shown = _trimmed(normal(self._terminal.enter("\r".join(lines), _end_of(prompt, lines, printed))))
            assert normal(expected) in shown, shown
        if prompt != "$":
            self._terminal.enter("\\q", _READY_PATTERN)

    def close(self):
        self._terminal.close()


_READY_PATTERN = re.escape(_READY)


def _end_of(prompt, lines, printed):
    """The pattern of what comes last: bash's prompt, or the times that a command of the shell ends with."""
    if lines == ["elevator shell"]:
        return "Ctrl-D leaves"
    times = len(_TIME.findall("\n".join(printed)))
    return _READY_PATTERN if prompt == "$" else r"(.|\n)*".join([_TIME.pattern] * times)


def _trimmed(text):
    return "\n".join([line.rstrip() for line in text.splitlines()])
