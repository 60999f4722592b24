"""Batches as text: one operation in each line, of words or of JSON."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final

import click
from attrs import frozen

from pyelevator.cli.calls.encodings import Encoding, decode, take_member
from pyelevator.cli.calls.parameters import encoding_of
from pyelevator.cli.calls.words import UnclosedQuote, split_words
from pyelevator.client import Elevator, WriteBatch
from pyelevator.commands import MISSING, PRESENT


@frozen
class _Operation:
    """An operation of a batch: its arguments, and the method that adds it."""

    arguments: Sequence[str]
    add: Callable[..., None]


OPERATIONS: Final[Mapping[str, _Operation]] = {
    "put": _Operation(("key", "value"), WriteBatch.Put),
    "delete": _Operation(("key",), WriteBatch.Delete),
    "check": _Operation(("key", "value"), WriteBatch.Check),
    "missing": _Operation(("key",), partial(WriteBatch.Check, expected=MISSING)),
    "present": _Operation(("key",), partial(WriteBatch.Check, expected=PRESENT)),
}
"""Name of an operation -> what it takes and does."""


def read_batch(client: Elevator[bytes], lines: Iterable[bytes], sync: bool) -> None:
    """Read a batch in the format that the command line asks for, and write it; nothing if a line is no operation."""
    params = click.get_current_context().params
    encoding = encoding_of(params)
    numbered, read = _LINE_FORMATS[bool(params.get("json"))]
    with client.WriteBatch() as batch:
        for number, line in numbered(lines):
            try:
                operation = read(line, encoding)
            except ValueError as error:
                raise click.UsageError(f"line {number}: {error}; nothing was written") from error
            if operation is not None:
                name, arguments = operation
                OPERATIONS[name].add(batch, *arguments)
        batch.Write(sync=sync)


def _number_lines(lines: Iterable[bytes]) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(lines, 1):
        yield number, line.decode("utf-8", "surrogateescape")


def _join_quoted(lines: Iterable[bytes]) -> Iterator[tuple[int, str]]:
    """Yield lines with their numbers; one with a quote that does not end continues in the next."""
    text, first, open_quote = "", 0, ""
    for number, line in _number_lines(lines):
        first = first if text else number
        text += line
        if open_quote not in line:
            continue
        try:
            split_words(text)
        except UnclosedQuote as error:
            open_quote = error.quote
        else:
            yield first, text
            text, open_quote = "", ""
    if text:
        yield first, text


def _words_operation(line: str, encoding: Encoding) -> tuple[str, Sequence[bytes]] | None:
    words = split_words(line)
    if not words:
        return None
    name, *given = words
    wanted = _arguments_of(name.lower())
    if len(given) != len(wanted):
        raise ValueError(f"{name} takes {' and '.join(wanted)}")
    return name.lower(), [decode(word.encode("utf-8", "surrogateescape"), encoding) for word in given]


def _parse_json_operation(line: str, encoding: Encoding) -> tuple[str, Sequence[bytes]] | None:
    if not line.strip():
        return None
    match json.loads(line):
        case dict() as members:
            pass
        case _:
            raise ValueError(f"{line.strip()[:50]} is no object")
    name = members.pop("op", "put")
    arguments = [take_member(members, part, encoding) for part in _arguments_of(name)]
    if members:
        raise ValueError(f"{name} takes no {next(iter(members))}")
    return name, arguments


def _arguments_of(name: object) -> Sequence[str]:
    operation = OPERATIONS.get(name) if isinstance(name, str) else None
    if operation is None:
        raise ValueError(f"there is no operation {name!r}; there are {', '.join(OPERATIONS)}")
    return operation.arguments


_LINE_FORMATS: Final = {False: (_join_quoted, _words_operation), True: (_number_lines, _parse_json_operation)}
"""True for JSON, False for words -> what yields the lines with their numbers, and what reads one."""
