"""The transport seam: whole multipart messages from one place to another, without a look inside."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Final, Protocol, Self

from pyelevator.deadlines import Deadline, check_timeout
from pyelevator.errors import ConnectTimeout, RequestTimeout
from pyelevator.transports.connect_errors import connect_timeout_error

IDLE: Final = 120.0
"""Seconds after which an idle connection is not used again: firewalls forget one that says nothing for minutes."""

HEARTBEAT: Final = 10.0
"""Seconds after which a connection that waits or is idle asks the server whether it lives (PING of ZMTP 3.1)."""

HEARTBEATS: Final = 3
"""How often it is asked before the connection counts as lost."""


def check_heartbeat(heartbeat: float | None) -> float | None:
    """``heartbeat`` itself when it is a number of seconds above zero, None where it is 0 or None, for none.

    Raises:
        ArgumentTypeError: not a number.
        UsageError: negative or not a number (NaN).
    """
    if heartbeat == 0 and not isinstance(heartbeat, bool):
        return None
    return check_timeout(heartbeat, "heartbeat")


def time_to_live(heartbeat: float) -> float:
    """Seconds of silence after which a server may end a connection with such heartbeats, as we do on our side."""
    return (HEARTBEATS + 1) * heartbeat


class Transport(ABC):
    """One lane to a server. Not shared between threads: each thread at work has a lane of its own (see ``clone``).

    A lane opens itself with the first ``send``. To write a transport of your own, subclass this and run
    :class:`pyelevator.testing.transports.TransportConformance` over it.
    """

    @property
    @abstractmethod
    def url(self) -> str:
        """Where the lane leads, for messages: ``tcp://127.0.0.1:4141``."""

    @property
    def is_open(self) -> bool:
        """True while it holds something of the system's that ``close`` gives back; a client that is dropped warns."""
        return False

    @property
    def heartbeat(self) -> float | None:
        """Seconds after which a client calls ``keep_alive`` on an idle connection, again and again; None for never."""
        return None

    def keep_alive(self, expecting: bool) -> None:  # noqa: B027 - most have nothing to do
        """Looks after a connection that no call is using, without waiting, from a thread of the client's.

        It answers what the server asks, asks whether the server lives, and closes the connection where it has ended or
        stays without an answer; here it does nothing.

        Args:
            expecting: the answer to a request is still to come; else a message that comes is a reason to close.
        """

    @abstractmethod
    def send(self, frames: Sequence[bytes], deadline: Deadline) -> None:
        """Hands one message over.

        Raises:
            ConnectTimeout: there was no connection before the deadline; nothing was sent.
            TransportError: anything else that went wrong.
        """

    @abstractmethod
    def receive(self, deadline: Deadline) -> Sequence[bytes]:
        """The next message.

        Raises:
            RequestTimeout: none came before the deadline.
            TransportError: anything else that went wrong.
        """

    @abstractmethod
    def reset(self) -> None:
        """Cuts the lane off from its past: no message sent to it so far is ever received, none unsent is sent."""

    @abstractmethod
    def close(self) -> None:
        """Lets go of everything at once, unsent messages included; twice is fine, and a later send opens it anew."""

    @abstractmethod
    def clone(self) -> Self:
        """A further lane to the same place, which shares nothing with this one."""

    def to_async(self) -> "AsyncTransport | None":
        """Return a new transport to the same place for an event loop; None if a thread has to use a clone there."""
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Receiver(Protocol):
    """Who is told what happens on an :class:`AsyncTransport`; always on its event loop, never from within ``send``."""

    def message_received(self, frames: Sequence[bytes]) -> None:
        """A message came in."""

    def resume_writing(self) -> None:
        """A ``send`` that was refused is worth another try."""

    def connection_lost(self, error: Exception) -> None:
        """The transport is of no more use."""


class AsyncTransport(ABC):
    """A way to a server on an event loop. Nothing waits: ``send`` takes a message or refuses it, answers are pushed.

    It belongs to the event loop that runs when it is opened, and is only called from there.

    Attributes:
        multiplexed: True if messages may be sent while earlier ones are not answered yet.
    """

    multiplexed: ClassVar[bool] = True

    @property
    @abstractmethod
    def url(self) -> str:
        """Where it leads, for messages: ``tcp://127.0.0.1:4141``."""

    @property
    def is_open(self) -> bool:
        """As of a :class:`Transport`."""
        return False

    @abstractmethod
    def open(self, receiver: Receiver) -> None:
        """Begins to connect, without waiting for it; once.

        Raises:
            TransportError: what can be told at once to be impossible.
        """

    @abstractmethod
    def send(self, frames: Sequence[bytes]) -> bool:
        """Hands one message over; False if there is no connection or no room, and nothing was sent.

        Raises:
            TransportError: anything else that went wrong.
        """

    @abstractmethod
    def close(self) -> None:
        """Lets go of everything at once, unsent messages included, and tells the receiver no more; twice is fine."""

    def connect_timeout_error(self, deadline: Deadline) -> ConnectTimeout:
        """The error for a message that could not be sent before the deadline."""
        return connect_timeout_error(self.url, None, deadline)

    def request_timeout_error(self, deadline: Deadline) -> RequestTimeout:
        """The error for a message that was not answered before the deadline."""
        return RequestTimeout(request_timeout_message(self.url, deadline))


