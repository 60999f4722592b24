"""Actions of the commands that need more than one method of the client."""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final, TypeVar

import click
from attrs import asdict

from pyelevator.cli.calls.layouts import Row
from pyelevator.cli.progress import call_with_progress
from pyelevator.client import Elevator
from pyelevator.commands import RepairReport

T = TypeVar("T")

_CHUNK_KEYS: Final = 10_000
"""Keys of one request of ``delete`` and ``mget``."""


def get_value(client: Elevator[bytes], key: bytes, default: bytes | None) -> bytes:
    """Return the value of a key; the default, if there is one, of a missing key."""
    return client.Get(key) if default is None else client.Get(key, default)


def put_with(
    put: Callable[..., object],
    client: Elevator[bytes],
    *,
    key: bytes,
    value: bytes | None,
    file: bytes | None,
    sync: bool,
) -> object:
    """Set the value of a key, the given one or a file's, by a method of the client; return what that returns."""
    given = [data for data in (value, file) if data is not None]
    if len(given) != 1:
        raise click.UsageError("give one VALUE, or - for what stdin brings, or --file FILE")
    return put(client, key, given[0], sync=sync)


def delete_keys(client: Elevator[bytes], keys: Sequence[bytes], sync: bool) -> None:
    """Delete keys, many in one batch."""
    for chunk in _key_chunks(keys):
        with client.WriteBatch() as batch:
            for key in chunk:
                batch.Delete(key)
            batch.Write(sync=sync)


def read_many(client: Elevator[bytes], keys: Sequence[bytes]) -> Iterator[Row]:
    """Return rows of keys and values, None for a missing one."""
    for chunk in _key_chunks(keys):
        for key, value in zip(chunk, client.MGet(chunk), strict=True):
            yield {"key": key, "value": value}


def _key_chunks(keys: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    return (keys[first : first + _CHUNK_KEYS] for first in range(0, len(keys), _CHUNK_KEYS))


def read_range(
    client: Elevator[bytes],
    *,
    start: bytes | None,
    stop: bytes | None,
    prefix: bytes | None,
    limit: int | None,
    reverse: bool,
    keys_only: bool,
    values_only: bool,
    consistent: bool,
) -> Iterable[Row]:
    """Return the rows of a range, fetched page by page."""
    parts = _row_parts(keys_only, values_only)
    counted = limit is not None and not stop and not (reverse and start)
    rows = client.RangeIter(
        start,
        limit if counted else stop,
        prefix=prefix,
        reverse=reverse,
        consistent=consistent,
        include_key="key" in parts,
        include_value="value" in parts,
    )
    return _rows(islice(rows, limit), parts)


def read_slice(
    client: Elevator[bytes],
    *,
    start: bytes,
    count: int,
    prefix: bytes | None,
    reverse: bool,
    keys_only: bool,
    values_only: bool,
) -> Iterable[Row]:
    """Return the rows of a slice."""
    parts = _row_parts(keys_only, values_only)
    options = {"include_key": "key" in parts, "include_value": "value" in parts}
    return _rows(client.Slice(start or None, count, prefix=prefix, reverse=reverse, **options), parts)


def delete_range(
    client: Elevator[bytes], *, start: bytes | None, stop: bytes | None, prefix: bytes | None, every: bool, sync: bool
) -> int:
    """Delete the keys of a range, and return how many there were; everything only if that is said."""
    if not (start or stop or prefix or every):
        raise click.UsageError("say which keys: START, STOP or --prefix KEY; or --all for the whole database")
    return client.DeleteRange(start, stop, prefix=prefix, sync=sync)


def _row_parts(keys_only: bool, values_only: bool) -> Sequence[str]:
    if keys_only and values_only:
        raise click.UsageError("--keys and --values contradict one another; without them both are printed")
    return [name for name, is_left_out in (("key", values_only), ("value", keys_only)) if not is_left_out]


def _rows(rows: Iterable[Any], parts: Sequence[str]) -> Iterable[Row]:
    if len(parts) == 1:
        return ({parts[0]: row} for row in rows)
    return (dict(zip(parts, row, strict=True)) for row in rows)


def read_sizes(client: Elevator[bytes], prefixes: Sequence[bytes]) -> Iterable[Row]:
    """Return rows of prefixes and the bytes that their keys take."""
    prefixes = prefixes or [b""]
    return [{"prefix": prefix, "bytes": size} for prefix, size in zip(prefixes, client.sizes(prefixes), strict=True)]


def create_database(client: Elevator[bytes], db_name: str, options: Sequence[tuple[str, object]]) -> None:
    """Create a database with options."""
    client.createdb(db_name, dict(options) or None)


def drop_database(client: Elevator[bytes], db_name: str, force: bool, yes: bool) -> None:
    """Drop a database; at a terminal the user is asked first."""
    if not yes and sys.stdin.isatty():
        click.confirm(f"Remove the database {db_name!r} and all its data?", abort=True, err=True)
    client.dropdb(db_name, force=force)


def compact_database(client: Elevator[bytes], start: bytes | None, stop: bytes | None, progress: bool | None) -> None:
    """Reclaim the space of deleted and overwritten pairs, and show how far the server is with it."""
    call_with_progress(client, lambda: client.compact(start, stop), "compact", shown=progress)


def repair_database(client: Elevator[bytes], db_name: str | None, force: bool) -> Mapping[str, object]:
    """Repair a database, and return the report by the names of its parts."""
    client.connect(db_name)
    report = client.repairdb(force=force)
    return asdict(report or RepairReport())


def read_option(_: click.Context, param: click.Parameter, pairs: Iterable[str]) -> list[tuple[str, object]]:
    """Read ``NAME=VALUE``; numbers and truth values are what they look like.

    >>> read_option(None, None, ["block_size=4096", "compression=none", "paranoid_checks=true"])
    [('block_size', 4096), ('compression', 'none'), ('paranoid_checks', True)]
    """
    read = []
    for pair in pairs:
        name, mark, text = pair.partition("=")
        if not mark:
            raise click.BadParameter(f"{pair!r} is no NAME=VALUE", param=param)
        words: Mapping[str, object] = {"true": True, "false": False}
        read.append((name, int(text) if text.lstrip("-").isdigit() else words.get(text.lower(), text)))
    return read
