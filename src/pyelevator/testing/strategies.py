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

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from pyelevator.codec import DIALECTS, lz4
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
from pyelevator.errors import ErrorCode, MissingExtra, UsageError
from pyelevator.messages import Request, Response, Status
from pyelevator.monitoring import ServerStats, SlowRequest
from pyelevator.reports import BackupReport, TaskProgress, encode_sizes

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


def commands(dialect: str = "classic") -> SearchStrategy[Command[Any]]:
    """Make a strategy of all commands that the dialect can express.

    Raises:
        UsageError: there is no such dialect.
    """
    if dialect not in _COMMANDS:
        raise UsageError(f"there is no dialect {dialect!r}; choose one of {', '.join(DIALECTS)}")
    return st.one_of(*_COMMANDS[dialect].values())


def requests(dialect: str = "classic") -> SearchStrategy[Request[Any]]:
    """Make a strategy of requests as the client sends them: with a uid if the command needs one.

    A classic request has an id or not, and asks for compression or not (never without the extra ``lz4``). A flat one
    has neither, and no uid with a DB* verb.
    """
    return commands(dialect).flatmap(_flat_request if dialect == "flat" else _classic_request)


def responses_to(request: Request[Any]) -> SearchStrategy[Response]:
    """Make a strategy of responses to a request: successes of the right shape, and any failure."""
    command, request_id = request.command, st.just(request.id)
    successes = st.builds(
        _success,
        st.just(command.payload_kind),
        _PAYLOADS[command.verb](command) if command.verb in _PAYLOADS else st.none(),
        request_id,
        st.booleans() if isinstance(command, (Range, Slice)) and command.max_bytes is not None else st.just(False),
        _FEATURES if isinstance(command, DbConnect) else st.just(()),
        _CURSORS if getattr(command, "cursor", False) is not False else st.none(),
        st.none() | st.integers(1, 2**32) if isinstance(command, DbConnect) else st.none(),
    )
    return successes | st.builds(Response.failure, st.sampled_from(ErrorCode), st.text(max_size=24), request_id)


def _success(
    payload_kind: PayloadKind,
    payload: Any,
    request_id: int | None,
    more: bool,
    features: tuple[str, ...],
    cursor: bytes | None,
    max_message: int | None,
) -> Response:
    missing = isinstance(payload, list) and None in payload and payload_kind is not PayloadKind.RESPONSES
    status, most = Status.WARNING if missing else Status.SUCCESS, max_message if features else None
    return Response(payload, status, None, "", request_id, more, features, cursor, most)


def _classic_request(command: Command[Any]) -> SearchStrategy[Request[Any]]:
    uid = _UIDS if command.needs_uid else st.none()
    ids = st.none() | st.integers(0, 2**64 - 1)
    return st.builds(Request, st.just(command), uid, ids, st.booleans() if lz4.available() else st.just(False))


def _flat_request(command: Command[Any]) -> SearchStrategy[Request[Any]]:
    return st.builds(Request, st.just(command), st.none() if command.verb.startswith("DB") else _UIDS)


def _batches(data: SearchStrategy[bytes]) -> SearchStrategy[list[BatchOp]]:
    puts, deletes = st.tuples(st.just(PUT), data, data), st.tuples(st.just(DELETE), data)
    return st.lists(puts | deletes, max_size=6)


def _checks() -> SearchStrategy[list[KeyCheck]]:
    states = st.tuples(st.sampled_from([IS_MISSING, IS_PRESENT]), keys())
    return st.lists(states | st.tuples(st.just(HAS_VALUE), keys(), values()), max_size=4)


_UIDS: Final = st.uuids().map(str)
_NAMES: Final = st.text(max_size=12)
_BOUNDS: Final = st.none() | keys()
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

_Commands: TypeAlias = Mapping[str, SearchStrategy[Command[Any]]]

_BOOLS: Final = st.booleans()
_CURSOR_ARGUMENTS: Final = _BOOLS | st.binary(max_size=32)
_MAX_BYTES: Final = st.none() | st.integers(0, 2**63 - 1)

