"""The classic dialect with the short messages of single calls read and written in C++, where that is installed.

Every message is the same, byte for byte, and every other form of a message is left to :class:`ClassicCodec`.
"""

from typing import Any, Final

from pyelevator.codec.base import Codec, Frames
from pyelevator.codec.classic.arguments import extras_of
from pyelevator.codec.classic.fast_path import (
    ANY_VALUE,
    BUILDERS,
    META_PREFIX,
    NO_RESULT,
    REQUEST_ENCODERS,
    SCALARS,
    SUCCESS_PREFIX,
    WITHOUT_RESULT,
    ClassicCodec,
    pack_request,
)
from pyelevator.codec.classic.payloads import SINGLE_VALUE_PREFIX
from pyelevator.codec.limits import Limits
from pyelevator.codec.packing import pack
from pyelevator.messages import Request, Response
from pyelevator.native import native_messages

_LARGE: Final = 64 << 10
"""Bytes of a value that is not copied once more than needed."""


class NativeClassicCodec(ClassicCodec):
    """The classic dialect, with the functions of ``pyelevator_native.messages``."""

    def __init__(self, limits: Limits | None, functions: Any) -> None:
        super().__init__(limits)
        self._read_request, self._write_request = functions.read_request, functions.write_request
        self._read_answer, self._write_answer = functions.read_answer, functions.write_answer
        self._harmless = self.limits.harmless

    def encode_request(self, request: Request[Any]) -> list[bytes]:
        if request.is_minimal or not (request.id is None or request.compression or request.bin):
            prefix, encode, extras = REQUEST_ENCODERS.get(type(request.command), _NONE)
            if prefix and (not extras or not extras_of(request.command)):
                args = encode(request.command)
                frame = self._write_request(prefix, request.id, request.uid, args)
                return [pack_request(prefix, request, args) if frame is None else frame]
        return super().encode_request(request)

    def minimal_request(self, frames: Frames) -> Request[Any] | None:
        if len(frames) == 1 and type(frame := frames[0]) is bytes and len(frame) <= self._harmless:
            parts = self._read_request(frame, META_PREFIX)
            if parts is not None:
                prefix, number, uid, args = parts
                builder = BUILDERS.get(prefix)
                if builder is None:
                    return None
                make, row_sink = builder
                try:
                    return Request.minimal(make(args), uid, number, row_sink)
                except Exception:  # noqa: BLE001 - the full codec has the error for it
                    return None
        return super().minimal_request(frames)

    def encode_response(self, response: Response, request: Request[Any] | None) -> list[bytes]:
        if response.is_minimal and request is not None and request.is_minimal:
            value, number, kind = response.payload, response.id, type(request.command)
            if type(number) is int:
                if type(value) is bytes and kind in SCALARS and len(value) < _LARGE:
                    return self._write_answer(SUCCESS_PREFIX, number, SINGLE_VALUE_PREFIX, value)  # type: ignore[no-any-return]
                if value is None and kind in WITHOUT_RESULT:
                    return [SUCCESS_PREFIX + pack(number), NO_RESULT]
        return super().encode_response(response, request)

    def minimal_response(self, frames: Frames, request: Request[Any]) -> Response | None:
        if len(frames) == 2 and len(frames[1]) <= self._harmless and type(request.command) in ANY_VALUE:
            number = request.id
            if type(number) is int and len(frames[0]) <= self._harmless:
                value = self._read_answer(frames, SUCCESS_PREFIX, number, SINGLE_VALUE_PREFIX)
                if value is not None:
                    return Response.ok(value, number)
        return super().minimal_response(frames, request)


_NONE: Final[tuple[bytes, Any, Any]] = (b"", None, None)


def classic_codec(limits: Limits | None = None) -> Codec:
    """Return a codec of the classic dialect, the faster one where it is installed."""
    functions = native_messages()
    return ClassicCodec(limits) if functions is None else NativeClassicCodec(limits, functions)
