"""FakeTransport: the server application in process, for tests without a server."""

import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from copy import copy
from queue import Empty, SimpleQueue
from threading import Thread, get_ident
from typing import TYPE_CHECKING, Any, Final, Self

from pyelevator.codec import Codec
from pyelevator.deadlines import Deadline
from pyelevator.errors import RequestTimeout, TransportError, UsageError
from pyelevator.flows import Effect, Flow, Interceptor, Send, compose, drive
from pyelevator.messages import Request, Response
from pyelevator.protocol import RequestDecoder
from pyelevator.transports.base import AsyncTransport, Transport, request_timeout_message
from pyelevator.transports.fake.direct import EXECUTING, responder_for
from pyelevator.transports.url import FAKE_NAME, FAKE_NAME_RULE, shown

if TYPE_CHECKING:
    from pyelevator.application import Application
    from pyelevator.interceptors import Fault


_MAX_WAIT: Final = 5.0
"""Seconds that a call from such a thread may take."""

_NAMED: Final[dict[str, "FakeTransport"]] = {}
"""The fakes of this process that have a name."""


class FakeTransport(Transport):
    """A server in process. Clients with the same object share it; another object is another, empty server.

    Everything but the socket is real: requests are encoded and decoded, and the application that the server runs
    answers them. Where that changes nothing (see :meth:`responder`), the application gets the request as it is.

    Args:
        application: answers the requests; a new one on the memory engine if None.
        codecs: of dialects that it reads beside the two.
        interceptors: they wrap each request in this server, for all clients, outermost first. What they raise
            is what a server's would: an answer that says so. A TransportError leaves the request without an answer.
        faults: what goes wrong on the way of each request, see :class:`~pyelevator.interceptors.Fault`; equal faults
            give equal runs. A dropped message is a RequestTimeout at once, in an async client when nothing else is
            under way.

    >>> from pyelevator import Elevator
    >>> with Elevator(transport=FakeTransport()) as E:
    ...     E.Put("abc", "123")
    ...     E.Get("abc")
    '123'

    >>> from pyelevator.interceptors import Fault
    >>> with Elevator(transport=FakeTransport(faults=[Fault("drop_response", ("PUT",))])) as E:
    ...     try:
    ...         E.Put("abc", "123")
    ...     except TimeoutError as error:
    ...         print(error)
    ...     E.Get("abc")
    the answer to PUT was dropped by a fault on its way back
    '123'
    """

    def __init__(
        self,
        application: "Application | None" = None,
        codecs: Sequence[Codec] = (),
        *,
        interceptors: Sequence[Interceptor] = (),
        faults: "Sequence[Fault]" = (),
    ) -> None:
        from pyelevator.application import Application  # only here: a client of a real server does not need it
        from pyelevator.application.monitoring.monitor import monitor_of

        self.application = application or Application.in_memory()
        self._monitor = monitor_of(self.application)
        self._name = ""
        chain = (*interceptors, *_injectors(faults))
        self._forward = compose(chain) if chain else None
        self._decoder = RequestDecoder(codecs=codecs)
        self._connect()

    def _connect(self) -> None:
        self._replies: deque[Sequence[bytes] | TransportError] = deque()
        self._connection = os.urandom(8)

    @property
    def url(self) -> str:
        return f"fake://{self._name}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.application!r}>"

    def send(self, frames: Sequence[bytes], deadline: Deadline) -> None:
        if get_ident() in EXECUTING:
            self._replies.append(self._answer_in_thread(frames, deadline))
        elif self._forward is not None:
            self._replies.append(self._respond(frames, deadline))
        else:
            self._replies.append(self.answer(frames))

    def round_trip(self, frames: Sequence[bytes], deadline: Deadline) -> Sequence[bytes]:
        if self._forward is not None or self._replies or get_ident() in EXECUTING:
            return super().round_trip(frames, deadline)
        return self.answer(frames)

    def responder(self, codec: Codec) -> Callable[[Request], Response | None] | None:
        if type(self) is not FakeTransport or self._forward is not None or self._decoder.has_further:
            return None  # they may look at the frames
        return responder_for(codec, self.application, self._monitor)

    def _answer_in_thread(self, frames: Sequence[bytes], deadline: Deadline) -> Sequence[bytes] | TransportError:
        """Return the answer, executed in another thread.

        It is for a signal handler or a finalizer that has interrupted an application: what it waits for may be a lock
        that its own thread holds.
        """
        answers: SimpleQueue[Sequence[bytes] | TransportError] = SimpleQueue()
        Thread(target=lambda: answers.put(self._respond(frames, deadline)), name="elevator-fake", daemon=True).start()
        try:
            return answers.get(timeout=min(deadline.remaining(), _MAX_WAIT))
        except Empty:
            raise RequestTimeout(
                f"{self.url} executes a request that a signal handler or a finalizer has interrupted; "
                "it cannot be used from there"
            ) from None

    def answer(self, frames: Sequence[bytes]) -> list[bytes]:
        """Return the application's answer to a message, whatever the interceptors and faults."""
        thread = get_ident()
        try:
            EXECUTING.add(thread)
            incoming, application = self._decoder.read(frames, None, self._connection), self.application
            request = incoming.request
            if request is None:
                self._monitor.refused += 1
                return incoming.answer(application)
            response = application.try_handle(request) or application(request)
            self._monitor.count(request, response)
            return incoming.encode(response)
        finally:
            EXECUTING.discard(thread)

    def respond_as_flow(self, frames: Sequence[bytes]) -> Flow[Sequence[bytes]]:
        """Answer a message as a flow, through the interceptors; a TransportError is raised where there is no answer."""
        if self._forward is None:
            return self.answer(frames)
        from pyelevator.transports.fake.wire import respond_as_flow  # it needs the application's room

        return (yield from respond_as_flow(self._decoder.read(frames, None, self._connection), self._forward))

    def perform(self, effect: Send[Any]) -> Response:
        """Execute a request that the interceptors have sent."""
        thread = get_ident()
        try:
            EXECUTING.add(thread)
            response = self.application(effect.request)
            self._monitor.count(effect.request, response)
            return response
        finally:
            EXECUTING.discard(thread)

    def _respond(self, frames: Sequence[bytes], deadline: Deadline) -> Sequence[bytes] | TransportError:
        """Return the answer within the deadline. What comes later is executed, and its answer is dropped."""
        is_overdue = False

        def perform(effect: Effect) -> Response | None:
            nonlocal is_overdue
            if isinstance(effect, Send):
                return self.perform(effect)
            is_overdue = is_overdue or effect.seconds > deadline.remaining()
            time.sleep(min(effect.seconds, deadline.remaining()))
            return None

        try:
            answer = drive(self.respond_as_flow(frames), perform)
        except TransportError as error:
            return error
        return RequestTimeout(request_timeout_message(self.url, deadline)) if is_overdue else answer

    def receive(self, deadline: Deadline) -> Sequence[bytes]:
        try:
            reply = self._replies.popleft()
        except IndexError:
            raise RequestTimeout(
                f"no answer of {self.url} is pending (waiting {deadline.seconds} s would not help)"
            ) from None
        if isinstance(reply, TransportError):
            raise reply
        return reply

    def reset(self) -> None:
        self.close()

    def close(self) -> None:
        self._replies.clear()
        self.application.connection_ended(self._connection)

    def clone(self) -> Self:
        other = copy(self)
        other._connect()
        return other

    def to_async(self) -> AsyncTransport:
        from pyelevator.transports.fake.aio import AsyncFakeTransport  # asyncio is only imported where it is used

        fake = self.clone()
        respond = None if self._forward is None else fake.respond_as_flow
        return AsyncFakeTransport(fake, fake.answer, respond, fake.perform)


