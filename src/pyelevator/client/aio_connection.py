"""Calls under way on an event loop, and the connections that carry them."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from itertools import chain
from typing import Any

from attrs import define

from pyelevator.client.aio_groups import Server, answers, groups, is_refused, one_request
from pyelevator.codec import Codec
from pyelevator.conversation import Conversation
from pyelevator.deadlines import Deadline
from pyelevator.errors import ProtocolError
from pyelevator.messages import Request, Response
from pyelevator.transports.base import AsyncTransport


@define(eq=False)
class Call:
    """One request, from ``submit`` to its answer.

    Attributes:
        request, deadline: what to send, and until when the answer is wanted.
        future: holds the outcome in the end.
        connection: that has taken it over; None while it waits for one.
        id: the number of the message that carries it, once that is sent; None before.
        heard: how many messages had come in on the connection when it was sent.
    """

    request: Request[Any]
    deadline: Deadline
    future: "asyncio.Future[Response]"
    connection: "Connection | None" = None
    id: int | None = None
    heard: int = 0

    def answer(self, response: Response) -> None:
        """Ends it with an answer."""
        if not self.future.done():
            self.future.set_result(response)

    def fail(self, error: Exception) -> None:
        """Ends it with an error."""
        if not self.future.done():
            self.future.set_exception(error)
            self.future.exception()  # a caller who was cancelled meanwhile never asks, and need not


class Connection:
    """A transport, the conversation on it, and the calls that it has taken over.

    What is added in one turn of the loop goes out together at its end; in few messages, if the server knows pipelines.

    Attributes:
        heard: how many messages have come in.
        broken: it must not carry another request.
    """

    def __init__(
        self, transport: AsyncTransport, codec: Codec, on_change: Callable[["Connection"], None], server: Server
    ) -> None:
        self.transport = transport
        self.heard = 0
        self.broken = False
        self._conversation = Conversation(codec)
        self._on_change = on_change
        self._server = server
        self._unsent: OrderedDict[Call, None] = OrderedDict()
        self._sent: dict[int, list[Call | None]] = {}
        """The calls that each message carries; None in the place of one that was given up."""
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
        return self._conversation.tagged and self.transport.shared

    def silent_since(self, call: Call) -> bool:
        """Nothing at all has come in since the call was sent."""
        return call.id is not None and call.heard == self.heard

    def calls(self) -> Iterator[Call]:
        """All that it has taken over, sent or not."""
        sent = chain.from_iterable(self._sent.values())
        return chain((call for call in sent if call is not None), self._unsent)

    def add(self, call: Call) -> None:
        """Takes a call over."""
        call.connection = self
        self._unsent[call] = None
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
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
        for call in reversed(group):
            self._unsent[call] = None
            self._unsent.move_to_end(call, last=False)

    def _send(self, group: Sequence[Call]) -> bool:
        """Sends calls in one message, if the transport takes it."""
        try:
            request_id, frames = self._conversation.submit(one_request(group))
        except Exception as error:  # noqa: BLE001 - what cannot be written down is its callers' matter
            for call in group:
                call.fail(copy(error))
            return True
        self._note(group, request_id)
        try:
            taken = self.transport.send(frames)
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing more can be sent here
            self.lost(error)
            return True
        if not taken:
            self._conversation.forget(request_id, sent=False)
            del self._sent[request_id]
            self._note(group, None)
        return taken

    def _note(self, group: Sequence[Call], request_id: int | None) -> None:
        for call in group:
            call.id, call.heard = request_id, self.heard
        if request_id is not None:
            self._sent[request_id] = list(group)

    def received(self, frames: Sequence[bytes]) -> None:
        """Hands an answer to its calls."""
        self.heard += 1
        try:
            matched = self._conversation.match(frames)
        except ProtocolError as error:
            self.lost(error)
            return
        if matched is not None:
            self._answer(self._sent.pop(matched[0]), matched[1])
            self._on_change(self)

    def _answer(self, group: Sequence[Call | None], read: Callable[[], Response]) -> None:
        try:
            response = read()
        except Exception as error:  # noqa: BLE001 - an answer that cannot be read is its callers' matter
            self.broken = not self.many
            self._fail(group, error)
            return
        self.broken = self._conversation.spent
        self._server.learn(response)
        if is_refused(response, len(group)):
            self._send_again(group)
            return
        for call, answer in zip(group, answers(response, len(group)), strict=True):
            if call is not None:
                call.answer(answer)

    def _fail(self, group: Iterable[Call | None], error: Exception) -> None:
        """Fails calls; each caller gets an exception of his own, as a traceback hangs on it."""
        for call in group:
            if call is not None:
                call.fail(copy(error))

    def _send_again(self, group: Sequence[Call | None]) -> None:
        """Sends the calls of a group that the server did not understand, each by itself."""
        self._server.pipelines = False
        for call in group:
            if call is not None:
                call.id = None
                self.add(call)

    def writable(self) -> None:
        """Sends what had to wait for the connection."""
        self._flush()

    def lost(self, error: Exception) -> None:
        """Fails what is in flight."""
        self.broken = True
        sent, self._sent = self._sent, {}
        self._fail(chain.from_iterable(sent.values()), error)
        self._on_change(self)

    def forget(self, call: Call) -> bool:
        """Gives a call up; False if there was nothing left to give up."""
        if call.id is None:
            return self._unsent.pop(call, self) is None
        group = self._sent.get(call.id)
        if group is None or call not in group:
            return False
        group[group.index(call)] = None
        if not any(group):
            del self._sent[call.id]
            self._conversation.forget(call.id)
            self.broken = self.broken or not self.many
        return True

    def take_back(self) -> list[Call]:
        """The calls that are not sent yet; they are the caller's now."""
        calls, self._unsent = list(self._unsent), OrderedDict()
        for call in calls:
            call.connection = None
        return calls

    def close(self) -> None:
        """Closes the transport; nothing is received any more, and the calls are no longer its own."""
        self.broken = True
        self._sent, self._unsent = {}, OrderedDict()
        self.transport.close()
