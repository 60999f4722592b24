"""Flows: what a method does, written once for sync and async, as a generator of effects.

A flow yields what it wants done and gets back what came of it. :func:`drive` is the sync loop, :func:`drive_async` the
async one.

>>> from pyelevator.commands import Ping
>>> def ping():
...     response = yield from send(Request(Ping()))
...     return response.payload
>>> drive(ping(), lambda effect: Response(b"PONG"))
b'PONG'
"""

from collections.abc import Awaitable, Callable, Generator, Iterable
from typing import Any, Generic, TypeAlias, TypeVar

from attrs import evolve

from pyelevator.deadlines import Deadline
from pyelevator.messages import Request, Response
from pyelevator.records import record

R = TypeVar("R")
P = TypeVar("P")


@record
class Send(Generic[P]):
    """The effect of sending a request; its outcome is the response."""

    request: Request[P]


@record
class Sleep:
    """The effect of waiting; it has no outcome. Who performs it waits no longer than the call may take."""

    seconds: float


Effect: TypeAlias = Send[Any] | Sleep
Flow: TypeAlias = Generator[Effect, Any, R]
"""A generator that yields effects, is sent their outcomes, and returns R."""

Forward: TypeAlias = Callable[[Request[Any]], Flow[Response]]
"""What carries a request on, and gives its response."""

Interceptor: TypeAlias = Callable[[Request[Any], Forward], Flow[Response]]
"""Something around each request: it may change it, answer it, forward it once, again or not at all, and look at or
change the response. What goes wrong further in is raised where it waits for ``yield from forward(request)``."""


def send(request: Request[Any]) -> Flow[Response]:
    """Sends ``request``; the flow's result is the response."""
    response: Response = yield Send(request)
    return response


def sleep(seconds: float) -> Flow[None]:
    """Waits."""
    yield Sleep(seconds)


def compose(interceptors: Iterable[Interceptor], exchange: Forward = send) -> Forward:
    """One way for requests through all interceptors, the first one outermost, to ``exchange``.

    An outcome, an exception included, reaches the innermost first, and the outer ones by what it returns or raises.
    """
    forward = exchange
    for interceptor in reversed(tuple(interceptors)):
        forward = _around(interceptor, forward)
    return forward


def _around(interceptor: Interceptor, forward: Forward) -> Forward:
    def intercepted(request: Request[Any]) -> Flow[Response]:
        flow: Any = interceptor(request, forward)
        if not isinstance(flow, Generator):
            name = getattr(interceptor, "__name__", type(interceptor).__name__)
            raise TypeError(f"the interceptor {name} must be a flow (a generator), and gave {type(flow).__name__}")
        return flow

    return intercepted


def through(forward: Forward, flow: Flow[R], deadline: Deadline) -> Flow[R]:
    """``flow``, with each of its requests sent through ``forward``: the interceptors of a client.

    The requests carry ``deadline``, so that an interceptor knows how much time there is.
    """
    try:
        effect = next(flow)
        while True:
            try:
                outcome = yield from _outcome(effect, forward, deadline)
            except BaseException as error:  # noqa: BLE001 - whatever it is, it belongs to the flow
                effect = flow.throw(error)
            else:
                effect = flow.send(outcome)
    except StopIteration as stop:
        result: R = stop.value
        return result
    finally:
        flow.close()


def _outcome(effect: Effect, forward: Forward, deadline: Deadline) -> Flow[Any]:
    if isinstance(effect, Send):
        response = yield from forward(evolve(effect.request, deadline=deadline))
        if not isinstance(response, Response):
            raise TypeError(f"an interceptor must return a Response, not {type(response).__name__}")
        return response
    return (yield effect)


def drive(flow: Flow[R], perform: Callable[[Effect], Any]) -> R:
    """Runs a flow to its end; ``perform`` carries out each effect, and what it raises is thrown into the flow."""
    try:
        effect = next(flow)
        while True:
            try:
                outcome = perform(effect)
            except BaseException as error:  # noqa: BLE001 - KeyboardInterrupt too belongs to the flow
                effect = flow.throw(error)
            else:
                effect = flow.send(outcome)
    except StopIteration as stop:
        result: R = stop.value
        return result
    finally:
        flow.close()


async def drive_async(flow: Flow[R], perform: Callable[[Effect], Awaitable[Any]]) -> R:
    """Like :func:`drive`, where carrying out an effect is awaited; cancellation too is thrown into the flow."""
    try:
        effect = next(flow)
        while True:
            try:
                outcome = await perform(effect)
            except BaseException as error:  # noqa: BLE001 - cancellation too belongs to the flow
                effect = flow.throw(error)
            else:
                effect = flow.send(outcome)
    except StopIteration as stop:
        result: R = stop.value
        return result
    finally:
        flow.close()
