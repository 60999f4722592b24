"""Tasks: requests whose flows, the interceptors around the router, run in the proxy.

A flow runs until its next effect: to send (it waits for a connection, then for the answer), or to sleep.
"""

import heapq
import logging
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import count
from typing import Any, Final

from pyelevator.errors import ElevatorError, ErrorCode, RequestTimeout, ServerError
from pyelevator.flows import Forward, Sleep, encode_failures
from pyelevator.messages import Request, Response
from pyelevator.protocol import IncomingRequest
from pyelevator.proxy.actions import Action, SendToUpstream
from pyelevator.proxy.pool import ConnectionState, ProxyClient, RequestTask, UpstreamPool
from pyelevator.proxy.routing import SendTo

_LOG: Final = logging.getLogger("pyelevator.proxy")


class RequestTasks:
    """Runs the flows of requests, each of which may take ``timeout`` seconds at an upstream, waiting included.

    ``act`` takes what is to be done, and ``finished`` a client, its request and the one answer to it.

    Attributes:
        now: seconds, any monotonic clock, set by the caller.
    """

    def __init__(
        self,
        answer: Forward,
        pools: Mapping[str, UpstreamPool],
        timeout: float,
        act: Callable[[Action], None],
        finished: Callable[[ProxyClient, IncomingRequest, Response], None],
    ) -> None:
        self._answer, self._pools, self._timeout = answer, pools, timeout
        self._act, self._finished = act, finished
        self._timers: list[tuple[float, int, int, RequestTask]] = []
        self._order = count()
        self.now = 0.0

    def start(self, client: ProxyClient, incoming: IncomingRequest, request: Request) -> None:
        """Start the flow of a client's request."""
        task = RequestTask(client, incoming, self._answer(request), request)
        self._step(task, partial(next, task.flow))

    def _step(self, task: RequestTask, resume: Callable[[], object]) -> None:
        """Run the flow to its next effect, or to its end."""
        task.step += 1
        try:
            effect = resume()
        except StopIteration as stop:
            self._finish(task, stop.value)
        except Exception as error:  # noqa: BLE001 - every request gets an answer
            self._finish(task, _failure(error))
        else:
            _PERFORM[type(effect)](self, task, effect)

    def _finish(self, task: RequestTask, response: object) -> None:
        if not isinstance(response, Response):
            _LOG.error("an interceptor answered %s, not a Response", type(response).__name__)
            response = Response.failure(ErrorCode.RUNTIME, "the proxy failed on this request; its log says more")
        self._finished(task.client, task.incoming, encode_failures(task.incoming.request, response, _failure))

    def on_timer(self) -> None:
        """Resume or time out the tasks whose time has come."""
        while self._timers and self._timers[0][0] <= self.now:
            _, _, step, task = heapq.heappop(self._timers)
            if step == task.step:
                self._on_timeout(task)

    def next_timeout(self) -> float | None:
        """Return when ``on_timer`` is due; None if there is nothing to wait for."""
        while self._timers and self._timers[0][2] != self._timers[0][3].step:
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    # Effects

    def _send(self, task: RequestTask, effect: SendTo) -> None:
        pool = self._pools[effect.upstream]
        task.request = effect.request
        pool.waiting.append(task)
        task.cancel = partial(pool.waiting.remove, task)
        task.expires_at = self.now + self._timeout
        self._set_timer(task, self._timeout)
        self.serve_waiting(pool)

    def _sleep(self, task: RequestTask, effect: Sleep) -> None:
        task.cancel = None
        self._set_timer(task, effect.seconds)

    def _set_timer(self, task: RequestTask, seconds: float) -> None:
        heapq.heappush(self._timers, (self.now + seconds, next(self._order), task.step, task))

    def _on_timeout(self, task: RequestTask) -> None:
        """Go on with a task that slept long enough, or whose upstream took too long."""
        cancel, task.cancel = task.cancel, None
        if cancel is None:
            self._step(task, partial(task.flow.send, None))
        else:
            cancel()
            self.fail([task], RequestTimeout(f"no answer from upstream within {self._timeout} s"))

    # Connections

    def serve_waiting(self, pool: UpstreamPool) -> None:
        """Send waiting requests on idle connections."""
        while pool.waiting:
            connection = pool.connection_for(pool.waiting[0].client)
            if connection is None:
                return
            self._send_on(pool, connection, pool.waiting.popleft())

    def _send_on(self, pool: UpstreamPool, connection: ConnectionState, task: RequestTask) -> None:
        try:
            number, frames = connection.protocol.submit(task.request)
        except ElevatorError as error:
            self.fail([task], error)
            return
        connection.tasks[number] = task
        task.cancel = partial(self._cancel, pool, connection, number)
        name, is_alone = pool.upstream.name, not pool.echoes_ids
        self._act(SendToUpstream(name, connection.number, frames, task.expires_at, is_alone))
        pool.update_reading(connection)

    def deliver(self, pool: UpstreamPool, connection: ConnectionState, number: int, response: Response) -> None:
        """Give a task the answer that has come on a connection."""
        pool.observe_reply(connection.protocol.echoes_ids or pool.echoes_ids)
        task = connection.tasks.pop(number)
        if connection.protocol.must_close and not connection.is_retired:
            pool.retire(connection)
        pool.update_reading(connection)
        self._step(task, partial(task.flow.send, response))

    def _cancel(self, pool: UpstreamPool, connection: ConnectionState, number: int) -> None:
        """Give up a request in flight: it is forgotten where replies carry ids, else its connection is reset."""
        connection.tasks.pop(number)
        if pool.echoes_ids:
            connection.protocol.forget(number)
            connection.has_expired_requests = True
            pool.update_reading(connection)
            pool.reset_if_drained(connection)
        else:
            pool.reset(connection)
        self.serve_waiting(pool)

    def fail(self, tasks: Iterable[RequestTask], error: ElevatorError) -> None:
        """Fail tasks that wait for a connection or for an answer."""
        for task in tasks:
            self._step(task, partial(task.flow.throw, error))


_PERFORM: Final[Mapping[type, Callable[[RequestTasks, RequestTask, Any], None]]] = {
    SendTo: RequestTasks._send,
    Sleep: RequestTasks._sleep,
}
"""Effect -> how it is carried out."""


def _failure(error: Exception) -> Response:
    """Return the failure that a client gets for an error on the way."""
    if isinstance(error, ServerError):
        return Response.from_error(error)
    if isinstance(error, ElevatorError):
        return Response.failure(ErrorCode.RUNTIME, f"proxy: {error}")
    _LOG.error("a request failed", exc_info=error)
    return Response.failure(ErrorCode.RUNTIME, f"internal error of the proxy: {type(error).__name__}")
