"""Interceptors: small things that stand around each request of a client, a server or a proxy.

An interceptor is called with the request and with ``forward``, and is a flow: it may change the request, answer it
without forwarding, forward it again, look at the response, wait, or fail::

    def loud(request, forward):
        print(request.command.verb)
        response = yield from forward(request)
        return response

    Elevator(interceptors=[loud])

One object may serve many threads, and clients, servers and proxies alike, sync and async. :func:`hooks` makes one from
plain functions. Those that need transports of their own are elsewhere: :class:`pyelevator.client.interceptors.Mirror`
copies to a second server, :class:`pyelevator.client.interceptors.Route` finds one of several by the database's name.
"""

from pyelevator.interceptors.cache import Cache
from pyelevator.interceptors.faults import Fault, Faults
from pyelevator.interceptors.hooks import hooks
from pyelevator.interceptors.log import Logged
from pyelevator.interceptors.metrics import Metrics
from pyelevator.interceptors.otel import Traced
from pyelevator.interceptors.prefix import Prefix
from pyelevator.interceptors.ratelimit import RateLimit
from pyelevator.interceptors.readonly import read_only
from pyelevator.interceptors.record import Record, Replay, ReplayMismatch
from pyelevator.interceptors.retry import Retry

__all__ = [
    "Cache",
    "Fault",
    "Faults",
    "Logged",
    "Metrics",
    "Prefix",
    "RateLimit",
    "Record",
    "Replay",
    "ReplayMismatch",
    "Retry",
    "Traced",
    "hooks",
    "read_only",
]
