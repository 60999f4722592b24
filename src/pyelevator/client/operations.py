"""Operations: what each method does, as a flow; the sync and the async client run the same ones."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from typing import Any, Final, TypeAlias, TypeVar

from attrs import Factory, define, evolve, fields

from pyelevator.client.paging import RangePager, ScanPager
from pyelevator.codec import Codec, UnsupportedByDialect
from pyelevator.commands import (
    COMMANDS,
    Access,
    Command,
    DbConnect,
    DbCreate,
    DbDrop,
    DbList,
    DbRepair,
    DeleteRange,
    MGet,
    Pipeline,
    Range,
    RepairReport,
    Slice,
    Snapshot,
)
from pyelevator.compat import FlatServer, adapt
from pyelevator.errors import (
    ArgumentTypeError,
    CheckFailed,
    DatabaseError,
    ElevatorError,
    ErrorCode,
    MalformedMessage,
    MessageTooLarge,
    UsageError,
)
from pyelevator.flows import Flow, send
from pyelevator.messages import Request, Response, snapshot_uid

R = TypeVar("R")
P = TypeVar("P", ScanPager, RangePager)

DEFAULT_DATABASE: Final = "default"

ExpectedError: TypeAlias = tuple[type[Exception], R]
"""An error that is no failure of a call, and the result in its place."""
NOT_WRITTEN: Final[ExpectedError[bool]] = (CheckFailed, False)


def is_written(_: None) -> bool:
    """Return what a write with checks gives where they hold."""
    return True


@define
class DatabaseHandle:
    """The database that a client is connected to.

    Attributes:
        codec: of the client's dialect.
        name, uid: of the database; None before the first connect.
        features: what the server can do beyond the old protocol.
        is_old: whether the server is one of the old ones; None while nothing has been heard of it.
        flat_server: what is known of a server of the flat dialect.
        is_intercepted: each request passes through interceptors.
        direct: the commands that are sent as they are, and whose response is the result or an error; chosen when the
            server introduces itself. All others are flows.
    """

    codec: Codec
    name: str | None = None
    uid: str | None = None
    features: tuple[str, ...] = ()
    is_old: bool | None = None
    flat_server: FlatServer = Factory(FlatServer)
    is_intercepted: bool = False
    direct: frozenset[type[Command[Any]]] = frozenset()

    def set(self, name: str | None, uid: str | None, features: tuple[str, ...]) -> None:
        """Take over what a server answered to DBCONNECT."""
        self.name, self.uid, self.features = name, uid, features
        self.is_old = not features
        self.direct = self._choose_direct()

    def _choose_direct(self) -> frozenset[type[Command[Any]]]:
        """Return the commands of which nothing is to be asked at this server before, and nothing made after."""
        is_modern = self.uid is not None and Pipeline.feature in self.features and self.codec.tells_missing
        return _known_commands(self.features) if is_modern and not self.is_intercepted else frozenset()

    def intercept(self) -> None:
        """Send each request through interceptors from now on."""
        self.is_intercepted, self.direct = True, frozenset()

    def clear(self) -> None:
        """Be connected to no database, and forget the server."""
        self.direct = frozenset()
        self.name, self.uid, self.is_old = None, None, None

    def forward(self, request: Request[Any]) -> Flow[Response]:
        """Send a request as the server takes it (see :mod:`pyelevator.compat`)."""
        return adapt(self.codec, self._send, lambda: self.is_old, self.flat_server)(request)

    @property
    def needs_adapter(self) -> bool:
        """True if the server may not take every request as it is."""
        return self.is_old is not False or not self.codec.tells_missing

    def _send(self, request: Request[Any]) -> Flow[Response]:
        response = yield from send(request)
        if self.is_old is None:
            self.is_old = response.id is None  # our server echoes the id of every request
        return response

    def uid_for(self, command: Command[Any]) -> str | None:
        """Return the uid to send with the command.

        Raises:
            UsageError: the command needs a database, and there is none.
            UnsupportedByDialect: the server does not know the command, or it asks for what the server would pass over.
        """
        if command.feature and command.feature not in self.features:
            if command.needs_uid:
                self.check_connected()
            raise UnsupportedByDialect(f"this server does not know {command.verb}; nothing was sent")
        if command.meta_fields:
            self._check_features(command)
        if not command.needs_uid:
            return None
        if not isinstance(command, _SERVER_WIDE):
            self.check_connected()
        return self.uid

    def _check_features(self, command: Command[Any]) -> None:
        for extra in command.meta_fields:
            if extra == "reverse" and isinstance(command, Range):
                continue  # an old server is asked forwards
            feature, refusal = _REQUIRED_FEATURES.get(extra, ("", ""))
            if feature and getattr(command, extra) and feature not in self.features:
                raise UnsupportedByDialect(f"this server {refusal}; nothing was sent")

    def check_connected(self) -> None:
        """Refuse to go on without a database."""
        if self.uid is None:
            raise UsageError("not connected to a database; call connect() first")

    def check_may_connect(self) -> None:
        """Refuse to become the handle of another database, if it is that of one for good."""

    def is_lost_by(self, response: Response, uid: str | None) -> bool:
        """Return whether the server no longer knows the uid; nothing was executed then."""
        lost = response.code is ErrorCode.RUNTIME and response.message == f"Database {uid} doesn't exist"
        return lost and self.name is not None


@define
class SnapshotHandle(DatabaseHandle):
    """A database at the moment of a snapshot; its uid is None before the snapshot is taken and after it is closed.

    Attributes:
        database_uid: of the database itself.
        cursor: under which the server keeps the snapshot; None if it need not be given back.
    """

    database_uid: str | None = None
    cursor: bytes | None = None

    def uid_for(self, command: Command[Any]) -> str | None:
        if command.writes or command.access > Access.READ:
            raise UsageError(f"a snapshot is only read, and {command.verb} is for its client; nothing was sent")
        return DatabaseHandle.uid_for(self, command)

    def check_connected(self) -> None:
        if self.uid is None:
            raise UsageError("the snapshot is closed, or not taken yet; use it within its with block")

    def check_may_connect(self) -> None:
        raise UsageError("a snapshot stays with its databases; database(name) is another one of them")

    def is_lost_by(self, response: Response, uid: str | None) -> bool:  # noqa: ARG002
        """Return False: the same database is there again, and the moment is not."""
        return False


_REQUIRED_FEATURES: Final[Mapping[str, tuple[str, str]]] = {
    "sync": ("sync", "does not know sync=True"),
    "reverse": ("reverse", "does not count downwards; Range(..., reverse=True) up to a key is understood"),
    "cursor": ("cursors", "keeps no snapshots, so consistent=True cannot be had"),
}
"""Extra -> the feature that it takes, and what to say of a server that lacks it."""


@cache
def _known_commands(features: tuple[str, ...]) -> frozenset[type[Command[Any]]]:
    """Return the commands to a database that a server with these features executes, whatever their arguments are."""
    known = {"", *features}
    return frozenset(
        kind
        for kind in COMMANDS.values()
        if kind.needs_uid
        and kind.feature in known
        and all(_REQUIRED_FEATURES.get(extra, ("", ""))[0] in known for extra in kind.meta_fields)
    )


def connect(link: DatabaseHandle, name: str, create: bool = False) -> Flow[None]:
    """Connect to another database; the handle stays as it was if that fails.

    Args:
        link: becomes the handle of the database.
        name: of the database.
        create: create it if it is missing; another client may be as quick.
    """
    command = DbConnect(name)
    response = yield from send(Request(command))
    if create and response.code is ErrorCode.DATABASE:
        creation = DbCreate(name)
        created = yield from send(Request(creation))
        response = yield from send(Request(command))
        if response.code is not None:
            _raise_for_error(creation, created)
    _raise_for_error(command, response)
    link.set(command.name, command.result(response.payload), response.features)


def send_command(link: DatabaseHandle, command: Command[Any], compression: bool = False) -> Flow[Response]:
    """Send a command to the connected database; reconnect by name, once, where its uid is no longer known."""
    if not isinstance(compression, bool):
        raise ArgumentTypeError(f"compression must be True or False, not {type(compression).__name__}")
    uid = link.uid_for(command)
    response = yield from _send_within_limit(link, Request(command, uid, None, compression))
    return response if response.code is None else (yield from recover(link, command, uid, response, compression))


def _send_within_limit(link: DatabaseHandle, request: Request[Any]) -> Flow[Response]:
    """Send a request. One over the server's limit is refused only if the server still has that limit."""
    try:
        return (yield from send(request))
    except MessageTooLarge:
        if link.name is None:
            raise
    with suppress(ElevatorError):
        yield from connect(evolve(link), link.name)
    return (yield from send(request))


