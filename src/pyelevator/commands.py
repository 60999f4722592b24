"""The commands: one frozen class per verb, and the table that lists them all.

A command is data. It takes str or bytes-like arguments and holds bytes; a wrong type is an ArgumentTypeError before
anything is sent. How it is written down is the codecs' business, what it does is the application's.

>>> Put("abc", "123")
Put(key=b'abc', value=b'123', sync=False)
>>> Put("abc", 123)
Traceback (most recent call last):
    ...
pyelevator.errors.ArgumentTypeError: value must be str or bytes, not int
"""

import enum
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, Self, TypeVar

import attrs
from attrs import field

from pyelevator import arguments
from pyelevator._attrs import command
from pyelevator.arguments import (
    DELETE,
    HAS_VALUE,
    IS_MISSING,
    IS_PRESENT,
    MISSING,
    PRESENT,
    PUT,
    BadSignal,
    BatchOp,
    Data,
    Expected,
    KeyCheck,
    OptionValue,
    make_check,
    to_bytes,
)
from pyelevator.errors import (
    SERVER_ERRORS,
    ArgumentTypeError,
    CheckFailed,
    CursorExpired,
    DatabaseError,
    DatabaseUnavailable,
    ErrorCode,
    KeyNotFound,
    MalformedMessage,
    OutcomeUnknown,
    PermissionDenied,
    ServerError,
    SignalError,
    UnknownCommand,
    WriteConflict,
)

if TYPE_CHECKING:
    from pyelevator.monitoring import ServerStats, SlowRequest
    from pyelevator.reports import BackupReport, TaskProgress

R = TypeVar("R")


class PayloadKind(enum.Enum):
    """The kind of payload that answers a command; the codecs encode each kind in their own way."""

    EMPTY = "empty"
    SCALAR = "scalar"
    LIST = "list"
    PAIRS = "pairs"
    RESPONSES = "responses"
    RAW = "raw"

    __hash__ = object.__hash__  # Enum's is written in Python, and each reply looks its reader up by its shape


class Access(enum.IntEnum):
    """What a client must be allowed before a server executes a command; each level includes those before it."""

    NONE = 0
    """Nothing more than to be known to the server."""
    READ = 1
    WRITE = 2
    ADMIN = 3
    """To create, drop, repair, open and close databases."""


@command
class Command(Generic[R]):
    """Base of the commands; ``R`` is what :meth:`result` gives.

    Attributes:
        verb: the name on the wire.
        payload_kind: what kind of payload answers it.
        idempotent: executing it twice leaves what executing it once leaves, and answers the same, if nothing else
            writes in between. So it may be repeated when its fate is unknown, a write only with that reservation
            (see ``interceptors.Retry``). Administration may not: old servers die of some of it, and a repair that has
            not been answered is still at work.
        writes: it changes keys and values of the connected database.
        needs_uid: it travels with the connected database's uid (old servers die without it).
        names_database: the database that it is about is the one it names, not the connected one.
        access: what a client must be allowed to do with that database; a verb that does not say is for admins.
        path_fields: fields with paths on the server where it writes: the same must be allowed there, too.
        feature: what a server calls it that knows the command; empty for the commands of the old protocol. A server
            without the feature is not asked.
        meta_fields: fields that travel in ``meta``, when they differ from their defaults; old servers ignore them.
        errors: how this command refines a failure code: the class, and the documented text if there is one.
    """

    verb: ClassVar[str]
    payload_kind: ClassVar[PayloadKind] = PayloadKind.EMPTY
    idempotent: ClassVar[bool] = True
    writes: ClassVar[bool] = False
    needs_uid: ClassVar[bool] = True
    names_database: ClassVar[bool] = False
    access: ClassVar[Access] = Access.ADMIN
    path_fields: ClassVar[tuple[str, ...]] = ()
    feature: ClassVar[str] = ""
    meta_fields: ClassVar[tuple[str, ...]] = ()
    errors: ClassVar[Mapping[ErrorCode, tuple[type[ServerError], str | None]]] = {}

    def _fields(self) -> tuple[Any, ...]:
        """Return what is compared."""
        found = [(field.eq_key, getattr(self, field.name)) for field in attrs.fields(type(self)) if field.eq]
        return tuple([value if key is None else key(value) for key, value in found])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Command) or type(other) is not type(self):
            return NotImplemented
        return self._fields() == other._fields()

    def __hash__(self) -> int:
        return hash((type(self), self._fields()))

    def __repr__(self) -> str:
        shown = [f"{field.name}={getattr(self, field.name)!r}" for field in attrs.fields(type(self)) if field.repr]
        return f"{type(self).__name__}({', '.join(shown)})"

    def result(self, payload: Any) -> R:
        """Return the result for a caller, in bytes.

        Raises:
            MalformedMessage: the payload has the wrong type.
        """
        return payload  # type: ignore[no-any-return]

    def error(self, code: ErrorCode, message: str) -> ServerError:
        """Return the exception for a failure that the server answered."""
        for marked in _BY_MESSAGE_PREFIX:
            if code is marked.code and message.startswith(marked.MESSAGE_PREFIX):
                return marked(message)
        kind, text = self.errors.get(code, (SERVER_ERRORS[code], None))
        error = kind(text or message, code, message)
        if isinstance(error, KeyNotFound):
            error.key = getattr(self, "key", None)
        elif isinstance(error, DatabaseError):
            error.database = getattr(self, "name", None)
        return error


