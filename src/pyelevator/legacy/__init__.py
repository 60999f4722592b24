"""The names that programs written for py-elevator 0.5c use: modules, ways to call, and their new names.

Source: PyPI's ``py-elevator`` 0.5c. Everything here works and raises a DeprecationWarning that says the new way; the
classes themselves know nothing of it but the decorator :func:`accept_old_calls`.
"""

import sys
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

if TYPE_CHECKING:
    from pyelevator.commands import Command
    from pyelevator.flows import Flow

C = TypeVar("C", bound=type)

_ERROR_NAMES: Final = ("TYPE", "KEY", "VALUE", "INDEX", "RUNTIME", "OS", "DATABASE", "SIGNAL")
_CONSTANTS: Final[Mapping[str, int]] = {
    **{
        "SUCCESS_STATUS": 1,
        "FAILURE_STATUS": -1,
        "WARNING_STATUS": -2,
        "SIGNAL_BATCH_PUT": 1,
        "SIGNAL_BATCH_DELETE": 0,
    },
    **{f"{name}_ERROR": code for code, name in enumerate(_ERROR_NAMES)},
}


OLD_MODULES: Final[Mapping[str, tuple[str, Mapping[str, str | int]]]] = {
    "pyelevator.error": (
        "pyelevator.errors",
        {
            **_CONSTANTS,
            "DatabaseError": "pyelevator.errors:DatabaseError",
            "SignalError": "pyelevator.errors:SignalError",
            # 0.5c raised it whenever no answer came, whatever the reason was.
            "TimeoutError": "pyelevator.errors:TransportError",
            "ELEVATOR_ERROR": "pyelevator.errors:SERVER_ERRORS",
        },
    ),
    "pyelevator.constants": ("pyelevator.messages and pyelevator.ErrorCode", _CONSTANTS),
    "pyelevator.base": ("pyelevator", {"Client": "pyelevator.client:Elevator"}),
    "pyelevator.batch": ("pyelevator", {"WriteBatch": "pyelevator.client:WriteBatch"}),
    "pyelevator.message": (
        "pyelevator.codec",
        {
            "MessageFormatError": "pyelevator.errors:MalformedMessage",
            "Request": "pyelevator.legacy.contents:encode_request",
            "Response": "pyelevator.legacy.contents:OldResponse",
            "ResponseHeader": "pyelevator.legacy.contents:OldResponseHeader",
        },
    ),
    "pyelevator.utils": ("pyelevator", {}),
    "pyelevator.utils.snippets": (
        "pyelevator (timeouts are seconds)",
        {"ms_to_sec": "pyelevator.legacy.contents:ms_to_sec", "sec_to_ms": "pyelevator.legacy.contents:sec_to_ms"},
    ),
    "pyelevator.utils.patterns": ("enum", {"enum": "pyelevator.legacy.contents:enum"}),
}
"""Name of a module of 0.5c -> where its names are now; and old name -> ``module:name``, or another value as it is.

Plain tuples, because ``import pyelevator`` loads no attrs, and named ones take longer."""


class OldModuleFinder:
    """Finder and loader of the modules of 0.5c, after everything that Python finds by itself.

    It does not inherit from the classes of importlib.abc, whose import takes several times as long as this module's.
    """

    def find_spec(self, fullname: str, path: object, target: object = None) -> ModuleSpec | None:  # noqa: ARG002
        """Give the spec of a module of 0.5c, None for any other."""
        if fullname not in OLD_MODULES:
            return None
        is_package = any(name.startswith(f"{fullname}.") for name in OLD_MODULES)
        return ModuleSpec(fullname, self, is_package=is_package)  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:  # noqa: ARG002
        """Leave the making of the module to Python."""
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Fill the module, and warn."""
        successor, names = OLD_MODULES[module.__name__]
        _warn(f"{module.__name__} is py-elevator's; its names are in {successor} now")
        module.__doc__ = f"py-elevator's name for {successor}."
        vars(module).update({name: _resolve(value) for name, value in names.items()})


def install() -> None:
    """Let Python find the modules of 0.5c."""
    if not any(isinstance(finder, OldModuleFinder) for finder in sys.meta_path):
        sys.meta_path.append(OldModuleFinder())


def _resolve(value: str | int) -> object:
    if not isinstance(value, str):
        return value
    module, _, name = value.partition(":")
    return getattr(import_module(module), name)


def _warn(message: str) -> None:
    """Warn at the nearest line outside of this package."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _BETWEEN:
        frame = frame.f_back
    place = frame.f_code.co_filename, frame.f_lineno, frame.f_globals.get("__name__", "?")
    registry = frame.f_globals.setdefault("__warningregistry__", {})
    warnings.warn_explicit(message, DeprecationWarning, *place, registry)


