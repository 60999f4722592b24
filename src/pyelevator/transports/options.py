"""The options of transports and listeners, and what programs' own have in common with them."""

from typing import Annotated, Final, TypedDict

from pyelevator._options import Default
from pyelevator.transports.base import ConnectOptions
from pyelevator.transports.zmtp.frames import MAX_MESSAGE

MAX_CONNECTIONS: Final = 4096
MAX_UNREAD: Final = 256 << 20


class TransportOptions(ConnectOptions, total=False):
    """The options of all transports."""

    max_message: Annotated[int, Default(MAX_MESSAGE)]


class SocketFileOptions(TypedDict, total=False):
    """The options of everything that listens."""

    ipc_mode: Annotated[int, Default(0o600)]


class ListenerOptions(SocketFileOptions, total=False):
    """The options of all listeners."""

    max_message: Annotated[int, Default(MAX_MESSAGE)]
    max_unread: Annotated[int, Default(MAX_UNREAD)]
    max_connections: Annotated[int, Default(MAX_CONNECTIONS)]