def recover(
    link: DatabaseHandle, command: Command[Any], uid: str | None, response: Response, compression: bool = False
) -> Flow[Response]:
    """Return the response of another try where the uid was lost; raise the error of a failure otherwise."""
    if link.is_lost_by(response, uid):
        response = yield from send(Request(command, (yield from _reconnect(link, command, uid)), None, compression))
    return _raise_for_error(command, response, link.name)


def _reconnect(link: DatabaseHandle, command: Command[Any], lost: str | None) -> Flow[str | None]:
    """Return the uid to send with a command after the server has lost the one it was sent with."""
    if isinstance(command, _SERVER_WIDE):
        return None
    if link.name is not None and link.uid == lost:  # else another thread has connected meanwhile
        yield from connect(link, link.name)
    return link.uid_for(command)


_SERVER_WIDE: Final = (DbCreate, DbDrop, DbList)
"""What needs no connected database: it is about all of them."""


def _raise_for_error(command: Command[Any], response: Response, database: str | None = None) -> Response:
    if response.code is not None:
        error = command.error(response.code, response.message)
        if isinstance(error, DatabaseError) and error.database is None:
            error.database = database
        raise error
    return response


def execute(link: DatabaseHandle, command: Command[R], compression: bool = False) -> Flow[R]:
    """Execute a command."""
    response = yield from send_command(link, command, compression)
    return command.result(response.payload)


