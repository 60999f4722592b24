"""Parameters of the commands that call a server: keys, values, databases, and options."""

import io
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import click
from click.shell_completion import CompletionItem

from pyelevator.cli.calls.encodings import Encoding, decode
from pyelevator.cli.command import ParamType
from pyelevator.cli.connection import DatabaseType

STDIN: Final = "-"


class DataType(ParamType):
    """A key or a value, in the encoding that the command line asks for."""

    name = "data"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the bytes."""
        if isinstance(value, bytes):
            return value
        return self._decode(value, param, ctx)

    def _decode(self, text: str | bytes, param: click.Parameter | None, ctx: click.Context | None) -> bytes:
        try:
            return decode(text, encoding_of({} if ctx is None else ctx.params))
        except ValueError as error:
            asked = encoding_of({} if ctx is None else ctx.params).value
            self.fail(f"{error}; with --print-as {asked} instead of --{asked}, only the output is", param, ctx)


class KeyType(DataType):
    """A key; the shell completes it."""

    name = "key"


class ValueType(DataType):
    """A value; ``-`` stands for what stdin brings."""

    name = "value"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == STDIN:
            return self._decode(read_stdin(param, ctx), param, ctx)
        return super().convert(value, param, ctx)


class FilesType(ParamType):
    """Something that comes from a file, whose name shells complete."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002
        """Have the shell complete the name of a file."""
        return [CompletionItem(incomplete, type="file")]


class FileType(FilesType, DataType):
    """A file that holds a value."""

    name = "file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return self._decode(Path(value).read_bytes(), param, ctx)
        except OSError as error:
            self.fail(f"cannot read {value}: {error.strerror}", param, ctx)


class KeysType(KeyType):
    """Keys: one, or with ``-`` those that stdin brings, one in a line or each with a NUL behind it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value != STDIN:
            return [self._decode(value, param, ctx)]
        is_null = ctx is not None and bool(ctx.params.get("null"))
        return [self._decode(item, param, ctx) for item in split_items(read_stdin(param, ctx), is_null)]


class LinesType(FilesType):
    """A file of lines; ``-`` stands for stdin, and in the shell for the lines that follow the command's own."""

    name = "lines"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the lines, as bytes."""
        if value == STDIN:
            return ctx.meta[IN_SHELL] if ctx is not None and IN_SHELL in ctx.meta else sys.stdin.buffer
        try:
            return io.BytesIO(Path(value).read_bytes())
        except OSError as error:
            self.fail(f"cannot read {value}: {error.strerror}", param, ctx)


def read_stdin(param: click.Parameter | None, ctx: click.Context | None) -> bytes:
    """Return what stdin brings until its end.

    Raises:
        click.BadParameter: it is where the shell reads its commands.
    """
    if ctx is not None and IN_SHELL in ctx.meta:
        raise click.BadParameter("the shell itself reads from stdin; give it here, or in a file", ctx, param)
    return sys.stdin.buffer.read()


IN_SHELL: Final = "pyelevator.shell_block"
"""Key of a context's ``meta``, if the command was given in the shell: the lines that follow its own."""


def split_items(data: bytes, is_null: bool) -> list[bytes]:
    r"""Return the items of a text, one in each line that is not empty, or each with a NUL behind it.

    >>> split_items(b"a\nb c\n", False), split_items(b"a\n\0\0", True)
    ([b'a', b'b c'], [b'a\n', b''])
    """
    if is_null:
        return data.removesuffix(b"\0").split(b"\0") if data else []
    return [line for line in data.split(b"\n") if line]


def flatten(_: click.Context, __: click.Parameter, groups: Iterable[list[bytes]]) -> list[bytes]:
    """Return the keys of all arguments."""
    return [key for group in groups for key in group]


def encoding_of(params: Mapping[str, Any]) -> Encoding:
    """Return the encoding that the parameters ask for."""
    return next((encoding for encoding in Encoding if params.get(encoding.value)), Encoding.TEXT)


def take_format(params: dict[str, Any]) -> tuple[Encoding, str | None]:
    """Take the options of the format out of a command's parameters.

    Returns:
        The encoding of what is printed, and ``json``, ``null``, ``raw`` or None.

    Raises:
        click.UsageError: they contradict one another.
    """
    encoding = encoding_of(params)
    for names in (("hex", "base64"), ("json", "null", "raw")):
        given = [name for name in names if params.pop(name, False)]
        if len(given) > 1:
            raise click.UsageError(f"--{given[0]} and --{given[1]} contradict one another")
    printed = params.pop("print_as", None)
    return Encoding(printed) if printed else encoding, given[0] if given else None


def _flag(name: str, text: str) -> click.Option:
    return click.Option([f"--{name}"], is_flag=True, is_eager=True, help=text)


RAW: Final = _flag("raw", "Print exactly the bytes of the value, with no newline behind it.")
FORMATS: Final[Sequence[click.Parameter]] = (
    _flag("hex", "Keys and values are hex, in arguments, input and output."),
    _flag("base64", "Keys and values are base64, in arguments, input and output."),
    click.Option(
        ["--print-as"],
        type=click.Choice([encoding.value for encoding in Encoding]),
        help="Encoding of keys and values in the output, whatever that of the arguments is.",
    ),
    _flag("json", "Print JSON: one document, or one in each line for rows."),
    _flag("null", "Items end with NUL instead of a newline, in input and output (for xargs -0)."),
)

KEY: Final = click.Argument(["key"], type=KeyType(), metavar="KEY")
KEYS: Final = click.Argument(["keys"], type=KeysType(), metavar="KEY...", nargs=-1, required=True, callback=flatten)
VALUE: Final = click.Argument(["value"], type=ValueType(), metavar="[VALUE]", required=False)
VALUE_FILE: Final = click.Option(["--file"], type=FileType(), metavar="FILE", help="File that holds the value.")
START: Final = click.Argument(["start"], type=KeyType(), metavar="[START]", required=False)
STOP: Final = click.Argument(["stop"], type=KeyType(), metavar="[STOP]", required=False)
PREFIX: Final = click.Option(["--prefix"], type=KeyType(), metavar="KEY", help="Select keys that start with KEY.")
LIMIT: Final = click.Option(["--limit"], type=click.IntRange(min=0), metavar="N", help="Print at most N rows.")
REVERSE: Final = click.Option(["--reverse"], is_flag=True, help="Go from the last key to the first.")
KEYS_ONLY: Final = click.Option(["--keys", "keys_only"], is_flag=True, help="Print keys only.")
VALUES_ONLY: Final = click.Option(["--values", "values_only"], is_flag=True, help="Print values only.")
SYNC: Final = click.Option(["--sync"], is_flag=True, help="Wait until it is on the server's disk.")
LINES: Final = click.Argument(["lines"], type=LinesType(), metavar="[FILE]", default=STDIN)
DATABASE: Final = click.Argument(["db_name"], type=DatabaseType(), metavar="NAME")
