"""Helpers for tests: fakes and servers to start, fixtures for pytest, suites to subclass, hypothesis strategies.

``from pyelevator.testing import FakeTransport, Fault, ServerProcess, fake_server, serve`` needs no extra. The fixtures
of :mod:`pyelevator.testing.plugin` come with the package, for any test that pytest runs. The suites and strategies need
the extra ``testing`` (pytest, hypothesis).
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyelevator.interceptors import Fault
    from pyelevator.testing.engines import EngineConformance
    from pyelevator.testing.fakes import fake_server
    from pyelevator.testing.portals import Portal
    from pyelevator.testing.servers import ProxyProcess, ServerProcess, serve
    from pyelevator.testing.sessions import SessionConformance
    from pyelevator.testing.transports import (
        AsyncTransportConformance,
        DeadlineConformance,
        TransportConformance,
    )
    from pyelevator.transports import FakeTransport

__all__ = [
    "AsyncTransportConformance",
    "DeadlineConformance",
    "EngineConformance",
    "FakeTransport",
    "Fault",
    "Portal",
    "ProxyProcess",
    "ServerProcess",
    "SessionConformance",
    "TransportConformance",
    "fake_server",
    "serve",
]

_HOMES = {
    "AsyncTransportConformance": "pyelevator.testing.transports",
    "DeadlineConformance": "pyelevator.testing.transports",
    "EngineConformance": "pyelevator.testing.engines",
    "FakeTransport": "pyelevator.transports",
    "Fault": "pyelevator.interceptors",
    "Portal": "pyelevator.testing.portals",
    "ProxyProcess": "pyelevator.testing.servers",
    "ServerProcess": "pyelevator.testing.servers",
    "SessionConformance": "pyelevator.testing.sessions",
    "TransportConformance": "pyelevator.testing.transports",
    "fake_server": "pyelevator.testing.fakes",
    "serve": "pyelevator.testing.servers",
}
"""Names that are loaded when they are first used: pytest loads the plugin, and with it this package, in every run."""

if not TYPE_CHECKING:

    def __getattr__(name):
        """Load a name of ``_HOMES``."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = found = getattr(import_module(_HOMES[name]), name)
        return found
