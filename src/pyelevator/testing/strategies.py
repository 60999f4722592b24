"""Hypothesis strategies for what travels: keys, values, commands, requests and the responses to them.

For the tests of anything that stands between a client and a server: a transport, an interceptor, an engine, a codec.

>>> from hypothesis import given
>>> from pyelevator.codec import codec_for
>>> @given(requests("flat"))
... def every_request_survives_the_wire(request):
...     codec = codec_for("flat")
...     assert codec.decode_request(codec.encode_request(request)) == request
>>> every_request_survives_the_wire()

Importing this module needs hypothesis (the extra ``testing``); nothing else of the package imports it.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from attrs import fields

from pyelevator._json import encode_json
from pyelevator.codec import DIALECTS, lz4
from pyelevator.codec.flat import ARGUMENTS
from pyelevator.commands import (
    COMMANDS,
    DELETE,
    HAS_VALUE,
    IS_MISSING,
    IS_PRESENT,
    PIPELINED,
    PUT,
    BatchOp,
    Command,
    DbConnect,
    KeyCheck,
    MGet,
    PayloadKind,
    Range,
    RepairReport,
    Slice,
)
from pyelevator.errors import ErrorCode, Id, MissingExtra, UsageError
from pyelevator.messages import Request, Response, Status
from pyelevator.monitoring import ServerStats, SlowRequest
from pyelevator.reports import BackupReport, TaskProgress

try:
    from hypothesis import strategies as st
    from hypothesis.strategies import SearchStrategy
except ImportError as error:
    raise MissingExtra(
        "pyelevator.testing.strategies needs hypothesis; install it with: pip install 'pyelevator[testing]'"
    ) from error


def keys() -> SearchStrategy[bytes]:
    """Make a strategy of keys: any bytes, including the empty key."""
    return st.binary(max_size=24)


def values() -> SearchStrategy[bytes]:
    """Make a strategy of values: any bytes, also none, and sizes around those at which the encoding changes."""
    return st.binary(max_size=24) | st.builds(
        bytes.__mul__, st.binary(min_size=1, max_size=1), st.sampled_from([31, 32, 255, 256])
    )


def commands(dialect: str = "classic") -> SearchStrategy[Command]:
    """Make a strategy of all commands that the dialect can express.

    Raises:
        UsageError: there is no such dialect.
    """
    if dialect not in _COMMANDS:
        raise UsageError(f"there is no dialect {dialect!r}; choose one of {', '.join(DIALECTS)}")
    return st.one_of(*_COMMANDS[dialect].values())


def requests(dialect: str = "classic") -> SearchStrategy[Request]:
    """Make a strategy of requests as the client sends them: with a uid if the command needs one.

    A classic request has an id or not, and asks for compression or not (never without the extra ``lz4``). A flat one
    has neither, and no uid with a DB* verb.
    """
    return commands(dialect).flatmap(_flat_request if dialect == "flat" else _classic_request)


def responses_to(request: Request) -> SearchStrategy[Response]:
    """Make a strategy of responses to a request: successes of the right shape, and any failure."""
    return _successes(request) | _failures(request.id)


@st.composite
def _successes(draw: st.DrawFn, request: Request) -> Response:
    command, payload = request.command, draw(_payloads(request.command))
    missing = isinstance(payload, list) and None in payload and command.payload_kind is not PayloadKind.RESPONSES
    is_page = isinstance(command, (Range, Slice)) and command.max_bytes is not None
    features = draw(_FEATURES) if isinstance(command, DbConnect) else ()
    return Response(
        payload,
        Status.WARNING if missing else Status.SUCCESS,
        id=request.id,
        more=is_page and draw(st.booleans()),
        features=features,
        cursor=draw(_CURSORS) if getattr(command, "cursor", False) is not False else None,
        max_message=draw(st.none() | st.integers(1, 2**32)) if features else None,
    )


def _failures(request_id: Id | None) -> SearchStrategy[Response]:
    return st.builds(Response.failure, st.sampled_from(ErrorCode), st.text(max_size=24), st.just(request_id))


def _payloads(command: Command) -> SearchStrategy[Any]:
    return _PAYLOADS[command.verb](command) if command.verb in _PAYLOADS else st.none()


def _classic_request(command: Command) -> SearchStrategy[Request]:
    uid = _UIDS if command.needs_uid else st.none()
    ids = st.none() | st.integers(0, 2**64 - 1)
    return st.builds(Request, st.just(command), uid, ids, st.booleans() if lz4.available() else st.just(False))


def _flat_request(command: Command) -> SearchStrategy[Request]:
    return st.builds(Request, st.just(command), st.none() if command.verb.startswith("DB") else _UIDS)


def _batches(data: SearchStrategy[bytes]) -> SearchStrategy[list[BatchOp]]:
    puts, deletes = st.tuples(st.just(PUT), data, data), st.tuples(st.just(DELETE), data)
    return st.lists(puts | deletes, max_size=6)


def _checks() -> SearchStrategy[list[KeyCheck]]:
    states = st.tuples(st.sampled_from([IS_MISSING, IS_PRESENT]), keys())
    return st.lists(states | st.tuples(st.just(HAS_VALUE), keys(), values()), max_size=4)


_UIDS: Final = st.uuids().map(str)
_DB_NAMES: Final = st.text(max_size=12)
_FEATURES: Final = st.tuples() | st.tuples(st.text(max_size=8), st.text(max_size=8))
_REPORTS: Final = st.builds(RepairReport, *[st.lists(st.text(max_size=8), max_size=2).map(tuple)] * 3).map(
    RepairReport.encode
)
_CURSORS: Final = st.none() | st.binary(max_size=32)
_COUNTS: Final = st.integers(-2, 8) | st.integers(-(2**63), 2**63 - 1)
_INTEGERS: Final = st.integers(-(2**63), 2**63 - 1)
_SECONDS: Final = st.integers(0, 2**31).map(float)
_SIZES: Final = st.integers(0, 2**62)
_NUMBERS: Final = _INTEGERS | st.floats(allow_nan=False)
_OPTIONS: Final = st.dictionaries(
    st.text(max_size=8), st.none() | st.booleans() | _NUMBERS | st.text(max_size=8), max_size=3
)
_UNLIKE_SIGNALS: Final = values().filter(lambda value: value not in (b"BPUT", b"BDEL"))

_Commands: TypeAlias = Mapping[str, SearchStrategy[Command]]

_FLAT_FIELDS: Final[Mapping[str, SearchStrategy[Any]]] = {
    "key": keys(),
    "value": values(),
    "keys": st.lists(keys(), max_size=6),
    "start": keys(),
    "stop": keys(),
    "count": _COUNTS,
    "ops": _batches(_UNLIKE_SIGNALS),
    "name": _DB_NAMES,
}
_CLASSIC_FIELDS: Final[Mapping[str, SearchStrategy[Any]]] = {
    **_FLAT_FIELDS,
    **dict.fromkeys(("start", "stop", "prefix"), st.none() | keys()),
    **dict.fromkeys(("sync", "fill_cache", "include_key", "include_value", "reverse", "exclusive"), st.booleans()),
    **dict.fromkeys(("force", "report"), st.booleans()),
    **dict.fromkeys(("by", "initial"), _INTEGERS),
    "max_bytes": st.none() | st.integers(0, 2**63 - 1),
    "cursor": st.booleans() | st.binary(max_size=32),
    "ops": _batches(values()),
    "checks": _checks(),
    "options": _OPTIONS,
    "commands": st.deferred(lambda: st.lists(st.one_of([_CLASSIC[kind.verb] for kind in PIPELINED]), max_size=5)),
    "directory": st.text(max_size=12),
    "ranges": st.lists(keys() | st.tuples(*[st.none() | keys()] * 2), max_size=4),
    "limit": st.none() | _COUNTS,
    "uids": st.lists(_UIDS, max_size=3),
}
"""Field of a command -> what it may be; a field that is not here does not travel in that dialect."""


def _built(verb: str, values_of: Mapping[str, SearchStrategy[Any]]) -> SearchStrategy[Command]:
    names = [field.name for field in fields(COMMANDS[verb]) if field.name in values_of]
    return st.builds(COMMANDS[verb], **{name: values_of[name] for name in names})


_CLASSIC: Final[_Commands] = {verb: _built(verb, _CLASSIC_FIELDS) for verb in COMMANDS}
_FLAT: Final[_Commands] = {verb: _built(verb, _FLAT_FIELDS) for verb, spec in ARGUMENTS.items() if spec.encode}

_COMMANDS: Final[Mapping[str, _Commands]] = {"classic": _CLASSIC, "flat": _FLAT}
"""Dialect -> verb -> its commands."""


def _found(command: MGet) -> SearchStrategy[list[bytes | None]]:
    size = len(command.keys)
    return st.lists(st.none() | values(), min_size=size, max_size=size)


def _scanned(command: Range | Slice) -> SearchStrategy[Any]:
    """Make a strategy of pairs sorted by key, reduced to what the flags include; nil if they include nothing."""
    max_pairs = min(max(command.count, 0), 5) if isinstance(command, Slice) else 5
    pairs = st.dictionaries(keys(), values(), max_size=max_pairs).map(
        lambda held: [[key, held[key]] for key in sorted(held)]
    )
    if command.payload_kind is PayloadKind.PAIRS:
        return pairs
    place = 0 if command.include_key else 1 if command.include_value else None
    return pairs.map(lambda found: [None if place is None else pair[place] for pair in found])


_PAYLOADS: Final[Mapping[str, Callable[[Any], SearchStrategy[Any]]]] = {
    "GET": lambda _: values(),
    "EXISTS": lambda _: st.booleans(),
    "MGET": _found,
    "INCREMENT": lambda _: _INTEGERS.map(lambda number: b"%d" % number),
    "GETANDDELETE": lambda _: values(),
    "COUNT": lambda _: st.integers(0, 2**63 - 1).map(lambda number: b"%d" % number),
    "DELETERANGE": lambda _: st.tuples(st.just(b"7")).map(list) | st.tuples(st.just(b"7"), keys()).map(list),
    "RANGE": _scanned,
    "SLICE": _scanned,
    "DBREPAIR": lambda command: _REPORTS if command.report else st.none(),
    "PING": lambda _: st.just(b"PONG"),
    "DBCONNECT": lambda _: _UIDS.map(str.encode),
    "DBLIST": lambda _: st.lists(_DB_NAMES.map(str.encode), max_size=4),
    "PIPELINE": lambda pipeline: st.tuples(
        *[_payloads(command) | _failures(None) for command in pipeline.commands]
    ).map(list),
    "STATS": lambda _: st.builds(ServerStats, st.text(max_size=8), _SECONDS, _SECONDS).map(ServerStats.encode),
    "BACKUP": lambda _: st.builds(BackupReport, _SIZES, _SIZES).map(BackupReport.encode),
    "SIZES": lambda command: st.lists(_SIZES, min_size=len(command.ranges), max_size=len(command.ranges)).map(
        encode_json
    ),
    "PROGRESS": lambda _: st.lists(
        st.builds(TaskProgress, st.just("repair"), _DB_NAMES, _SECONDS, _SIZES, _SIZES), max_size=2
    ).map(TaskProgress.encode_list),
    "SLOWLOG": lambda _: st.lists(st.builds(SlowRequest, _SECONDS, _SECONDS, st.just("GET")), max_size=2).map(
        SlowRequest.encode_list
    ),
}
"""Verb -> what a success holds; of the other verbs, nothing."""
