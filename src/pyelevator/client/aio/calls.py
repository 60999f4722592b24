"""Calls under way on an event loop, the messages that carry them, and which calls of one turn travel together.

Where the server knows pipelines, they travel as one.
"""

import asyncio
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any, Final, Protocol

from attrs import Factory, define

from pyelevator.commands import Command, DbConnect, Delete, Exists, Get, Pipeline, Put
from pyelevator.commands.pipelines import chunk_commands
from pyelevator.deadlines import Deadline
from pyelevator.messages import Request, Response
from pyelevator.protocol import RequestLimits
from pyelevator.transports.base import AsyncTransport


class Carrier(Protocol):
    """A connection as its calls see it."""

    @property
    def transport(self) -> AsyncTransport:
        """The transport that sends them."""

    @property
    def is_spent(self) -> bool:
        """True once a reply has come that answers none of its requests."""

    def cancel(self, call: "PendingCall") -> None:
        """Give a call up."""

    def is_silent_since(self, call: "PendingCall") -> bool:
        """Return whether nothing was received since the call was sent."""


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
    connection: "Carrier | None" = None
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
"""How a server's refusal ends of what is over its limits only together; such a command was not executed."""


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
