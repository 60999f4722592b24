"""The server: an application behind sockets."""

from pyelevator.server.options import ServerLimits
from pyelevator.server.server import Server

__all__ = ["Server", "ServerLimits"]
