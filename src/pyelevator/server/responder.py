"""Responder: from the frames of a message to the frames of its answer, whatever happens on the way."""

import logging
from collections.abc import Sequence
from typing import Final

from pyelevator.application import Application
from pyelevator.codec import ClassicCodec
from pyelevator.conversation import Exchange, Reader, split_envelope
from pyelevator.errors import ErrorCode
from pyelevator.messages import Response

_LOG = logging.getLogger("pyelevator.server")

_FAILED: Final = "the server failed on this request; its log says more"


class Responder:
    """Reads messages, has an application answer them, and writes the answers.

    Codecs and applications must not raise; where they do, the client still gets its answer.

    Args:
        application: what answers.
        reader: reads messages.
    """

    def __init__(self, application: Application, reader: Reader) -> None:
        self._application = application
        self._reader = reader

    def decode(self, frames: Sequence[bytes], peer: str | None, connection: bytes) -> Exchange:
        """The exchange that a message begins."""
        try:
            return self._reader.read(frames, peer, connection)
        except Exception:  # noqa: BLE001 - see above
            _LOG.exception("a message could not be read")
            refusal = Response.failure(ErrorCode.REQUEST, "the message cannot be read")
            return Exchange(ClassicCodec(), None, refusal, split_envelope(frames)[0])

    def try_respond(self, exchange: Exchange) -> list[bytes] | None:
        """The answer's frames, if nothing has to be waited for; otherwise None."""
        if exchange.request is None:
            return exchange.encode(exchange.refusal or Response())
        try:
            response = self._application.try_handle(exchange.request)
        except Exception:  # noqa: BLE001 - see above
            response = self._failed(exchange)
        return None if response is None else exchange.encode(response)

    def respond(self, exchange: Exchange) -> list[bytes]:
        """The answer's frames, however long it takes."""
        if exchange.request is None:
            return exchange.encode(exchange.refusal or Response())
        try:
            response = self._application(exchange.request)
        except Exception:  # noqa: BLE001 - see above
            response = self._failed(exchange)
        return exchange.encode(response)

    def _failed(self, exchange: Exchange) -> Response:
        _LOG.exception("the application raised")
        return Response.failure(ErrorCode.RUNTIME, _FAILED, exchange.request.id if exchange.request else None)
