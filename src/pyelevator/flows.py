"""Flows: the work of a method, written once for sync and async, as a generator of effects.

A flow yields what it wants done and gets back the outcome. :func:`drive` is the sync loop, :func:`drive_async` the
async one.

>>> from pyelevator.commands import Ping
>>> def ping():
...     response = yield from send(Request(Ping()))
...     return response.payload
>>> drive(ping(), lambda effect: Response(b"PONG"))
b'PONG'
"""

from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator, Sequence
from copy import copy
from itertools import groupby, takewhile
from typing import Any, Generic, TypeAlias, TypeVar

from attrs import evolve

from pyelevator import commands
from pyelevator._attrs import hot_value
from pyelevator.deadlines import Deadline
from pyelevator.errors import Id, MessageTooLarge
from pyelevator.messages import Request, Response

R = TypeVar("R")
E = TypeVar("E")
P = TypeVar("P")
T = TypeVar("T")


@hot_value
class Send(Generic[P]):
    """The effect of sending a request; its outcome is the response."""

    request: Request[P]


@hot_value
class Sleep:
    """The effect of waiting; it has no outcome, and ends no later than the call."""

    seconds: float


Effect: TypeAlias = Send[Any] | Sleep
Flow: TypeAlias = Generator[Effect, Any, R]
"""A generator that yields effects, is sent their outcomes, and returns R."""

Forward: TypeAlias = Callable[[Request], Flow[Response]]
"""What carries a request on, and gives its response."""

Interceptor: TypeAlias = Callable[[Request, Forward], Flow[Response]]
"""Something around each request: it may change it, answer it, forward it once, again or not at all, and look at or
change the response. What goes wrong further in is raised where it waits for ``yield from forward(request)``. If the
outermost one has a method ``refuses``, a proxy asks that before the arguments of a large request are read."""


def send(request: Request) -> Flow[Response]:
    """Send ``request``; the flow's result is the response."""
    response: Response = yield Send(request)
    return response


def sleep(seconds: float) -> Flow[None]:
    """Wait."""
    yield Sleep(seconds)


def compose(interceptors: Iterable[Interceptor], innermost: Forward = send) -> Forward:
    """Join interceptors, the first one outermost, to one function that carries requests on to ``innermost``.

    An outcome, an exception included, reaches the innermost first, and the outer ones by what it returns or raises.
    """
    forward = innermost
    for interceptor in reversed(tuple(interceptors)):
        forward = _wrap(interceptor, forward)
    return forward


def _wrap(interceptor: Interceptor, forward: Forward) -> Forward:
    """Wrap ``forward`` in an interceptor. It sees single commands: those of a pipeline run concurrently through it."""

    def intercepted(request: Request) -> Flow[Response]:
        if isinstance(request.command, commands.Pipeline):
            return run_concurrently(request, lambda one: _call_interceptor(interceptor, one, send), forward)
        return _call_interceptor(interceptor, request, forward)

    return intercepted


def _call_interceptor(interceptor: Interceptor, request: Request, forward: Forward) -> Flow[Response]:
    flow: Any = interceptor(request, forward)
    if not isinstance(flow, Generator):
        name = getattr(interceptor, "__name__", type(interceptor).__name__)
        raise TypeError(f"the interceptor {name} must be a flow (a generator), and gave {type(flow).__name__}")
    return flow


def run_concurrently(pipeline: Request, begin: Forward, forward: Forward) -> Flow[Response]:
    """Run the commands of a pipeline as flows of their own.

    Each is made by ``begin``; what they send at one time goes together through ``forward``.

    A flow that sleeps holds up the sends of those after it, so that the commands keep their order; all sleep at once.
    """
    flows = [_Task(begin, evolve(pipeline, command=command, id=None)) for command in pipeline.command.commands]  # type: ignore[attr-defined]
    try:
        while any(task.effect is not None for task in flows):
            yield from _advance([task for task in flows if task.effect is not None], pipeline, forward)
    finally:
        for task in flows:
            task.flow.close()
    return collect_responses([task.outcome for task in flows], pipeline.id)


def collect_responses(outcomes: list[Any], request_id: Id | None) -> Response:
    """Return one response of many; an error that all of them share (no such database, say) is the pipeline's."""
    first = outcomes[0] if outcomes else None
    if isinstance(first, Response) and first.code is not None and all(outcome == first for outcome in outcomes):
        return evolve(first, id=request_id)
    return Response(outcomes, id=request_id)


def _advance(waiting: "list[_Task]", pipeline: Request, forward: Forward) -> Flow[None]:
    sending = list(takewhile(lambda task: isinstance(task.effect, Send), waiting))
    if sending:
        requests = [task.effect.request for task in sending]  # type: ignore[union-attr]
        for task, outcome in zip(sending, (yield from _send_batches(requests, pipeline, forward)), strict=True):
            task.resume(outcome)
        return
    pause = waiting[0].effect.seconds  # type: ignore[union-attr]
    yield from sleep(pause)
    for task in waiting:
        if isinstance(task.effect, Sleep):
            task.elapse(pause)


