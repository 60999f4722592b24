"""Keys, servers that ask for them, and sockets that have them."""

from support.keyed_servers import dealer, keys, secured

__all__ = ["dealer", "keys", "secured"]
