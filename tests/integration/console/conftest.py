"""A console before a server, and clients of both."""

from support.console_clients import client, console, database, reader, server

__all__ = ["client", "console", "database", "reader", "server"]
