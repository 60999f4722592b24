"""A connection of the async client: a transport, the calls that it carries, and the messages that carry them.

Calls of one turn of the event loop travel together as a pipeline, where the server knows pipelines.
"""

import asyncio
import math
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from copy import copy
from itertools import chain
from typing import Any, Final

from attrs import Factory, define

from pyelevator.codec import Codec
from pyelevator.commands import Command, DbConnect, Delete, Exists, Get, Pipeline, Put
from pyelevator.commands.pipelines import chunk_commands
from pyelevator.deadlines import Deadline
from pyelevator.errors import ConnectFailed, MessageTooLarge, ProtocolError
from pyelevator.messages import Request, Response
from pyelevator.protocol import ClientProtocol, RequestLimits
from pyelevator.transports.base import AsyncTransport


@define(eq=False)
class PendingCall:
    """One command, from ``submit`` to its outcome.

    Attributes:
        command, uid, compression: what to send, as in a :class:`~pyelevator.messages.Request`.
        expires_at, seconds: until when the answer is wanted, as in a :class:`~pyelevator.deadlines.Deadline`.
        future: holds the outcome in the end: the payload of a plain success, or a Response.
        connection: that has taken it over; None while it waits for one.
        message: that carries it, once that is sent; None before.
        is_unbatchable: it must not travel with others.
    """

    command: Command
    uid: str | None
    compression: bool
    expires_at: float
    seconds: float
    future: "asyncio.Future[Any]"
    connection: "MultiplexedConnection | None" = None
    message: "SentMessage | None" = None
    is_unbatchable: bool = False

    @property
    def deadline(self) -> Deadline:
        """The end of the call; made on demand, because nearly no call gets there."""
        return Deadline(self.expires_at, self.seconds)

    def set_exception(self, error: Exception) -> None:
        """End it with an error."""
        if not self.future.done():
            self.future.set_exception(error)
            self.future.exception()  # a caller that was cancelled meanwhile never asks, and need not


@define(eq=False)
class SentMessage:
    """A message in flight on a connection.

    Attributes:
        id: its number there.
        request: what it says.
        calls: that it carries; None in the place of one that was given up.
        received_before: how many messages had come in when it was sent.
    """

    id: int
    request: Request
    calls: list[PendingCall | None]
    received_before: int


_BATCHABLE: Final = frozenset({Get, Put, Delete, Exists})
"""The commands that take little work each; a range would hold up the others' answers."""

MAX_BATCH: Final = 64
"""Calls in one message; more go in several, so that the server works on one while the answers to another are taken."""
_MAX_BATCH_BYTES: Final = 64 << 10
"""Bytes of values in one message, about."""
_SPLIT_SUFFIX: Final = "; split it"
"""The end of a server's refusal text for what is over its limits only together; such a command was not executed."""


@define
class PeerFeatures:
    """Features of the server at the other end, as far as they are known.

    Attributes:
        pipelines: it knows them.
        limits: how large requests may be.
    """

    pipelines: bool = False
    limits: RequestLimits = Factory(RequestLimits)

    def observe(self, command: Command, response: Response) -> None:
        """Take note of an answer: that to a DBCONNECT lists the server's features."""
        if type(command) is DbConnect:
            self.limits.learn(response)
        if response.features:
            self.pipelines = Pipeline.feature in response.features


def batches(calls: Iterable[PendingCall], peer: PeerFeatures) -> Iterator[Sequence[PendingCall]]:
    """Return the calls, those together that can travel together.

    They are all under way at the same time, so there is no order between them to keep.
    """
    alike: dict[Hashable, list[PendingCall]] = {}
    for call in calls:
        alike.setdefault(_batch_key(call, peer), []).append(call)
    for batch in alike.values():
        if len(batch) == 1:
            yield batch
        else:
            yield from chunk_commands(batch, [call.command for call in batch], MAX_BATCH, _MAX_BATCH_BYTES)


def _batch_key(call: PendingCall, peer: PeerFeatures) -> Hashable:
    """Return what the calls of a batch have in common; reads are not held up by writes, which take longer."""
    command = call.command
    if type(command) is DbConnect:
        return command  # one answer serves all calls that ask
    if not peer.pipelines or call.compression or call.is_unbatchable or type(command) not in _BATCHABLE:
        return id(call)
    return call.uid, command.writes


