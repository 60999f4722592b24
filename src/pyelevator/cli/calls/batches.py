"""Batches as text: one operation in each line, of words or of JSON."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import BinaryIO, Final

import click
from attrs import frozen

from pyelevator.cli.calls.encodings import Encoding, decode, from_json
from pyelevator.cli.calls.parameters import encoding_of
from pyelevator.cli.calls.words import split_words
from pyelevator.client import Elevator, WriteBatch


@frozen
class _Operation:
    """An operation of a batch: its arguments, and the method that adds it."""

    arguments: Sequence[str]
    add: Callable[..., None]


_OPERATIONS: Final[Mapping[str, _Operation]] = {
    "put": _Operation(("key", "value"), WriteBatch.Put),
    "delete": _Operation(("key",), WriteBatch.Delete),
}
"""Name of an operation -> what it takes and does."""


def read_batch(client: Elevator[bytes], file: BinaryIO, sync: bool) -> None:
    """Read a batch, and write it.

    Raises:
        click.UsageError: a line is no operation; it is named, and nothing was written.
    """
    params = click.get_current_context().params
    read = _json_operation if params.get("json") else _words_operation
    write_batch(client, file, sync, lambda line: read(line, encoding_of(params)))


def write_batch(
    client: Elevator[bytes],
    lines: Iterable[bytes],
    sync: bool,
    read: Callable[[str], tuple[str, Sequence[bytes]] | None],
) -> None:
    """Write the batch whose operations stand in lines.

    Args:
        client: connected to the database.
        lines: of the text.
        sync: answer only when the disk has it.
        read: returns the operation of a line and its arguments; None for a line that says nothing.

    Raises:
        click.UsageError: a line is no operation; it is named, and nothing was written.
    """
    with client.WriteBatch() as batch:
        for number, line in enumerate(lines, 1):
            try:
                operation = read(line.decode("utf-8", "surrogateescape"))
            except ValueError as error:
                raise click.UsageError(f"line {number}: {error}; nothing was written") from error
            if operation is not None:
                name, arguments = operation
                _OPERATIONS[name].add(batch, *arguments)
        batch.Write(sync=sync)


def _words_operation(line: str, encoding: Encoding) -> tuple[str, Sequence[bytes]] | None:
    words = split_words(line)
    if not words:
        return None
    name, *given = words
    wanted = _arguments_of(name.lower())
    if len(given) != len(wanted):
        raise ValueError(f"{name} takes {' and '.join(wanted)}")
    return name.lower(), [decode(word.encode("utf-8", "surrogateescape"), encoding) for word in given]


def _json_operation(line: str, encoding: Encoding) -> tuple[str, Sequence[bytes]] | None:
    if not line.strip():
        return None
    match json.loads(line):
        case dict() as told:
            pass
        case _:
            raise ValueError(f"{line.strip()[:50]} is no object")
    name = told.pop("op", "put")
    wanted = _arguments_of(name)
    if told.keys() != set(wanted):
        raise ValueError(f"{name} takes {' and '.join(wanted)}")
    return name, [from_json(told[part], encoding) for part in wanted]


def _arguments_of(name: object) -> Sequence[str]:
    operation = _OPERATIONS.get(name) if isinstance(name, str) else None
    if operation is None:
        raise ValueError(f"there is no operation {name!r}; there are {', '.join(_OPERATIONS)}")
    return operation.arguments
