"""Operations: what each method does, as a flow; the sync and the async client run the same ones."""

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, TypeAlias, TypeVar

from attrs import evolve

from pyelevator import commands
from pyelevator.client.handles import DatabaseHandle, SnapshotHandle, is_server_wide
from pyelevator.client.paging import RangePager, ScanPager
from pyelevator.codec import UnsupportedByDialect
from pyelevator.commands import Command, MGet
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
from pyelevator.messages import Request, Response

R = TypeVar("R")
P = TypeVar("P", ScanPager, RangePager)

DEFAULT_DATABASE: Final = "default"

ExpectedError: TypeAlias = tuple[type[Exception], R]
"""An error that is no failure of a call, and the result in its place."""
NOT_WRITTEN: Final[ExpectedError[bool]] = (CheckFailed, False)


def is_written(_: None) -> bool:
    """Return what a write with checks gives where they hold."""
    return True


def connect(handle: DatabaseHandle, name: str, create: bool = False) -> Flow[None]:
    """Connect to another database; the handle stays as it was if that fails."""
    command = commands.DbConnect(name)
    response = yield from send(Request(command))
    if create and response.code is ErrorCode.DATABASE:
        creation = commands.DbCreate(name)
        created = yield from send(Request(creation))
        response = yield from send(Request(command))
        if response.code is not None:
            _raise_for_error(creation, created)
    _raise_for_error(command, response)
    handle.set(command.name, command.result(response.payload), response.features)


def connect_first(handle: DatabaseHandle, name: str, create: bool, flow: Flow[R]) -> Flow[R]:
    """Connect before ``flow``, unless another call has connected meanwhile."""
    if handle.uid is None:
        found = evolve(handle)
        yield from connect(found, name, create)
        if handle.uid is None:
            handle.set(found.name, found.uid, found.features)
    return (yield from flow)


def send_command(handle: DatabaseHandle, command: Command, compression: bool = False) -> Flow[Response]:
    """Send a command to the connected database; reconnect by name, once, where its uid is no longer known."""
    if not isinstance(compression, bool):
        raise ArgumentTypeError(f"compression must be True or False, not {type(compression).__name__}")
    uid = handle.uid_for(command)
    response = yield from _send_within_limit(handle, Request(command, uid, None, compression))
    return response if response.code is None else (yield from recover(handle, command, uid, response, compression))


def _send_within_limit(handle: DatabaseHandle, request: Request) -> Flow[Response]:
    """Send a request. One over the server's limit is refused only if the server still has that limit."""
    try:
        return (yield from send(request))
    except MessageTooLarge:
        if handle.name is None:
            raise
    with suppress(ElevatorError):
        yield from connect(evolve(handle), handle.name)
    return (yield from send(request))


def recover(
    handle: DatabaseHandle, command: Command, uid: str | None, response: Response, compression: bool = False
) -> Flow[Response]:
    """Return the response of another try where the uid was lost; raise the error of a failure otherwise."""
    if handle.is_lost_by(response, uid):
        response = yield from send(Request(command, (yield from _reconnect(handle, command, uid)), None, compression))
    return _raise_for_error(command, response, handle.name)


def _reconnect(handle: DatabaseHandle, command: Command, lost: str | None) -> Flow[str | None]:
    """Return the uid to send with a command after the server has lost the one it was sent with."""
    if is_server_wide(command):
        return None
    if handle.name is not None and handle.uid == lost:  # else another thread has connected meanwhile
        yield from connect(handle, handle.name)
    return handle.uid_for(command)


def _raise_for_error(command: Command, response: Response, database: str | None = None) -> Response:
    if response.code is not None:
        error = command.error(response.code, response.message)
        if isinstance(error, DatabaseError) and error.database is None:
            error.database = database
        raise error
    return response


def execute(handle: DatabaseHandle, command: Command[R], compression: bool = False) -> Flow[R]:
    """Execute a command."""
    response = yield from send_command(handle, command, compression)
    return command.result(response.payload)


def write(handle: DatabaseHandle, command: Command[None] | None) -> Flow[None]:
    """Write a batch, if there is something in it."""
    if command is not None:
        yield from execute(handle, command)


def create(handle: DatabaseHandle, command: "commands.DbCreate") -> Flow[None]:
    """Create a database; refuse options that do not exist, and send nothing."""
    from pyelevator.engines.options import describe_unknown_option  # few clients create databases

    unknown = describe_unknown_option(command.options)
    if unknown is not None:
        raise UsageError(unknown)
    yield from execute(handle, command)