_BY_MESSAGE_PREFIX: Final[
    tuple[
        type[PermissionDenied | CursorExpired | DatabaseUnavailable | WriteConflict | OutcomeUnknown | CheckFailed], ...
    ]
] = (PermissionDenied, CursorExpired, DatabaseUnavailable, WriteConflict, OutcomeUnknown, CheckFailed)
"""What is told from others of its code by its text."""


def _check_type(payload: Any, kind: type[R], verb: str) -> R:
    if isinstance(payload, kind):
        return payload
    raise MalformedMessage(f"the answer to {verb} holds {type(payload).__name__}, not {kind.__name__}")


@command
class _NoResult(Command[None]):
    """A command without a result: old servers answer nil, and what they answer is not looked at."""

    def result(self, payload: Any) -> None:  # noqa: ARG002
        return None


@command
class _ListResult(Command[list[Any]]):
    def result(self, payload: Any) -> list[Any]:
        return _check_type(payload, list, self.verb)


@command
class Keyed(Command[R]):
    """A command with one key and no other field."""

    key: bytes = field(converter=arguments.key)

    @classmethod
    def make(cls, key: Data) -> Self:
        """Make it in half the time of the constructor: clients and servers make one for each call.

        Not for subclasses with fields or converters of their own.

        >>> Get.make("abc")
        Get(key=b'abc')
        """
        command = _new(cls)
        _set_key(command, key if type(key) is bytes else arguments.key(key))
        return command


_new: Final = object.__new__
_set_key: Final = Keyed.key.__set__  # type: ignore[attr-defined]


@command
class Get(Keyed[bytes]):
    """The value of one key. KeyNotFound if there is none."""

    verb = "GET"
    access = Access.READ
    payload_kind = PayloadKind.SCALAR
    errors = {ErrorCode.KEY: (KeyNotFound, "Key not found")}

    def result(self, payload: Any) -> bytes:
        return payload if type(payload) is bytes else _check_type(payload, bytes, self.verb)


@command
class Put(_NoResult):
    """Set the value of one key. ``sync`` asks for an answer only when it survives a crash of the machine."""

    verb = "PUT"
    access = Access.WRITE
    writes = True
    meta_fields = ("sync",)
    key: bytes = field(converter=arguments.key)
    value: bytes = field(converter=arguments.value)
    sync: bool = field(default=False, converter=arguments.sync)


@command
class Delete(_NoResult):
    """Remove one key; a missing key is no error. ``sync`` as in :class:`Put`."""

    verb = "DELETE"
    access = Access.WRITE
    writes = True
    meta_fields = ("sync",)
    key: bytes = field(converter=arguments.key)
    sync: bool = field(default=False, converter=arguments.sync)


@command
class Exists(Keyed[bool]):
    """Tell whether a key is there; an empty value counts."""

    verb = "EXISTS"
    access = Access.READ
    payload_kind = PayloadKind.SCALAR

    def result(self, payload: Any) -> bool:
        return _check_type(payload, bool, self.verb)


