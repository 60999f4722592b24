"""The responder: from the frames of a message to the frames of its response, whatever fails on the way."""

import logging
from collections.abc import Callable, Sequence
from typing import Final

from pyelevator.application import Application
from pyelevator.application.limits import size_of
from pyelevator.application.monitoring.monitor import Monitor
from pyelevator.application.response_space import response_space
from pyelevator.codec import ClassicCodec
from pyelevator.errors import ErrorCode
from pyelevator.messages import Request, Response
from pyelevator.protocol import IncomingRequest, RequestDecoder, split_envelope
from pyelevator.server.repeats import reads_and_writes
from pyelevator.server.response_budget import LARGE

_LOG = logging.getLogger("pyelevator.server")

_MAX_COMPRESSED: Final = 64 << 10
"""Bytes of a response from on which compressing it takes long (about a tenth of a millisecond)."""

_FAILED: Final = "the server failed on this request; its log says more"


class Responder:
    """Decodes messages, has an application respond, and encodes the responses.

    Codecs and applications must not raise; if they do, the client still gets a response.

    Attributes:
        latest: the message of the last call of ``try_respond``.
    """

    def __init__(self, application: Application, decoder: RequestDecoder, monitor: Monitor) -> None:
        self.latest: IncomingRequest | None = None
        self._application = application
        self._monitor, self._answered = monitor, monitor.answered
        self._decoder = decoder

    def decode(self, frames: Sequence[bytes], peer: str | None, connection: bytes) -> IncomingRequest:
        """Decode a message of a peer, as its handshake proved it, that came over a connection."""
        try:
            return self._decoder.read(frames, peer, connection)
        except Exception:  # noqa: BLE001 - see above
            _LOG.exception("a message could not be read")
            refusal = Response.failure(ErrorCode.REQUEST, "the message cannot be read")
            return IncomingRequest(ClassicCodec(), None, refusal, split_envelope(frames)[0])

    def try_respond(self, incoming: IncomingRequest, *, is_limited: bool = False) -> list[bytes] | None:
        """Return the frames of the response, or None if that would take waiting or much work.

        If it is limited, the space for a value is taken before it is packed.

        Raises:
            OutOfSpace: there is none.
        """
        self.latest, request = incoming, incoming.request
        if request is None:
            return self._refuse(incoming)
        if request.compression and reads_and_writes(request.command):
            return None
        try:
            response = self._application.try_handle(request)
        except Exception:  # noqa: BLE001 - see above
            response = self._failure(incoming)
        if response is None or (request.compression and size_of(response.payload) >= _MAX_COMPRESSED):
            return None
        if is_limited:
            _take_space(response)
        self._answered.append(type(request.command))
        if response.is_minimal:  # which a failure never is
            return incoming.encode_minimal(response)
        self._monitor.count_outcome(request, response)
        return incoming.encode(response)

    def try_anywhere(self, incoming: IncomingRequest) -> list[bytes] | None:
        """Do the same in any thread, and take the space for a value before it is packed.

        Raises:
            OutOfSpace: there is none.
        """
        return self._execute(incoming, self._application.try_handle)

    def respond(self, incoming: IncomingRequest) -> list[bytes]:
        """Return the frames of the response, however long that takes.

        Raises:
            OutOfSpace: there is no space for it.
        """
        return self._execute(incoming, self._application) or []  # which always responds

    def _execute(self, incoming: IncomingRequest, handle: Callable[[Request], Response | None]) -> list[bytes] | None:
        request = incoming.request
        if request is None:
            return self._refuse(incoming)
        try:
            response = handle(request)
        except Exception:  # noqa: BLE001 - see above
            response = self._failure(incoming)
        if response is None:
            return None
        _take_space(response)
        self._monitor.count(request, response)
        return incoming.encode(response)

    def respond_together(self, messages: Sequence[IncomingRequest]) -> list[list[bytes]]:
        """Return the frames of the responses to requests of one queue."""
        requests = [incoming.request for incoming in messages if incoming.request is not None]
        try:
            responses = self._application.respond_together(requests)
        except Exception:  # noqa: BLE001 - see above
            responses = [self._failure(incoming) for incoming in messages]
        for request, response in zip(requests, responses, strict=True):
            self._monitor.count(request, response)
        return [incoming.encode(response) for incoming, response in zip(messages, responses, strict=True)]

    def expire(self, incoming: IncomingRequest) -> list[bytes]:
        """Return the frames of the response to a request that has waited too long."""
        request_id = None if incoming.request is None else incoming.request.id
        return incoming.encode(self._application.expired(request_id))

    def _refuse(self, incoming: IncomingRequest) -> list[bytes]:
        self._monitor.refused += 1
        return incoming.encode(incoming.refusal or Response())

    def _failure(self, incoming: IncomingRequest) -> Response:
        _LOG.exception("the application raised")
        return Response.failure(ErrorCode.RUNTIME, _FAILED, incoming.request.id if incoming.request else None)


def _take_space(response: Response) -> None:
    """Take the space for a large value before it is packed; rows and outcomes have taken theirs as they came."""
    if type(response.payload) is bytes and len(response.payload) >= LARGE:
        response_space().add(len(response.payload), is_all=True)
