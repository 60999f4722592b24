"""Calls under way on an event loop, and the messages that carry them, as data."""

import asyncio
from typing import Any, Protocol

from attrs import define

from pyelevator.commands import Command
from pyelevator.deadlines import Deadline
from pyelevator.messages import Request
from pyelevator.transports.base import AsyncTransport


class Carrier(Protocol):
    """A connection as its calls see it."""

    @property
    def transport(self) -> AsyncTransport:
        """The transport that sends them."""

    @property
    def is_spent(self) -> bool:
        """True once a reply has come that answers none of its requests."""

    def cancel(self, call: "PendingCall") -> None:
        """Give a call up."""

    def is_silent_since(self, call: "PendingCall") -> bool:
        """Return whether nothing was received since the call was sent."""


@define(eq=False)
class PendingCall:
    """One command, from ``submit`` to its outcome.

    Attributes:
        command, uid, compression: what to send, as in a :class:`~pyelevator.messages.Request`.
        expires_at, seconds: until when the answer is wanted, as in a :class:`~pyelevator.deadlines.Deadline`.
        future: holds the outcome in the end: the payload of a plain success, or a Response.
        connection: that has taken it over; None while it waits for one.
        message: that carries it, once that is sent; None before.
        is_unbatchable: it must not travel with others.
    """

    command: Command[Any]
    uid: str | None
    compression: bool
    expires_at: float
    seconds: float
    future: "asyncio.Future[Any]"
    connection: "Carrier | None" = None
    message: "SentMessage | None" = None
    is_unbatchable: bool = False

    @property
    def deadline(self) -> Deadline:
        """The end of the call; made on demand, because nearly no call gets there."""
        return Deadline(self.expires_at, self.seconds)

    def set_exception(self, error: Exception) -> None:
        """End it with an error."""
        if not self.future.done():
            self.future.set_exception(error)
            self.future.exception()  # a caller that was cancelled meanwhile never asks, and need not


@define(eq=False)
class SentMessage:
    """A message in flight on a connection.

    Attributes:
        id: its number there.
        request: what it says.
        calls: that it carries; None in the place of one that was given up.
        received_before: how many messages had come in when it was sent.
    """

    id: int
    request: Request[Any]
    calls: list[PendingCall | None]
    received_before: int