@command
class MGet(_ListResult):
    """The values of many keys, in the order of the keys; None for a missing one.

    ``fill_cache`` asks the server to keep what it reads in its caches: the pairs, and LevelDB's blocks.
    """

    verb = "MGET"
    access = Access.READ
    payload_kind = PayloadKind.LIST
    meta_fields = ("fill_cache",)
    keys: Sequence[bytes] = field(converter=arguments.keys, eq=tuple)
    fill_cache: bool = field(default=False, converter=arguments.fill_cache)

    def result(self, payload: Any) -> list[bytes | None]:
        values = _check_type(payload, list, self.verb)
        if len(values) == len(self.keys) and set(map(type, values)) <= {bytes, type(None)}:
            return values
        raise MalformedMessage(f"the answer to {len(self.keys)} keys holds {len(values)} values, or some are not bytes")


@command
class _RangeCommand(Command[list[Any]]):
    """The base of RANGE and SLICE. Their result is ``[[key, value], ...]``, or a flat list if one part is left out."""

    @property
    def payload_kind(self) -> PayloadKind:  # type: ignore[override]
        return PayloadKind.PAIRS if self.include_key and self.include_value else PayloadKind.LIST

    include_key: bool
    include_value: bool
    lazy: bool = field(default=False, converter=arguments.lazy, kw_only=True, eq=False, repr=False)
    """Whether a page may stay packed for now (see :class:`~pyelevator.messages.LazyPage`); it never travels."""

    def result(self, payload: Any) -> list[Any]:
        return payload if self.lazy and type(payload) is not list else _check_type(payload, list, self.verb)


@command
class Range(_RangeCommand):
    """The pairs from ``start`` to ``stop``, both inclusive, None for an open end, under ``prefix`` if given.

    ``reverse`` asks for the same pairs in the opposite order, of a server with the feature of that name.

    With the feature ``ranges``, ``max_bytes`` and ``cursor=True`` ask for the pairs in pages of one snapshot, forwards
    and with keys and values: an answer with ``more`` says the ``cursor`` for the next page, which starts behind the
    last key. The last page ends the cursor. A server without room for a snapshot answers with all pairs.
    """

    verb = "RANGE"
    access = Access.READ
    meta_fields = ("reverse", "max_bytes", "cursor")
    start: bytes | None = field(default=None, converter=arguments.start)
    stop: bytes | None = field(default=None, converter=arguments.stop)
    include_key: bool = field(default=True, converter=arguments.include_key)
    include_value: bool = field(default=True, converter=arguments.include_value)
    prefix: bytes | None = field(default=None, converter=arguments.prefix)
    reverse: bool = field(default=False, converter=arguments.reverse)
    max_bytes: int | None = field(default=None, converter=arguments.max_bytes)
    # not shown: a client that knows the cursor of another one may use it
    cursor: bytes | bool = field(default=False, converter=arguments.cursor, repr=False)


@command
class Slice(_RangeCommand):
    """The first ``count`` pairs from ``start`` on; none if ``count`` is below one.

    ``max_bytes`` lets a server with the feature ``pages`` cut the answer after about so many bytes (never before
    the first pair); it says so with ``more``.

    With the feature ``reverse``, ``reverse`` goes from ``start`` down (from the end, if it is None), and ``exclusive``
    leaves ``start`` itself out: keys have no predecessor that a page could go on from.

    With the feature ``cursors``, ``cursor=True`` asks the server to keep the snapshot that it reads from; the answer
    says the ``cursor`` under which further slices read from the same one, unless nothing is left to be read. A
    ``count`` below one gives the cursor back; that there is none is no error then. CursorExpired if it is gone.
    """

    verb = "SLICE"
    access = Access.READ
    meta_fields = ("max_bytes", "reverse", "exclusive", "cursor")
    start: bytes | None = field(default=None, converter=arguments.start)
    count: int = field(default=0, converter=arguments.count)
    include_key: bool = field(default=True, converter=arguments.include_key)
    include_value: bool = field(default=True, converter=arguments.include_value)
    max_bytes: int | None = field(default=None, converter=arguments.max_bytes)
    reverse: bool = field(default=False, converter=arguments.reverse)
    exclusive: bool = field(default=False, converter=arguments.exclusive)
    # not shown: a client that knows the cursor of another one may use it
    cursor: bytes | bool = field(default=False, converter=arguments.cursor, repr=False)


