"""Traces for OpenTelemetry: a span for each request (extra ``otel``)."""

from typing import Any

from pyelevator.errors import MissingExtra
from pyelevator.flows import Flow, Forward
from pyelevator.interceptors.database_names import DatabaseNames
from pyelevator.messages import Request, Response

try:
    from opentelemetry import trace
except ImportError:
    trace = None  # type: ignore[assignment]


class Tracing:
    """An interceptor that makes a client span of each request, with its verb and database.

    Args:
        tracer: makes the spans; the global provider's if None.
        keys: record the key of commands that have one, as ``elevator.key``. Keys may be secrets; values are never
            recorded.

    Raises:
        MissingExtra: opentelemetry-api is not installed.

    >>> from pyelevator import Elevator
    >>> with Elevator(transport="fake", interceptors=[Tracing()]) as E:  # to the global provider, if there is one
    ...     E.Put("k", "v")
    """

    def __init__(self, tracer: Any = None, *, keys: bool = False) -> None:
        if trace is None:
            raise MissingExtra("Tracing needs opentelemetry-api; install it with: pip install 'pyelevator[otel]'")
        self._tracer = tracer or trace.get_tracer("pyelevator")
        self._keys = keys
        self._names = DatabaseNames()

    def __call__(self, request: Request, forward: Forward) -> Flow[Response]:
        span = self._tracer.start_span(request.command.verb, kind=trace.SpanKind.CLIENT)
        span.set_attribute("db.system.name", "elevator")
        span.set_attribute("db.operation.name", request.command.verb)
        span.set_attribute("db.namespace", self._names.database(request))
        if self._keys and hasattr(request.command, "key"):
            span.set_attribute("elevator.key", request.command.key.decode("utf-8", "backslashreplace"))
        try:
            response = yield from self._names.observe(request, forward)
        except BaseException as error:
            self._fail(span, type(error).__name__)
            raise
        else:
            if response.code is not None:
                self._fail(span, response.code.name)
            return response
        finally:
            span.end()

    def _fail(self, span: Any, kind: str) -> None:
        span.set_attribute("error.type", kind)
        span.set_status(trace.StatusCode.ERROR)
