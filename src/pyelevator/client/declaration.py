"""The declaration of a method once for the sync client, the async client and their pipelines.

Its body ends with ``return self._call(...)`` or ``return self._execute(...)``, which gives the result in a sync client,
a coroutine of it in an async one, and a handle on it in a pipeline. The decorators tell type checkers so; at run time
they mark the functions, of which an async client makes coroutine functions, and a pipeline functions without
``timeout`` and ``compression``. A sync client has them as they are.
"""

from collections.abc import Callable, Coroutine, Generator
from contextlib import closing
from functools import wraps
from inspect import signature
from types import FunctionType
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Final,
    ForwardRef,
    Generic,
    ParamSpec,
    Self,
    TypeAlias,
    TypeVar,
    overload,
)

from pyelevator.client.decoding import ResultDecoder, T, same
from pyelevator.flows import drive, drive_async

if TYPE_CHECKING:
    from pyelevator.client.handles import DatabaseHandle
    from pyelevator.client.operations import ExpectedError
    from pyelevator.client.paging import ScanCommand
    from pyelevator.client.results import PipelineResult
    from pyelevator.client.signatures import AsyncGetCall, GetCall, PipelinedGetCall, RangeCall, SliceCall
    from pyelevator.commands import Command
    from pyelevator.flows import Flow

R = TypeVar("R")
S = TypeVar("S")
A = TypeVar("A")
Q = TypeVar("Q")
P = ParamSpec("P")
_Method: TypeAlias = Callable[..., object]


class Outcome(Generic[R]):
    """The result of a shared method, for type checkers: R, a coroutine of R, or a handle on R."""


Steps: TypeAlias = Generator[Any, Any, R]
"""A method of several calls: it yields what each call returns, is sent its result, and returns R."""


class SharedMethods(Generic[T]):
    """The base of the shared methods, and what they are made of."""

    _decoder: ResultDecoder[T]
    _prefetches: bool

    if TYPE_CHECKING:
        _handle: DatabaseHandle

        @overload
        def _call(self, command: Command[R], timeout: float | None, compression: bool = ...) -> Outcome[R]: ...
        @overload
        def _call(
            self,
            command: Command,
            timeout: float | None,
            compression: bool = ...,
            decode: Callable[[Any], R] = ...,
            expected: ExpectedError[R] | None = ...,
        ) -> Outcome[R]: ...
        def _call(
            self, command: Any, timeout: Any, compression: Any = False, decode: Any = None, expected: Any = None
        ) -> Any:
            """Execute a command.

            Args:
                command: what to do.
                timeout: seconds; the client's if None.
                compression: ask for a compressed answer.
                decode: makes the caller's result of the command's; None where it is that.
                expected: an error that is none for the caller, and the result in its place.
            """

        def _execute(self, flow: Flow[R], timeout: float | None) -> Outcome[R]:
            """Execute a flow, for what takes several messages."""

    def _rows_decoder(self, command: "ScanCommand") -> Callable[[list[Any]], list[Any]]:
        """Return what decodes the rows that a scan fetches."""
        return self._decoder.pairs if command.include_key and command.include_value else self._decoder.values


class SyncMethods:
    """The base of what has methods that give their results."""

    def _run(self, steps: Steps[R]) -> R:
        with closing(steps):  # at once, even where an interrupt comes between two instructions of the loop
            return drive(steps, same)


class SyncBlock(SyncMethods):
    """The base of those with a ``with`` block."""

    if TYPE_CHECKING:
        _leave: Any

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._leave(kind)


class AsyncMethods:
    """The base of what has methods that are awaited."""

    def __init_subclass__(cls) -> None:
        _adapt(cls, _awaited, "is_awaited")

    def _run(self, steps: Steps[R]) -> "Awaited[R]":
        return drive_async(steps, same)


class QueuedMethods:
    """The base of the pipelines, whose methods queue their commands, and give handles on the results."""

    def __init_subclass__(cls) -> None:
        _adapt(cls, _queued, "is_queued")


def _adapt(cls: type, adapted: Callable[[Any], _Method], mark: str) -> None:
    """Give a class its own form of each method with a mark."""
    methods = {name: method for base in reversed(cls.__mro__) for name, method in vars(base).items()}
    for name, method in methods.items():
        if getattr(method, mark, False):
            setattr(cls, name, adapted(method))


def _awaited(method: Callable[..., Coroutine[Any, Any, object]]) -> _Method:
    """Return a coroutine function, so that errors for wrong arguments are raised where the call is awaited."""

    @wraps(method)
    async def call(*args: object, **options: object) -> object:
        return await method(*args, **options)

    call.is_awaited = False  # type: ignore[attr-defined]
    return call


_OF_CALLS: Final = frozenset({"timeout", "compression"})
"""Arguments that a pipeline has for all of its commands, or not at all."""


