"""The arguments of each verb in the classic dialect."""

import math
import reprlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import chain, groupby, starmap
from operator import attrgetter
from typing import Any, Final

from attrs import frozen

from pyelevator import commands
from pyelevator.arguments.data import kind_of
from pyelevator.codec.values import malformed_arguments
from pyelevator.commands import COMMANDS, PIPELINED, Command, Delete, Exists, Get, Pipeline, Put, Range, Slice, Unknown
from pyelevator.commands.keys import Keyed
from pyelevator.errors import ErrorCode, MalformedMessage, UsageError


@frozen
class ArgumentSpec:
    """The encoder and decoder of a verb's ``args``, and how many of them a peer must and may send."""

    encode: Callable[[Any], Sequence[Any]]
    min_args: int
    max_args: float
    decode: Callable[[list[object]], Sequence[object]] = list


UNLIMITED: Final = math.inf
"""``ArgumentSpec.max_args`` where old servers do not look at what follows, and old clients send it."""


_DIGITS: Final = 18
"""Digits of a decimal count, at most."""


def _scan(command: Range | Slice, end: bytes | int | None) -> tuple[Any, ...]:
    return command.start, end, command.include_key, command.include_value


def _encode_range(command: Range) -> tuple[object, ...]:
    scan = _scan(command, command.stop)
    return scan if command.prefix is None else (*scan, command.prefix)


def _encode_interval(command: commands.Count | commands.DeleteRange) -> tuple[Any, ...]:
    return command.start, command.stop, command.prefix


def _decode_flags(args: list[object]) -> list[object]:
    """Take nil for false, as the old server did of old clients (recording RANGE.nil_flags)."""
    return [False if i in (2, 3) and arg is None else arg for i, arg in enumerate(args)]


def _decode_slice(args: list[object]) -> list[object]:
    """Take nil, true and fractions as a count, as the old server did, and decimal digits.

    Recordings SLICE.*_offset; the old command line sends digits.
    """
    start, count, *flags = _decode_flags(args)
    if isinstance(count, bytes) and len(count) <= _DIGITS and count.isdigit():
        count = int(count)
    if count is None or isinstance(count, (bool, float)):
        count = math.ceil(count or 0) if count is None or math.isfinite(count) else 0
    return [start, count, *flags]


def map_of(value: object) -> object:
    """Return ``value``, or an empty map for an empty array: some languages have one word for both."""
    return {} if value == [] else value


def array_of(value: Any) -> Any:
    """Return ``value``, or an empty array for an empty map: the same languages need it."""
    return [] if value == {} else value


def _decode_arrays(args: list[object]) -> list[object]:
    return list(map(array_of, args))


def _decode_ops(args: list[object]) -> list[object]:
    """Take the first argument only, and a string for the operations that its characters are.

    So did the old server (recordings BATCH.flat_ops, BATCH.collection_string).
    """
    ops = array_of(args[0])
    return [[ops[:1]] if isinstance(ops, bytes) else ops]


def _encode_pipeline(pipeline: Pipeline) -> tuple[list[object]]:
    """Write commands of one kind next to one another as a run: ``[verb, extras, [args, ...]]``."""
    runs: list[object] = []
    commands, kinds = pipeline.commands, pipeline.kinds
    groups: Iterable[tuple[type[Command], Iterable[Command]]]
    groups = groupby(commands, type) if len(kinds) != 1 else [(kinds.pop(), commands)]
    for kind, alike in groups:
        runs_by_extras = (
            groupby(alike, lambda one: tuple(extras_of(one).items())) if kind.meta_fields else [((), alike)]
        )
        for extras, run in runs_by_extras:
            runs.append((kind.verb, dict(extras), _encode_run(kind, run)))
    return (runs,)


def _encode_run(kind: type[Command], run: Iterable[object]) -> list[Sequence[object]]:
    """Write the arguments of commands of one kind; those of the commonest field by field, without a call for each."""
    fields = _FIELDS.get(kind)
    if fields is None:
        return list(map(ARGUMENTS[kind.verb].encode, run))
    some = list(run)
    return list(zip(*[map(attrgetter(field), some) for field in fields], strict=True))


_FIELDS: Final[Mapping[type[Command], Sequence[str]]] = {
    Get: ("key",),
    Exists: ("key",),
    Delete: ("key",),
    Put: ("key", "value"),
}
"""The commands whose arguments are just these fields."""


def _decode_pipeline(args: list[object]) -> list[object]:
    runs = array_of(args[0])
    if not isinstance(runs, list):
        raise MalformedMessage(f"PIPELINE takes an array, not {kind_of(runs)}", code=ErrorCode.TYPE)
    return [list(chain.from_iterable(map(_decode_run, runs)))]


def _decode_run(run: object) -> Sequence[Command]:
    if not isinstance(run, list) or len(run) != 3:
        raise _no_run()
    verb, extras, calls = run[0], map_of(run[1]), array_of(run[2])
    if not isinstance(extras, dict) or not isinstance(calls, list):
        raise _no_run()
    kind, spec = BY_WIRE_VERB.get(verb, (Unknown, None)) if type(verb) is bytes else (Unknown, None)
    if spec is None or not issubclass(kind, PIPELINED):
        raise MalformedMessage(f"a pipeline does not take {reprlib.repr(verb)}", code=ErrorCode.KEY)
    if not set(map(type, calls)) <= {list}:
        raise MalformedMessage("the args of a command in a pipeline are an array", code=ErrorCode.TYPE)
    return build_commands(kind, spec, calls, extras)


