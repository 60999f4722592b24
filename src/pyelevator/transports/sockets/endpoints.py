"""The transports of clients over TCP and Unix sockets."""

from typing import Unpack

from pyelevator._options import signature_from
from pyelevator.errors import UsageError
from pyelevator.transports.bind import check_ipc_path
from pyelevator.transports.curve import Curve
from pyelevator.transports.options import TransportOptions
from pyelevator.transports.sockets.transport import ZmtpTransport
from pyelevator.transports.url import parse_url, shown


def tcp_url(endpoint: str) -> str:
    """Return the URL of ``host:port``.

    Raises:
        UsageError: it is something else, such as a URL.
    """
    if not isinstance(endpoint, str):
        raise UsageError(f"endpoint= of a tcp transport is 'host:port', not {endpoint!r}")
    if any(mark in endpoint for mark in "/?#@"):
        what = shown(endpoint)
        raise UsageError(f"endpoint= of a tcp transport is 'host:port', not {what!r}; for a URL use from_url()")
    return parse_url(f"tcp://{endpoint}").url


class TcpTransport(ZmtpTransport):
    """A connection over TCP.

    >>> TcpTransport("127.0.0.1:4141").url
    'tcp://127.0.0.1:4141'

    Args:
        endpoint: ``host:port``.
        curve: the keys for a server that asks for them.
        connect_timeout: seconds for which a refused connection, or one to an unknown host, is tried again within a
            call's time, because a server may just be starting; None for all of it.
        max_message: bytes of a message that the server may send.
        heartbeat: seconds after which a connection that waits or is idle asks the server whether it lives; 0 or None
            for never.
    """

    @signature_from(TransportOptions)
    def __init__(
        self, endpoint: str = "127.0.0.1:4141", curve: Curve | None = None, **options: Unpack[TransportOptions]
    ) -> None:
        super().__init__(tcp_url(endpoint), curve, **options)


class IpcTransport(ZmtpTransport):
    """A connection over a Unix socket.

    >>> IpcTransport("/run/elevator.sock").url
    'ipc:///run/elevator.sock'

    Args:
        endpoint: the path of the server's socket file.
        connect_timeout: as of a :class:`TcpTransport`; a missing file counts as refused.
        max_message, heartbeat: as of a :class:`TcpTransport`.
    """

    @signature_from(TransportOptions)
    def __init__(self, endpoint: str, **options: Unpack[TransportOptions]) -> None:
        check_ipc_path(endpoint)
        super().__init__(f"ipc://{endpoint}", **options)