@command
class Count(Command[int]):
    """The number of keys that a :class:`Range` with these bounds would give, all of one moment."""

    verb = "COUNT"
    feature = "count"
    access = Access.READ
    payload_kind = PayloadKind.SCALAR
    start: bytes | None = field(default=None, converter=arguments.start)
    stop: bytes | None = field(default=None, converter=arguments.stop)
    prefix: bytes | None = field(default=None, converter=arguments.prefix)

    def result(self, payload: Any) -> int:
        return _to_int(payload, self.verb)


@command
class DeleteRange(Command["DeletedChunk"]):
    """Remove the first keys of those that a :class:`Range` with these bounds would give: a chunk, in one step.

    The server says how many they are, and the last one if more may follow; the next chunk starts behind that. It is not
    idempotent: executed twice, it removes the chunk after this one as well.
    """

    verb = "DELETERANGE"
    feature = "deleterange"
    access = Access.WRITE
    payload_kind = PayloadKind.LIST
    idempotent = False
    writes = True
    meta_fields = ("sync",)
    start: bytes | None = field(default=None, converter=arguments.start)
    stop: bytes | None = field(default=None, converter=arguments.stop)
    prefix: bytes | None = field(default=None, converter=arguments.prefix)
    sync: bool = field(default=False, converter=arguments.sync)

    def result(self, payload: Any) -> "DeletedChunk":
        parts = _check_type(payload, list, self.verb)
        if not 1 <= len(parts) <= 2:
            raise MalformedMessage(f"the answer to {self.verb} is a number and a key, not {len(parts)} values")
        last_key = _check_type(parts[1], bytes, self.verb) if len(parts) == 2 else None
        return DeletedChunk(_to_int(parts[0], self.verb), last_key)


@attrs.frozen
class DeletedChunk:
    """A chunk of a range that has been deleted.

    Attributes:
        count: how many keys it had.
        last_key: the last of them; None if nothing is left of the range.
    """

    count: int
    last_key: bytes | None


def _to_int(payload: Any, verb: str) -> int:
    """Return the number that an answer says as text."""
    try:
        return int(_check_type(payload, bytes, verb))
    except ValueError as error:
        raise MalformedMessage(f"the answer to {verb} holds no number") from error


def _comparable(ops: Sequence[Any]) -> tuple[Any, ...]:
    """Return the operations, or the checks, as tuples: callers give tuples and the wire lists."""
    return tuple(map(tuple, ops))


@command
class Batch(_NoResult):
    """Many puts and deletes, in order, all of them or none; ``sync`` as in :class:`Put`.

    >>> Batch([(PUT, b"a", b"1"), (DELETE, b"b")])
    Batch(ops=[(1, b'a', b'1'), (0, b'b')], sync=False)
    """

    verb = "BATCH"
    access = Access.WRITE
    writes = True
    meta_fields = ("sync",)
    errors = {ErrorCode.SIGNAL: (SignalError, None)}
    ops: Sequence[BatchOp] = field(converter=arguments.ops, eq=_comparable)
    sync: bool = field(default=False, converter=arguments.sync)


@command
class ConditionalBatch(_NoResult):
    """A batch that is written only if every check holds at that moment; CheckFailed otherwise, and nothing is written.

    Nobody else writes between the checks and the batch. It is not idempotent: what it wrote may fail its own checks.

    Attributes:
        feature: what a server calls it that knows conditional batches.

    >>> ConditionalBatch([(PUT, b"a", b"2")], [make_check("a", "1"), make_check("b", MISSING)])
    ConditionalBatch(ops=[(1, b'a', b'2')], checks=[(2, b'a', b'1'), (0, b'b')], sync=False)
    """

    verb = "CONDITIONALBATCH"
    feature = "conditionalbatch"
    access = Access.WRITE
    idempotent = False
    writes = True
    meta_fields = ("sync",)
    errors = {ErrorCode.SIGNAL: (SignalError, None)}
    ops: Sequence[BatchOp] = field(converter=arguments.ops, eq=_comparable)
    checks: Sequence[KeyCheck] = field(converter=arguments.checks, eq=_comparable)
    sync: bool = field(default=False, converter=arguments.sync)

    def error(self, code: ErrorCode, message: str) -> ServerError:
        error = Command.error(self, code, message)
        if not isinstance(error, CheckFailed):
            return error
        failed = self._failed_keys(message.removeprefix(CheckFailed.MESSAGE_PREFIX))
        shown = ", ".join(map(_show_key, failed[:_MAX_KEYS_SHOWN])) + ", ..." * (len(failed) > _MAX_KEYS_SHOWN)
        error = CheckFailed(f"{CheckFailed.MESSAGE_PREFIX}{shown}; nothing was written", code, message)
        error.keys = failed
        return error

    def _failed_keys(self, positions: str) -> tuple[bytes, ...]:
        """Return the keys of the checks at the positions that a server has listed."""
        known = {str(position): check[1] for position, check in enumerate(self.checks)}
        return tuple(dict.fromkeys([known[position] for position in positions.split(", ") if position in known]))


