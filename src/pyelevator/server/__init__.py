"""The server: an application behind sockets."""

from pyelevator.server.limits import ServerLimits
from pyelevator.server.server import Server

__all__ = ["Server", "ServerLimits"]
"""The server: an application behind sockets."""


__all__ = ["Server", "ServerLimits"]
