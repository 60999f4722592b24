"""The prompt: reads commands from a terminal until its user leaves."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

import click
from prompt_toolkit import PromptSession
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

from pyelevator.cli.logs import printable
from pyelevator.cli.shell.blocks import is_complete
from pyelevator.cli.shell.completion import ShellCompleter
from pyelevator.cli.shell.session import ShellSession
from pyelevator.transports.url import shown

_CONTINUATION: Final = "... "


class _ShellHistory(FileHistory):
    """A history in a file that only its owner can read; lines that begin with a space are not kept."""

    def store_string(self, string: str) -> None:
        if not string.startswith(" "):
            with suppress(OSError):
                super().store_string(string)


def run_prompt(session: ShellSession, history: Path) -> None:
    """Read commands and run them, until ``exit`` or Ctrl-D; an empty path of the history stands for none."""
    prompt: PromptSession[str] = PromptSession(
        history=open_history(history),
        completer=ShellCompleter(session),
        complete_in_thread=True,
        complete_while_typing=False,
        enable_history_search=True,
        multiline=True,
        prompt_continuation=_CONTINUATION,
        key_bindings=_key_bindings(),
        enable_suspend=True,
    )
    click.echo(f"connected to {printable(shown(session.url))}; help lists the commands, Ctrl-D leaves")
    while not session.is_done:
        try:
            where = printable(session.client.db_name or "not connected")
            text = prompt.prompt(FormattedText([("ansicyan", where), ("", "> ")]))
            session.execute(text)
            if text.strip() and not text.lstrip().startswith("\\"):
                session.last = text
        except KeyboardInterrupt:  # at the prompt, or one more than the call needed
            continue
        except EOFError:
            return


def open_history(path: Path) -> History:
    """Return the history of a file, which is created for its owner only; one in memory if that cannot be."""
    if path == Path():
        return InMemoryHistory()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600))
    except OSError:
        return InMemoryHistory()
    return _ShellHistory(str(path))


def _key_bindings() -> KeyBindings:
    """Return bindings with which Enter accepts a complete command, and continues one of several lines."""
    bindings = KeyBindings()

    @bindings.add("enter")
    def _(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if is_complete(buffer.text):
            buffer.validate_and_handle()
        else:
            buffer.newline(copy_margin=False)

    return bindings
