"""Cursors: snapshots that are kept from one request to the next, for a limited time."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from secrets import token_hex
from time import monotonic
from typing import Final

from attrs import Factory, define

from pyelevator.engines.base import Engine, ReadView
from pyelevator.errors import CursorExpired, ServerRuntimeError
from pyelevator.messages import Request


@define(eq=False)
class Cursor:
    """One kept snapshot, of one database or of several at the same moment.

    Attributes:
        id: a random one, which cannot be guessed.
        views: what is read, by the engines. A database that was closed and opened again has another one.
        peer: the client that may read from it, if that is known.
        holder: the client that it counts for, see ``CallContext.holder``.
        connection: the last one that used it.
        opened_at, used_at: seconds of the clock.
        progress: for a range in pages, how many rows and bytes precede a page, by the key that the page begins at.
        is_evictable: True if it may be closed to make room, because its client can continue without it.
        is_disconnected: True if its connection has ended; it is kept for some seconds, as its client may reconnect.
        users: requests that are reading from it.
    """

    id: bytes
    views: Mapping[Engine, ReadView]
    peer: str | None
    holder: object
    connection: bytes | None
    opened_at: float
    used_at: float
    progress: dict[bytes | None, tuple[int, int]] = Factory(dict)
    is_evictable: bool = False
    is_disconnected: bool = False
    users: int = 0

    def close(self) -> None:
        """Close the snapshot."""
        for view in self.views.values():
            view.close()


_MAX_ENDED: Final = 10_000
"""The number of ended connections that are remembered."""

_ABANDONED: Final = 10.0
"""Seconds of idleness after which a cursor may be evicted for another one of the same peer."""

_RECONNECT_TIME: Final = 5.0
"""Seconds that a cursor is kept after its connection has ended."""


class Cursors:
    """The cursors of one application; may be called from many threads at once.

    A cursor is closed when its client asks for that, when it was not used for ``max_idle`` seconds or is older than
    ``max_age``, and when its database is closed for any reason: a snapshot never blocks anything. It is also closed
    some seconds after its connection has ended. If there are ``max_count``, one of the peer with the most cursors is
    evicted for a peer that has fewer, and any one for a peer that has none, always the one that is idle for longest.
    So no client can exclude the others.

    Args:
        max_count: how many there may be.
        max_idle: seconds that one is kept between two requests.
        max_age: seconds that one is kept at most; LevelDB cannot reclaim space that a snapshot needs.
        clock: returns the time, in seconds.
    """

    def __init__(self, max_count: int, max_idle: float, max_age: float, clock: Callable[[], float] = monotonic) -> None:
        self._max_count, self._max_idle, self._max_age, self._clock = max_count, max_idle, max_age, clock
        self._cursors: dict[bytes, Cursor] = {}
        self._lock = threading.Lock()
        self._ended: dict[bytes | None, None] = {}  # the latest ones, whose requests may still be running

    def __len__(self) -> int:
        return len(self._cursors)

    def add(self, views: Mapping[Engine, ReadView], request: Request) -> Cursor:
        """Keep a snapshot, for the client that sent the request; it closes the views.

        Raises:
            ServerRuntimeError: there are too many; the caller still has to close the views.
        """
        with self._lock:
            if self._is_full():
                self._evict(request.context.holder)
            return self._add(views, request, is_evictable=False)

    def add_if_room(self, views: Mapping[Engine, ReadView], request: Request) -> Cursor | None:
        """Keep a snapshot that may be evicted, because its client can continue without it.

        Returns:
            None if there is no room; the caller still has to close the views.
        """
        with self._lock:
            if self._is_full() and not self._end_one([one for one in self._cursors.values() if one.is_disconnected]):
                return None
            return self._add(views, request, is_evictable=True)

    def _is_full(self) -> bool:
        self._expire()
        return len(self._cursors) >= self._max_count

    def _add(self, views: Mapping[Engine, ReadView], request: Request, *, is_evictable: bool) -> Cursor:
        id, now, is_disconnected = token_hex(16).encode(), self._clock(), request.context.connection in self._ended
        client = request.context.peer, request.context.holder, request.context.connection
        cursor = Cursor(id, views, *client, now, now, is_evictable=is_evictable, is_disconnected=is_disconnected)
        self._cursors[id] = cursor
        return cursor

    @contextmanager
    def reading(self, id: bytes, engine: Engine, request: Request) -> Iterator[Cursor]:
        """Use a cursor for a block, over the connection of the request; see ``begin_use``."""
        cursor = self.begin_use(id, engine, request.context.peer, "start the iteration again")
        try:
            with self._lock:
                cursor.holder, cursor.connection = request.context.holder, request.context.connection
                cursor.is_disconnected = request.context.connection in self._ended
            yield cursor
        finally:
            self.end_use(cursor)

    def begin_use(self, id: bytes, engine: Engine, peer: str | None, advice: str = "take another snapshot") -> Cursor:
        """Return a cursor of a client that may read the database, and keep its snapshot open until ``end_use``.

        A use shows that the client lives, whatever became of the connection over which it opened the cursor.

        Raises:
            CursorExpired: there is none with that id, or none of this engine, or it belongs to another client.
        """
        with self._lock:
            self._expire()
            cursor = self._find(id, engine, peer)
            if cursor is None:
                raise CursorExpired(
                    f"{CursorExpired.MESSAGE_PREFIX}it was not used for {self._max_idle:g} s, or is older than "
                    f"{self._max_age:g} s, or its database was closed or the server restarted meanwhile; {advice}"
                )
            cursor.users += 1
            cursor.is_disconnected = False
            return cursor

    def end_use(self, cursor: Cursor) -> None:
        """End a use of a cursor."""
        with self._lock:
            cursor.users -= 1
            cursor.used_at = self._clock()
            if not cursor.users and cursor.id not in self._cursors:
                cursor.close()

    def close(self, id: bytes, engine: Engine, request: Request) -> None:
        """Close a cursor; it is no error if there is none."""
        with self._lock:
            cursor = self._find(id, engine, request.context.peer)
            if cursor is not None:
                self._end(cursor)

    def connection_ended(self, connection: bytes) -> None:
        """Mark the cursors that a connection has used last, so that they are closed soon, or evicted.

        They are not closed immediately, because the client may reconnect.
        """
        with self._lock:
            self._ended[connection] = None
            if len(self._ended) > _MAX_ENDED:
                del self._ended[next(iter(self._ended))]
            for cursor in self._cursors.values():
                if cursor.connection == connection:
                    cursor.is_disconnected, cursor.used_at = True, self._clock()

    def close_engine(self, engine: Engine) -> None:
        """Close the cursors of an engine that is about to close, and that no request reads any more."""
        with self._lock:
            for cursor in [cursor for cursor in self._cursors.values() if engine in cursor.views]:
                self._end(cursor)

    def expire(self) -> None:
        """Close the cursors that are too old or idle for too long."""
        with self._lock:
            self._expire()

    def _find(self, id: bytes, engine: Engine, peer: str | None) -> Cursor | None:
        cursor = self._cursors.get(id)
        return cursor if cursor is not None and engine in cursor.views and cursor.peer == peer else None

    def _expire(self) -> None:
        now = self._clock()
        for cursor in list(self._cursors.values()):
            max_idle = min(self._max_idle, _RECONNECT_TIME) if cursor.is_disconnected else self._max_idle
            is_idle = not cursor.users and now - cursor.used_at > max_idle
            if is_idle or now - cursor.opened_at > self._max_age:
                self._end(cursor)

    def _end(self, cursor: Cursor) -> None:
        """Remove the cursor, with the lock held; the last request that reads from it closes the snapshot."""
        del self._cursors[cursor.id]
        if not cursor.users:
            cursor.close()

    def _evict(self, holder: object) -> None:
        cursors = list(self._cursors.values())
        if self._end_one([one for one in cursors if one.is_disconnected]) or self._end_one(
            [one for one in cursors if one.is_evictable]
        ):
            return
        held = Counter(one.holder for one in cursors)
        ((greediest, most),) = held.most_common(1)
        if most <= 1 and not held[holder]:
            self._end_one(cursors)
        elif most > held[holder] + 1:  # two peers must not evict each other's by turns
            self._end_one([one for one in cursors if one.holder == greediest])
        elif not self._end_one([one for one in cursors if one.holder == holder and self._is_abandoned(one)]):
            raise ServerRuntimeError(
                f"all {self._max_count} cursors are in use; close iterators that are no longer needed, try again "
                "later, or let the server have more of them (--max-cursors)"
            )

    def _is_abandoned(self, cursor: Cursor) -> bool:
        """Return True if its own peer has probably finished with it; a proxy's peer stands for many clients."""
        return not cursor.users and self._clock() - cursor.used_at > _ABANDONED

    def _end_one(self, cursors: list[Cursor]) -> bool:
        """Close the one of these that is idle for longest; return False if there are none."""
        if cursors:
            self._end(min(cursors, key=lambda one: (one.users > 0, one.used_at)))
        return bool(cursors)
