"""The output of the results of commands: to a pipe, or page by page to a terminal."""

import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import chain
from typing import Final

import click
from attrs import evolve, frozen

from pyelevator.cli.calls.encodings import Encoding
from pyelevator.cli.calls.layouts import Json, Layout, Lines, Row, Screen
from pyelevator.cli.calls.parameters import IN_SHELL
from pyelevator.cli.errors import ExitCode
from pyelevator.cli.logs import printable

_LAYOUT_TYPES: Final[Mapping[str, Callable[[Encoding], Layout]]] = {
    "json": Json,
    "null": partial(Lines, separator=b"\0", end=b"\0"),
    "raw": partial(Lines, separator=b"", end=b""),
}
"""Option -> layout; xargs -0 and sort -z read results, and parts of rows, that end with NUL."""


@frozen
class Output:
    """The output of one command: how results are laid out, and what writes the texts."""

    layout: Layout
    write: Callable[[Iterable[bytes]], None]

    @classmethod
    def to_stdout(cls, encoding: Encoding, form: str | None) -> "Output":
        """Return the output of a one-shot command in a form, or in lines: page by page if stdout is a terminal."""
        is_terminal = sys.stdout.isatty()
        layout = _LAYOUT_TYPES[form](encoding) if form else (Screen if is_terminal else Lines)(encoding)
        return cls(layout, show_pages if is_terminal and form != "raw" else write_stdout)

    def with_format(self, encoding: Encoding, form: str | None) -> "Output":
        """Return the output with another layout, if a form or an encoding is asked for."""
        layout = _LAYOUT_TYPES[form](encoding) if form else evolve(self.layout, encoding=encoding)
        return evolve(self, layout=layout)

    def value(self, data: bytes) -> ExitCode:
        """Show one value."""
        self.write([self.layout.value(data)])
        return ExitCode.DONE

    def result(self, result: object) -> ExitCode:
        """Show a number, a truth value or a report."""
        self.write([self.layout.result(result)])
        return ExitCode.DONE

    def rows(self, rows: Iterable[Row]) -> ExitCode:
        """Show rows as they come."""
        self.write(self.layout.rows(rows))
        return ExitCode.DONE


def write_stdout(chunks: Iterable[bytes]) -> None:
    """Write chunks to stdout as they are."""
    for chunk in chunks:
        sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()


def show_pages(chunks: Iterable[bytes]) -> None:
    """Show chunks on the terminal; through a pager (``PAGER``) if they are longer than the screen."""
    coming = iter(chunks)
    first, fits = _fill_screen(coming)
    if fits:
        click.echo("".join(first), nl=False)
    else:
        click.echo_via_pager(chain(first, map(_decode_chunk, coming)))


def _fill_screen(chunks: Iterator[bytes]) -> tuple[list[str], bool]:
    """Take chunks until the screen is full; tell whether there were so few that they fit."""
    columns, lines = shutil.get_terminal_size()
    taken: list[str] = []
    room = lines - 1
    for chunk in chunks:
        taken.append(_decode_chunk(chunk))
        room -= sum(1 + max(len(line) - 1, 0) // columns for line in taken[-1].splitlines())
        if room < 0:
            return taken, False
    return taken, True


def _decode_chunk(chunk: bytes) -> str:
    return chunk.decode("utf-8", "backslashreplace")


def show_nothing(_: Output, __: object) -> ExitCode:
    """Show nothing: it is done."""
    return ExitCode.DONE


def show_truth(output: Output, is_so: bool) -> ExitCode:
    """Show true or false; the exit code says the same."""
    output.result(is_so)
    return ExitCode.DONE if is_so else ExitCode.FAILED


def show_names(output: Output, names: Iterable[str]) -> ExitCode:
    """Show names, one in a line."""
    return output.rows({"name": name} for name in names)


def show_found(output: Output, rows: Iterable[Row]) -> ExitCode:
    """Show rows of keys and values, and say which keys are missing; in JSON their value is null."""
    found = list(rows)
    missing = [key for row in found if row["value"] is None and isinstance(key := row["key"], bytes)]
    is_json = isinstance(output.layout, Json)
    output.rows(found if is_json else [row for row in found if row["value"] is not None])
    program = "" if IN_SHELL in click.get_current_context().meta else "elevator: "
    for key in missing:
        click.echo(f"{program}Key not found: {printable(key)}", err=True)
    return ExitCode.FAILED if missing else ExitCode.DONE
