"""Session: the connections of one sync client, and the requests that it sends over them."""

import threading
import time
import warnings
from collections.abc import Callable

from pyelevator import commands
from pyelevator.client.pooling import BaseSession
from pyelevator.client.sync.pool import ConnectionPool, PendingResponse, PooledConnection
from pyelevator.codec import Codec
from pyelevator.deadlines import Deadline
from pyelevator.errors import TransportError
from pyelevator.flows import Effect, Send
from pyelevator.forks import FORKS
from pyelevator.messages import Request, Response
from pyelevator.protocol import RequestLimits
from pyelevator.transports import Transport


class Session(BaseSession):
    """The connections of one client to its server: any number of threads send at once, each over one of its own.

    After a fork the child leaves the parent's connections alone and opens its own. A session that is dropped with open
    connections warns (ResourceWarning); there is no warning for a fake, which holds nothing.
    """

    def __init__(
        self, transport: Transport, codec: Codec, max_connections: int, pool_timeout: float | None = None
    ) -> None:
        super().__init__(transport, codec, max_connections, pool_timeout)
        self._limits = RequestLimits()
        self._pool = self._new_pool()

    def _new_pool(self) -> ConnectionPool:
        transport, codec, limits = self.transport, self.codec, self._limits  # not self: the pool would keep it alive
        clone, heartbeat = transport.clone, transport.heartbeat
        return ConnectionPool(
            lambda: PooledConnection(clone, codec, limits), self._max_connections, self._pool_timeout, heartbeat
        )

    def send(self, request: Request, deadline: Deadline) -> Response:
        """Send a request, and return its response."""
        response = self.send_in_place(request.with_id(0), deadline)
        if type(request.command) is commands.DbConnect:
            self._limits.learn(response)
        return response

    def send_in_place(self, request: Request, deadline: Deadline) -> Response:
        """Send a request that no caller holds, and so need not be copied to get its id; raises as :meth:`send`."""
        pool = self._pool
        if pool.forks != FORKS.here[0]:  # as in ``_current_pool``, without a call: every request comes through here
            pool = self._current_pool()
        try:
            connection = pool._idle.pop()  # as in ``ConnectionPool.acquire``, without a call
        except IndexError:
            connection = pool.acquire(deadline)
        try:
            return connection.round_trip(request, deadline)
        except TransportError as error:
            pool.close_suspects(connection, error)
            raise
        finally:
            pool.release(connection)

    def send_nowait(self, request: Request, deadline: Deadline) -> PendingResponse | None:
        """Send a request over an idle connection, if one can be spared, and leave its response for later."""
        pool = self._current_pool()
        connection = pool.acquire_for_prefetch()
        if connection is None:
            return None
        try:
            return PendingResponse(pool, connection, connection.send(request.with_id(0), deadline))
        except BaseException:
            pool.release_prefetch(connection)
            raise

    def _current_pool(self) -> ConnectionPool:
        if self._pool.forks != FORKS.count:
            self._pool = self._new_pool()
        return self._pool

    def effect_handler(self, deadline: Deadline) -> Callable[[Effect], Response | None]:
        """Return what carries out the effects of a flow (see flows.drive), all before one deadline."""

        def perform(effect: Effect) -> Response | None:
            if isinstance(effect, Send):
                own = effect.request.context.deadline
                return self.send(effect.request, deadline if own is None else deadline.earlier(own))
            time.sleep(min(effect.seconds, deadline.remaining(), threading.TIMEOUT_MAX))
            return None

        return perform

    def close(self) -> None:
        """Close the connections; a later request opens new ones."""
        pool, self._pool = self._pool, self._new_pool()
        if pool.forks == FORKS.count:
            pool.close()

    def __del__(self, warn: Callable[..., None] = warnings.warn) -> None:
        pool = getattr(self, "_pool", None)
        if pool is not None and pool.forks == FORKS.count and pool.is_open:
            warn(
                f"a client of {self.transport.url} was dropped open; call its disconnect(), or use it in a with block",
                ResourceWarning,
                stacklevel=2,
                source=self,
            )