def put_if(key: Data, expected: Expected, value: Data, sync: bool = False) -> ConditionalBatch:
    """Make the command that sets the value of one key if the key is as expected.

    >>> put_if("a", MISSING, "1")
    ConditionalBatch(ops=[(1, b'a', b'1')], checks=[(0, b'a')], sync=False)
    """
    check = make_check(key, expected)
    return ConditionalBatch([(PUT, check[1], to_bytes(value, "value"))], [check], sync)


@command
class Increment(Command[int]):
    """Add ``by`` to the number of one key, in one step, and return the sum; a missing key counts as ``initial``.

    Numbers are decimal text of 64 bits, with a sign. A value that is none is a WrongValue, and so is a sum that does
    not fit; nothing is written then. It is not idempotent: executed twice, it adds twice.
    """

    verb = "INCREMENT"
    feature = "increment"
    access = Access.WRITE
    payload_kind = PayloadKind.SCALAR
    idempotent = False
    writes = True
    meta_fields = ("sync",)
    key: bytes = field(converter=arguments.key)
    by: int = field(default=1, converter=arguments.by)
    initial: int = field(default=0, converter=arguments.initial)
    sync: bool = field(default=False, converter=arguments.sync)

    def result(self, payload: Any) -> int:
        return _to_int(payload, self.verb)


@command
class GetAndDelete(Command[bytes]):
    """Remove one key, in one step, and return the value that it had. KeyNotFound if there is none.

    It is not idempotent: executed twice, it finds nothing the second time.
    """

    verb = "GETANDDELETE"
    feature = "getanddelete"
    access = Access.WRITE
    payload_kind = PayloadKind.SCALAR
    idempotent = False
    writes = True
    meta_fields = ("sync",)
    errors = {ErrorCode.KEY: (KeyNotFound, "Key not found")}
    key: bytes = field(converter=arguments.key)
    sync: bool = field(default=False, converter=arguments.sync)

    def result(self, payload: Any) -> bytes:
        return _check_type(payload, bytes, self.verb)


_MAX_KEYS_SHOWN: Final = 3


def _show_key(key: bytes) -> str:
    import reprlib  # few checks fail

    return reprlib.repr(key.decode("utf-8", "backslashreplace"))


@command
class Snapshot(_NoResult):
    """Keep a snapshot of the connected database, and of others at the same moment, that further requests read from.

    The answer says the ``cursor`` of the snapshot. A request with the uid ``UID@CURSOR`` reads what the database with
    that uid was at the moment; one that writes is refused. The cursor is given back as that of a :class:`Slice` is. A
    server with the feature ``snapshots`` knows it.

    Attributes:
        feature: what a server calls it that knows snapshots.
        uids: of the other databases.
        cursor: True, so that a proxy sees that a cursor is asked for.
    """

    verb = "SNAPSHOT"
    feature: ClassVar[str] = "snapshots"
    access = Access.READ
    meta_fields = ("cursor",)
    uids: tuple[str, ...] = field(default=(), converter=arguments.uids)
    cursor: bytes | bool = field(default=False, converter=arguments.cursor, repr=False)


@command
class Ping(Command[bytes]):
    """Asks the server for a sign of life; the answer is ``PONG``."""

    verb = "PING"
    access = Access.NONE
    payload_kind = PayloadKind.SCALAR
    needs_uid = False

    def result(self, payload: Any) -> bytes:
        return _check_type(payload, bytes, self.verb)


@command
class DbConnect(Command[str]):
    """The uid of a database, under which the other commands address it."""

    verb = "DBCONNECT"
    access = Access.READ
    names_database = True
    payload_kind = PayloadKind.SCALAR
    needs_uid = False
    errors = {ErrorCode.DATABASE: (DatabaseError, "Database does not exist")}
    name: str = field(converter=arguments.name)

    def result(self, payload: Any) -> str:
        return _check_type(payload, bytes, self.verb).decode("utf-8", "surrogateescape")


