"""The two halves of the protocol: which reply answers which request, and the reply to a request's frames.

Sans-I/O: no socket, no clock.
"""

import os
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from itertools import accumulate, chain, count, repeat
from math import inf
from operator import rshift
from typing import TYPE_CHECKING, Final, TypeAlias

from attrs import evolve

from pyelevator._attrs import hot_value
from pyelevator.codec import DIALECTS, Codec, Limits, dialect_of
from pyelevator.codec.weight import LIGHT
from pyelevator.commands import Command, Ping, Pipeline, Range, Slice, Snapshot
from pyelevator.errors import ErrorCode, MalformedMessage, MessageTooLarge, ProtocolError
from pyelevator.messages import CallContext, Request, Response

if TYPE_CHECKING:
    from logging import Logger

Application: TypeAlias = Callable[[Request], Response]
"""Answers requests; never raises."""


Refuses: TypeAlias = Callable[[Request], Response | None]
"""Gives the answer to a request that is not allowed, of which only the outline is known; else None."""

_WORD_BYTES: Final = 4
_BLOCK_BYTES: Final = 64 * _WORD_BYTES
"""Random bytes that are read at once. A signal does not interrupt the reading of up to 256, see getrandom(2)."""

_SURPLUS_BITS: Final = 8
"""Bits of a random word that are left out: with steps of 24 bits, a connection has 2**41 requests before it has no ids,
and a thousand million before they are over 2**53, and lost on peers that have floating point only."""


def unguessable_ids() -> Iterator[int]:
    """Return ids for the requests of one connection: each is larger than the one before, by a random step.

    So an answer that comes before its request, under an id that is to come, answers nothing; nor does one that comes to
    another connection or another process than its own. A generator of Python's would not do: a server can tell from
    many of its numbers which one comes next, and a forked process has its state in common with its parent.
    """
    # No function of Python's takes part, as an interrupt within it would end the iterator.
    blocks = map(os.urandom, repeat(_BLOCK_BYTES))
    words = chain.from_iterable(map(partial(array, "I"), blocks))
    steps = filter(None, map(rshift, words, repeat(_SURPLUS_BITS)))
    return accumulate(steps, initial=1 + int.from_bytes(os.urandom(_WORD_BYTES)))


class RequestLimits:
    """The maximum size of a request to each database, as the server said with the database's uid.

    Attributes:
        smallest: bytes that a request to any database may have.
    """

    def __init__(self) -> None:
        self.smallest = inf
        self._of: dict[str, int] = {}

    def learn(self, response: Response) -> None:
        """Take note of the answer to a DBCONNECT."""
        if response.code is None and isinstance(response.payload, bytes):
            uid = response.payload.decode("utf-8", "surrogateescape")
            if response.max_message is None:
                self._of.pop(uid, None)
            else:
                self._of[uid] = response.max_message
            self.smallest = min(self._of.values(), default=inf)

    def check(self, uid: str | None, frames: Sequence[bytes]) -> None:
        """Refuse a request that the server would refuse.

        Raises:
            MessageTooLarge: it is over the limit.
        """
        size, limit = max(map(len, frames)), self._of.get(uid or "", inf)
        if size > limit:
            error = MessageTooLarge(
                f"a request of {size:,} bytes is over the server's limit of {limit:,}, and was not sent; "
                "send it in parts, or raise --max-message of the server"
            )
            error.size, error.limit = size, int(limit)
            raise error


_REFUSALS: Final = frozenset({ErrorCode.REQUEST, ErrorCode.VALUE, ErrorCode.RUNTIME})
"""What a server that echoes ids may answer without one: it could not read what it got, nor its id."""

_ANY: Final = Request(Ping())
"""Stands for a request that is in flight past a :class:`ClientProtocol`."""


