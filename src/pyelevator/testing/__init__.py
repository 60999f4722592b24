"""Helpers for tests: fakes and servers to start, fixtures for pytest, suites to subclass, hypothesis strategies.

``from pyelevator.testing import FakeTransport, Fault, ServerProcess, fake_server, serve`` needs no extra. The fixtures
of :mod:`pyelevator.testing.plugin` come with the package, for any test that pytest runs. The suites and strategies need
the extra ``testing`` (pytest, hypothesis).
"""

from typing import TYPE_CHECKING

from pyelevator._lazy import lazy_names

if TYPE_CHECKING:
    from pyelevator.interceptors import Fault as Fault
    from pyelevator.testing.engines import EngineConformance as EngineConformance
    from pyelevator.testing.fakes import fake_server as fake_server
    from pyelevator.testing.portals import Portal as Portal
    from pyelevator.testing.servers import ProxyProcess as ProxyProcess, ServerProcess as ServerProcess, serve as serve
    from pyelevator.testing.sessions import SessionConformance as SessionConformance
    from pyelevator.testing.transports import (
        AsyncTransportConformance as AsyncTransportConformance,
        DeadlineConformance as DeadlineConformance,
        TransportConformance as TransportConformance,
    )
    from pyelevator.transports import FakeTransport as FakeTransport

_LAZY = {
    "engines": ("EngineConformance",),
    "fakes": ("FakeTransport", "Fault", "fake_server"),
    "portals": ("Portal",),
    "servers": ("ProxyProcess", "ServerProcess", "serve"),
    "sessions": ("SessionConformance",),
    "transports": ("AsyncTransportConformance", "DeadlineConformance", "TransportConformance"),
}
"""Module -> the names that are loaded from it when they are first used: pytest loads the plugin, and with it this
package, in every run."""

if not TYPE_CHECKING:
    __getattr__, __all__ = lazy_names(globals(), _LAZY)