_CLASSIC_ARGUMENTS: Final[Mapping[str, Sequence[SearchStrategy[Any]]]] = {
    "GET": (keys(),),
    "PUT": (keys(), values(), _BOOLS),
    "DELETE": (keys(), _BOOLS),
    "EXISTS": (keys(),),
    "MGET": (st.lists(keys(), max_size=6), _BOOLS),
    "RANGE": (_BOUNDS, _BOUNDS, _BOOLS, _BOOLS, _BOUNDS, _BOOLS, _MAX_BYTES, _CURSOR_ARGUMENTS),
    "SLICE": (_BOUNDS, _COUNTS, _BOOLS, _BOOLS, _MAX_BYTES, _BOOLS, _BOOLS, _CURSOR_ARGUMENTS),
    "COUNT": (_BOUNDS, _BOUNDS, _BOUNDS),
    "DELETERANGE": (_BOUNDS, _BOUNDS, _BOUNDS, _BOOLS),
    "BATCH": (_batches(values()), _BOOLS),
    "CONDITIONALBATCH": (_batches(values()), _checks(), _BOOLS),
    "INCREMENT": (keys(), _INTEGERS, _INTEGERS, _BOOLS),
    "GETANDDELETE": (keys(), _BOOLS),
    "PING": (),
    "DBCONNECT": (_NAMES,),
    "DBMOUNT": (_NAMES,),
    "DBUMOUNT": (_NAMES,),
    "DBCREATE": (_NAMES, _OPTIONS),
    "DBDROP": (_NAMES, _BOOLS),
    "DBFORGET": (_NAMES,),
    "DBLIST": (),
    "DBREPAIR": (_BOOLS, _BOOLS),
    "PIPELINE": (st.deferred(lambda: st.lists(st.one_of([_CLASSIC[kind.verb] for kind in PIPELINED]), max_size=5)),),
    "STATS": (),
    "BACKUP": (_NAMES, st.text(max_size=12)),
    "COMPACT": (_BOUNDS, _BOUNDS),
    "SIZES": (st.lists(keys() | st.tuples(_BOUNDS, _BOUNDS), max_size=4),),
    "PROGRESS": (),
    "SLOWLOG": (st.none() | _COUNTS,),
    "SNAPSHOT": (st.lists(_UIDS, max_size=3),),
}

_FLAT_ARGUMENTS: Final[Mapping[str, Sequence[SearchStrategy[Any]]]] = {
    "GET": (keys(),),
    "PUT": (keys(), values()),
    "DELETE": (keys(),),
    "MGET": (st.lists(keys(), max_size=6),),
    "RANGE": (keys(), keys()),
    "SLICE": (keys(), _COUNTS),
    "BATCH": (_batches(_UNLIKE_SIGNALS),),
    **dict.fromkeys(("DBCONNECT", "DBMOUNT", "DBUMOUNT", "DBCREATE", "DBDROP"), (_NAMES,)),
    "DBLIST": (),
}

_CLASSIC: Final[_Commands] = {verb: st.builds(COMMANDS[verb], *args) for verb, args in _CLASSIC_ARGUMENTS.items()}
_FLAT: Final[_Commands] = {verb: st.builds(COMMANDS[verb], *args) for verb, args in _FLAT_ARGUMENTS.items()}

_COMMANDS: Final[Mapping[str, _Commands]] = {"classic": _CLASSIC, "flat": _FLAT}
"""Dialect -> verb -> its commands."""


def _found(command: MGet) -> SearchStrategy[list[bytes | None]]:
    size = len(command.keys)
    return st.lists(st.none() | values(), min_size=size, max_size=size)


def _scanned(command: Range | Slice) -> SearchStrategy[list[Any]]:
    """Make a strategy of pairs sorted by key, reduced to what the flags include; nil if they include nothing."""
    most = min(max(command.count, 0), 5) if isinstance(command, Slice) else 5
    pairs = st.dictionaries(keys(), values(), max_size=most).map(
        lambda held: [[key, held[key]] for key in sorted(held)]
    )
    if command.payload_kind is PayloadKind.PAIRS:
        return pairs
    place = 0 if command.include_key else 1 if command.include_value else None
    return pairs.map(lambda found: [None if place is None else pair[place] for pair in found])


def _outcome(command: Command[Any]) -> SearchStrategy[Any]:
    """Make a strategy of the outcomes of a command in a pipeline: the payload of a success, or a failure."""
    payload = _PAYLOADS[command.verb](command) if command.verb in _PAYLOADS else st.none()
    return payload | st.builds(Response.failure, st.sampled_from(ErrorCode), st.text(max_size=24))


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
    "DBLIST": lambda _: st.lists(_NAMES.map(str.encode), max_size=4),
    "PIPELINE": lambda pipeline: st.tuples(*map(_outcome, pipeline.commands)).map(list),
    "STATS": lambda _: st.builds(ServerStats, st.text(max_size=8), _SECONDS, _SECONDS).map(ServerStats.encode),
    "BACKUP": lambda _: st.builds(BackupReport, _SIZES, _SIZES).map(BackupReport.encode),
    "SIZES": lambda command: st.lists(_SIZES, min_size=len(command.ranges), max_size=len(command.ranges)).map(
        encode_sizes
    ),
    "PROGRESS": lambda _: st.lists(
        st.builds(TaskProgress, st.just("repair"), _NAMES, _SECONDS, _SIZES, _SIZES), max_size=2
    ).map(TaskProgress.encode_list),
    "SLOWLOG": lambda _: st.lists(st.builds(SlowRequest, _SECONDS, _SECONDS, st.just("GET")), max_size=2).map(
        SlowRequest.encode_list
    ),
}
"""Verb -> what a success holds; of the other verbs, nothing."""