_BETWEEN: Final = ("pyelevator", "importlib", "_frozen_importlib", "functools")
"""Whose lines are between a call of 0.5c's and what it meets here."""


# Calls


OLD_CALLS: Final[Mapping[str, int]] = {
    **dict.fromkeys(("disconnect", "listdb", "repairdb", "Write"), 0),
    **dict.fromkeys(("connect", "mount", "unmount", "dropdb", "Delete"), 1),
    **dict.fromkeys(("createdb", "Put", "Range", "Slice", "RangeIter"), 2),
}
"""Method -> how many arguments it takes by position; 0.5c took more, and ignored them."""

_RENAMED: Final = {"createdb": {"key": "db_name", "db_options": "options"}, "dropdb": {"key": "db_name"}}
"""Method -> old keyword -> the one of today."""

_DEFAULTS: Final[Mapping[str, Mapping[str, object]]] = {"Slice": {"key_from": None, "offset": 0}}
"""Method -> argument -> what stood for it where it was left out, or None."""

_Function: TypeAlias = Callable[..., object]


def accept_old_calls(cls: C) -> C:
    """Give a client class the calls and attributes of 0.5c; the signatures that tools show stay as they are."""
    shared = {name for name in OLD_CALLS if hasattr(getattr(cls, name, None), "is_awaited")}
    for name in OLD_CALLS.keys() & (vars(cls).keys() | shared):
        setattr(cls, name, _accepting(getattr(cls, name), OLD_CALLS[name]))
    for name, attribute in OLD_ATTRIBUTES.items():
        setattr(cls, name, attribute)
    return cls


def _accepting(method: FunctionType, positional: int) -> _Function:
    name, code = method.__name__, method.__code__
    ignored = () if "compression" in code.co_varnames else ("compression",)
    renamed, defaults = _RENAMED.get(name, {}), _DEFAULTS.get(name)

    def in_full(self: object, args: Sequence[object], options: Mapping[str, object]) -> object:
        if len(args) > positional:
            _warn(f"{name} takes {positional} arguments by position; the others have no effect")
            args = args[:positional]
        for old in options.keys() & renamed.keys():
            _warn(f"{name}({old}=...) is py-elevator's; say {renamed[old]}=")
        options = {renamed.get(each, each): given for each, given in options.items() if each not in ignored}
        if defaults is not None:
            options, args = _completed(defaults, args, options), ()
        return method(self, *args, **options)

    own = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    quick = _QUICK.get(positional, _given_any)
    return wraps(method)(quick(method, in_full, frozenset(own[1 + positional :])))


_Full: TypeAlias = Callable[[object, Sequence[object], Mapping[str, object]], object]

_NOT_GIVEN: Final = object()


def _given_any(_: _Function, in_full: _Full, __: frozenset[str]) -> _Function:
    def call(self: object, /, *args: object, **options: object) -> object:
        return in_full(self, args, options)

    return call


def _given_one(method: _Function, in_full: _Full, own: frozenset[str]) -> _Function:
    def call(self: object, first: object = _NOT_GIVEN, /, *more: object, **options: object) -> object:
        if first is not _NOT_GIVEN and first is not None and not more:
            if not options:
                return method(self, first)
            if own.issuperset(options):
                return method(self, first, **options)
        return in_full(self, () if first is _NOT_GIVEN else (first, *more), options)

    return call


