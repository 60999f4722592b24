"""The interfaces of transports and listeners, which carry multipart messages and do not read them."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Protocol, Self, TypedDict

from pyelevator._closing import Closing
from pyelevator._options import Default
from pyelevator.deadlines import Deadline, check_timeout
from pyelevator.errors import ConnectTimeout, RequestTimeout

if TYPE_CHECKING:
    from pyelevator.codec import Codec
    from pyelevator.messages import Request, Response
    from pyelevator.transports.send_queues import SendQueues, Traffic

IDLE: Final = 120.0
"""Seconds after which an idle connection is not used again: firewalls forget connections after minutes of silence."""

CONNECT_TIMEOUT: Final = 1.0
"""Seconds for which a connection that is refused is tried again by default: a server may just be starting."""

HEARTBEAT: Final = 10.0
"""Seconds after which a connection that waits or is idle sends a PING (of ZMTP 3.1)."""

HEARTBEATS: Final = 3
"""PINGs without an answer after which the connection counts as lost."""


class ConnectOptions(TypedDict, total=False):
    """The options of everything that connects."""

    connect_timeout: Annotated[float | None, Default(CONNECT_TIMEOUT)]
    heartbeat: Annotated[float | None, Default(HEARTBEAT)]


def check_heartbeat(heartbeat: float | None) -> float | None:
    """Return ``heartbeat`` if it is a number of seconds above zero, None for 0 or None.

    Raises:
        ArgumentTypeError: it is no number.
        UsageError: it is negative, or NaN.
    """
    if heartbeat == 0 and not isinstance(heartbeat, bool):
        return None
    return check_timeout(heartbeat, "heartbeat")


class Transport(Closing, ABC):
    """One connection to a server. It is not shared between threads: each thread uses its own (see ``clone``).

    It connects with the first ``send``. To write a transport of your own, subclass this and run
    :class:`pyelevator.testing.transports.TransportConformance` over it.
    """

    @property
    @abstractmethod
    def url(self) -> str:
        """The URL of the server, for messages: ``tcp://127.0.0.1:4141``."""

    @property
    def is_open(self) -> bool:
        """True while it holds resources that ``close`` frees; a client that is dropped warns of them."""
        return False

    @property
    def heartbeat(self) -> float | None:
        """Seconds after which a client calls ``keep_alive`` on an idle connection, again and again; None for never."""
        return None

    def keep_alive(self, expecting: bool) -> None:
        """Keep an idle connection alive, without waiting; called in a thread of the client.

        It answers PINGs, sends one, and closes the connection if it has ended or the server does not answer. Here it
        does nothing.

        Args:
            expecting: a request is not answered yet; otherwise a message that comes is a reason to close.
        """

    @abstractmethod
    def send(self, frames: Sequence[bytes], deadline: Deadline) -> None:
        """Send one message.

        Args:
            frames: the message's.
            deadline: until when to wait.

        Raises:
            ConnectTimeout: there was no connection before the deadline; nothing was sent.
            TransportError: any other failure.
        """

    @abstractmethod
    def receive(self, deadline: Deadline) -> Sequence[bytes]:
        """Return the next message.

        Args:
            deadline: until when to wait.

        Raises:
            RequestTimeout: none came before the deadline.
            TransportError: any other failure.
        """

    def round_trip(self, frames: Sequence[bytes], deadline: Deadline) -> Sequence[bytes]:
        """Send one message and return the next one that comes; a transport may do both at once faster.

        Where a subclass overrides ``send`` or ``receive``, this calls them.

        Args:
            frames: the message.
            deadline: for sending and receiving together.

        Raises:
            TransportError: as of both.
        """
        self.send(frames, deadline)
        return self.receive(deadline)

    def responder(self, codec: "Codec") -> "Callable[[Request], Response | None] | None":  # noqa: ARG002
        """Return what answers some requests without frames, as they would be answered with them; None if nothing does.

        It is for transports whose server is in the same process. What it returns gives None for a request that has
        to be sent.

        Args:
            codec: of the client's dialect.
        """
        return None

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        if "round_trip" not in vars(cls) and not vars(cls).keys().isdisjoint(("send", "receive")):
            cls.round_trip = Transport.round_trip  # type: ignore[method-assign]

    def has_unread(self) -> bool:
        """Return True if a message has come, or a part of one, that was not received; without waiting.

        A client asks before it sends to a server that echoes no ids: an answer to nothing would be taken for the next
        one. By default nothing is known.
        """
        return False

    @abstractmethod
    def reset(self) -> None:
        """Reset the connection: replies to earlier messages are never received, unsent messages are dropped."""

    @abstractmethod
    def close(self) -> None:
        """Close the connection at once, and drop unsent messages; a later ``send`` connects again.

        It may be called twice.
        """

    @abstractmethod
    def clone(self) -> Self:
        """Return a new transport to the same server, which shares nothing with this one."""

    def to_async(self) -> "AsyncTransport | None":
        """Return a new transport to the same server for an event loop; None if a thread has to use a clone there."""
        return None