@command
class DbMount(_NoResult):
    """Open a database."""

    verb = "DBMOUNT"
    access = Access.ADMIN
    idempotent = False
    names_database = True
    needs_uid = False
    name: str = field(converter=arguments.name)


@command
class DbUmount(_NoResult):
    """Close a database; the next use opens it again."""

    verb = "DBUMOUNT"
    access = Access.ADMIN
    idempotent = False
    names_database = True
    needs_uid = False
    name: str = field(converter=arguments.name)


@command
class DbCreate(_NoResult):
    """Create a database, or adopt the one at an absolute path, with LevelDB options.

    ``tolerant`` lets the server pass over options that do not exist. A codec says so for clients without ids, because
    old servers did it; it travels on from a proxy, which has ids of its own.
    """

    verb = "DBCREATE"
    access = Access.ADMIN
    names_database = True
    idempotent = False
    meta_fields = ("tolerant",)
    name: str = field(converter=arguments.name)
    options: dict[str, OptionValue] = field(factory=dict, converter=arguments.options)
    tolerant: bool = field(default=False, converter=arguments.tolerant, eq=False, repr=False)


@command
class DbDrop(_NoResult):
    """Remove a database and its files.

    With ``force`` also those of an adopted one, which was there before, and what repairs have set aside.
    """

    verb = "DBDROP"
    access = Access.ADMIN
    names_database = True
    idempotent = False
    meta_fields = ("force",)
    name: str = field(converter=arguments.name)
    force: bool = field(default=False, converter=arguments.force)


@command
class DbForget(_NoResult):
    """Take a database off the list, and touch none of its files. A server with the feature ``forget`` knows it."""

    verb = "DBFORGET"
    access = Access.ADMIN
    idempotent = False
    names_database = True
    needs_uid = False
    name: str = field(converter=arguments.name)


@command
class DbList(Command[list[str]]):
    """The names of all databases."""

    verb = "DBLIST"
    access = Access.NONE
    payload_kind = PayloadKind.LIST

    def result(self, payload: Any) -> list[str]:
        names = _check_type(payload, list, self.verb)
        return [_check_type(name, bytes, self.verb).decode("utf-8", "surrogateescape") for name in names]


