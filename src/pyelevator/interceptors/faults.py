"""Fault injection for tests, by rules and reproducible by a seed."""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from attrs import field, frozen

from pyelevator.errors import ElevatorError, ErrorCode, MalformedMessage, RequestTimeout, UsageError
from pyelevator.flows import Flow, Forward, sleep
from pyelevator.forks import ProcessLock
from pyelevator.messages import Request, Response

_REORDER_INTERVAL: Final = 0.002
"""Seconds between two checks whether another request has passed."""

_FAULT_KINDS: Final[Mapping[str, tuple[int, Callable[[str], ElevatorError] | None]]] = {
    "delay": (1, None),
    "drop_request": (0, lambda verb: RequestTimeout(f"{verb} was dropped by a fault on its way out")),
    "drop_response": (1, lambda verb: RequestTimeout(f"the answer to {verb} was dropped by a fault on its way back")),
    "duplicate": (2, None),
    "reorder": (1, None),
    "corrupt": (1, lambda verb: MalformedMessage(f"the answer to {verb} was corrupted by a fault")),
    "fail": (0, None),
}
"""The number of times that each kind of fault executes the request, and what it raises for a verb then."""


@frozen
class Fault:
    """A rule: which fault is injected into which requests, and how often.

    Attributes:
        kind: ``delay`` (by ``seconds``), ``drop_request`` (never executed), ``drop_response`` (executed, without a
            response), ``duplicate`` (executed twice), ``reorder`` (executed after the next request that passes, if one
            does within ``seconds``), ``corrupt`` (executed, and the response cannot be decoded), ``fail`` (a failure
            with ``code`` and ``message``).
        verbs: of the commands that it applies to; empty for all.
        probability: from 0 to 1.
        seconds: the length of a ``delay``, or the longest wait of a ``reorder``.
        code: the error code of a ``fail``.
        message: the error text of a ``fail``.

    Raises:
        UsageError: the kind is unknown.
    """

    kind: str = field()
    verbs: tuple[str, ...] = ()
    probability: float = 1.0
    seconds: float = 0.1
    code: ErrorCode = ErrorCode.RUNTIME
    message: str = "a fault was asked for"

    @kind.validator
    def _check_kind(self, _: object, kind: str) -> None:
        if kind not in _FAULT_KINDS:
            raise UsageError(f"there is no fault {kind!r}; there are {', '.join(_FAULT_KINDS)}")


class Faults:
    """An interceptor that injects faults: the first rule that matches a request and whose probability hits.

    Args:
        rules: tried in order.
        seed: of the random numbers; equal seeds give equal runs.

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
        self._random = random.Random(seed)  # noqa: S311 - for tests
        self._lock = ProcessLock()
        self._passed = 0

    def __call__(self, request: Request, forward: Forward) -> Flow[Response]:
        rule = self._rule_for(request)
        response = yield from forward(request) if rule is None else self._inject(rule, request, forward)
        self._passed += 1
        return response

    def _inject(self, rule: Fault, request: Request, forward: Forward) -> Flow[Response]:
        if rule.kind == "delay":
            yield from sleep(rule.seconds)
        elif rule.kind == "reorder":
            yield from self._wait_for_another(rule.seconds)
        executions, error = _FAULT_KINDS[rule.kind]
        response = Response.failure(rule.code, rule.message, request.id)
        for _ in range(executions):
            response = yield from forward(request)
        if error is not None:
            raise error(request.command.verb)
        return response

    def _wait_for_another(self, seconds: float) -> Flow[None]:
        """Wait until another request has its response, or the time is over."""
        before = self._passed
        for _ in range(math.ceil(seconds / _REORDER_INTERVAL)):
            if self._passed != before:
                return
            yield from sleep(_REORDER_INTERVAL)

    def _rule_for(self, request: Request) -> Fault | None:
        verb = request.command.verb
        with self._lock():
            for rule in self._rules:
                if (not rule.verbs or verb in rule.verbs) and self._random.random() < rule.probability:
                    return rule
        return None