class Receiver(Protocol):
    """Receives the events of an :class:`AsyncTransport`, on its event loop, and never during ``send``."""

    def message_received(self, frames: Sequence[bytes]) -> None:
        """Take a message.

        Args:
            frames: the message, as the peer sent it.
        """

    def resume_writing(self) -> None:
        """Send again, after a ``send`` that returned False."""

    def connection_lost(self, error: Exception) -> None:
        """Handle the end of the transport, which cannot be used any more.

        Args:
            error: why; it is raised to the calls that wait.
        """


class AsyncTransport(ABC):
    """A connection to a server on an event loop. Nothing waits: messages are sent at once or refused, answers pushed.

    It belongs to the event loop that runs when it is opened, and is only called there.

    Attributes:
        multiplexed: True if messages may be sent while earlier ones are not answered yet.
    """

    multiplexed: ClassVar[bool] = True

    @property
    @abstractmethod
    def url(self) -> str:
        """The URL of the server, for messages: ``tcp://127.0.0.1:4141``."""

    @property
    def is_open(self) -> bool:
        """True while it holds resources that ``close`` frees."""
        return False

    @abstractmethod
    def open(self, receiver: Receiver) -> None:
        """Begin to connect, without waiting; called once.

        Args:
            receiver: takes the events.

        Raises:
            TransportError: it is impossible.
        """

    @abstractmethod
    def send(self, frames: Sequence[bytes]) -> bool:
        """Send one message.

        Args:
            frames: the message.

        Returns:
            False if there is no connection or no room; then nothing was sent.

        Raises:
            TransportError: any other failure.
        """

    def deliver_unread(self) -> None:  # noqa: B027 - by default what has come comes in its own time
        """Give the receiver what has come by now; if that ends amid a message, the connection is lost.

        A client calls it while it awaits nothing, before it sends to a server that echoes no ids: an answer to nothing
        would be taken for the next one.
        """

    @abstractmethod
    def close(self) -> None:
        """Close the connection at once, drop unsent messages, and call the receiver no more; may be called twice."""

    def connect_timeout_error(self, deadline: Deadline) -> ConnectTimeout:
        """Return the error for a message that could not be sent before the deadline.

        Args:
            deadline: it has passed.
        """
        from pyelevator.transports.connect_errors import connect_timeout_error  # few connections fail

        return connect_timeout_error(self.url, None, deadline)

    def request_timeout_error(self, deadline: Deadline) -> RequestTimeout:
        """Return the error for a message that was not answered before the deadline.

        Args:
            deadline: it has passed.
        """
        return RequestTimeout(request_timeout_message(self.url, deadline))


def request_timeout_message(url: str, deadline: Deadline) -> str:
    """Return the text of a RequestTimeout."""
    return (
        f"no answer came from the Elevator server at {url} within {deadline}; "
        "it is down, stopped or busy, or the call needs a larger timeout="
    )


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
    send_queues: "SendQueues"
    disconnected: deque[bytes]

    @property
    def url(self) -> str:
        """The first URL that is bound."""
        return self.urls[0]

    @property
    @abstractmethod
    def pollable(self) -> int:
        """The descriptor for a :class:`~pyelevator.transports.polling.poller.Poller`, instead of ``wait``."""

    @property
    @abstractmethod
    def connection_count(self) -> int:
        """The number of connections."""

    @property
    @abstractmethod
    def traffic(self) -> "Traffic":
        """The traffic since it was opened; from any thread."""

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

    @property
    @abstractmethod
    def read_at(self) -> float:
        """The time (seconds, monotonic) at which something was read from a connection last."""

    @abstractmethod
    def is_connected(self, identity: bytes) -> bool:
        """Return False if nothing can be sent to a peer any more.

        Args:
            identity: of the peer.
        """

    @abstractmethod
    def address_of(self, identity: bytes) -> str:
        """Return the address of a peer, for logs; empty if it has left, or is not known. From any thread.

        Args:
            identity: of the peer, as ``receive`` returned it.
        """

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

        Args:
            identity: of the peer.
            frames: the message.

        Returns:
            True if the peer is blocked now.
        """

    @abstractmethod
    def send_buffered(self, identity: bytes, frames: Sequence[bytes]) -> bool:
        """Do the same, where more may be sent to the same peer before the next ``flush``: all of it leaves together.

        Args:
            identity: of the peer.
            frames: the message.
        """

    @abstractmethod
    def flush(self) -> list[bytes]:
        """Send what is buffered; return the identities of the peers among those that are blocked now."""

    @abstractmethod
    def disconnect(self, identity: bytes) -> None:
        """Close a connection, and drop the messages to its peer.

        Args:
            identity: of the peer; one that has left is ignored.
        """

    @abstractmethod
    def wakeup(self) -> None:
        """Make ``wait`` return; callable from any thread, and from signal handlers."""

    @abstractmethod
    def close(self) -> None:
        """Free the URLs and close all connections, after what is queued has been sent, or a second."""