def _no_run() -> MalformedMessage:
    return MalformedMessage("a pipeline consists of runs, [verb, extras, [args, ...]]", code=ErrorCode.TYPE)


_NO_ARGUMENTS: Final = ArgumentSpec(lambda _: (), 0, UNLIMITED, lambda _: [])

ARGUMENTS: Final[Mapping[str, ArgumentSpec]] = {
    "GET": ArgumentSpec(lambda c: (c.key,), 1, 1),
    "PUT": ArgumentSpec(lambda c: (c.key, c.value), 2, 2),
    "DELETE": ArgumentSpec(lambda c: (c.key,), 1, 1),
    "EXISTS": ArgumentSpec(lambda c: (c.key,), 1, 1),
    "MGET": ArgumentSpec(lambda c: (c.keys,), 1, 1, _decode_arrays),
    "RANGE": ArgumentSpec(_encode_range, 2, 5, _decode_flags),
    "SLICE": ArgumentSpec(lambda c: _scan(c, c.count), 2, 4, _decode_slice),
    "COUNT": ArgumentSpec(_encode_interval, 0, 3),
    "BATCH": ArgumentSpec(lambda c: (c.ops,), 1, UNLIMITED, _decode_ops),
    "DELETERANGE": ArgumentSpec(_encode_interval, 0, 3),
    "CONDITIONALBATCH": ArgumentSpec(lambda c: (c.ops, c.checks), 2, 2, _decode_arrays),
    "INCREMENT": ArgumentSpec(lambda c: (c.key, c.by, c.initial), 1, 3),
    "GETANDDELETE": ArgumentSpec(lambda c: (c.key,), 1, 1),
    "PING": _NO_ARGUMENTS,
    "DBCONNECT": ArgumentSpec(lambda c: (c.name,), 1, 1),
    "DBMOUNT": ArgumentSpec(lambda c: (c.name,), 1, 1),
    "DBUMOUNT": ArgumentSpec(lambda c: (c.name,), 1, 1),
    "DBCREATE": ArgumentSpec(lambda c: (c.name, c.options), 1, 2, lambda args: [args[0], *map(map_of, args[1:])]),
    "DBDROP": ArgumentSpec(lambda c: (c.name,), 1, 1),
    "DBFORGET": ArgumentSpec(lambda c: (c.name,), 1, 1),
    "DBLIST": _NO_ARGUMENTS,
    "DBREPAIR": _NO_ARGUMENTS,
    "PIPELINE": ArgumentSpec(_encode_pipeline, 1, 1, _decode_pipeline),
    "STATS": _NO_ARGUMENTS,
    "BACKUP": ArgumentSpec(lambda c: (c.name, c.directory), 2, 2),
    "COMPACT": ArgumentSpec(lambda c: (c.start, c.stop), 0, 2),
    "SIZES": ArgumentSpec(lambda c: (c.ranges,), 1, 1, _decode_arrays),
    "PROGRESS": _NO_ARGUMENTS,
    "SLOWLOG": ArgumentSpec(lambda c: () if c.limit is None else (c.limit,), 0, 1, array_of),
    "SNAPSHOT": ArgumentSpec(lambda c: (c.uids,), 0, 1, _decode_arrays),
}
"""Verb -> spec."""

BY_WIRE_VERB: Final = {verb.encode(): (COMMANDS[verb], spec) for verb, spec in ARGUMENTS.items()}
"""Verb as it comes -> class and spec."""


def build_command(kind: type[Command], spec: ArgumentSpec, args: list[object], meta: dict[object, object]) -> Command:
    """Build the command that a peer's arguments make."""
    if not spec.min_args <= len(args) <= spec.max_args:
        raise _wrong_count(kind, len(args))
    try:
        return kind(*spec.decode(args), **_meta_values(kind, meta)) if kind.meta_fields else kind(*spec.decode(args))
    except UsageError as error:
        raise malformed_arguments(kind.verb, error) from error


def build_commands(
    kind: type[Command], spec: ArgumentSpec, calls: list[list[Any]], meta: dict[Any, Any]
) -> Sequence[Command]:
    """Build the commands of one kind that a peer's lists of arguments make."""
    for count in set(map(len, calls)):
        if not spec.min_args <= count <= spec.max_args:
            raise _wrong_count(kind, count)
    extras = _meta_values(kind, meta)
    make: Callable[..., Any] = partial(kind, **extras) if extras else kind
    try:
        if issubclass(kind, Keyed):
            return kind.make_all([key for (key,) in calls])
        return list(starmap(make, calls if spec.decode is list else map(spec.decode, calls)))
    except UsageError as error:
        raise malformed_arguments(kind.verb, error) from error


def _wrong_count(kind: type[Command], count: int) -> MalformedMessage:
    return MalformedMessage(f"{kind.verb} does not take {count} arguments", code=ErrorCode.VALUE)


def _meta_values(kind: type[Command], meta: dict[object, object]) -> dict[str, object]:
    """Return the extras of a command that a peer has given."""
    return {name: meta[name.encode()] for name in kind.meta_fields if name.encode() in meta} if kind.meta_fields else {}


_SYNC: Final = ("sync",)


def extras_of(command: Command) -> dict[str, object]:
    """Return the extras that are not at their defaults: every one is off by default."""
    if command.meta_fields == _SYNC:  # nearly always, where there are any
        return {"sync": True} if command.sync else {}  # type: ignore[attr-defined]
    values = {extra: getattr(command, extra) for extra in command.meta_fields}
    return {extra: value for extra, value in values.items() if value is not None and value is not False}