def _queued(method: FunctionType) -> _Method:
    """Return the same function, shown as the method of a pipeline."""
    from pyelevator.client.results import PipelineResult  # nothing is queued before there is a pipeline

    queued = FunctionType(method.__code__, method.__globals__, method.__name__, method.__defaults__, method.__closure__)
    queued.__kwdefaults__, queued.__qualname__ = method.__kwdefaults__, f"Pipeline.{method.__name__}"
    shown = signature(method)
    result: Any = shown.return_annotation
    queued.__signature__ = shown.replace(  # type: ignore[attr-defined]
        parameters=[each for name, each in shown.parameters.items() if name not in _OF_CALLS],
        return_annotation=PipelineResult[result],
    )
    purpose = str(method.__doc__).partition("\n\n")[0]
    name = f"Elevator.{method.__name__}"
    queued.__doc__ = (
        f"{purpose}\n\n        Returns:\n            A handle; its result, or its error, is what "
        f":meth:`{name} <pyelevator.{name}>` gives.\n        "
    )
    return queued


class AsyncBlock(AsyncMethods):
    """The base of those with an ``async with`` block."""

    if TYPE_CHECKING:
        _leave: Any

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        await self._leave(kind)


Awaited: TypeAlias = Coroutine[Any, Any, R]


class Shared(Generic[S, A, Q]):
    """A shared method as type checkers see it: S in a sync client, A in an async one, Q in a pipeline."""

    @overload
    def __get__(self, client: QueuedMethods, owner: object = ...) -> Q: ...
    @overload
    def __get__(self, client: SyncMethods, owner: object = ...) -> S: ...
    @overload
    def __get__(self, client: AsyncMethods, owner: object = ...) -> A: ...
    @overload
    def __get__(self, client: None, owner: object) -> Callable[..., Any]: ...
    def __get__(self, client: object, owner: object = None) -> object:
        """Bind the method; never called, as there is only the function at run time."""


class SharedSteps(Generic[S, A]):
    """A method of several steps as type checkers see it."""

    @overload
    def __get__(self, client: SyncMethods, owner: object = ...) -> S: ...
    @overload
    def __get__(self, client: AsyncMethods, owner: object = ...) -> A: ...
    @overload
    def __get__(self, client: object, owner: object = ...) -> Callable[..., Outcome[Any]]: ...
    def __get__(self, client: object, owner: object = None) -> object:
        """Bind the method, as above."""


def shared_steps(
    method: Callable[Concatenate[Any, P], Steps[R]],
) -> SharedSteps[Callable[P, R], Callable[P, Awaited[R]]]:
    """Declare a method that takes several calls: a generator, which yields each call and is sent its result."""
    _mark(method, "is_awaited")

    @wraps(method)
    def call(self: Any, *args: Any, **options: Any) -> object:
        return self._run(method(self, *args, **options))

    declared: Any = call
    return declared  # type: ignore[no-any-return]


def shared_method(
    method: "Callable[Concatenate[Any, P], Outcome[R]]",
) -> "Shared[Callable[P, R], Callable[P, Awaited[R]], Callable[P, PipelineResult[R]]]":
    """Declare a method."""
    return mark(method)


def shared_get(
    method: "Callable[..., Outcome[R]]",
) -> "Shared[GetCall[R], AsyncGetCall[R], PipelinedGetCall[R]]":
    """Declare ``Get``: with a default, the result may be that."""
    return mark(method)


def shared_range(
    method: "Callable[..., Outcome[list[R]]]",
) -> """Shared[
    RangeCall[list[list[R]], list[R]],
    RangeCall[Awaited[list[list[R]]], Awaited[list[R]]],
    RangeCall[PipelineResult[list[list[R]]], PipelineResult[list[R]]],
]""":
    """Declare ``Range``: what is left out of the rows says what it gives."""
    return mark(method)


def shared_slice(
    method: "Callable[..., Outcome[list[R]]]",
) -> """Shared[
    SliceCall[list[list[R]], list[R]],
    SliceCall[Awaited[list[list[R]]], Awaited[list[R]]],
    SliceCall[PipelineResult[list[list[R]]], PipelineResult[list[R]]],
]""":
    """Declare ``Slice``, as ``Range``."""
    return mark(method)


def mark(method: Any, is_awaited: bool = True) -> Shared[Any, Any, Any]:
    """Mark a function as a shared method; tools show what it gives in a sync client."""
    method.is_awaited = is_awaited
    if is_awaited:
        _mark(method, "is_awaited", "is_queued")
    marked: Shared[Any, Any, Any] = method
    return marked


def _mark(method: Any, *marks: str) -> None:
    vars(method).update(dict.fromkeys(marks, True))
    *_, result = method.__annotations__["return"].__args__
    result = result.__forward_arg__ if isinstance(result, ForwardRef) else result
    method.__annotations__["return"] = None if result is type(None) else result
