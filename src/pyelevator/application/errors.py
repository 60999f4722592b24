"""The responses for errors."""

import logging
from collections.abc import Callable, Sequence
from typing import Any, Final

from pyelevator.engines.base import EngineError
from pyelevator.errors import ErrorCode, Id, ServerError
from pyelevator.messages import Response

_log: Final = logging.getLogger("pyelevator.application")


def failure_response(error: Exception, request_id: Id | None = None) -> Response:
    """Return the response for an error, of any class; an error of the server itself is logged."""
    describe = next(describe for kind, describe in _DESCRIPTIONS if isinstance(error, kind))
    return Response.failure(*describe(error), request_id)


def _internal(error: Exception) -> tuple[ErrorCode, str]:
    _log.error("a request failed", exc_info=error)
    return ErrorCode.RUNTIME, f"internal error: {type(error).__name__}"


_DESCRIPTIONS: Final[Sequence[tuple[type[Exception], Callable[[Any], tuple[ErrorCode, str]]]]] = (
    (ServerError, lambda error: (error.code, error.message)),
    (EngineError, lambda error: (error.code, error.client_message)),
    (OSError, lambda error: (ErrorCode.OS, error.strerror or str(error))),
    (Exception, _internal),
)
"""Class of the error -> its code and message; the first that matches."""
