"""Cursors: snapshots that are kept from one request to the next, for those who know their ids, and not for long."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from secrets import token_hex
from time import monotonic
from typing import Any, Final

from attrs import Factory, define

from pyelevator.engines.base import Engine, ReadView
from pyelevator.errors import CursorExpired, ServerRuntimeError
from pyelevator.messages import Request


@define(eq=False)
class Cursor:
    """One snapshot that is kept.

    Attributes:
        id: nobody can guess it.
        engine: of which it is a snapshot. A database that was closed and opened again has another one.
        peer: who may read from it, where that is known.
        holder: whose it is, see ``Request.holder``.
        connection: over which it was used last.
        opened_at, used_at: seconds of the clock.
        passed: of a range in pages, how many rows and bytes come before a page, by the key that it begins at.
        spare: it may be ended to make room; its client can do without.
        left: its connection has ended; it is kept for a moment, as its client may come back over another one.
        users: requests that read from it right now.
    """

    id: bytes
    snapshot: ReadView
    engine: Engine
    peer: str | None
    holder: Any
    connection: bytes | None
    opened_at: float
    used_at: float
    passed: dict[bytes | None, tuple[int, int]] = Factory(dict)
    spare: bool = False
    left: bool = False
    users: int = 0


_ENDED: Final = 10_000
"""Connections of which it is known that they have ended."""

_FORGOTTEN: Final = 10.0
"""Seconds for which a cursor is idle that makes room for another one of the same peer."""

_GRACE: Final = 5.0
"""Seconds that a cursor is kept whose connection has ended."""


class Cursors:
    """The cursors of one application; may be called from many threads at once.

    A cursor ends when its client says so, when it was not used for ``idle`` seconds or is older than ``age``, and when
    its database is closed, for whatever reason: a snapshot holds up nothing and nobody. It is given back when its
    connection ends. Where there are ``most``, one of the peer that has the most of them makes room for a peer that has
    fewer, and any one for a peer that has none, whichever is idle for longest; so nobody can keep the others out.

    Args:
        most: how many there may be.
        idle: seconds that one is kept between two requests.
        age: seconds that one is kept altogether; LevelDB cannot give back space that a snapshot holds.
        clock: tells the time, in seconds.
    """

    def __init__(self, most: int, idle: float, age: float, clock: Callable[[], float] = monotonic) -> None:
        self._most, self._idle, self._age, self._clock = most, idle, age, clock
        self._cursors: dict[bytes, Cursor] = {}
        self._lock = threading.Lock()
        self._ended: dict[bytes | None, None] = {}  # the last connections, of which requests may still be at work

    def __len__(self) -> int:
        return len(self._cursors)

    def keep(self, snapshot: ReadView, engine: Engine, request: Request[Any]) -> Cursor:
        """Keeps a snapshot.

        Raises:
            ServerRuntimeError: there are as many as may be; the snapshot is still the caller's.
        """
        with self._lock:
            if self._is_full():
                self._make_room(request.holder)
            return self._keep(snapshot, engine, request)

    def keep_if_room(self, snapshot: ReadView, engine: Engine, request: Request[Any]) -> Cursor | None:
        """Keeps a snapshot for somebody who can do without, and only until another needs the room; None if there is
        no room now, and the snapshot is still the caller's."""
        with self._lock:
            if self._is_full() and not self._end_one([one for one in self._cursors.values() if one.left]):
                return None
            cursor = self._keep(snapshot, engine, request)
            cursor.spare = True
            return cursor

    def _is_full(self) -> bool:
        self._expire(self._clock())
        return len(self._cursors) >= self._most

    def _keep(self, snapshot: ReadView, engine: Engine, request: Request[Any]) -> Cursor:
        now = self._clock()
        owned = request.peer, request.holder, request.connection
        cursor = Cursor(token_hex(16).encode(), snapshot, engine, *owned, now, now)
        cursor.left = request.connection in self._ended
        self._cursors[cursor.id] = cursor
        return cursor

    @contextmanager
    def reading(self, id: bytes, engine: Engine, request: Request[Any]) -> Iterator[Cursor]:
        """The cursor, whose snapshot stays open for the block.

        Raises:
            CursorExpired: there is none under that id, or none of this engine, or it is somebody else's.
        """
        with self._lock:
            self._expire(self._clock())
            cursor = self._owned(id, engine, request)
            if cursor is None:
                raise CursorExpired(
                    f"{CursorExpired.MARK}it was not used for {self._idle:g} s, or is older than {self._age:g} s, or "
                    "its database was closed or the server restarted meanwhile; begin the iteration anew"
                )
            cursor.users += 1
            cursor.holder, cursor.connection = request.holder, request.connection
            cursor.left = request.connection in self._ended
        try:
            yield cursor
        finally:
            with self._lock:
                cursor.users -= 1
                cursor.used_at = self._clock()
                if not cursor.users and cursor.id not in self._cursors:
                    cursor.snapshot.close()

    def close(self, id: bytes, engine: Engine, request: Request[Any]) -> None:
        """Ends a cursor. That there is none is no error."""
        with self._lock:
            cursor = self._owned(id, engine, request)
            if cursor is not None:
                self._end(cursor)

    def leave(self, connection: bytes) -> None:
        """A connection has ended: what was used over it last is given back, to whoever needs the room or in a moment.

        Its client may be on its way back over another connection, so it is not lost at once.
        """
        with self._lock:
            self._ended[connection] = None
            if len(self._ended) > _ENDED:
                del self._ended[next(iter(self._ended))]
            for cursor in self._cursors.values():
                if cursor.connection == connection:
                    cursor.left, cursor.used_at = True, self._clock()

    def drop(self, engine: Engine) -> None:
        """Ends the cursors of an engine that is about to close, of which nobody reads any more."""
        with self._lock:
            for cursor in [cursor for cursor in self._cursors.values() if cursor.engine is engine]:
                self._end(cursor)

    def expire(self) -> None:
        """Ends the cursors whose time is over."""
        with self._lock:
            self._expire(self._clock())

    def _owned(self, id: bytes, engine: Engine, request: Request[Any]) -> Cursor | None:
        cursor = self._cursors.get(id)
        return cursor if cursor is not None and cursor.engine is engine and cursor.peer == request.peer else None

    def _expire(self, now: float) -> None:
        for cursor in list(self._cursors.values()):
            idle = min(self._idle, _GRACE) if cursor.left else self._idle
            unused = not cursor.users and now - cursor.used_at > idle
            if unused or now - cursor.opened_at > self._age:
                self._end(cursor)

    def _end(self, cursor: Cursor) -> None:
        """Forgets it, with the lock; who still reads from it closes it."""
        del self._cursors[cursor.id]
        if not cursor.users:
            cursor.snapshot.close()

    def _make_room(self, holder: Any) -> None:
        cursors = list(self._cursors.values())
        if self._end_one([one for one in cursors if one.left]) or self._end_one([one for one in cursors if one.spare]):
            return
        held = Counter(one.holder for one in cursors)
        ((greediest, most),) = held.most_common(1)
        if most <= 1 and not held[holder]:
            self._end_one(cursors)
        elif most > held[holder] + 1:  # to take from each other by turns would help nobody
            self._end_one([one for one in cursors if one.holder == greediest])
        elif not self._end_one([one for one in cursors if one.holder == holder and self._is_forgotten(one)]):
            raise ServerRuntimeError(
                f"all {self._most} cursors are in use; close iterators that are no longer needed, try again later, "
                "or let the server have more of them (--max-cursors)"
            )

    def _is_forgotten(self, cursor: Cursor) -> bool:
        """Whether its own peer may well have done with it. Behind a proxy, one connection is that of many clients."""
        return not cursor.users and self._clock() - cursor.used_at > _FORGOTTEN

    def _end_one(self, cursors: list[Cursor]) -> bool:
        """Ends the one of these that is idle for longest; False if there are none."""
        if cursors:
            self._end(min(cursors, key=lambda one: (one.users > 0, one.used_at)))
        return bool(cursors)