@attrs.frozen
class RepairReport:
    """The report of a repair.

    Attributes:
        kept: names of the files whose data is in the repaired database.
        set_aside: paths, below the database's directory, of files that were not taken over as they were: damaged ones,
            of which what could be read was kept, and obsolete ones. They stay until they are
            removed, or the database is dropped with ``force=True``.
        lost: those of ``set_aside`` of which nothing could be read.
        size: bytes of the repaired database.
    """

    kept: tuple[str, ...] = ()
    set_aside: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    size: int = 0

    def encode(self) -> bytes:
        """Return it as it travels: a JSON object of its attributes."""
        import json  # few clients repair

        return json.dumps(attrs.asdict(self)).encode()

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Return what ``encode`` made; attributes that a newer server adds are passed over.

        Raises:
            MalformedMessage: it is something else.
        """
        import json

        try:
            told = json.loads(data)
            names = [tuple(map(str, told[part])) for part in ("kept", "set_aside", "lost")]
            return cls(names[0], names[1], names[2], int(told["size"]))
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            raise MalformedMessage("the answer to DBREPAIR holds no report") from error


@command
class DbRepair(Command[RepairReport | None]):
    """Repair the connected database.

    Attributes:
        force: go on even where most of the data would be set aside.
        report: the answer says what was kept and set aside; without it, and from old servers, it is None.
    """

    verb = "DBREPAIR"
    access = Access.ADMIN
    idempotent = False
    meta_fields = ("force", "report")
    force: bool = field(default=False, converter=arguments.force)
    report: bool = field(default=False, converter=arguments.report)

    @property
    def payload_kind(self) -> PayloadKind:  # type: ignore[override]
        """The kind of its answer: a string, if a report was asked for."""
        return PayloadKind.SCALAR if self.report else PayloadKind.EMPTY

    def result(self, payload: Any) -> RepairReport | None:
        return RepairReport.decode(payload) if isinstance(payload, bytes) and payload else None


@command
class Stats(Command["ServerStats"]):
    """What the server says about itself, as a JSON object; not about one database, but for admins of all."""

    verb = "STATS"
    access = Access.ADMIN
    payload_kind = PayloadKind.SCALAR
    needs_uid = False
    errors = {ErrorCode.KEY: (UnknownCommand, "this server does not know STATS")}

    def result(self, payload: Any) -> "ServerStats":
        from pyelevator.monitoring import ServerStats  # few clients ask

        return ServerStats.decode(_check_type(payload, bytes, self.verb))


@command
class Backup(Command["BackupReport"]):
    """Write a consistent copy of a database into a new directory on the server."""

    verb = "BACKUP"
    access = Access.ADMIN
    payload_kind = PayloadKind.SCALAR
    idempotent = False
    names_database = True
    needs_uid = False
    path_fields = ("directory",)
    errors = {ErrorCode.KEY: (UnknownCommand, "this server does not know BACKUP")}
    name: str = field(converter=arguments.name)
    directory: str = field(converter=arguments.directory)

    def result(self, payload: Any) -> "BackupReport":
        from pyelevator.reports import BackupReport  # few clients ask

        return BackupReport.decode(_check_type(payload, bytes, self.verb))


@command
class Compact(_NoResult):
    """Compact the connected database, or a range of it, both ends inclusive, None for an open end."""

    verb = "COMPACT"
    feature = "tasks"
    access = Access.ADMIN
    idempotent = False
    start: bytes | None = field(default=None, converter=arguments.start)
    stop: bytes | None = field(default=None, converter=arguments.stop)


@command
class Sizes(Command[list[int]]):
    """About how many bytes ranges of the connected database take, each from a key up to before another one."""

    verb = "SIZES"
    feature = "tasks"
    access = Access.READ
    payload_kind = PayloadKind.SCALAR
    ranges: Sequence[tuple[bytes | None, bytes | None]] = field(converter=arguments.ranges)

    def result(self, payload: Any) -> list[int]:
        from pyelevator.reports import decode_sizes  # few clients ask

        sizes = decode_sizes(_check_type(payload, bytes, self.verb))
        if len(sizes) == len(self.ranges):
            return sizes
        raise MalformedMessage(f"the answer to {len(self.ranges)} ranges holds {len(sizes)} sizes")


@command
class Progress(Command["list[TaskProgress]"]):
    """How far the server's long tasks have come; not about one database, but for admins of all."""

    verb = "PROGRESS"
    access = Access.ADMIN
    payload_kind = PayloadKind.SCALAR
    needs_uid = False
    errors = {ErrorCode.KEY: (UnknownCommand, "this server does not know PROGRESS")}

    def result(self, payload: Any) -> "list[TaskProgress]":
        from pyelevator.reports import decode_tasks  # few clients ask

        return decode_tasks(_check_type(payload, bytes, self.verb))


@command
class SlowLog(Command["list[SlowRequest]"]):
    """The latest requests that took long, the latest first, as a JSON array; ``limit`` of them, or all.

    A server with the feature ``slowlog`` knows it; it is for admins of all databases.
    """

    verb = "SLOWLOG"
    access = Access.ADMIN
    payload_kind = PayloadKind.SCALAR
    needs_uid = False
    errors = {ErrorCode.KEY: (UnknownCommand, "this server does not know SLOWLOG")}
    limit: int | None = field(default=None, converter=arguments.limit)

    def result(self, payload: Any) -> "list[SlowRequest]":
        from pyelevator.monitoring import decode_slow_log

        return decode_slow_log(_check_type(payload, bytes, self.verb))


def _convert_commands(commands: Sequence[Command[Any]]) -> tuple[Command[Any], ...]:
    """Check the commands of a pipeline, each of which reads or writes keys of the connected database."""
    if not isinstance(commands, (list, tuple)):
        raise ArgumentTypeError(f"commands must be a list or a tuple, not {type(commands).__name__}")
    for kind in set(map(type, commands)):
        if kind not in PIPELINED:
            raise ArgumentTypeError(f"commands must read or write keys, not {kind.__name__}")
    return tuple(commands)