def create(link: DatabaseHandle, command: DbCreate) -> Flow[None]:
    """Create a database.

    Raises:
        UsageError: an option does not exist; nothing was sent.
    """
    from pyelevator.engines.options import describe_unknown_option  # few clients create databases

    unknown = describe_unknown_option(command.options)
    if unknown is not None:
        raise UsageError(unknown)
    yield from execute(link, command)


def repair(link: DatabaseHandle, force: bool) -> Flow[RepairReport | None]:
    """Repair the connected database, and return the server's report, if it makes one.

    Raises:
        UnsupportedByDialect: the server knows no ``force``; nothing was sent.
    """
    command = DbRepair(force, report=True)
    link.check_connected()
    if force and "repair" not in link.features:
        raise UnsupportedByDialect("this server does not know repairdb(force=True); nothing was sent")
    return (yield from execute(link, command))


def mget(link: DatabaseHandle, command: MGet, compression: bool = False) -> Flow[list[bytes | None]]:
    """Return the values of many keys; for no keys, nothing is sent."""
    return (yield from execute(link, command, compression)) if command.keys else []


def scan(
    link: DatabaseHandle, pager: ScanPager, compression: bool, decode: Callable[[list[Any]], list[R]]
) -> Flow[list[R]]:
    """Return all rows of a range that takes several messages."""
    rows: list[Any] = []
    while not pager.done:
        page, pager = yield from fetch_page(link, pager, compression)
        rows += page
    return decode(rows)


def delete_chunk(link: DatabaseHandle, command: DeleteRange) -> Flow[tuple[int, DeleteRange | None]]:
    """Delete a chunk of a range; return how many keys it had, and the command for the next one if there is one."""
    chunk = yield from execute(link, command)
    if chunk.last_key is None:
        return chunk.count, None
    return chunk.count, evolve(command, start=chunk.last_key + b"\0")


