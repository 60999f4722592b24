"""Capacity: how much a server takes on at once."""

from attrs import frozen


@frozen
class Capacity:
    """Bounds of what is in a server's memory at one moment. Above them it takes less from its clients.

    Attributes:
        backlog: requests taken and not yet answered; above that nothing is taken until a worker is done.
        load: bytes of these, likewise.
        unread: bytes of answers on their way to all clients together. A client that has more of them on its way than
            are left is not served until it has read some.
        parked: bytes of requests of one such client; above that its connection is closed.
        connections: clients at once; further ones are closed.
    """

    backlog: int = 10_000
    load: int = 256 << 20
    unread: int = 256 << 20
    parked: int = 16 << 20
    connections: int = 4096
