"""Calls under way on an event loop, and the connections that carry them."""

import asyncio
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from itertools import chain
from typing import TYPE_CHECKING, Any

from attrs import define

from pyelevator.client.aio.coalescing import MOST, Server, groups, is_refused, is_too_much, one_request, outcomes
from pyelevator.codec import Codec
from pyelevator.commands import Command
from pyelevator.conversation import Conversation
from pyelevator.deadlines import Deadline
from pyelevator.errors import ConnectFailed, MessageTooLarge, ProtocolError
from pyelevator.messages import Request, Response
from pyelevator.transports.base import AsyncTransport

if TYPE_CHECKING:
    from pyelevator.client.aio.session import Switchboard


@define(eq=False)
class Call:
    """One command, from ``submit`` to its answer.

    Attributes:
        command, uid, compression: what to send, as in a :class:`~pyelevator.messages.Request`.
        at, seconds: until when the answer is wanted, as in a :class:`~pyelevator.deadlines.Deadline`.
        future: holds the outcome in the end: the payload of a plain success, or a Response.
        board: that it was submitted to.
        connection: that has taken it over; None while it waits for one.
        message: that carries it, once that is sent; None before.
        alone: it must not travel with others.
    """

    command: Command[Any]
    uid: str | None
    compression: bool
    at: float
    seconds: float
    future: "asyncio.Future[Any]"
    board: "Switchboard"
    connection: "Connection | None" = None
    message: "Message | None" = None
    alone: bool = False

    @property
    def deadline(self) -> Deadline:
        """Until when the answer is wanted; made for those who ask, as nearly no call gets there."""
        return Deadline(self.at, self.seconds)

    def abandon(self) -> None:
        """Gives it up."""
        self.board.abandon(self)

    def fail(self, error: Exception) -> None:
        """Ends it with an error."""
        if not self.future.done():
            self.future.set_exception(error)
            self.future.exception()  # a caller who was cancelled meanwhile never asks, and need not


@define(eq=False)
class Message:
    """What is in flight on a connection.

    Attributes:
        id: its number there.
        request: what it says.
        calls: that it carries; None in the place of one that was given up.
        heard: how many messages had come in when it was sent.
    """

    id: int
    request: Request[Any]
    calls: list[Call | None]
    heard: int


