"""The options of a client: their defaults, what the environment says of them, and the transport that they make."""

import enum
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final, TypedDict

from pyelevator import arguments, transports
from pyelevator._options import Default, complete, defaults_of, part_of
from pyelevator.arguments.data import to_text
from pyelevator.codec import Codec, Limits
from pyelevator.errors import ArgumentTypeError, UsageError
from pyelevator.flows import Interceptor
from pyelevator.transports import Transport
from pyelevator.transports.base import ConnectOptions

if TYPE_CHECKING:
    from pyelevator.interceptors import Retry
    from pyelevator.transports import Curve
    from pyelevator.transports.options import TransportOptions


class DefaultStr(str):
    """A default that can be told apart from the same text given by the caller."""

    __slots__ = ()


class Unset(enum.Enum):
    """The type of UNSET, which stands for an argument that was not given where None says something else."""

    UNSET = "unset"

    def __repr__(self) -> str:
        """Show it in signatures as nothing that a caller would write."""
        return "..."


UNSET: Final = Unset.UNSET
DEFAULT_TRANSPORT: Final = DefaultStr("tcp")
DEFAULT_ENDPOINT: Final = DefaultStr("127.0.0.1:4141")
DEFAULT_ENCODING: Final = DefaultStr("utf-8")
DEFAULT_DIALECT: Final = DefaultStr("classic")
DEFAULT_MAX_CONNECTIONS: Final = 16
BATCH_TIMEOUT: Final = 10.0
"""Seconds for each Write of a batch."""
URL_VARIABLE: Final = "ELEVATOR_URL"


def _fake(endpoint: str, _: "TransportOptions") -> Transport:
    from pyelevator.transports.fake import FakeTransport, named_fake  # each transport is loaded when one is made

    return FakeTransport() if isinstance(endpoint, DefaultStr) else named_fake(endpoint)


_TRANSPORTS: Final[Mapping[str, Callable[[str, "TransportOptions"], Transport]]] = {
    "tcp": lambda endpoint, details: transports.TcpTransport(endpoint, **details),
    "ipc": lambda endpoint, details: transports.IpcTransport(endpoint, **details),
    "fake": _fake,
}


def _is_url(text: object) -> bool:
    from pyelevator.transports.url import is_url  # as above

    return is_url(text)


def make_transport(options: "ClientOptions", max_message: int) -> Transport:
    """Make the transport that the options of a client describe."""
    transport, endpoint = options["transport"], options["endpoint"]
    details: TransportOptions = {**part_of(ConnectOptions, options), "max_message": max_message}
    if options["curve"] is not None:
        return _make_curve_transport(options["curve"], transport, endpoint, details)
    if isinstance(transport, Transport):
        _check_own_transport(options)
        return transport
    if not isinstance(transport, str):
        raise ArgumentTypeError(f"transport must be a name or a Transport, not {type(transport).__name__}")
    if _is_url(transport):
        raise UsageError("transport= is a name such as 'tcp'; for a URL use from_url()")
    if transport not in _TRANSPORTS:
        raise UsageError(f"there is no transport {transport!r}; choose one of {', '.join(_TRANSPORTS)}")
    if transport == "ipc" and isinstance(endpoint, DefaultStr):
        raise UsageError("transport='ipc' needs endpoint=, the path of the server's socket file")
    return _TRANSPORTS[transport](endpoint, details)


def _check_own_transport(options: "ClientOptions") -> None:
    """Refuse what a Transport object knows by itself."""
    connects = part_of(ConnectOptions, options)
    given = {"endpoint": not isinstance(options["endpoint"], DefaultStr)}
    given |= {name: value != defaults_of(ConnectOptions)[name] for name, value in connects.items()}
    for name, is_given in given.items():
        if is_given:
            raise UsageError(f"{name}= goes with transport='tcp' or 'ipc'; a Transport object knows its own")


def _make_curve_transport(
    curve: "Curve", transport: str | Transport, endpoint: str, details: "TransportOptions"
) -> Transport:
    """Make a transport with keys. Only TCP has them; other transports would ignore the keys, and are refused."""
    if not isinstance(curve, transports.Curve):
        raise ArgumentTypeError(f"curve must be a Curve, not {type(curve).__name__}")
    if transport != "tcp":
        raise UsageError("curve= goes with transport='tcp'; socket files have modes, and a Transport has its own keys")
    return transports.TcpTransport(endpoint, curve, **details)