def named_fake(name: str) -> FakeTransport:
    """Return a transport to the fake of this process that has this name; the first use makes it, empty.

    ``Elevator.from_url("fake://shop")`` connects to the one named ``shop``. It stays until :func:`remove_fake`.

    >>> named_fake("shop").application is named_fake("shop").application
    True

    Raises:
        UsageError: it is no name.
    """
    _check_name(name)
    fake = _NAMED.get(name) or _NAMED.setdefault(name, _name(FakeTransport(), name))
    return fake.clone()


def add_fake(name: str, fake: FakeTransport) -> None:
    """Give a fake a name, so that programs which take only a URL can use it.

    Args:
        name: of ASCII letters, digits, dots, hyphens and underscores.
        fake: clients that are connected to it already stay as they are.

    Raises:
        UsageError: it is no name, or another fake has it.
    """
    _check_name(name)
    if _NAMED.setdefault(name, _name(fake.clone(), name)).application is not fake.application:
        raise UsageError(f"there is a fake named {name!r} already; remove_fake({name!r}) forgets it")


def remove_fake(name: str) -> None:
    """Forget the fake of a name: the next client of the name gets a new, empty one. None of that name is fine."""
    _NAMED.pop(name, None)


def _check_name(name: str) -> None:
    if not isinstance(name, str) or not FAKE_NAME.fullmatch(name):
        raise UsageError(f"{shown(str(name))!r:.60} does not name a fake; {FAKE_NAME_RULE}")


def _name(fake: FakeTransport, name: str) -> FakeTransport:
    fake._name = name
    return fake


def _injectors(faults: "Sequence[Fault]") -> tuple[Interceptor, ...]:
    if not faults:
        return ()
    from pyelevator.interceptors import Faults  # few fakes have any

    return (Faults(faults),)
