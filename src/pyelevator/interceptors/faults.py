"""Faults: what goes wrong in the world, by rule and by seed, for tests."""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from attrs import field, frozen

from pyelevator.errors import ErrorCode, MalformedMessage, RequestTimeout, UsageError
from pyelevator.flows import Flow, Forward, sleep
from pyelevator.forks import ProcessLock
from pyelevator.messages import Request, Response


def _delay(rule: "Fault", request: Request[Any], forward: Forward) -> Flow[Response]:
    yield from sleep(rule.seconds)
    return (yield from forward(request))


_LOOK: Final = 0.002
"""Seconds between two looks whether another request has passed."""


def _drop_request(rule: "Fault", request: Request[Any], forward: Forward) -> Flow[Response]:  # noqa: ARG001
    yield from ()
    raise RequestTimeout(f"{request.command.verb} was dropped by a fault on its way out")


def _drop_response(rule: "Fault", request: Request[Any], forward: Forward) -> Flow[Response]:  # noqa: ARG001
    yield from forward(request)
    raise RequestTimeout(f"the answer to {request.command.verb} was dropped by a fault on its way back")


def _pass(rule: "Fault", request: Request[Any], forward: Forward) -> Flow[Response]:  # noqa: ARG001
    return (yield from forward(request))


def _duplicate(rule: "Fault", request: Request[Any], forward: Forward) -> Flow[Response]:  # noqa: ARG001
    yield from forward(request)
    return (yield from forward(request))


def _corrupt(rule: "Fault", request: Request[Any], forward: Forward) -> Flow[Response]:  # noqa: ARG001
    yield from forward(request)
    raise MalformedMessage(f"the answer to {request.command.verb} was corrupted by a fault")


def _fail(rule: "Fault", request: Request[Any], forward: Forward) -> Flow[Response]:  # noqa: ARG001
    yield from ()
    return Response.failure(rule.code, rule.message, request.id)


_KINDS: Final[Mapping[str, Callable[["Fault", Request[Any], Forward], Flow[Response]]]] = {
    "delay": _delay,
    "drop_request": _drop_request,
    "drop_response": _drop_response,
    "duplicate": _duplicate,
    "reorder": _pass,
    "corrupt": _corrupt,
    "fail": _fail,
}


@frozen
class Fault:
    """One rule: what goes wrong, with whom, how often.

    Attributes:
        kind: ``delay`` (by ``seconds``), ``drop_request`` (never executed), ``drop_response`` (executed, and nobody
            hears of it), ``duplicate`` (executed twice), ``reorder`` (executed after the next request that passes, if
            one does within ``seconds``), ``corrupt`` (executed, and the answer cannot be read), ``fail`` (answered with
            ``code`` and ``message``).
        verbs: which commands; all if empty.
        probability: how often, from 0 to 1.
    """

    kind: str = field()
    verbs: tuple[str, ...] = ()
    probability: float = 1.0
    seconds: float = 0.1
    code: ErrorCode = ErrorCode.RUNTIME
    message: str = "a fault was asked for"

    @kind.validator
    def _known(self, _: Any, kind: str) -> None:
        if kind not in _KINDS:
            raise UsageError(f"there is no fault {kind!r}; there are {', '.join(_KINDS)}")


class Faults:
    """Applies the first rule that fits a request and whose dice say so; equal seeds give equal runs.

    >>> from pyelevator import Elevator
    >>> with Elevator(transport="fake", interceptors=[Faults([Fault("drop_response", ("PUT",))])]) as E:
    ...     try:
    ...         E.Put("k", "v")
    ...     except TimeoutError as error:
    ...         print(error)
    ...     E.Get("k")
    the answer to PUT was dropped by a fault on its way back
    'v'
    """

    def __init__(self, rules: Sequence[Fault], seed: int = 0) -> None:
        self._rules = tuple(rules)
        self._random = random.Random(seed)  # noqa: S311 - dice for tests
        self._lock = ProcessLock()
        self._passed = 0

    def __call__(self, request: Request[Any], forward: Forward) -> Flow[Response]:
        rule = self._rule_for(request)
        if rule is not None and rule.kind == "reorder":
            yield from self._let_pass(rule.seconds)
        response = yield from forward(request) if rule is None else _KINDS[rule.kind](rule, request, forward)
        self._passed += 1
        return response

    def _let_pass(self, seconds: float) -> Flow[None]:
        """Waits until another request has its answer, or the time is over."""
        before = self._passed
        for _ in range(math.ceil(seconds / _LOOK)):
            if self._passed != before:
                return
            yield from sleep(_LOOK)

    def _rule_for(self, request: Request[Any]) -> Fault | None:
        verb = request.command.verb
        with self._lock():
            for rule in self._rules:
                if (not rule.verbs or verb in rule.verbs) and self._random.random() < rule.probability:
                    return rule
        return None
