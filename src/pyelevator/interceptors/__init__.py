"""Interceptors: functions or objects that wrap each request of a client, a server or a proxy.

An interceptor is called with the request and with ``forward``, and is a flow. It may change the request, respond
without forwarding, forward it again, inspect the response, wait, or fail::

    def loud(request, forward):
        print(request.command.verb)
        response = yield from forward(request)
        return response

    Elevator(interceptors=[loud])

One object can serve many threads, and clients, servers and proxies alike, sync and async. :func:`hooks` makes one from
plain functions. Interceptors that need transports of their own are in the client:
:class:`pyelevator.client.interceptors.Mirror` copies requests to a second server, and
:class:`pyelevator.client.interceptors.Route` chooses one of several servers by the database's name.
"""

from pyelevator.interceptors.cache import Cache
from pyelevator.interceptors.faults import Fault, Faults
from pyelevator.interceptors.hooks import hooks
from pyelevator.interceptors.metrics import Metrics
from pyelevator.interceptors.prefix import Prefix
from pyelevator.interceptors.rate_limit import RateLimit
from pyelevator.interceptors.readonly import read_only
from pyelevator.interceptors.recording import Recorder, Replayer, ReplayMismatch
from pyelevator.interceptors.request_log import RequestLog
from pyelevator.interceptors.retry import Retry
from pyelevator.interceptors.tracing import Tracing

__all__ = [
    "Cache",
    "Fault",
    "Faults",
    "Metrics",
    "Prefix",
    "RateLimit",
    "Recorder",
    "ReplayMismatch",
    "Replayer",
    "RequestLog",
    "Retry",
    "Tracing",
    "hooks",
    "read_only",
]