def _given_two(method: _Function, in_full: _Full, own: frozenset[str]) -> _Function:
    def call(
        self: object, first: object = _NOT_GIVEN, second: object = _NOT_GIVEN, /, *more: object, **options: object
    ) -> object:
        if second is not _NOT_GIVEN and second is not None and first is not None and not more:
            if not options:
                return method(self, first, second)
            if own.issuperset(options):
                return method(self, first, second, **options)
        given = [argument for argument in (first, second, *more) if argument is not _NOT_GIVEN]
        return in_full(self, given, options)

    return call


_QUICK: Final[Mapping[int, Callable[[_Function, _Full, frozenset[str]], _Function]]] = {
    1: _given_one,
    2: _given_two,
}
"""Arguments that a method takes by position -> what calls it at once if they are given so, and the others by keyword,
which is as programs of today call what is called most. To pass ``*args, **options`` on takes twice as long."""


def _completed(
    defaults: Mapping[str, object], args: Sequence[object], options: Mapping[str, object]
) -> dict[str, object]:
    given = {**dict(zip(defaults, args, strict=False)), **options}
    return given | {name: value for name, value in defaults.items() if given.get(name) is None}


def call_timeout(timeout: float | None) -> float | None:
    """Check the timeout of one call; 0 and below stood for the client's own, which is None here.

    Raises:
        ArgumentTypeError: It is not a number.
        UsageError: It is not a number of seconds.
    """
    if type(timeout) in (int, float) and timeout <= 0:  # type: ignore[operator]
        _warn("a timeout of 0 or below is py-elevator's word for the client's own timeout; leave it out")
        return None
    from pyelevator.deadlines import check_timeout  # it loads attrs, which programs that only catch errors do not need

    return check_timeout(timeout)


def warn_of_another_loop() -> None:
    """Warn that a range which was read to its end is fetched again, as py-elevator's could be iterated again."""
    _warn(
        "this RangeIter was read to its end; it starts over, as py-elevator's did. Make another one, or say "
        "rows = iter(rows) before you take parts of it"
    )


# Attributes


def _url(client: Any) -> str:
    return str(client._transport.url)


def _send(
    client: Any,
    db_uid: str | None,
    command: str,
    arguments: Iterable[object],
    *_ignored: object,
    timeout: float | None = None,
    compression: bool = False,
) -> object:
    """Send a command by its verb, with the arguments as they travel, as the methods of 0.5c did.

    Args:
        db_uid: of the database; None where the command names none.
        command: the verb, such as ``"GET"``.
        arguments: as they travel.
        timeout: seconds; the client's if None.
        compression: ask for a compressed answer.

    Returns:
        The ``datas`` of the answer: a single value in a list, if it is true; None where the command has no result.
    """
    from pyelevator.commands import COMMANDS, Unknown

    _warn("send() is py-elevator's; call the method of the command")
    args = list(arguments)  # {} stood for no arguments
    sent = COMMANDS[command](*args) if command in COMMANDS else Unknown(command, args)
    decoded = _decoded(client._execute(_send_command(db_uid, sent, compression), timeout), client._decoder.value)
    return [decoded] if decoded and not isinstance(decoded, list) else decoded


def _send_command(db_uid: str | None, command: "Command", compression: bool) -> "Flow[object]":
    from pyelevator.flows import send
    from pyelevator.messages import Request

    response = yield from send(Request(command, db_uid, None, compression))
    if response.code is not None:
        raise command.error(response.code, response.message)
    return response.payload


def _decoded(payload: object, text: Callable[[bytes], object]) -> object:
    if isinstance(payload, bytes):
        return text(payload)
    return [_decoded(item, text) for item in payload] if isinstance(payload, (list, tuple)) else payload


OLD_ATTRIBUTES: Final[Mapping[str, object]] = {
    "host": property(_url, doc="The server's URL, as ``tcp://127.0.0.1:4141``."),
    "transport": property(lambda client: _url(client).partition("://")[0], doc="The scheme of the server's URL."),
    "endpoint": property(lambda client: _url(client).partition("://")[2], doc="The server's URL without its scheme."),
    "send": _send,
}
"""Attribute of 0.5c's clients -> what it is here. Set at run time, so that editors show the names of today only."""
