"""Requests that are passed through unread, where the proxy need not look into them.

That is so where there is no interceptor, one upstream, which echoes ids and speaks classic, and a classic client that
sends ids. Everything else, and what cannot be read, is a task (:mod:`pyelevator.proxy.tasks`). Passing
through makes no commands of requests and does not read the content of answers. Upstream each has an id of the proxy's
own.
"""

from collections.abc import Iterator, Sequence
from heapq import heappop, heappush
from itertools import takewhile
from typing import Final, TypeAlias

from pyelevator.application.monitoring.monitor import Monitor
from pyelevator.codec import ClassicCodec, Limits
from pyelevator.codec.classic.arguments import BY_WIRE_VERB
from pyelevator.codec.classic.forwarding import peek_reply, peek_request, request_with_id, success_header, with_id
from pyelevator.codec.classic.payloads import cursor_of
from pyelevator.commands import Unknown
from pyelevator.errors import ErrorCode
from pyelevator.messages import Response, Status
from pyelevator.proxy.actions import SendToClient, SendToUpstream
from pyelevator.proxy.pool import ConnectionState, ForwardedRequest, ProxyClient, UpstreamPool

_KINDS: Final = {verb: kind for verb, (kind, _) in BY_WIRE_VERB.items()}
_ERROR_CODES: Final = tuple(ErrorCode)

ForwardedReply: TypeAlias = tuple[ForwardedRequest, SendToClient]
"""A request that was passed on, and its one answer."""


class PassThrough:
    """Requests that are passed through to the one upstream, and counted."""

    def __init__(self, pool: UpstreamPool, timeout: float, limits: Limits, monitor: Monitor) -> None:
        self._pool, self._monitor, self._counts = pool, monitor, monitor.counts
        self._name = pool.upstream.name
        self._timeout = timeout
        self._limits = limits
        self._codec = ClassicCodec(limits)
        self._timers: list[tuple[float, int, ConnectionState]] = []

    def forward(self, client: ProxyClient, frames: Sequence[bytes], now: float) -> SendToUpstream | None:
        """Return what to forward; None if the request cannot be passed through."""
        message = peek_request(frames, self._limits) if self._pool.echoes_ids else None
        if message is None:
            return None
        connection, given = self._pool.own_connection(client), message[b"meta"][b"id"]
        number = connection.protocol.next_id()
        try:
            frame = request_with_id(number, frames[0], message)
        except (TypeError, ValueError, OverflowError):
            return None
        expires_at = now + self._timeout
        kind = _KINDS.get(message[b"cmd"], Unknown)
        self._counts[kind] += 1
        connection.forwarded[success_header(number)] = pending = ForwardedRequest(
            client, given, len(frames[0]), expires_at, kind
        )
        if b"cursor" in message[b"meta"]:
            pending.uid, pending.cursor = message[b"uid"], message[b"meta"][b"cursor"]
        if not connection.has_timer:
            self._set_timer(connection, expires_at)
        return SendToUpstream(self._name, connection.number, [frame], expires_at)

    def deliver(self, connection: ConnectionState, frames: Sequence[bytes]) -> ForwardedReply | None:
        """Return the answer to a request on the connection; None if the message is none, or cannot be read."""
        pending = connection.forwarded.pop(frames[0], None) if len(frames) == 2 else None
        if pending is None:
            return self._deliver_other(connection, frames)
        connection.protocol.echoes_ids = True
        return pending, SendToClient(pending.client.identity, [success_header(pending.id), frames[1]])

    def _deliver_other(self, connection: ConnectionState, frames: Sequence[bytes]) -> ForwardedReply | None:
        """Return an answer with another header than a plain success has."""
        header = peek_reply(frames, self._limits)
        pending = None if header is None else connection.forwarded.pop(success_header(header[b"id"]), None)
        if header is None or pending is None:
            return None
        pending.opened_cursor = pending.sent_cursor if header.get(b"status") == Status.FAILURE else cursor_of(header)
        if header.get(b"err_code") in _ERROR_CODES:
            self._monitor.count_failure(pending.kind, ErrorCode(header[b"err_code"]))
        try:
            frames = [with_id(header, pending.id, header), frames[1]]
        except (TypeError, ValueError, OverflowError):
            return self._failed(pending, "the answer from upstream cannot be passed on")
        return pending, SendToClient(pending.client.identity, frames)

    def _set_timer(self, connection: ConnectionState, expires_at: float) -> None:
        connection.has_timer = True
        heappush(self._timers, (expires_at, connection.number, connection))

    def expire(self, now: float) -> Iterator[ForwardedReply]:
        """Fail the requests whose time is over; should their answers still come, they are dropped."""
        while self._timers and self._timers[0][0] <= now:
            _, _, connection = heappop(self._timers)
            connection.has_timer = False
            for header, pending in list(
                takewhile(lambda item: item[1].expires_at <= now, connection.forwarded.items())
            ):
                del connection.forwarded[header]
                connection.has_expired_requests = True
                yield self._failed(pending, f"no answer from upstream within {self._timeout} s")
            self._pool.reset_if_drained(connection)
            first = next(iter(connection.forwarded.values()), None)
            if first is not None and not connection.has_timer:
                self._set_timer(connection, first.expires_at)

    def next_timeout(self) -> float | None:
        """Return when to call ``expire``; None if no request is in flight."""
        return self._timers[0][0] if self._timers else None

    def fail_all(self, connection: ConnectionState, error: Exception) -> Iterator[ForwardedReply]:
        """Fail all requests on a connection that has ended."""
        unanswered, connection.forwarded = connection.forwarded, {}
        for pending in unanswered.values():
            yield self._failed(pending, str(error))

    def _failed(self, pending: ForwardedRequest, reason: str) -> ForwardedReply:
        pending.opened_cursor = pending.sent_cursor
        self._monitor.count_failure(pending.kind, ErrorCode.RUNTIME)
        failure = Response.failure(ErrorCode.RUNTIME, f"proxy: {reason}", pending.id)
        return pending, SendToClient(pending.client.identity, self._codec.encode_response(failure, None))
