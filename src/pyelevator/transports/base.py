"""The transport seam: whole multipart messages from one place to another, without a look inside."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Final, Protocol, Self

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
