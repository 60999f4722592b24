"""Short commands to a fake without frames: what comes out of the codec as it went in is not encoded.

A key, a value or a truth value that is short enough for every limit is the same after it was encoded and decoded. All
else, errors among it, goes through the codec; ``tests/transports/fake/test_direct.py`` compares both ways.
"""

from collections.abc import Callable
from threading import get_ident
from typing import TYPE_CHECKING, Any, Final

from pyelevator.codec import Codec
from pyelevator.codec.classic.fast_path import ClassicCodec, NativeClassicCodec
from pyelevator.commands import Command, Delete, Exists, Get, Put
from pyelevator.messages import Request, Response
from pyelevator.protocol import IncomingRequest

if TYPE_CHECKING:
    from pyelevator.application import Application
    from pyelevator.application.monitoring.monitor import Monitor

EXECUTING: Final[set[int]] = set()
"""The threads that execute a request of a fake."""

_PAYLOADS: Final[dict[type[Command], type]] = {Get: bytes, Exists: bool, Put: type(None), Delete: type(None)}
"""Command -> the type of the payload of its success."""

_FRAME: Final = 160
"""Bytes of a frame beside a key and a value, at most."""


def responder_for(
    codec: Codec, application: "Application", monitor: "Monitor"
) -> Callable[[Request], Response | None] | None:
    """Return what answers a short request as the codec would have it; None for a codec that is not known here.

    What it returns gives None for a request that has to be encoded.
    """
    max_bytes = codec.limits.harmless - _FRAME
    if type(codec) not in (ClassicCodec, NativeClassicCodec) or max_bytes <= 0:
        return None
    count = monitor.count

    def respond(request: Request) -> Response | None:
        command, thread = request.command, get_ident()
        kind: Any = type(command)
        expected = _PAYLOADS.get(kind)
        if expected is None or not request.is_minimal or thread in EXECUTING or not _is_short(command, kind, max_bytes):
            return None
        try:
            EXECUTING.add(thread)
            response = application.try_handle(request) or application(request)
            count(request, response)
        finally:
            EXECUTING.discard(thread)
        fits = kind is not Get or (type(response.payload) is bytes and len(response.payload) <= max_bytes)
        if fits and type(response.payload) is expected and response.is_minimal:
            return response
        return _through(codec, request, response)

    return respond


def _is_short(command: Any, kind: Any, max_bytes: int) -> bool:
    size = len(command.key)
    if kind is Put:
        size += len(command.value)
    elif kind is not Delete:
        return size <= max_bytes
    return size <= max_bytes and command.sync is False


def _through(codec: Codec, request: Request, response: Response) -> Response:
    """Return the response as it comes out of the codec."""
    frames = IncomingRequest(codec, request).encode(response)
    _, read = codec.open_reply(frames)
    return read(request)
