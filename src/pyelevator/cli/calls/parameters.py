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
from pyelevator.cli.connection_options import DatabaseType
from pyelevator.cli.progress import QUIET

STDIN: Final = "-"


class DataType(ParamType):
    """A key or a value, in the encoding that the command line asks for."""

    name = "data"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> object:
        """Return the bytes."""
        return value if isinstance(value, bytes) else self._decode(value, param, ctx)

    def _decode(self, text: str | bytes, param: click.Parameter | None, ctx: click.Context | None) -> bytes:
        try:
            return decode(text, encoding_of({} if ctx is None else ctx.params))
        except ValueError as error:
            asked = encoding_of({} if ctx is None else ctx.params).value
            self.fail(f"{error}; with --print-as {asked} instead of --{asked}, only the output is", param, ctx)


class KeyType(DataType):
    """A key; the shell completes it."""

    name = "key"


class BoundType(KeyType):
    """The first or the last key of a range; an empty one stands for the beginning or the end."""

    def convert(self, value: str | bytes, param: click.Parameter | None, ctx: click.Context | None) -> object:
        return super().convert(value, param, ctx) or None


class ValueType(DataType):
    """A value; ``-`` stands for what stdin brings."""

    name = "value"

    def convert(self, value: str | bytes, param: click.Parameter | None, ctx: click.Context | None) -> object:
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

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> object:
        try:
            return self._decode(Path(value).read_bytes(), param, ctx)
        except OSError as error:
            self.fail(f"cannot read {value}: {error.strerror}", param, ctx)


class KeysType(KeyType):
    """Keys: one, or with ``-`` those that stdin brings, one in a line or each with a NUL behind it."""

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> object:
        if value != STDIN:
            return [self._decode(value, param, ctx)]
        is_null = ctx is not None and bool(ctx.params.get("null"))
        return [self._decode(item, param, ctx) for item in split_items(read_stdin(param, ctx), is_null)]


class LinesType(FilesType):
    """A file of lines; ``-`` stands for stdin, and in the shell for the lines that follow the command's own."""

    name = "lines"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> object:
        """Return the lines, as bytes."""
        if value == STDIN:
            return ctx.meta[IN_SHELL] if ctx is not None and IN_SHELL in ctx.meta else sys.stdin.buffer
        try:
            return io.BytesIO(Path(value).read_bytes())
        except OSError as error:
            self.fail(f"cannot read {value}: {error.strerror}", param, ctx)


def read_stdin(param: click.Parameter | None, ctx: click.Context | None) -> bytes:
    """Return what stdin brings until its end, unless the shell reads its commands from it."""
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


def encoding_of(params: Mapping[str, object]) -> Encoding:
    """Return the encoding that the parameters ask for."""
    return next((encoding for encoding in Encoding if params.get(encoding.value)), Encoding.TEXT)


def take_format(params: dict[str, object]) -> tuple[Encoding, str | None]:
    """Take the options of the format out of a command's parameters: the output's encoding, and its form if any."""
    encoding = encoding_of(params)
    for names in (("hex", "base64"), ("json", "null", "raw")):
        given = [name for name in names if params.pop(name, False)]
        if len(given) > 1:
            raise click.UsageError(f"--{given[0]} and --{given[1]} contradict one another")
    printed = params.pop("print_as", None)
    return Encoding(printed) if printed else encoding, given[0] if given else None


def flag(names: str, help: str, **traits: bool) -> click.Option:
    """Make an option that is on or off; ``names`` are its own, and the name of its parameter if that differs."""
    return click.Option(names.split(), is_flag=True, help=help, **traits)


def option(name: str, kind: ParamType, metavar: str, help: str, **traits: Any) -> click.Option:
    """Make an option with a value."""
    return click.Option([name], type=kind, metavar=metavar, help=help, **traits)


def argument(metavar: str, kind: ParamType, name: str = "", **traits: Any) -> click.Argument:
    """Make an argument, which is required unless brackets are around it in the help."""
    names, is_required = [name or metavar.strip("[]").lower()], metavar[0] != "["
    return click.Argument(names, type=kind, required=is_required, metavar=metavar, **traits)


KEY: Final = KeyType()
VALUE: Final = ValueType()
COUNT: Final = click.IntRange(min=0)
_BOUND: Final = BoundType()
_DATABASE_NAME: Final = DatabaseType()

FORMATS: Final[Sequence[click.Parameter]] = (
    flag("--hex", "Keys and values are hex, in arguments, input and output.", is_eager=True),
    flag("--base64", "Keys and values are base64, in arguments, input and output.", is_eager=True),
    click.Option(
        ["--print-as"],
        type=click.Choice([encoding.value for encoding in Encoding]),
        help="Encoding of keys and values in the output, whatever that of the arguments is.",
    ),
    flag("--json", "Print JSON: one document, or one in each line for rows.", is_eager=True),
    flag("--null", "Items end with NUL instead of a newline, in input and output (for xargs -0).", is_eager=True),
)

_SHARED: Final[Mapping[str, click.Parameter]] = {
    (param.opts[0] if isinstance(param, click.Option) else str(param.metavar)): param
    for param in (
        argument("KEY", KEY),
        argument("KEY...", KeysType(), "keys", nargs=-1, callback=flatten),
        argument("VALUE", VALUE),
        argument("[VALUE]", VALUE),
        argument("[START]", _BOUND),
        argument("[STOP]", _BOUND),
        argument("[FILE]", LinesType(), "lines", default=STDIN),
        argument("NAME", _DATABASE_NAME, "db_name"),
        argument("[NAME]", _DATABASE_NAME, "db_name"),
        option("--file", FileType(), "FILE", "File that holds the value."),
        option("--prefix", KEY, "KEY", "Select keys that start with KEY."),
        option("--limit", COUNT, "N", "Print at most N rows."),
        flag("--raw", "Print exactly the bytes of the value, with no newline behind it.", is_eager=True),
        flag("--reverse", "Go from the last key to the first."),
        flag("--keys keys_only", "Print keys only."),
        flag("--values values_only", "Print values only."),
        flag("--sync", "Wait until it is on the server's disk."),
        QUIET,
    )
}


def shared(usage: str) -> Sequence[click.Parameter]:
    """Return parameters that several commands have, named as the help shows them: ``KEY [VALUE] --sync``."""
    return [_SHARED[shown] for shown in usage.split()]
