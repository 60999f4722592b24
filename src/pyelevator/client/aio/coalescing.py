"""Coalescing: which calls of one turn of the event loop travel together, as a pipeline, where the server knows them."""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any, Final

from attrs import Factory, define

from pyelevator.client.aio.call import PendingCall, SentMessage
from pyelevator.commands import Command, DbConnect, Delete, Exists, Get, Pipeline, Put
from pyelevator.messages import Request, Response
from pyelevator.protocol import RequestLimits

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

    def observe(self, command: Command[Any], response: Response) -> None:
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
        yield from _chunks_by_size(batch) if batch[0].command.writes else _chunks(batch)


def _batch_key(call: PendingCall, peer: PeerFeatures) -> Hashable:
    """Return what the calls of a batch have in common; reads are not held up by writes, which take longer."""
    command = call.command
    if type(command) is DbConnect:
        return command  # one answer serves all calls that ask
    if not peer.pipelines or call.compression or call.is_unbatchable or type(command) not in _BATCHABLE:
        return id(call)
    return call.uid, command.writes


def _chunks(calls: Sequence[PendingCall]) -> Iterator[Sequence[PendingCall]]:
    return (calls[first : first + MAX_BATCH] for first in range(0, len(calls), MAX_BATCH))


def _chunks_by_size(calls: Sequence[PendingCall]) -> Iterator[Sequence[PendingCall]]:
    chunk: list[PendingCall] = []
    remaining = _MAX_BATCH_BYTES
    for call in calls:
        nbytes = _nbytes(call.command)
        if chunk and (len(chunk) >= MAX_BATCH or nbytes > remaining):
            yield chunk
            chunk, remaining = [], _MAX_BATCH_BYTES
        chunk.append(call)
        remaining -= nbytes
    yield chunk


def _nbytes(command: Command[Any]) -> int:
    return len(command.value) if isinstance(command, Put) else 0


def build_request(batch: Sequence[PendingCall]) -> Request[Any]:
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