@command
class Pipeline(Command[list[Any]]):
    """Many commands to one database in one message, executed in order, each with an answer of its own.

    It is no transaction: each command succeeds or fails by itself, and others' may come between. The payload of its
    answer is a list of what became of each: the payload of a plain success, a ``Response`` where there is more to say,
    or, between interceptors, an exception. A server with the feature ``pipeline`` knows it.

    Attributes:
        feature: what a server calls it that knows pipelines.
        commands: see ``PIPELINED`` for what they may be.

    >>> Pipeline([Put("a", "1"), Get("a")])
    Pipeline(commands=(Put(key=b'a', value=b'1', sync=False), Get(key=b'a')))
    """

    verb = "PIPELINE"
    feature: ClassVar[str] = "pipeline"
    payload_kind = PayloadKind.RESPONSES
    commands: tuple[Command[Any], ...] = field(converter=_convert_commands)

    @property
    def idempotent(self) -> bool:  # type: ignore[override]
        """True if each of its commands is."""
        return all(command.idempotent for command in self.commands)

    @property
    def writes(self) -> bool:  # type: ignore[override]
        """True if one of its commands does."""
        return any(command.writes for command in self.commands)

    @property
    def sync(self) -> bool:
        """True if one of its commands asks for it."""
        return any(getattr(command, "sync", False) for command in self.commands)

    @property
    def access(self) -> Access:  # type: ignore[override]
        """The highest level that one of its commands needs."""
        return max([command.access for command in self.commands], default=Access.NONE)

    def result(self, payload: Any) -> list[Any]:
        answers = _check_type(payload, list, self.verb)
        if len(answers) == len(self.commands):
            return answers
        raise MalformedMessage(f"the answer to {len(self.commands)} pipelined commands holds {len(answers)}")


PIPELINED: Final = (
    *(Get, Put, Delete, Exists, MGet, Range, Slice, Count, Batch),
    *(ConditionalBatch, Increment, GetAndDelete),
)
"""What a pipeline takes: the commands that read and write keys."""


@command
class Unknown(Command[Any]):
    """A verb unknown to this version, with its arguments as they came; proxies pass it on."""

    payload_kind = PayloadKind.RAW
    idempotent = False
    access = Access.NONE  # the answer is that it is not handled, which is no secret
    name: str = field(converter=arguments.name)
    args: Sequence[Any] = ()

    @property
    def verb(self) -> str:  # type: ignore[override]
        return self.name


COMMANDS: Final[Mapping[str, type[Command[Any]]]] = {
    "GET": Get,
    "PUT": Put,
    "DELETE": Delete,
    "EXISTS": Exists,
    "MGET": MGet,
    "RANGE": Range,
    "SLICE": Slice,
    "COUNT": Count,
    "BATCH": Batch,
    "DELETERANGE": DeleteRange,
    "CONDITIONALBATCH": ConditionalBatch,
    "INCREMENT": Increment,
    "GETANDDELETE": GetAndDelete,
    "PING": Ping,
    "DBCONNECT": DbConnect,
    "DBMOUNT": DbMount,
    "DBUMOUNT": DbUmount,
    "DBCREATE": DbCreate,
    "DBDROP": DbDrop,
    "DBFORGET": DbForget,
    "DBLIST": DbList,
    "DBREPAIR": DbRepair,
    "PIPELINE": Pipeline,
    "STATS": Stats,
    "BACKUP": Backup,
    "COMPACT": Compact,
    "SIZES": Sizes,
    "PROGRESS": Progress,
    "SLOWLOG": SlowLog,
    "SNAPSHOT": Snapshot,
}
"""Verb -> class."""


__all__ = [
    "COMMANDS",
    "DELETE",
    "HAS_VALUE",
    "IS_MISSING",
    "IS_PRESENT",
    "MISSING",
    "PIPELINED",
    "PRESENT",
    "PUT",
    "Access",
    "Backup",
    "BadSignal",
    "Batch",
    "BatchOp",
    "Command",
    "Compact",
    "ConditionalBatch",
    "Count",
    "Data",
    "DbConnect",
    "DbCreate",
    "DbDrop",
    "DbForget",
    "DbList",
    "DbMount",
    "DbRepair",
    "DbUmount",
    "Delete",
    "DeleteRange",
    "DeletedChunk",
    "Exists",
    "Expected",
    "Get",
    "GetAndDelete",
    "Increment",
    "KeyCheck",
    "MGet",
    "OptionValue",
    "PayloadKind",
    "Ping",
    "Pipeline",
    "Progress",
    "Put",
    "Range",
    "RepairReport",
    "Sizes",
    "Slice",
    "SlowLog",
    "Snapshot",
    "Stats",
    "Unknown",
    "make_check",
    "put_if",
    "to_bytes",
]
