"""The classic dialect with the short messages of single calls read and written in C++, where that is installed.

Every message is the same, byte for byte, and every other form of a message is left to :class:`ClassicCodec`.
"""

from typing import Any

from pyelevator.codec.base import Codec, Frames
from pyelevator.codec.classic.fast_path import ANY_VALUE, SUCCESS_PREFIX, ClassicCodec
from pyelevator.codec.classic.payloads import SINGLE_VALUE_PREFIX
from pyelevator.codec.limits import Limits
from pyelevator.messages import Request, Response
from pyelevator.native import native_messages


class NativeClassicCodec(ClassicCodec):
    """The classic dialect, with the functions of ``pyelevator_native.messages``."""

    def __init__(self, limits: Limits | None, functions: Any) -> None:
        super().__init__(limits)
        self._read_request, self._write_request = functions.read_request, functions.write_request
        self._read_answer, self._write_answer = functions.read_answer, functions.write_answer

    def minimal_response(self, frames: Frames, request: Request) -> Response | None:
        if len(frames) == 2 and len(frames[1]) <= self.limits.harmless and type(request.command) in ANY_VALUE:
            number = request.id
            if type(number) is int and len(frames[0]) <= self.limits.harmless:
                value = self._read_answer(frames, SUCCESS_PREFIX, number, SINGLE_VALUE_PREFIX)
                if value is not None:
                    return Response.ok(value, number)
        return super().minimal_response(frames, request)


def classic_codec(limits: Limits | None = None) -> Codec:
    """Return a codec of the classic dialect, the faster one where it is installed."""
    functions = native_messages()
    return ClassicCodec(limits) if functions is None else NativeClassicCodec(limits, functions)