def repair(handle: DatabaseHandle, force: bool) -> "Flow[commands.RepairReport | None]":
    """Repair the connected database, and return the server's report, if it makes one."""
    command = commands.DbRepair(force, report=True)
    handle.check_connected()
    if force and "repair" not in handle.features:
        raise UnsupportedByDialect("this server does not know repairdb(force=True); nothing was sent")
    return (yield from execute(handle, command))


def mget(handle: DatabaseHandle, command: MGet, compression: bool = False) -> Flow[list[bytes | None]]:
    """Return the values of many keys; for no keys, nothing is sent."""
    return (yield from execute(handle, command, compression)) if command.keys else []


def scan(
    handle: DatabaseHandle, pager: ScanPager, compression: bool, decode: Callable[[list[Any]], list[R]]
) -> Flow[list[R]]:
    """Return all rows of a range that takes several messages."""
    rows: list[Any] = []
    while not pager.done:
        page, pager = yield from fetch_page(handle, pager, compression)
        rows += page
    return decode(rows)


def delete_chunk(
    handle: DatabaseHandle, command: "commands.DeleteRange"
) -> "Flow[tuple[int, commands.DeleteRange | None]]":
    """Delete a chunk of a range; return how many keys it had, and the command for the next one if there is one."""
    chunk = yield from execute(handle, command)
    if chunk.last_key is None:
        return chunk.count, None
    return chunk.count, evolve(command, start=chunk.last_key + b"\0")


def delete_range(handle: DatabaseHandle, command: "commands.DeleteRange | None") -> Flow[int]:
    """Delete a range chunk by chunk, and return how many keys it had."""
    deleted = 0
    while command is not None:
        try:
            count, command = yield from delete_chunk(handle, command)
        except ElevatorError as error:
            note_deleted(error, deleted)
            raise
        deleted += count
    return deleted


def note_deleted(error: ElevatorError, deleted: int) -> None:
    """Note in an error how far a DeleteRange has come."""
    error.deleted = deleted
    if deleted:
        error.add_note(f"{deleted:,} keys were deleted before; DeleteRange with the same arguments goes on")


def fetch_page(handle: DatabaseHandle, pager: P, compression: bool = False) -> Flow[tuple[Any, P]]:
    """Return the rows of a page, still encoded if the pager lets them be so, and the pager of the next page."""
    command = pager.next_command()
    response = yield from send_command(handle, command, compression)
    return pager.feed(command.result(response.payload), more=response.more, cursor=response.cursor)


def release_cursor(handle: DatabaseHandle, pager: ScanPager) -> Flow[None]:
    """Give back the cursor of a scan."""
    if isinstance(pager.cursor, bytes):
        yield from send_command(handle, commands.Slice(cursor=pager.cursor))


def take_snapshot(handle: DatabaseHandle, names: Sequence[str]) -> Flow[dict[str, SnapshotHandle]]:
    """Take a snapshot of the connected database, and of others at the same moment; return their handles by name."""
    handle.check_connected()
    handle.uid_for(commands.Snapshot(cursor=True))  # refuses before anything is sent
    others: dict[str, DatabaseHandle] = {}
    for name in dict.fromkeys(names):
        others[name] = evolve(handle)
        yield from connect(others[name], name)
    uids = [str(other.uid) for other in others.values() if other.uid != handle.uid]
    response = yield from send_command(handle, commands.Snapshot(uids, cursor=True))
    if response.cursor is None:
        raise MalformedMessage("the answer to SNAPSHOT names no cursor")
    own = {} if handle.name is None else {handle.name: handle}
    return {name: SnapshotHandle.at_moment(other, response.cursor) for name, other in {**others, **own}.items()}


def release_snapshot(database_uid: str | None, cursor: bytes) -> Flow[None]:
    """Give back a snapshot."""
    yield from send(Request(commands.Slice(cursor=cursor), database_uid))


def release_dropped(handle: DatabaseHandle, dropped: deque[Any], flow: Flow[R]) -> Flow[R]:
    """Give back the cursors of abandoned scans and snapshots, and then run ``flow``.

    It does not matter if the server cannot be told: it keeps none for long.
    """
    found: list[ScanPager | SnapshotHandle] = []
    with suppress(IndexError):
        while True:
            found.append(dropped.popleft())
    pagers = [pager for pager in found if isinstance(pager, ScanPager)]
    with suppress(ElevatorError):
        for snapshot in found:
            if isinstance(snapshot, SnapshotHandle) and snapshot.cursor is not None:
                yield from release_snapshot(snapshot.database_uid, snapshot.cursor)
    with suppress(ElevatorError):
        if len(pagers) > 1 and commands.Pipeline.feature in handle.features:
            yield from send_command(
                handle, commands.Pipeline([commands.Slice(cursor=pager.cursor) for pager in pagers])
            )
        else:
            for pager in pagers:
                yield from release_cursor(handle, pager)
    return (yield from flow)
