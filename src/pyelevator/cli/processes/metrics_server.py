"""Metrics over HTTP for Prometheus, and whether the program lives and is ready (extra ``metrics``).

``/metrics`` is Prometheus' text, ``/healthz`` answers 200 while the program's loop turns, ``/readyz`` while it takes
requests; otherwise they answer 503.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET, AF_INET6, SHUT_RDWR, socket
from typing import Any, Final

from pyelevator.errors import MissingExtra, UsageError
from pyelevator.peers.service import Service
from pyelevator.transports.bind import split_address

_PROBE_TIMEOUT: Final = 5.0
"""Seconds after which a loop that has not turned counts as stuck."""

_REQUEST_TIMEOUT: Final = 10.0
"""Seconds for a client to send its request."""


_MAX_CONNECTIONS: Final = 32
"""Connections at once, each of which has a thread and a file."""


class _Collector:
    """Turns the metrics of a program into those of prometheus-client."""

    def __init__(self, program: Service) -> None:
        self._program = program

    def collect(self) -> Iterator[Any]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        kinds: Mapping[str, Any] = {
            "counter": CounterMetricFamily,
            "gauge": GaugeMetricFamily,
            "histogram": HistogramMetricFamily,
        }
        for family in self._program.metrics():
            made = kinds[family.kind](family.name, family.help, labels=family.labels)
            for labels, value in family.samples:
                made.add_metric(labels, *(value if family.kind == "histogram" else (value,)))
            yield made


def _exposition(program: Service) -> Callable[[], bytes]:
    """Return a function that returns the text of all metrics."""
    try:
        from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
    except ImportError as error:
        raise MissingExtra(
            "--metrics needs prometheus-client; install it with: pip install 'pyelevator[metrics]'"
        ) from error
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(_Collector(program))
    return lambda: generate_latest(registry)


class _Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD."""

    server_version = "elevator"
    sys_version = ""
    timeout = _REQUEST_TIMEOUT
    pages: Mapping[str, Callable[[], tuple[HTTPStatus, str, bytes]]] = {}

    def do_GET(self) -> None:
        """Answer with a page."""
        page = self.pages.get(self.path.partition("?")[0], _not_found)
        status, kind, body = page()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815 - the name that http.server looks for

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: it is asked every few seconds."""


def _not_found() -> tuple[HTTPStatus, str, bytes]:
    return HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", b"there are /metrics, /healthz and /readyz\n"


def _answer(is_well: bool) -> tuple[HTTPStatus, str, bytes]:
    status, text = (HTTPStatus.OK, b"ok\n") if is_well else (HTTPStatus.SERVICE_UNAVAILABLE, b"unavailable\n")
    return status, "text/plain; charset=utf-8", text


class _HttpServer(ThreadingHTTPServer):
    """A server with a thread for each connection; of too many the oldest one is closed."""

    daemon_threads = True

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._open: deque[socket] = deque()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer a connection in a thread of its own."""
        while len(self._open) >= _MAX_CONNECTIONS:
            with suppress(OSError):
                self._open.popleft().shutdown(SHUT_RDWR)
        self._open.append(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection that is answered."""
        with suppress(ValueError):  # it was the oldest
            self._open.remove(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Pass over clients that left."""


@contextmanager
def serving_metrics(program: Service, address: str | None) -> Iterator[str | None]:
    """Serve the metrics of a program at ``host:port`` within the block, in threads of its own; yield their URL.

    Raises:
        MissingExtra: prometheus-client is not installed.
        UsageError: the address cannot be bound.
    """
    if address is None:
        yield None
        return
    exposition = _exposition(program)
    content = "text/plain; version=0.0.4; charset=utf-8"
    pages = {
        "/metrics": lambda: (HTTPStatus.OK, content, exposition()),
        "/healthz": lambda: _answer(program.probe(_PROBE_TIMEOUT)),
        "/readyz": lambda: _answer(not program.is_stopping and program.probe(_PROBE_TIMEOUT)),
    }
    handler = type("Handler", (_Handler,), {"pages": pages})
    host, port = split_address(address)
    kind = type("HttpServer", (_HttpServer,), {"address_family": AF_INET6 if ":" in host else AF_INET})
    try:
        server = kind((host, port), handler)
    except OSError as error:
        raise UsageError(f"--metrics {address}: {error.strerror or error}") from error
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), name="elevator-metrics", daemon=True)
    thread.start()
    try:
        shown = f"[{host}]" if ":" in host else host
        yield f"http://{shown}:{server.server_address[1]}/metrics"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