class ClientProtocol:
    """The client's half: the requests in flight on one connection, and the request of each reply.

    Every request gets an id. A server that echoes ids may answer in any order (``echoes_ids``). One that does not gets
    one request at a time, and its reply is that request's: a connection whose request was given up is replaced and
    never used again.

    Args:
        codec: of what the server speaks.
        first: the first id, to count on from; unguessable ones if None.
        limits: how large the requests may be, where that is known.
    """

    def __init__(self, codec: Codec, first: int | None = None, limits: RequestLimits | None = None) -> None:
        self.codec = codec
        self._limits = limits or RequestLimits()
        self.echoes_ids = False
        self.must_close = False
        """True once a reply came that answers no request, or may still come: the connection must carry no other."""
        self.pending: dict[int, Request] = {}
        """The requests in flight, by their ids; for reading only."""
        self._ids: Iterator[int] = unguessable_ids() if first is None else count(first)
        self._last: Request | None = None
        self._forgotten: set[int] = set()

    def next_id(self) -> int:
        """Return an id for a message on the same connection that is sent past this object."""
        return next(self._ids)

    def submit(self, request: Request) -> tuple[int, list[bytes]]:
        """Register a request; return its id and its frames.

        Raises:
            UnsupportedByDialect, MissingExtra: as the codec; nothing is in flight then.
            MessageTooLarge: nor then.
        """
        request_id = next(self._ids)
        return request_id, self.register(request.with_id(request_id))

    def register(self, request: Request) -> list[bytes]:
        """Register a request under the id that it has, which no other here may have; return its frames.

        Raises:
            UnsupportedByDialect, MissingExtra, MessageTooLarge: as ``submit``.
        """
        frames = self.codec.encode_request(request)
        if len(frames[-1]) > self._limits.smallest:
            self._limits.check(request.uid, frames)
        self.pending[request.id] = self._last = request  # type: ignore[index]
        return frames

    def receive(self, frames: Sequence[bytes]) -> tuple[int, Response] | None:
        """Return the id of the request that a reply answers, and the response; None if it answers none in flight.

        Raises:
            MalformedMessage, LimitExceeded: it is not known what the frames answer; the connection is of no more use.
        """
        last = self._last
        response = None if last is None else self.codec.minimal_response(frames, last)
        if last is not None and response is not None:  # nearly always, where one waits for each answer
            self.echoes_ids, self._last = True, None
            if self.pending.pop(last.id, None) is not None:  # type: ignore[arg-type]
                return last.id, response  # type: ignore[return-value]
        matched = self.match(frames)
        return None if matched is None else (matched[0], matched[1]())

    def match(self, frames: Sequence[bytes]) -> tuple[int, Callable[[], Response]] | None:
        """Return the id of the request that a reply answers, and a function that decodes the response.

        So a reply that cannot be read costs its own request the answer, and no other.

        Raises:
            MalformedMessage, LimitExceeded: it is not known what the frames answer; the connection is of no more use.
        """
        echoed, read = self.codec.open_reply(frames)
        if echoed is None and self.echoes_ids and not self._is_refusal(read):
            self.must_close = True
            return None
        request_id = self._answered_by(echoed)
        request = self.pending.pop(request_id, None)
        if request is not None:
            return request_id, partial(read, request)
        if request_id in self._forgotten:
            self._forgotten.remove(request_id)
        else:
            self.must_close = True
        return None

    def forget(self, request_id: int, *, sent: bool = True) -> None:
        """Give up a request: should its reply still come (not if it was never sent), it answers nothing."""
        if self.pending.pop(request_id, None) is not None and sent:
            self._forgotten.add(request_id)

    def _is_refusal(self, read: Callable[[Request], Response]) -> bool:
        """Return True if a reply without an id refuses a request of which the server could not read the id."""
        return read(next(iter(self.pending.values()), _ANY)).code in _REFUSALS

    def _answered_by(self, echoed: int | None) -> int:
        """Return the id of the request that a reply answers: the echoed one, or that of the only one in flight."""
        if echoed is not None:
            self.echoes_ids = True
            return echoed
        request_id = self._sole_request()
        if self.pending[request_id].command.verb in self.codec.answered_twice:
            self.must_close = True
        return request_id

    def _sole_request(self) -> int:
        if self._forgotten:
            raise MalformedMessage("a reply without an id came, and may answer a request that was given up")
        if len(self.pending) != 1:
            raise MalformedMessage(f"a reply without an id came while {len(self.pending)} requests were in flight")
        (request_id,) = self.pending
        return request_id


def _log() -> "Logger":
    import logging  # which is no quick import, and clients have no use for it

    return logging.getLogger("pyelevator.protocol")


_MAX_HOPS: Final = 16
_MAX_ADDRESS_BYTES: Final = 255


def split_envelope(frames: Sequence[bytes]) -> tuple[Sequence[bytes], Sequence[bytes]]:
    """Split a message into its envelope, up to its empty delimiter, and the message itself.

    A REQ socket sends a delimiter, and knows its replies by it; devices between it and us put the addresses before it
    that the reply takes back. So the envelope has to be put before each reply as it came. Peers of other kinds send
    none. What is longer than any envelope is part of the message.

    >>> split_envelope([b"", b"request"]), split_envelope([b"request"])
    (([b''], [b'request']), ((), [b'request']))
    """
    for place, frame in enumerate(frames[: min(len(frames) - 1, _MAX_HOPS)], 1):
        if not frame:
            return frames[:place], frames[place:]
        if len(frame) > _MAX_ADDRESS_BYTES:
            break
    return (), frames


