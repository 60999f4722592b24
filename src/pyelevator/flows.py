"""Flows: what a method does, written once for sync and async, as a generator of effects.

A flow yields what it wants done and gets back what came of it. :func:`drive` is the sync loop.

>>> from pyelevator.commands import Ping
>>> def ping():
...     response = yield from send(Request(Ping()))
...     return response.payload
>>> drive(ping(), lambda effect: Response(b"PONG"))
b'PONG'
"""

from collections.abc import Callable, Generator
from typing import Any, Generic, TypeAlias, TypeVar

from attrs import frozen

from pyelevator.messages import Request, Response

R = TypeVar("R")
P = TypeVar("P")


@frozen
class Send(Generic[P]):
    """The effect of sending a request; its outcome is the response."""

    request: Request[P]


Effect: TypeAlias = Send[Any]
Flow: TypeAlias = Generator[Effect, Any, R]
"""A generator that yields effects, is sent their outcomes, and returns R."""


def send(request: Request[Any]) -> Flow[Response]:
    """Sends ``request``; the flow's result is the response. The only bare yield."""
    response: Response = yield Send(request)
    return response


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
