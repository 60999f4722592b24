"""Proxies: what stands between clients and servers, in a few lines.

::

    from pyelevator.proxy import Proxy

    with Proxy(listen=["tcp://127.0.0.1:4140"], upstream="tcp://127.0.0.1:4141") as proxy:
        ...
"""

from pyelevator.proxy.core import Core
from pyelevator.proxy.proxy import Proxy
from pyelevator.proxy.routing import Upstream

__all__ = ["Core", "Proxy", "Upstream"]
