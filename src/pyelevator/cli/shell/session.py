"""A session of the shell: runs its commands with one client."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import click
from attrs import evolve

from pyelevator.cli.calls.encodings import Encoding
from pyelevator.cli.calls.layouts import Layout, Lines
from pyelevator.cli.calls.output import Output, show_pages, write_stdout
from pyelevator.cli.calls.parameters import IN_SHELL
from pyelevator.cli.calls.words import split_words
from pyelevator.cli.connection_options import INHERITED, ConnectionOptions
from pyelevator.cli.errors import ExitCode, explain
from pyelevator.cli.shell.blocks import END, is_complete, split_block
from pyelevator.client import Elevator
from pyelevator.errors import ElevatorError

_PARENT: Final = click.Command("elevator")


class ShellSession:
    """A session of the shell.

    Args:
        client: connected to the database that the session begins with.
        connection: how it was connected; commands that open clients of their own connect in the same way.
        find_command: returns the command of a name, or raises a click.UsageError.
        is_interactive: results are shown for people, and each command's time.
    """

    def __init__(
        self,
        client: Elevator[bytes],
        connection: ConnectionOptions,
        find_command: Callable[[str], click.Command],
        *,
        is_interactive: bool = False,
    ) -> None:
        self.client = client
        self.is_interactive = self.shows_times = is_interactive
        self.is_done = self.has_failed = False
        self.last = ""
        self._connection, self._find_command = connection, find_command
        self._output = Output(self._make_layout(), show_pages if is_interactive else write_stdout)
        self._shown_for = 0.0

    def _make_layout(self) -> Layout:
        if not self.is_interactive:
            return Lines(Encoding.TEXT)
        from pyelevator.cli.shell.values import Highlighted

        return Highlighted(Encoding.TEXT)

    @property
    def url(self) -> str:
        """The URL that the session connected to."""
        return self._connection.url

    @property
    def connection(self) -> ConnectionOptions:
        """The options to connect to the database that the session is connected to."""
        return evolve(self._connection, options={**self._connection.options, "db_name": self.client.db_name})

    def execute(self, text: str) -> int:
        """Run a command, or a batch with its lines, and show its result or why it failed; return its exit code.

        An interrupt (Ctrl-C) ends the command and not the session.
        """
        self.has_failed = False
        begin, self._shown_for = time.perf_counter(), 0.0
        code = self._execute(text)
        seconds = time.perf_counter() - begin - self._shown_for
        if self.shows_times and text.strip() and not text.startswith("\\"):
            click.secho(f"({1000 * seconds:,.1f} ms)", dim=True)
        return code

    def _execute(self, text: str) -> int:
        try:
            return self._run(text)
        except click.exceptions.Exit as end:
            return end.exit_code
        except BrokenPipeError:  # the reader of what the shell prints has left
            raise
        except (click.ClickException, ElevatorError, OSError) as error:
            return self._complain(*explain(error))
        except (KeyboardInterrupt, click.Abort):
            return self._complain("interrupted", ExitCode.INTERRUPTED)

    def _complain(self, message: str, code: int) -> int:
        self.has_failed = True
        click.secho(message, fg="red", err=True)
        return code

    def _run(self, text: str) -> int:
        line, block = split_block(text)
        words = split_words(line)
        if not words:
            return ExitCode.DONE
        if not is_complete(text):
            raise click.UsageError(f"the batch has no {END}")
        name, *args = words
        command = self._find_command(name)
        with click.Context(_PARENT, obj=self) as parent:
            parent.meta[IN_SHELL] = block
            parent.meta[INHERITED] = self.connection
            with command.make_context(name, args, parent=parent, help_option_names=["-h", "--help"]) as context:
                code = command.invoke(context)
        return code if isinstance(code, int) else ExitCode.DONE

    def output(self, encoding: Encoding, form: str | None) -> Output:
        """Return where a command writes its result, and how."""
        return evolve(self._output.with_format(encoding, form), write=self._write)

    def _write(self, chunks: Iterable[bytes]) -> None:
        """Write what a command shows, and add up the time for which it was shown only, in a pager perhaps."""
        begin = time.perf_counter()
        clock = _Clock()
        try:
            self._output.write(clock.timed(chunks))
        finally:
            self._shown_for += time.perf_counter() - begin - clock.seconds


class _Clock:
    """A clock that adds up the time that fetching chunks takes."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def timed(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        coming = iter(chunks)
        while True:
            begin = time.perf_counter()
            try:
                chunk = next(coming)
            except StopIteration:
                return
            finally:
                self.seconds += time.perf_counter() - begin
            yield chunk
