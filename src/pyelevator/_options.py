"""Options of constructors. Each stands once: in a TypedDict, whose fields have types, and defaults beside them.

A constructor takes them as ``**options: Unpack[...]``, which type checkers read, and has the signature that tools show
made of the same fields::

    class WindowOptions(TypedDict, total=False):
        width: Annotated[float, Default(0.9)]

    class Window:
        @signature_from(WindowOptions)
        def __init__(self, place: str, **options: Unpack[WindowOptions]) -> None:
            given = complete(WindowOptions, options, type(self))
"""

from collections.abc import Callable, Mapping
from functools import cache
from inspect import Parameter, Signature, signature
from typing import Any, ForwardRef, TypeVar, cast

OptionsT = TypeVar("OptionsT", bound=Mapping[str, Any])
ConstructorT = TypeVar("ConstructorT", bound=Callable[..., None])


class Default:
    """The default of an option."""

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value


@cache
def defaults_of(options: type) -> Mapping[str, Any]:
    """Return the defaults of all options, by their names."""
    return {name: field.__metadata__[0].value for name, field in options.__annotations__.items()}


def complete(options: type[OptionsT], given: Mapping[str, object], constructed: type) -> OptionsT:
    """Return what a constructor was given, and the defaults of what it was not given.

    Raises:
        TypeError: there is no such option of what is ``constructed``.
    """
    defaults = defaults_of(options)
    for name in given:
        if name not in defaults:
            raise TypeError(f"{constructed.__name__}.__init__() got an unexpected keyword argument {name!r}")
    return cast(OptionsT, {**defaults, **given})


def part_of(options: type[OptionsT], given: Mapping[str, object]) -> OptionsT:
    """Return those of some complete options that another constructor takes."""
    return cast(OptionsT, {name: given[name] for name in defaults_of(options)})


def signature_from(options: type) -> Callable[[ConstructorT], ConstructorT]:
    """Return a decorator of constructors: tools show each option in their signatures."""
    keywords = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=_shown(options.__annotations__[name]))
        for name, default in defaults_of(options).items()
    ]

    def decorate(constructor: ConstructorT) -> ConstructorT:
        own = [each for each in signature(constructor).parameters.values() if each.kind is not Parameter.VAR_KEYWORD]
        shown = Signature([*own, *keywords], return_annotation=None)
        constructor.__signature__ = shown  # type: ignore[attr-defined]
        return constructor

    return decorate


def _shown(field: Any) -> object:
    """Return a field's type; one that is not loaded is shown by its name."""
    kind = field.__origin__
    return kind.__forward_arg__ if isinstance(kind, ForwardRef) else kind