def build_request(batch: Sequence[PendingCall]) -> Request:
    """Build the request that carries a batch."""
    first = batch[0]
    if len(batch) == 1 or type(first.command) is DbConnect:
        return Request(first.command, first.uid, None, first.compression)
    return Request(Pipeline([call.command for call in batch]), first.uid)


def outcomes(response: Response, message: SentMessage) -> Sequence[Any]:
    """Return one outcome per call of a message: the payload of a plain success, or a Response."""
    if response.code is None and _is_coalesced(message):
        payload: Sequence[Any] = response.payload
        return payload
    return [response] * len(message.calls)


def is_unsupported(message: SentMessage, response: Response) -> bool:
    """Return whether the server does not know pipelines after all; nothing was executed then."""
    return _is_coalesced(message) and response.message == f"Command {Pipeline.verb} not handled"


def is_batch_too_large(outcome: Response, message: SentMessage) -> bool:
    """Return whether a call failed only because its batch exceeded a limit of the server's."""
    return outcome.message.endswith(_SPLIT_SUFFIX) and _is_coalesced(message)


def _is_coalesced(message: SentMessage) -> bool:
    """Return whether it is the pipeline of several calls, and not a pipeline that a caller has made."""
    return len(message.calls) > 1 and type(message.request.command) is Pipeline


