"""Completion at the prompt: commands, options, and from the server databases and keys."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import click
from attrs import frozen
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from pyelevator.cli.calls.batches import OPERATIONS
from pyelevator.cli.calls.parameters import KeyType
from pyelevator.cli.calls.words import UnclosedQuote, quote, split_words, unescape
from pyelevator.cli.connection_options import DatabaseType
from pyelevator.cli.lookup import list_databases, list_keys
from pyelevator.cli.shell.blocks import END
from pyelevator.cli.shell.commands import ALIASES, SHELL_COMMANDS
from pyelevator.cli.shell.session import ShellSession

_LAST_WORD: Final = re.compile(r"""(?: "(?:[^"\\]|\\.)*"? | '[^']*'? | [^\s"'] )*\Z""", re.VERBOSE | re.DOTALL)


@frozen
class _Line:
    """The line up to the cursor: its complete words, and the one at the cursor as it is typed, with its quotes."""

    words: Sequence[str]
    last: str

    @classmethod
    def parse(cls, text: str) -> "_Line":
        match = _LAST_WORD.search(text)
        last = match[0] if match else ""
        try:
            return cls(split_words(text[: len(text) - len(last)]), last)
        except UnclosedQuote:
            return cls([], "")

    @property
    def typed(self) -> str:
        """The last word without its quotes."""
        if self.last.startswith('"'):
            return unescape(self.last[1:].removesuffix('"'))
        return self.last[1:].removesuffix("'") if self.last.startswith("'") else self.last


class ShellCompleter(Completer):
    """Completes what is typed at the prompt."""

    def __init__(self, session: ShellSession) -> None:
        self._session = session

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:  # noqa: ARG002
        """Yield what may stand in place of the word at the cursor."""
        text = document.text_before_cursor
        in_batch = "\n" in text
        line = _Line.parse(text.rpartition("\n")[2])
        for word in self._words(line, in_batch):
            yield Completion(word, start_position=-len(line.last))

    def _words(self, line: _Line, in_batch: bool) -> Iterable[str]:
        if not line.words:
            names = [*OPERATIONS, END] if in_batch else [*SHELL_COMMANDS, *ALIASES]
            return [name for name in names if name.startswith(line.last)]
        name = line.words[0]
        if in_batch:
            return self._from_server(KeyType, line) if len(line.words) == 1 else []
        command = SHELL_COMMANDS.get(ALIASES.get(name, name))
        return [] if command is None else self._of_command(command, line)

    def _of_command(self, command: click.Command, line: _Line) -> Iterable[str]:
        options = {name: param for param in command.params if isinstance(param, click.Option) for name in param.opts}
        if line.last.startswith("-"):
            return [name for name in options if name.startswith(line.last)]
        if command.name in ("help", "\\watch"):
            return [name for name in SHELL_COMMANDS if name.startswith(line.last)]
        param = _param_at(command, options, line.words[1:])
        return [] if param is None else self._from_server(type(param.type), line)

    def _from_server(self, kind: type, line: _Line) -> Iterable[str]:
        for known, find in _FINDERS.items():
            if issubclass(kind, known):
                found = find(self._session, line.typed)
                return [quote(data) for data in found]
        return []


def _param_at(
    command: click.Command, options: Mapping[str, click.Option], words: Sequence[str]
) -> click.Parameter | None:
    """Return the parameter to which the next word belongs; None if that is none."""
    arguments = [param for param in command.params if isinstance(param, click.Argument)]
    waiting: click.Option | None = None
    position = 0
    for word in words:
        if waiting is not None:
            waiting = None
        elif word in options:
            waiting = None if options[word].is_flag else options[word]
        else:
            position += 1
    if waiting is not None:
        return waiting
    last = arguments[-1:] if arguments and arguments[-1].nargs == -1 else []
    return next(iter([*arguments[position : position + 1], *last]), None)


_FINDERS: Final[Mapping[type, Callable[[ShellSession, str], Sequence[bytes]]]] = {
    KeyType: lambda session, typed: list_keys(session.client, typed),
    DatabaseType: lambda session, typed: list_databases(session.client, typed),
}
"""Type of a parameter -> what asks the server for completions."""
