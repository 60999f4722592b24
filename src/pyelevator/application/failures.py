"""Failures: what a client is told of an error."""

import logging
from collections.abc import Callable, Sequence
from typing import Any, Final

from pyelevator.engines.base import EngineError
from pyelevator.errors import ErrorCode, Id, ServerError
from pyelevator.messages import Response

_log: Final = logging.getLogger("pyelevator.application")


def failure(error: Exception, request_id: Id | None = None) -> Response:
    """What a client is told of an error, whatever it is; one that is nobody's mistake is logged."""
    answer = next(answer for kind, answer in _ANSWERS if isinstance(error, kind))
    return Response.failure(*answer(error), request_id)


def _internal(error: Exception) -> tuple[ErrorCode, str]:
    _log.error("a request failed", exc_info=error)
    return ErrorCode.RUNTIME, f"internal error: {type(error).__name__}"


_ANSWERS: Final[Sequence[tuple[type[Exception], Callable[[Any], tuple[ErrorCode, str]]]]] = (
    (ServerError, lambda error: (error.code, error.message)),
    (EngineError, lambda error: (error.code, error.client_message)),
    (OSError, lambda error: (ErrorCode.OS, error.strerror or str(error))),
    (Exception, _internal),
)
"""What was raised -> the failure's code and message; the first that fits."""