@hot_value
class IncomingRequest:
    """One incoming message, decoded as far as possible, and the way to its one answer.

    Attributes:
        codec: of the dialect that the message is in.
        request: None if the message is not one.
        refusal: then, what to answer.
        envelope: what is put before the answer, see :func:`split_envelope`.
        compression: whether a message that is no request asks for a compressed answer.
    """

    codec: Codec
    request: Request | None
    refusal: Response | None = None
    envelope: Sequence[bytes] = ()
    compression: bool = False

    @property
    def command(self) -> Command | None:
        """The command of the request; None if there is no request."""
        return None if self.request is None else self.request.command

    @property
    def kind(self) -> type[Command] | None:
        """The type of the command."""
        return None if self.request is None else type(self.request.command)

    @property
    def has_id(self) -> bool:
        """True if the client sent an id."""
        message = self.request or self.refusal
        return message is not None and message.id is not None

    def answer(self, application: Application) -> list[bytes]:
        """Return the frames of the answer; there is always one."""
        if self.request is None:
            return self.encode(self.refusal or Response())
        return self.encode(application(self.request))

    def encode(self, response: Response) -> list[bytes]:
        """Return the frames of ``response``, or of a failure if it cannot be encoded."""
        request = Request(Ping(), None, response.id, True) if self.compression else self.request
        try:
            if response.id is None and self.request is not None and self.request.id is not None:
                response = evolve(response, id=self.request.id)  # which an interceptor has left out
            if response.features:
                own, upstream_limit = self.codec.limits.frame_bytes, response.max_message  # here, and by servers behind
                response = evolve(response, max_message=own if upstream_limit is None else min(own, upstream_limit))
            frames = self.codec.encode_response(response, request)
        except Exception:  # noqa: BLE001 - whatever it is, the client gets its one answer
            _log().exception("an answer could not be encoded")
            failure = Response.failure(ErrorCode.RUNTIME, "the answer cannot be encoded", response.id)
            frames = self.codec.encode_response(failure, request)
        return [*self.envelope, *frames] if self.envelope else frames

    def encode_minimal(self, response: Response) -> list[bytes]:
        """Return what ``encode`` does, sooner, for a response that is minimal: it tells no features."""
        if self.envelope or self.compression:
            return self.encode(response)
        try:
            return self.codec.encode_response(response, self.request)
        except Exception:  # noqa: BLE001 - as above, where it is logged
            return self.encode(response)


_KEPT: Final = frozenset({Range, Slice, Pipeline, Snapshot})
"""The commands for which something may be kept until the next request over the same connection."""

_context_of: Final = lru_cache(1024)(CallContext)
"""The context of the requests over a connection: made once, not for each of them."""


class RequestDecoder:
    """Decodes messages of any dialect.

    Args:
        limits: what is taken from peers.
        codecs: of further dialects; each message belongs to the first that recognizes it.
        refuses: takes the outline of a large request and gives the answer to one that is not allowed, else None.
    """

    def __init__(
        self, limits: Limits | None = None, codecs: Sequence[Codec] = (), refuses: Refuses | None = None
    ) -> None:
        self._refuses = refuses
        self.limits = limits or Limits()
        self._codecs: Mapping[str, Codec] = {name: codec(self.limits) for name, codec in DIALECTS.items()}
        self._classic = self._codecs["classic"]
        self._further = tuple(codecs)

    @property
    def has_further(self) -> bool:
        """True if there are codecs of further dialects, which look at each message."""
        return bool(self._further)

    def read(
        self, frames: Sequence[bytes], peer: str | None = None, connection: bytes | None = None
    ) -> IncomingRequest:
        """Decode a message, whatever it holds.

        Args:
            frames: of the message.
            peer: the client that sent it, where that is known.
            connection: over which it came.

        Returns:
            The request or its refusal.
        """
        request = None if self._further else self._classic.minimal_request(frames)
        if request is None:
            return self._read(frames, peer, connection)
        if peer is not None or type(request.command) in _KEPT:
            # In place, because nothing else holds what was just made
            request.__dict__["context"] = _context_of(peer, connection, None, request.context.row_sink)
        return IncomingRequest(self._classic, request)

    def _read(self, frames: Sequence[bytes], peer: str | None, connection: bytes | None) -> IncomingRequest:
        envelope: Sequence[bytes] = ()
        codec = self._recognized(frames) if self._further else None
        if codec is None:
            if len(frames) > 1:
                envelope, frames = split_envelope(frames)
            codec = (self._recognized(frames) if envelope else None) or self._codecs[dialect_of(frames)]
        try:
            refusal = self._refusal(codec, frames, peer, connection)
            if refusal is not None:
                return IncomingRequest(codec, None, refusal, envelope)
            request = codec.decode_request(frames)
            if peer is not None or type(request.command) in _KEPT:
                sink = request.context.row_sink
                context = CallContext(peer, connection, None, sink) if sink else _context_of(peer, connection)
                request = request.with_context(context)
            return IncomingRequest(codec, request, None, envelope)
        except ProtocolError as error:
            _log().info("refused a message: %s", error)
            refusal = Response.failure(error.code, str(error), error.request_id)
            return IncomingRequest(codec, None, refusal, envelope, error.compression)

    def _refusal(
        self, codec: Codec, frames: Sequence[bytes], peer: str | None, connection: bytes | None
    ) -> Response | None:
        """Return the answer to a large request that its client may not make, before its arguments are decoded."""
        if self._refuses is None or len(frames[-1]) <= LIGHT:
            return None
        outline = codec.outline(frames)
        return None if outline is None else self._refuses(outline.with_context(CallContext(peer, connection)))

    def _recognized(self, frames: Sequence[bytes]) -> Codec | None:
        return next((codec for codec in self._further if codec.recognizes(frames)), None)
