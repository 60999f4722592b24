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
    Protocol,
    TypeAlias,
    TypeVar,
    overload,
)

if TYPE_CHECKING:
    from pyelevator.arguments import Data
    from pyelevator.client.methods.signatures import RangeCall, SliceCall

R = TypeVar("R")
D = TypeVar("D")
P = ParamSpec("P")
V_co = TypeVar("V_co", covariant=True)


class Outcome(Generic[R]):
    """What a shared method gives: R itself in a sync client, a coroutine of R in an async one; for type checkers."""


class SyncMethods:
    """The base of the clients whose methods give their results."""


class AsyncMethods:
    """The base of the clients whose methods are awaited."""

    def __init_subclass__(cls) -> None:
        for name, method in _methods_of(cls).items():
            if getattr(method, "is_awaited", False):
                setattr(cls, name, _awaited(method))


def _methods_of(cls: type) -> dict[str, Any]:
    return {name: method for base in reversed(cls.__mro__) for name, method in vars(base).items()}


def _awaited(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a coroutine function, so that wrong arguments too are told where the call is awaited."""

    @wraps(method)
    async def call(*args: Any, **options: Any) -> Any:
        return await method(*args, **options)

    call.is_awaited = False  # type: ignore[attr-defined]
    return call


if TYPE_CHECKING:

    class _SyncGet(Protocol[V_co]):
        @overload
        def __call__(self, key: Data, *, compression: bool = ..., timeout: float | None = ...) -> V_co: ...
        @overload
        def __call__(
            self, key: Data, default: D, *, compression: bool = ..., timeout: float | None = ...
        ) -> V_co | D: ...

    class _AsyncGet(Protocol[V_co]):
        @overload
        def __call__(
            self, key: Data, *, compression: bool = ..., timeout: float | None = ...
        ) -> Coroutine[Any, Any, V_co]: ...
        @overload
        def __call__(
            self, key: Data, default: D, *, compression: bool = ..., timeout: float | None = ...
        ) -> Coroutine[Any, Any, V_co | D]: ...

    _Coroutine: TypeAlias = Coroutine[Any, Any, R]

    class shared_method(Generic[P, R]):  # noqa: N801 - a decorator
        """A method of both clients."""

        def __init__(self, method: Callable[Concatenate[Any, P], Outcome[R]]) -> None: ...
        @overload
        def __get__(self, client: SyncMethods, owner: Any = ...) -> Callable[P, R]: ...
        @overload
        def __get__(self, client: AsyncMethods, owner: Any = ...) -> Callable[P, _Coroutine[R]]: ...
        @overload
        def __get__(self, client: None, owner: Any) -> Callable[..., Any]: ...
        def __get__(self, client: Any, owner: Any = None) -> Any: ...

    class shared_get(Generic[R]):  # noqa: N801 - a decorator
        """The method ``Get``: with a default, the result may be that."""

        def __init__(self, method: Callable[..., Outcome[R]]) -> None: ...
        @overload
        def __get__(self, client: SyncMethods, owner: Any = ...) -> _SyncGet[R]: ...
        @overload
        def __get__(self, client: AsyncMethods, owner: Any = ...) -> _AsyncGet[R]: ...
        @overload
        def __get__(self, client: None, owner: Any) -> Callable[..., Any]: ...
        def __get__(self, client: Any, owner: Any = None) -> Any: ...

    class shared_range(Generic[R]):  # noqa: N801 - a decorator
        """The method ``Range``: what is left out says what it gives."""

        def __init__(self, method: Callable[..., Outcome[list[R]]]) -> None: ...
        @overload
        def __get__(self, client: SyncMethods, owner: Any = ...) -> RangeCall[list[list[R]], list[R]]: ...
        @overload
        def __get__(
            self, client: AsyncMethods, owner: Any = ...
        ) -> RangeCall[_Coroutine[list[list[R]]], _Coroutine[list[R]]]: ...
        @overload
        def __get__(self, client: None, owner: Any) -> Callable[..., Any]: ...
        def __get__(self, client: Any, owner: Any = None) -> Any: ...

    class shared_slice(Generic[R]):  # noqa: N801 - a decorator
        """The method ``Slice``."""

        def __init__(self, method: Callable[..., Outcome[list[R]]]) -> None: ...
        @overload
        def __get__(self, client: SyncMethods, owner: Any = ...) -> SliceCall[list[list[R]], list[R]]: ...
        @overload
        def __get__(
            self, client: AsyncMethods, owner: Any = ...
        ) -> SliceCall[_Coroutine[list[list[R]]], _Coroutine[list[R]]]: ...
        @overload
        def __get__(self, client: None, owner: Any) -> Callable[..., Any]: ...
        def __get__(self, client: Any, owner: Any = None) -> Any: ...

else:

    def shared_method(method):
        """Mark a method of both clients; tools show what it gives in a sync one."""
        (result,) = method.__annotations__["return"].__args__
        if isinstance(result, ForwardRef):
            result = result.__forward_arg__
        method.__annotations__["return"] = None if result is type(None) else result
        method.is_awaited = True
        return method

    shared_get = shared_range = shared_slice = shared_method
