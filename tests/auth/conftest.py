"""Keys of a server and its clients."""

from support.keyed_servers import keys

__all__ = ["keys"]