class Connection:
    """A transport, the conversation on it, and the calls that it has taken over.

    What is added in one turn of the loop goes out together at its end; in few messages, if the server knows pipelines,
    each of them as soon as it is full, so that the server begins while more is added.

    Attributes:
        heard: how many messages have come in.
        broken: it must not carry another request.
        failed: a request on it got no answer.
        idle_since: when (seconds, monotonic) the last answer came that was waited for; long ago if none did.
    """

    def __init__(
        self, transport: AsyncTransport, codec: Codec, on_change: Callable[["Connection"], None], server: Server
    ) -> None:
        self.transport = transport
        self.heard = 0
        self.broken = self.failed = False
        self.idle_since = -math.inf
        self._conversation = Conversation(codec, limits=server.limits)
        self._on_change = on_change
        self._server = server
        self._unsent: dict[Call, None] = {}
        self._sent: dict[int, Message] = {}
        self._loop = asyncio.get_running_loop()
        self._flushing = False
        transport.open(self)

    @property
    def idle(self) -> bool:
        """Nobody waits for anything here."""
        return not self._sent and not self._unsent

    @property
    def blocked(self) -> bool:
        """There is something to send that cannot be sent."""
        return bool(self._unsent)

    @property
    def many(self) -> bool:
        """The server is known to echo ids, so that any number of requests may be in flight."""
        return self._conversation.tagged and self.transport.multiplexed

    def silent_since(self, call: Call) -> bool:
        """Nothing has come in since the call was sent; or it was not, and nothing was under way that held it up."""
        return call.message.heard == self.heard if call.message else not self._sent

    def calls(self) -> Iterator[Call]:
        """All that it has taken over, sent or not."""
        sent = chain.from_iterable(message.calls for message in self._sent.values())
        return chain((call for call in sent if call is not None), self._unsent)

    def add(self, call: Call) -> None:
        """Takes a call over."""
        call.connection = self
        self._unsent[call] = None
        if len(self._unsent) == MOST and self._server.pipelines:
            self._flush()
        elif not self._flushing:
            self._loop.call_soon(self._end_turn)
            self._flushing = True

    def _end_turn(self) -> None:
        self._flushing = False
        self._flush()

    def _flush(self) -> None:
        for group in list(groups([call for call in self._unsent if not call.future.done()], self._server)):
            if self.broken:
                break
            self._remove(group)
            if not self._send(group):
                self._put_back(group)
                return
        if self.idle:
            self._on_change(self)

    def _remove(self, group: Sequence[Call]) -> None:
        for call in group:
            del self._unsent[call]

    def _put_back(self, group: Sequence[Call]) -> None:
        self._unsent = dict.fromkeys(group) | self._unsent

    def _send(self, group: Sequence[Call]) -> bool:
        """Sends calls in one message, if the transport takes it."""
        try:
            request = one_request(group)
            request_id, frames = self._conversation.submit(request)
        except Exception as error:  # noqa: BLE001 - what cannot be written down is its callers' matter
            if isinstance(error, MessageTooLarge) and len(group) > 1:
                self._send_again(group)
            else:
                self._fail(group, error)
            return True
        message = self._sent[request_id] = Message(request_id, request, list(group), self.heard)
        for call in group:
            call.message = message
        try:
            taken = self.transport.send(frames)
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing more can be sent here
            self.connection_lost(error)
            return True
        if not taken:
            self._conversation.forget(request_id, sent=False)
            del self._sent[request_id]
            for call in group:
                call.message = None
        return taken

    def message_received(self, frames: Sequence[bytes]) -> None:
        """Hands an answer to its calls."""
        self.heard += 1
        try:
            matched = self._conversation.match(frames)
        except ProtocolError as error:
            if not self.many and not self._sent:  # unasked, it would come again on each connection that is tried
                self._fail(self.take_back(), error)
            self.connection_lost(error)
            return
        if matched is not None:
            self._answer(self._sent.pop(matched[0]), matched[1])
            self._on_change(self)

    def _answer(self, message: Message, read: Callable[[], Response]) -> None:
        try:
            response = read()
        except Exception as error:  # noqa: BLE001 - an answer that cannot be read is its callers' matter
            self.broken = not self.many
            self._fail(message.calls, error)
            return
        self.broken = self._conversation.spent
        self._server.learn(message.request.command, response)
        if is_refused(message, response):
            self._server.pipelines = False
            self._send_again(message.calls)
            return
        for call, outcome in zip(message.calls, outcomes(response, message), strict=True):
            if call is not None and not call.future.done():
                if type(outcome) is Response and is_too_much(outcome, message):
                    self._send_again([call])
                else:
                    call.future.set_result(outcome)

    def _fail(self, group: Iterable[Call | None], error: Exception) -> None:
        """Fails calls; each caller gets an exception of his own, as a traceback hangs on it."""
        for call in group:
            if call is not None:
                call.fail(copy(error))

    def _send_again(self, group: Sequence[Call | None]) -> None:
        """Sends calls that the server did not take together, each by itself."""
        for call in group:
            if call is not None:
                call.message, call.alone = None, True
                self.add(call)

    def resume_writing(self) -> None:
        """Sends what had to wait for the connection."""
        self._flush()

    def connection_lost(self, error: Exception) -> None:
        """Fails what is in flight; where no connection came up, what waited for it as well."""
        self.broken = self.failed = True
        if isinstance(error, ConnectFailed):
            self._fail(self.take_back(), error)
        sent, self._sent = self._sent, {}
        self._fail(chain.from_iterable(message.calls for message in sent.values()), error)
        self._on_change(self)

    def forget(self, call: Call) -> bool:
        """Gives a call up; False if there was nothing left to give up."""
        message = call.message
        if message is None:
            return self._unsent.pop(call, self) is None
        if message.id not in self._sent or call not in message.calls:
            return False
        message.calls[message.calls.index(call)] = None
        if not any(message.calls):
            del self._sent[message.id]
            self._conversation.forget(message.id)
            self.failed = self.failed or not self.many
            self.broken = self.broken or self.failed
        return True

    def take_back(self) -> list[Call]:
        """The calls that are not sent yet; they are the caller's now."""
        calls, self._unsent = list(self._unsent), {}
        for call in calls:
            call.connection = None
        return calls

    def close(self) -> None:
        """Closes the transport; nothing is received any more, and the calls are no longer its own."""
        self.broken = True
        self._sent, self._unsent = {}, {}
        self.transport.close()