def encode_failures(request: Request | None, response: Response, failure: Callable[[Exception], Response]) -> Response:
    """Return the response as it can be encoded.

    What interceptors raised for single commands of a pipeline becomes failures in it.
    """
    if request is None or not isinstance(request.command, commands.Pipeline) or response.code is not None:
        return response
    outcomes = [failure(outcome) if isinstance(outcome, Exception) else outcome for outcome in response.payload]
    return evolve(response, payload=outcomes)


def _send_batches(requests: Sequence[Request], pipeline: Request, forward: Forward) -> Flow[Sequence[Any]]:
    """Send requests, those next to one another as one message if they can; return the outcome of each."""
    outcomes: list[Any] = []
    for _, grouped in groupby(requests, key=_batch_key):
        group = list(grouped)
        outcomes += yield from _group(group, pipeline, forward)
    return outcomes


def _group(group: Sequence[Request], pipeline: Request, forward: Forward) -> Flow[Sequence[Any]]:
    try:
        return (yield from _send_batch(group, pipeline, forward))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is each one's
        if not isinstance(error, MessageTooLarge) or len(group) == 1:
            return [copy(error) for _ in group]
        parts = split_batch(group, error)
    outcomes: list[Any] = []
    for part in parts:
        outcomes += yield from _group(part, pipeline, forward)
    return outcomes


def split_batch(items: Sequence[T], error: MessageTooLarge) -> Iterator[Sequence[T]]:
    """Split items that were too large for one message; some of the parts may be too large again."""
    step = max(1, min(len(items) - 1, len(items) * error.limit // (error.size + 1)))
    return (items[first : first + step] for first in range(0, len(items), step))


def _batch_key(request: Request) -> tuple[Any, ...]:
    """Return what the requests of one pipeline have in common; a command that cannot be in one has a key of its own."""
    return None if isinstance(request.command, commands.PIPELINED) else id(request), request.uid, request.compression


def _send_batch(group: Sequence[Request], pipeline: Request, forward: Forward) -> Flow[Sequence[Any]]:
    if len(group) == 1:
        return [(yield from forward(group[0]))]
    ends = [request.context.deadline for request in group if request.context.deadline is not None]
    together = commands.Pipeline([request.command for request in group])
    context = evolve(group[0].context, deadline=min(ends, key=lambda end: end.at, default=None))
    response = yield from forward(evolve(group[0], command=together, id=pipeline.id, context=context))
    if response.code is not None:
        return [evolve(response, id=None)] * len(group)
    outcomes = together.result(response.payload)
    return [outcome if isinstance(outcome, (Response, Exception)) else Response(outcome) for outcome in outcomes]


class _Task:
    """One of several concurrent flows: the effect that it waits for, or its outcome."""

    def __init__(self, begin: Forward, request: Request) -> None:
        self.effect: Effect | None = None
        self.outcome: Response | Exception | None = None
        self.flow = begin(request)
        self.resume(None)

    def resume(self, outcome: Any) -> None:
        """Go on with the outcome of the last effect; an exception is raised there."""
        self.effect = None
        try:
            self.effect = self.flow.throw(outcome) if isinstance(outcome, Exception) else self.flow.send(outcome)
        except StopIteration as stop:
            self.outcome = stop.value if isinstance(stop.value, Response) else _no_response(stop.value)
        except Exception as error:  # noqa: BLE001 - it is this command's, and no other's
            self.outcome = error

    def elapse(self, seconds: float) -> None:
        """Let some of its sleep pass, or all."""
        left = self.effect.seconds - seconds  # type: ignore[union-attr]
        if left > 0:
            self.effect = Sleep(left)
        else:
            self.resume(None)


def intercept(forward: Forward, flow: Flow[R], deadline: Deadline) -> Flow[R]:
    """Run ``flow``, with each of its requests sent through ``forward``: the interceptors of a client.

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
        context = evolve(effect.request.context, deadline=deadline)
        response = yield from forward(effect.request.with_context(context))
        if not isinstance(response, Response):
            raise _no_response(response)
        return response
    return (yield effect)


def _no_response(value: object) -> TypeError:
    return TypeError(f"an interceptor must return a Response, not {type(value).__name__}")


def drive(flow: Generator[E, Any, R], perform: Callable[[E], Any], effect: E | None = None) -> R:
    """Run a flow to its end; ``perform`` carries out each effect, and what it raises is thrown into the flow.

    A flow that has begun goes on with the ``effect`` that it stands at.
    """
    try:
        if effect is None:
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


async def drive_async(flow: Generator[E, Any, R], perform: Callable[[E], Awaitable[Any]]) -> R:
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
