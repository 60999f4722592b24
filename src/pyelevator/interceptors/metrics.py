"""Metrics for Prometheus: the number of requests by outcome, and their durations (extra ``metrics``)."""

import time
from collections.abc import Callable
from typing import Any, Final

from pyelevator.commands import COMMANDS, DbConnect
from pyelevator.errors import MissingExtra
from pyelevator.flows import Flow, Forward
from pyelevator.interceptors.database_names import DatabaseNames
from pyelevator.messages import Request, Response

OTHER_LABEL: Final = "other"
"""The label of databases and verbs that have no label of their own."""

try:
    import prometheus_client
except ImportError:
    prometheus_client = None  # type: ignore[assignment]


class Metrics:
    """An interceptor that counts requests and measures their durations, by verb, database and outcome.

    The metrics are ``elevator_requests_total{verb, database, outcome}`` and
    ``elevator_request_seconds{verb, database}``. The outcome is ``success``, ``warning``, the name of a failure code
    (``key``, ``database``...) or of an exception. Databases have a label of their own once a DBCONNECT has succeeded.
    Until then, and beyond ``databases`` of them, the label is ``other``, as it is for unknown verbs. Clients choose
    both, and each label value takes memory for ever.

    Args:
        registry: where the metrics are registered; Prometheus' default registry if None.
        clock: returns seconds.
        databases: the highest number of databases with a label of their own.

    Raises:
        MissingExtra: prometheus-client is not installed.

    >>> from prometheus_client import CollectorRegistry
    >>> from pyelevator import Elevator
    >>> registry = CollectorRegistry()
    >>> with Elevator(transport="fake", interceptors=[Metrics(registry)]) as E:
    ...     E.Put("k", "v")
    >>> labels = {"verb": "PUT", "database": "default", "outcome": "success"}
    >>> registry.get_sample_value("elevator_requests_total", labels)
    1.0
    """

    def __init__(
        self, registry: Any = None, clock: Callable[[], float] = time.monotonic, *, databases: int = 1000
    ) -> None:
        if prometheus_client is None:
            raise MissingExtra("Metrics needs prometheus-client; install it with: pip install 'pyelevator[metrics]'")
        registry = registry or prometheus_client.REGISTRY
        labels = ("verb", "database")
        self._requests = prometheus_client.Counter(
            "elevator_requests", "Requests by outcome.", (*labels, "outcome"), registry=registry
        )
        self._seconds = prometheus_client.Histogram(
            "elevator_request_seconds", "Durations of requests in seconds.", labels, registry=registry
        )
        self._names = DatabaseNames(2 * databases)
        self._labels: set[str] = {"-"}
        self._databases = databases
        self._clock = clock

    def __call__(self, request: Request, forward: Forward) -> Flow[Response]:
        started = self._clock()
        outcome = "abandoned"
        try:
            response = yield from self._names.observe(request, forward)
            outcome = (response.code or response.status).name.lower()
            if (
                isinstance(request.command, DbConnect)
                and response.code is None
                and len(self._labels) <= self._databases
            ):
                self._labels.add(request.command.name)
        except Exception as error:
            outcome = type(error).__name__
            raise
        finally:
            verb, database = request.command.verb, self._names.database(request)
            labels = verb if verb in COMMANDS else OTHER_LABEL, database if database in self._labels else OTHER_LABEL
            self._requests.labels(*labels, outcome).inc()
            self._seconds.labels(*labels).observe(self._clock() - started)
        return response