class MultiplexedConnection:
    """A transport, the protocol on it, and the calls that it has taken over.

    What is added in one turn of the loop goes out together at its end. If the server knows pipelines, it goes in few
    messages, each of them as soon as it is full, so that the server begins while more is added.

    Attributes:
        received_count: how many messages have come in.
        is_closed: it must not carry another request.
        has_failed: a request on it got no answer.
        idle_since: when (seconds, monotonic) the last answer came that was waited for; long ago if none did.
    """

    def __init__(
        self,
        transport: AsyncTransport,
        codec: Codec,
        on_change: Callable[["MultiplexedConnection"], None],
        peer: PeerFeatures,
    ) -> None:
        self.transport = transport
        self.received_count = 0
        self.is_closed = self.has_failed = False
        self.idle_since = -math.inf
        self._protocol = ClientProtocol(codec, limits=peer.limits)
        self._on_change = on_change
        self._peer = peer
        self._unsent: dict[PendingCall, None] = {}
        self._sent: dict[int, SentMessage] = {}
        self._loop = asyncio.get_running_loop()
        self._is_flush_scheduled = False
        transport.open(self)

    @property
    def is_idle(self) -> bool:
        """True while no call waits for anything here."""
        return not self._sent and not self._unsent

    @property
    def has_unsent(self) -> bool:
        """True while there is something to send that cannot be sent."""
        return bool(self._unsent)

    @property
    def multiplexes(self) -> bool:
        """True once the server is known to echo ids, so that any number of requests may be in flight."""
        return self._protocol.echoes_ids and self.transport.multiplexed

    @property
    def is_spent(self) -> bool:
        """True once a reply has come that answers none of its requests: it carries what it has, and no more."""
        return self._protocol.must_close

    def is_silent_since(self, call: PendingCall) -> bool:
        """Return True if nothing was received since the call was sent, or if an unsent call had nothing before it."""
        return call.message.received_before == self.received_count if call.message else not self._sent

    def calls(self) -> Iterator[PendingCall]:
        """Return all that it has taken over, sent or not."""
        sent = chain.from_iterable(message.calls for message in self._sent.values())
        return chain((call for call in sent if call is not None), self._unsent)

    def add(self, call: PendingCall) -> None:
        """Take a call over."""
        call.connection = self
        self._unsent[call] = None
        if len(self._unsent) == MAX_BATCH and self._peer.pipelines:
            self._flush()
        elif not self._is_flush_scheduled:
            self._loop.call_soon(self._end_turn)
            self._is_flush_scheduled = True

    def _end_turn(self) -> None:
        self._is_flush_scheduled = False
        self._flush()

    def _flush(self) -> None:
        if not (self._protocol.echoes_ids or self._sent or self.is_closed):
            self.transport.deliver_unread()
        for batch in list(batches([call for call in self._unsent if not call.future.done()], self._peer)):
            if self.is_closed:
                break
            for call in batch:
                del self._unsent[call]
            if not self._send(batch):
                self._unsent = dict.fromkeys(batch) | self._unsent
                return
        if self.is_idle:
            self._on_change(self)

    def _send(self, batch: Sequence[PendingCall]) -> bool:
        """Send calls in one message, if the transport takes it."""
        try:
            request = build_request(batch)
            request_id, frames = self._protocol.submit(request)
        except Exception as error:  # noqa: BLE001 - what cannot be encoded fails its own calls only
            if isinstance(error, MessageTooLarge) and len(batch) > 1:
                self._resend(batch)
            else:
                self._fail(batch, error)
            return True
        message = self._sent[request_id] = SentMessage(request_id, request, list(batch), self.received_count)
        for call in batch:
            call.message = message
        try:
            is_taken = self.transport.send(frames)
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing more can be sent here
            self.connection_lost(error)
            return True
        if not is_taken:
            self._protocol.forget(request_id, sent=False)
            del self._sent[request_id]
            for call in batch:
                call.message = None
        return is_taken

    def message_received(self, frames: Sequence[bytes]) -> None:
        """Hand an answer to its calls."""
        self.received_count += 1
        try:
            matched = self._protocol.match(frames)
        except ProtocolError as error:
            if not self.multiplexes and self.received_count == 1 and not self._sent:  # it would come on each connection
                self._fail(self.detach_unsent(), error)
            self.connection_lost(error)
            return
        if matched is not None:
            self._answer(self._sent.pop(matched[0]), matched[1])
        if self._protocol.must_close:
            self.is_closed = True
        self._on_change(self)

    def _answer(self, message: SentMessage, read: Callable[[], Response]) -> None:
        try:
            response = read()
        except Exception as error:  # noqa: BLE001 - an answer that cannot be read fails its own calls only
            self.is_closed = True
            self._fail(message.calls, error)
            return
        self._peer.observe(message.request.command, response)
        if is_unsupported(message, response):
            self._peer.pipelines = False
            self._resend(message.calls)
            return
        for call, outcome in zip(message.calls, outcomes(response, message), strict=True):
            if call is not None and not call.future.done():
                if type(outcome) is Response and is_batch_too_large(outcome, message):
                    self._resend([call])
                else:
                    call.future.set_result(outcome)

    def _fail(self, calls: Iterable[PendingCall | None], error: Exception) -> None:
        """Fail calls; each gets an exception of its own, because a traceback hangs on it."""
        for call in calls:
            if call is not None:
                call.set_exception(copy(error))

    def _resend(self, calls: Sequence[PendingCall | None]) -> None:
        """Send calls that the server did not take together, each by itself."""
        for call in calls:
            if call is not None:
                call.message, call.is_unbatchable = None, True
                self.add(call)

    def resume_writing(self) -> None:
        """Send what had to wait for the connection."""
        self._flush()

    def connection_lost(self, error: Exception) -> None:
        """Fail what is in flight; where no connection came up, what waited for it as well."""
        self.is_closed = self.has_failed = True
        if isinstance(error, ConnectFailed):
            self._fail(self.detach_unsent(), error)
        sent, self._sent = self._sent, {}
        self._fail(chain.from_iterable(message.calls for message in sent.values()), error)
        self._on_change(self)

    def cancel(self, call: PendingCall) -> None:
        """Give a call up; it costs no other call its answer."""
        message = call.message
        if message is None:
            if self._unsent.pop(call, self) is None:
                self._on_change(self)
        elif message.id in self._sent and call in message.calls:
            message.calls[message.calls.index(call)] = None
            if not any(message.calls):
                self._forget(message)
            self._on_change(self)

    def _forget(self, message: SentMessage) -> None:
        """Forget a message that no call waits for. Without ids its late answer would pass for another one's."""
        del self._sent[message.id]
        self._protocol.forget(message.id)
        self.has_failed = self.has_failed or not self.multiplexes
        self.is_closed = self.is_closed or self.has_failed

    def detach_unsent(self) -> list[PendingCall]:
        """Return the calls that are not sent yet, and carry them no more."""
        calls, self._unsent = list(self._unsent), {}
        for call in calls:
            call.connection = None
        return calls

    def close(self) -> None:
        """Close the transport; nothing is received any more, and the calls are no longer its own."""
        self.is_closed = True
        self._sent, self._unsent = {}, {}
        self.transport.close()
