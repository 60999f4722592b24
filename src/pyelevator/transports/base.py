"""The transport seam: whole multipart messages from one place to another, without a look inside."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Self

from pyelevator.deadlines import Deadline


class Transport(ABC):
    """One lane to a server. Not shared between threads: each thread at work has a lane of its own (see ``sibling``).

    A lane opens itself with the first ``send``. To write a transport of your own, subclass this and run
    :class:`pyelevator.testing.transports.TransportConformance` over it.
    """

    @property
    @abstractmethod
    def url(self) -> str:
        """Where the lane leads, for messages: ``tcp://127.0.0.1:4141``."""

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
    def discard(self) -> None:
        """Cuts the lane off from its past: no message sent to it so far is ever received, none unsent is sent."""

    @abstractmethod
    def close(self) -> None:
        """Lets go of everything at once, unsent messages included; twice is fine, and a later send opens it anew."""

    @abstractmethod
    def sibling(self) -> Self:
        """A further lane to the same place, which shares nothing with this one."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
