"""What each method does, as a flow; the sync and the async client run the same ones."""

from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final, TypeVar

from attrs import define, evolve

from pyelevator.client.ranges import Pager
from pyelevator.client.whole import WholePager
from pyelevator.codec import Codec, UnsupportedByDialect
from pyelevator.commands import (
    Command,
    DbConnect,
    DbCreate,
    DbDrop,
    DbForget,
    DbList,
    DbRepair,
    Exists,
    Get,
    MGet,
    Ping,
    Pipeline,
    Range,
    RepairReport,
    Slice,
)
from pyelevator.errors import ArgumentTypeError, DatabaseError, ElevatorError, ErrorCode, UsageError
from pyelevator.flows import Flow, send
from pyelevator.messages import Request, Response

R = TypeVar("R")
P = TypeVar("P", Pager, WholePager)

DEFAULT_DATABASE: Final = "default"


@define
class Link:
    """The database that a client is connected to.

    Attributes:
        codec: of the client's dialect.
        name, uid: of the database; None before the first connect.
        features: what the server can do beyond the old protocol.
        plain: there is a database, a command of one key is one message, and its answer is the result or an error.
    """

    codec: Codec
    name: str | None = None
    uid: str | None = None
    features: tuple[str, ...] = ()
    plain: bool = False

    def lead_to(self, name: str | None, uid: str | None, features: tuple[str, ...]) -> None:
        """Takes over what a server answered to DBCONNECT."""
        self.name, self.uid, self.features = name, uid, features
        self.plain = uid is not None and Pipeline.feature in features and self.codec.tells_missing

    def leave(self) -> None:
        """Is connected to no database."""
        self.lead_to(None, None, self.features)

    def address(self, command: Command[Any]) -> str | None:
        """The uid to send with the command.

        Raises:
            UsageError: the command needs a database, and there is none.
            UnsupportedByDialect: the command asks for what the server does not know, and would pass over.
        """
        if command.extras:
            self._check_promised(command)
        if not command.addressed:
            return None
        self.check_connected()
        return self.uid

    def _check_promised(self, command: Command[Any]) -> None:
        for extra in command.extras:
            feature, refusal = _PROMISES.get(extra, ("", ""))
            if feature and getattr(command, extra) and feature not in self.features:
                raise UnsupportedByDialect(f"this server {refusal}; nothing was sent")

    def check_connected(self) -> None:
        """Refuses to go on without a database."""
        if self.uid is None:
            raise UsageError("not connected to a database; call connect() first")

    def lost_by(self, response: Response, uid: str | None) -> bool:
        """True if the server says that it does not know the uid (any more); nothing was executed then."""
        lost = response.code is ErrorCode.RUNTIME and response.message == f"Database {uid} doesn't exist"
        return lost and self.name is not None


_PROMISES: Final[Mapping[str, tuple[str, str]]] = {
    "sync": ("sync", "does not know sync=True"),
    "reverse": ("reverse", "does not count downwards; Range(..., reverse=True) up to a key is understood"),
    "cursor": ("cursors", "keeps no snapshots, so consistent=True cannot be had"),
}
"""Extra -> the feature that it takes, and what to say of a server that lacks it."""


def connect(link: Link, name: str) -> Flow[None]:
    """Connects to another database; the link stays as it was if that fails."""
    command = DbConnect(name)
    response = _succeeded(command, (yield from send(Request(command))))
    link.lead_to(command.name, command.result(response.payload), response.features)


def exchange(link: Link, command: Command[Any], compression: bool = False) -> Flow[Response]:
    """Sends a command to the connected database; connects again by name, once, where its uid is no longer known."""
    if not isinstance(compression, bool):
        raise ArgumentTypeError(f"compression must be True or False, not {type(compression).__name__}")
    if link.uid is None and isinstance(command, _ABOUT_DATABASES):
        return (yield from _through_default(link, command))
    uid = link.address(command)
    response = yield from send(Request(command, uid, None, compression))
    return response if response.code is None else (yield from refused(link, command, uid, response, compression))


def refused(
    link: Link, command: Command[Any], uid: str | None, response: Response, compression: bool = False
) -> Flow[Response]:
    """What comes of a command that was sent to ``uid`` and failed: its error, or the answer to another try."""
    if link.lost_by(response, uid):
        if isinstance(command, _ABOUT_DATABASES):
            return (yield from _through_default(link, command))
        if link.name is not None and link.uid == uid:  # else another thread has connected meanwhile
            yield from connect(link, link.name)
        response = yield from send(Request(command, link.address(command), None, compression))
    return _succeeded(command, response, link.name)


_ABOUT_DATABASES: Final = (DbCreate, DbDrop, DbList)
"""Old servers want a uid with these, and it does not matter whose."""


def _through_default(link: Link, command: Command[Any]) -> Flow[Response]:
    """Sends a command that is about databases, for a client that is not connected, or whose database was dropped."""
    way = Link(link.codec)
    yield from connect(way, DEFAULT_DATABASE)
    return _succeeded(command, (yield from send(Request(command, way.uid))))


def _succeeded(command: Command[Any], response: Response, database: str | None = None) -> Response:
    if response.code is not None:
        error = command.error(response.code, response.message)
        if isinstance(error, DatabaseError) and error.database is None:
            error.database = database
        raise error
    return response


def call(link: Link, command: Command[R], compression: bool = False) -> Flow[R]:
    """Executes a command; one that the dialect cannot say is put in words that it has, where there are any."""
    result: R
    try:
        response = yield from exchange(link, command, compression)
    except UnsupportedByDialect:
        if command.verb not in FALLBACKS:
            raise
        result = yield from FALLBACKS[command.verb](link, command)
    else:
        result = command.result(response.payload)
    return result


