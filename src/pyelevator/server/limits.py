"""The limits on what a server holds in memory at once."""

from attrs import frozen


@frozen
class ServerLimits:
    """Limits on what is in a server's memory at one moment. At a limit the server reads less from its clients.

    Attributes:
        max_requests: requests received and not answered. At that number the server reads nothing until a worker is
            done.
        max_request_bytes: bytes of those requests, with the same effect.
        max_unsent_bytes: bytes of responses that clients have not received, over all clients. A client that has more
            of them on their way than are left is not served until it has read some.
        max_blocked_bytes: bytes of requests of one such client. Above that its connection is closed.
        max_connections: connections at once. Further ones are closed.
    """

    max_requests: int = 10_000
    max_request_bytes: int = 256 << 20
    max_unsent_bytes: int = 256 << 20
    max_blocked_bytes: int = 16 << 20
    max_connections: int = 4096
