"""Metrics for Prometheus: how many requests, how they ended, how long they took (extra ``metrics``)."""

import time
from collections.abc import Callable
from typing import Any

from pyelevator.errors import MissingExtra
from pyelevator.flows import Flow, Forward
from pyelevator.interceptors.names import Names
from pyelevator.messages import Request, Response

try:
    import prometheus_client
except ImportError:
    prometheus_client = None  # type: ignore[assignment]


class Metrics:
    """Counts requests and times them, by verb, database and outcome.

    ``elevator_requests_total{verb, database, outcome}`` and ``elevator_request_seconds{verb, database}``. The outcome
    is ``success``, ``warning``, the name of a failure code (``key``, ``database``...) or of an exception. Databases
    are known by name once a DBCONNECT has passed through.

    Args:
        registry: where the metrics are registered; Prometheus' own default if None.
        clock: tells the time, in seconds.

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

    def __init__(self, registry: Any = None, clock: Callable[[], float] = time.monotonic) -> None:
        if prometheus_client is None:
            raise MissingExtra("Metrics needs prometheus-client; install it with: pip install 'pyelevator[metrics]'")
        registry = registry or prometheus_client.REGISTRY
        labels = ("verb", "database")
        self._requests = prometheus_client.Counter(
            "elevator_requests", "Requests, by how they ended.", (*labels, "outcome"), registry=registry
        )
        self._seconds = prometheus_client.Histogram(
            "elevator_request_seconds", "How long requests took.", labels, registry=registry
        )
        self._names = Names()
        self._clock = clock

    def __call__(self, request: Request[Any], forward: Forward) -> Flow[Response]:
        started = self._clock()
        outcome = "abandoned"
        try:
            response = yield from self._names.learn(request, forward)
            outcome = (response.code or response.status).name.lower()
        except Exception as error:
            outcome = type(error).__name__
            raise
        finally:
            labels = (request.command.verb, self._names.database(request))
            self._requests.labels(*labels, outcome).inc()
            self._seconds.labels(*labels).observe(self._clock() - started)
        return response
