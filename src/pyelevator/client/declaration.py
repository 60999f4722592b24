"""How a method is declared once for the sync and the async client.

Its body ends with ``return self._call(...)`` or ``return self._execute(...)``, which gives the result in a sync client
and a coroutine of it in an async one. The decorators tell type checkers so; at run time they mark the functions of
which an async client makes coroutine functions. A sync client has them as they are.
"""

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    ForwardRef,
    Generic,
    ParamSpec,
    TypeAlias,
    TypeVar,
    overload,
)

if TYPE_CHECKING:
    from pyelevator.client.signatures import AsyncGetCall, GetCall, RangeCall, SliceCall

R = TypeVar("R")
S = TypeVar("S")
A = TypeVar("A")
P = ParamSpec("P")


class Outcome(Generic[R]):
    """The result of a shared method: R itself in a sync client, a coroutine of R in an async one; for type checkers."""


class SyncMethods:
    """The base of the clients whose methods give their results."""


class AsyncMethods:
    """The base of the clients whose methods are awaited."""

    def __init_subclass__(cls) -> None:
        methods = {name: method for base in reversed(cls.__mro__) for name, method in vars(base).items()}
        for name, method in methods.items():
            if getattr(method, "is_awaited", False):
                setattr(cls, name, _awaited(method))


def _awaited(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a coroutine function, so that wrong arguments too are told where the call is awaited."""

    @wraps(method)
    async def call(*args: Any, **options: Any) -> Any:
        return await method(*args, **options)

    call.is_awaited = False  # type: ignore[attr-defined]
    return call


Awaited: TypeAlias = Coroutine[Any, Any, R]


class Shared(Generic[S, A]):
    """A method of both clients as type checkers see it: S in a sync client, A in an async one."""

    @overload
    def __get__(self, client: SyncMethods, owner: Any = ...) -> S: ...
    @overload
    def __get__(self, client: AsyncMethods, owner: Any = ...) -> A: ...
    @overload
    def __get__(self, client: None, owner: Any) -> Callable[..., Any]: ...
    def __get__(self, client: Any, owner: Any = None) -> Any:
        """Bind the method; never called, as there is only the function at run time."""


def shared_method(
    method: "Callable[Concatenate[Any, P], Outcome[R]]",
) -> "Shared[Callable[P, R], Callable[P, Awaited[R]]]":
    """Declare a method of both clients."""
    return mark(method)


def shared_get(method: "Callable[..., Outcome[R]]") -> "Shared[GetCall[R], AsyncGetCall[R]]":
    """Declare ``Get``: with a default, the result may be that."""
    return mark(method)


def shared_range(
    method: "Callable[..., Outcome[list[R]]]",
) -> "Shared[RangeCall[list[list[R]], list[R]], RangeCall[Awaited[list[list[R]]], Awaited[list[R]]]]":
    """Declare ``Range``: what is left out of the rows says what it gives."""
    return mark(method)


def shared_slice(
    method: "Callable[..., Outcome[list[R]]]",
) -> "Shared[SliceCall[list[list[R]], list[R]], SliceCall[Awaited[list[list[R]]], Awaited[list[R]]]]":
    """Declare ``Slice``, as ``Range``."""
    return mark(method)


def mark(method: Any, is_awaited: bool = True) -> Shared[Any, Any]:
    """Mark a function as a method of both clients; tools show what it gives in a sync one."""
    method.is_awaited = is_awaited
    if is_awaited:
        (result,) = method.__annotations__["return"].__args__
        result = result.__forward_arg__ if isinstance(result, ForwardRef) else result
        method.__annotations__["return"] = None if result is type(None) else result
    marked: Shared[Any, Any] = method
    return marked