def create(link: Link, command: DbCreate) -> Flow[None]:
    """Creates a database.

    Raises:
        UsageError: an option does not exist; nothing was sent.
    """
    from pyelevator.engines.options import unknown_option  # few clients create databases

    unknown = unknown_option(command.options)
    if unknown is not None:
        raise UsageError(unknown)
    yield from call(link, command)


def forget(link: Link, command: DbForget) -> Flow[None]:
    """Takes a database off the server's list.

    Raises:
        UnsupportedByDialect: the dialect or the server does not know the command; nothing was sent.
    """
    link.codec.encode_request(Request(command))  # a dialect that cannot say it says so
    if link.uid is None:
        link = Link(link.codec)
        yield from connect(link, DEFAULT_DATABASE)
    if "forget" not in link.features:
        raise UnsupportedByDialect("this server takes a database off its list only with its files; nothing was sent")
    yield from call(link, command)


def repair(link: Link, force: bool) -> Flow[RepairReport | None]:
    """Repairs the connected database, and tells what was done, where the server tells it.

    Raises:
        UnsupportedByDialect: the server knows no ``force``; nothing was sent.
    """
    command = DbRepair(force, report=True)
    link.check_connected()
    if force and "repair" not in link.features:
        raise UnsupportedByDialect("this server does not know repairdb(force=True); nothing was sent")
    return (yield from call(link, command))


def get(link: Link, command: Get, compression: bool = False) -> Flow[bytes]:
    """The value of a key. Where the dialect writes a missing value like an empty one, one more question tells."""
    value = command.result((yield from exchange(link, command, compression)).payload)
    if not value and not link.codec.tells_missing and not (yield from call(link, Exists(command.key))):
        raise command.error(ErrorCode.KEY, "Key not found")
    return value


def mget(link: Link, command: MGet, compression: bool = False) -> Flow[list[bytes | None]]:
    """The values of many keys.

    The servers scan from the smallest to the largest key or read point by point, but the old ones lose values of
    duplicate and unsorted keys (recordings MGET.duplicates, MGET.reversed), so they are asked for each key once, in
    order. No keys are no question: the old server dies of it.
    """
    if not command.keys:
        return []
    if "id" in link.features:
        return (yield from call(link, command, compression))
    keys = sorted(set(command.keys))
    values = yield from call(link, evolve(command, keys=keys), compression)
    found = dict(zip(keys, values, strict=True))
    if not link.codec.tells_missing:
        for key in [key for key, value in found.items() if not value]:
            found[key] = b"" if (yield from call(link, Exists(key))) else None
    return [found[key] for key in command.keys]


def _exists_by_range(link: Link, command: Exists) -> Flow[bool]:
    return bool((yield from call(link, Range(command.key, command.key))))


def _range_otherwise(link: Link, command: Range, compression: bool = False) -> Flow[list[Any]]:
    """A range for a server that does not go backwards, or in a dialect that lacks what it asks for."""
    if command.reverse:
        rows = yield from call(link, evolve(command, reverse=False), compression)
        return rows[::-1]
    return (yield from _scan_by_pages(link, command, compression))


def _ping_by_list(_link: Link, _ping: Ping) -> Flow[bytes]:
    command = DbList()
    _succeeded(command, (yield from send(Request(command))))
    return b"PONG"


def scan(link: Link, command: Range | Slice | Pager, compression: bool = False) -> Flow[list[Any]]:
    """All rows of a range."""
    if isinstance(command, Pager):
        return (yield from _scan_by_pages(link, command, compression))
    return (yield from call(link, command, compression))


def _scan_by_pages(link: Link, command: Range | Slice | Pager, compression: bool = False) -> Flow[list[Any]]:
    """A range whose parts, prefix or open end the dialect cannot say: whole pairs, page by page, cut here."""
    pager = Pager.of(command)
    rows: list[Any] = []
    while not pager.done:
        some, pager = yield from page(link, pager, compression)
        rows += some
    return rows


def page(link: Link, pager: P, compression: bool = False) -> Flow[tuple[Any, P]]:
    """The next rows of a long scan, still packed if the pager lets them be so, and the pager for those behind them.

    Where the dialect cannot ask for keys alone, whole pairs come.
    """
    command = pager.next_command()
    try:
        response = yield from exchange(link, command, compression)
    except UnsupportedByDialect:
        if not isinstance(pager, Pager) or command.include_value:
            raise
        return (yield from page(link, evolve(pager, pairs=True), compression))
    return pager.take(command.result(response.payload), more=response.more, cursor=response.cursor)


def release(link: Link, pager: Pager) -> Flow[None]:
    """Gives the cursor of a scan back."""
    if isinstance(pager.cursor, bytes):
        yield from exchange(link, Slice(cursor=pager.cursor))


def give_back(link: Link, dropped: deque[Pager], flow: Flow[R]) -> Flow[R]:
    """Gives the cursors of scans back that nobody goes on with, and then does what ``flow`` does.

    It does not matter if the server cannot be told: it keeps none for long.
    """
    pagers: list[Pager] = []
    with suppress(IndexError):
        while True:
            pagers.append(dropped.popleft())
    with suppress(ElevatorError):
        if len(pagers) > 1 and Pipeline.feature in link.features:
            yield from exchange(link, Pipeline([Slice(cursor=pager.cursor) for pager in pagers]))
        else:
            for pager in pagers:
                yield from release(link, pager)
    return (yield from flow)


FALLBACKS: Final[Mapping[str, Callable[[Link, Any], Flow[Any]]]] = {
    "EXISTS": _exists_by_range,
    "PING": _ping_by_list,
    "RANGE": _range_otherwise,
    "SLICE": _scan_by_pages,
}
"""Verb -> other words for it, for the dialect that lacks the verb or one of its arguments."""
