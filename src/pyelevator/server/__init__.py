"""The server: an application behind sockets, its settings, and the process that runs it."""

from pyelevator.server.config import Settings, read_config
from pyelevator.server.process import run
from pyelevator.server.runner import Server

__all__ = ["Server", "Settings", "read_config", "run"]