def request_timeout_message(url: str, deadline: Deadline) -> str:
    """What a RequestTimeout says."""
    return (
        f"no answer came from the Elevator server at {url} within {deadline}; "
        "it is down, stopped or busy, or the call needs a larger timeout="
    )


MAX_DISCONNECTED: Final = 1 << 16
"""Identities of ended connections that a listener keeps until they are taken out."""


class SendQueue(Protocol):
    """What has not been sent to one peer yet."""

    @property
    def unsent_bytes(self) -> int:
        """Bytes that have not been sent."""


class SendQueues(ABC):
    """The messages of a listener that have not been sent yet.

    A peer is blocked while it does not read what it is sent. No more requests of a blocked peer should be executed.

    Attributes:
        unsent_bytes: bytes on their way to all peers.
        peers: the peers that something was on its way to when ``flush`` was last called, or is now. While there are
            any, ``flush`` has to be called every few milliseconds. A blocked peer stays among them until a ``flush``
            has found it free, so that whatever waits for that does not miss it.
    """

    unsent_bytes: int
    peers: Mapping[bytes, SendQueue]

    @abstractmethod
    def is_blocked(self, identity: bytes) -> bool:
        """Return True if the peer does not read what it is sent."""

    @abstractmethod
    def flush(self) -> None:
        """Send what can be sent now, and remove the peers that nothing is on its way to any more."""

    @abstractmethod
    def discard(self, identity: bytes) -> None:
        """Drop the messages to a peer that have not been sent."""


class Listener(ABC):
    """Listening sockets and the connections that they accepted; servers and proxies receive messages from it.

    Everything but ``wakeup`` belongs to one thread at a time.

    Attributes:
        urls: what is bound, with the ports that the system chose.
        peer: identity of the client that sent the last message, as its handshake proved it: a public key, or ``local``
            for a socket file; None without keys.
        timeout: seconds after which ``wait`` returns without a message; None for never.
        send_queues: the messages that have not been sent yet.
        disconnected: identities of connections that have ended, to be taken out by the caller.
    """

    urls: tuple[str, ...]
    peer: str | None
    timeout: float | None
    send_queues: SendQueues
    disconnected: deque[bytes]

    @property
    def url(self) -> str:
        """The first URL that is bound."""
        return self.urls[0]

    @property
    @abstractmethod
    def pollable(self) -> Any:
        """What a :class:`~pyelevator.transports.poller.Poller` waits for instead of ``wait``."""

    @property
    @abstractmethod
    def connection_count(self) -> int:
        """The number of connections."""

    @property
    @abstractmethod
    def has_message(self) -> bool:
        """True if a message has been read already, of which ``pollable`` does not tell."""

    @property
    @abstractmethod
    def has_backlog(self) -> bool:
        """True if more of what has been read already may be messages."""

    @property
    @abstractmethod
    def next_timeout(self) -> float:
        """The time (seconds, monotonic) at which ``receive`` has to be called, whatever ``pollable`` tells."""

    @abstractmethod
    def is_connected(self, identity: bytes) -> bool:
        """Return False if nothing can be sent to a peer any more."""

    @abstractmethod
    def wait(self) -> tuple[bytes, Sequence[bytes]] | None:
        """Wait for the next message.

        Returns:
            The identity of its peer, and its frames; None if something else ended the wait.
        """

    @abstractmethod
    def receive(self) -> tuple[bytes, Sequence[bytes]] | None:
        """Return the next message as ``wait`` does, without waiting; None if there is none now."""

    @abstractmethod
    def drain(self) -> Iterable[tuple[bytes, Sequence[bytes]]]:
        """Return the messages that have been read already, and read no more."""

    @abstractmethod
    def send(self, identity: bytes, frames: Sequence[bytes]) -> bool:
        """Send a message without waiting; it is dropped if the peer has left.

        Returns:
            True if the peer is blocked now.
        """

    @abstractmethod
    def send_buffered(self, identity: bytes, frames: Sequence[bytes]) -> bool:
        """Do the same, where more may be sent to the same peer before the next ``flush``: all of it leaves together."""

    @abstractmethod
    def flush(self) -> list[bytes]:
        """Send what is buffered; return the identities of the peers among those that are blocked now."""

    @abstractmethod
    def disconnect(self, identity: bytes) -> None:
        """Close a connection, and drop the messages to its peer."""

    @abstractmethod
    def wakeup(self) -> None:
        """Make ``wait`` return; callable from any thread, and from signal handlers."""

    @abstractmethod
    def close(self) -> None:
        """Free the URLs and close all connections, after what is queued has been sent, or a second."""