def delete_range(link: DatabaseHandle, command: DeleteRange | None) -> Flow[int]:
    """Delete a range chunk by chunk, and return how many keys it had."""
    deleted = 0
    while command is not None:
        count, command = yield from delete_chunk(link, command)
        deleted += count
    return deleted


def note_deleted(error: ElevatorError, deleted: int) -> None:
    """Note in an error how far a DeleteRange has come."""
    error.deleted = deleted
    if deleted:
        error.add_note(f"{deleted:,} keys were deleted before; DeleteRange with the same arguments goes on")


def fetch_page(link: DatabaseHandle, pager: P, compression: bool = False) -> Flow[tuple[Any, P]]:
    """Return the rows of a page, still encoded if the pager lets them be so, and the pager of the next page."""
    command = pager.next_command()
    response = yield from send_command(link, command, compression)
    return pager.feed(command.result(response.payload), more=response.more, cursor=response.cursor)


def release_cursor(link: DatabaseHandle, pager: ScanPager) -> Flow[None]:
    """Give back the cursor of a scan."""
    if isinstance(pager.cursor, bytes):
        yield from send_command(link, Slice(cursor=pager.cursor))


def take_snapshot(link: DatabaseHandle, names: Sequence[str]) -> Flow[dict[str, SnapshotHandle]]:
    """Take a snapshot of the connected database, and of others at the same moment; return their handles by name."""
    link.check_connected()
    link.uid_for(Snapshot(cursor=True))  # refuses before anything is sent
    others: dict[str, DatabaseHandle] = {}
    for name in dict.fromkeys(names):
        others[name] = evolve(link)
        yield from connect(others[name], name)
    uids = [str(other.uid) for other in others.values() if other.uid != link.uid]
    response = yield from send_command(link, Snapshot(uids, cursor=True))
    if response.cursor is None:
        raise MalformedMessage("the answer to SNAPSHOT names no cursor")
    own = {} if link.name is None else {link.name: link}
    return {name: _at_moment(handle, response.cursor) for name, handle in {**others, **own}.items()}


def _at_moment(link: DatabaseHandle, cursor: bytes) -> SnapshotHandle:
    handle = SnapshotHandle(**{each.name: getattr(link, each.name) for each in fields(DatabaseHandle)})
    handle.database_uid, handle.cursor, handle.uid = link.uid, cursor, snapshot_uid(str(link.uid), cursor)
    handle.direct = frozenset(kind for kind in link.direct if not kind.writes and kind.access <= Access.READ)
    return handle


def release_snapshot(database_uid: str | None, cursor: bytes) -> Flow[None]:
    """Give back a snapshot."""
    yield from send(Request(Slice(cursor=cursor), database_uid))


def release_dropped(link: DatabaseHandle, dropped: deque[Any], flow: Flow[R]) -> Flow[R]:
    """Give back the cursors of abandoned scans and snapshots, and then run ``flow``.

    It does not matter if the server cannot be told: it keeps none for long.

    Args:
        link: of the scans.
        dropped: pagers of scans, and handles of snapshots.
        flow: what is run then.
    """
    found: list[ScanPager | SnapshotHandle] = []
    with suppress(IndexError):
        while True:
            found.append(dropped.popleft())
    pagers = [pager for pager in found if isinstance(pager, ScanPager)]
    with suppress(ElevatorError):
        for handle in found:
            if isinstance(handle, SnapshotHandle) and handle.cursor is not None:
                yield from release_snapshot(handle.database_uid, handle.cursor)
    with suppress(ElevatorError):
        if len(pagers) > 1 and Pipeline.feature in link.features:
            yield from send_command(link, Pipeline([Slice(cursor=pager.cursor) for pager in pagers]))
        else:
            for pager in pagers:
                yield from release_cursor(link, pager)
    return (yield from flow)