def check_name(db_name: str | None, client: type) -> None:
    """Refuse what is no name of a database, above all a URL."""
    if db_name is not None:
        to_text(db_name, "db_name")
    if _is_url(db_name):
        raise UsageError(f"a database's name is wanted, and this is a URL; use {client.__name__}.from_url(url)")


def chain_interceptors(interceptors: Sequence[Interceptor], retry: "Retry | None") -> tuple[Interceptor, ...]:
    """Return the interceptors, with ``retry`` as the innermost one."""
    chain = tuple(interceptors)
    if retry is not None:
        from pyelevator.interceptors import Retry  # the room has much that a client rarely needs

        if not isinstance(retry, Retry):
            raise ArgumentTypeError(f"retry must be a Retry, not {type(retry).__name__}")
        chain += (retry,)
    return chain


class _NameOption(TypedDict, total=False):
    db_name: Annotated[str | None, Default(None)]


class _EndpointOptions(TypedDict, total=False):
    transport: Annotated[str | Transport, Default(DEFAULT_TRANSPORT)]
    endpoint: Annotated[str, Default(DEFAULT_ENDPOINT)]


class _EncodingOption(TypedDict, total=False):
    encoding: Annotated[str | None, Default(DEFAULT_ENCODING)]


class _CommonOptions(TypedDict, total=False):
    timeout: Annotated[float | Unset | None, Default(UNSET)]
    auto_connect: Annotated[bool, Default(True)]
    dialect: Annotated[str | Codec, Default(DEFAULT_DIALECT)]
    max_connections: Annotated[int, Default(DEFAULT_MAX_CONNECTIONS)]
    curve: Annotated["Curve | None", Default(None)]
    interceptors: Annotated[Sequence[Interceptor], Default(())]
    retry: Annotated["Retry | None", Default(None)]
    pool_timeout: Annotated[float | None, Default(None)]
    limits: Annotated[Limits | None, Default(None)]
    create: Annotated[bool, Default(False)]


class TypedOptions(_EndpointOptions, _CommonOptions, ConnectOptions, total=False):
    """The options of the constructors, but for ``db_name``, and ``encoding``, which says the type of the results."""


class ConstructorOptions(_EndpointOptions, _EncodingOption, _CommonOptions, ConnectOptions, total=False):
    """The options of the constructors, but for ``db_name``."""


class UrlOptions(_NameOption, _EncodingOption, _CommonOptions, ConnectOptions, total=False):
    """The options of ``from_url`` beside the URL."""


class ClientOptions(_NameOption, _EndpointOptions, _EncodingOption, _CommonOptions, ConnectOptions, total=False):
    """All arguments of a client's constructor."""


def complete_options(client: type, db_name: str | None, given: ConstructorOptions) -> ClientOptions:
    """Return the options of what a constructor was called with, completed from the environment.

    What is not given is taken from ``ELEVATOR_URL``, if neither transport nor endpoint is given.

    Raises:
        TypeError: there is no such option.
        ArgumentTypeError, UsageError: ``ELEVATOR_URL`` is not understood, or ``create`` is no bool.
    """
    options = complete(ClientOptions, {"db_name": db_name, **given}, client)
    arguments.flag(options["create"], "create")
    url = os.environ.get(URL_VARIABLE)
    if not url or not isinstance(options["transport"], DefaultStr) or not isinstance(options["endpoint"], DefaultStr):
        return options
    target = transports.parse_url(url)
    from_url = {"transport": target.scheme, "endpoint": target.address or DEFAULT_ENDPOINT, **target.options}
    return complete(
        ClientOptions, {**options, **{name: from_url[name] for name in from_url if _is_open(options, name)}}, client
    )


def _is_open(options: Mapping[str, Any], name: str) -> bool:
    """Return whether an option was not given, as far as that can be told."""
    value = options[name]
    if name in _REPEATABLE:
        return bool(value == defaults_of(ClientOptions)[name])
    return isinstance(value, DefaultStr) or value is UNSET


_REPEATABLE: Final = frozenset(
    {"db_name", "max_connections", "curve", "pool_timeout", "connect_timeout", "heartbeat", "create"}
)
"""The options for which a caller may give the default: they count as not given."""
