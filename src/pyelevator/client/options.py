"""The options of a client: their defaults, what the environment says of them, and the transport that they make."""

import enum
import os
from collections.abc import Callable, Mapping, Sequence
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Any, Final, Self, TypedDict

from attrs import evolve, field, fields, fields_dict, frozen

from pyelevator import arguments, transports
from pyelevator.arguments.data import to_text
from pyelevator.codec import Codec, Limits
from pyelevator.errors import ArgumentTypeError, UsageError
from pyelevator.flows import Interceptor
from pyelevator.transports import Transport
from pyelevator.transports.base import CONNECT_TIMEOUT, HEARTBEAT

if TYPE_CHECKING:
    from pyelevator.interceptors import Retry
    from pyelevator.transports import Curve


class DefaultStr(str):
    """A default that can be told apart from the same text given by the caller."""

    __slots__ = ()


class Unset(enum.Enum):
    """The type of UNSET, which stands for an argument that was not given where None says something else."""

    UNSET = "unset"


UNSET: Final = Unset.UNSET
DEFAULT_TRANSPORT: Final = DefaultStr("tcp")
DEFAULT_ENDPOINT: Final = DefaultStr("127.0.0.1:4141")
DEFAULT_ENCODING: Final = DefaultStr("utf-8")
DEFAULT_DIALECT: Final = DefaultStr("classic")
DEFAULT_MAX_CONNECTIONS: Final = 16
BATCH_TIMEOUT: Final = 10.0
"""Seconds for each Write of a batch."""
URL_VARIABLE: Final = "ELEVATOR_URL"


def _tcp(endpoint: str, *details: Any) -> Transport:
    return transports.TcpTransport(endpoint, None, *details)


def _ipc(endpoint: str, *details: Any) -> Transport:
    return transports.IpcTransport(endpoint, *details)


def _fake(endpoint: str, *_: Any) -> Transport:
    from pyelevator.transports.fake import FakeTransport, named_fake  # each transport is loaded when one is made

    return FakeTransport() if isinstance(endpoint, DefaultStr) else named_fake(endpoint)


_TRANSPORTS: Final[Mapping[str, Callable[..., Transport]]] = {"tcp": _tcp, "ipc": _ipc, "fake": _fake}


def _is_url(text: object) -> bool:
    from pyelevator.transports.url import is_url  # as above

    return is_url(text)


def make_transport(options: "ClientOptions", max_message: int) -> Transport:
    """Make the transport that the options of a client describe.

    Args:
        options: of the client.
        max_message: bytes of a message above which a connection ends.

    Raises:
        ArgumentTypeError, UsageError: the options make no sense together.
    """
    transport, endpoint = options.transport, options.endpoint
    details = options.connect_timeout, max_message, options.heartbeat
    if options.curve is not None:
        return _make_curve_transport(options.curve, transport, endpoint, *details)
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
    return _TRANSPORTS[transport](endpoint, *details)


def _check_own_transport(options: "ClientOptions") -> None:
    """Refuse what a Transport object knows by itself."""
    given = {
        "endpoint": not isinstance(options.endpoint, DefaultStr),
        "connect_timeout": options.connect_timeout != CONNECT_TIMEOUT,
        "heartbeat": options.heartbeat != HEARTBEAT,
    }
    for name, is_given in given.items():
        if is_given:
            raise UsageError(f"{name}= goes with transport='tcp' or 'ipc'; a Transport object knows its own")


def _make_curve_transport(curve: "Curve", transport: str | Transport, endpoint: str, *details: Any) -> Transport:
    """Make a transport with keys. Only TCP has them; other transports would ignore the keys, and are refused."""
    if not isinstance(curve, transports.Curve):
        raise ArgumentTypeError(f"curve must be a Curve, not {type(curve).__name__}")
    if transport != "tcp":
        raise UsageError("curve= goes with transport='tcp'; socket files have modes, and a Transport has its own keys")
    return transports.TcpTransport(endpoint, curve, *details)


def check_name(db_name: str | None, client: type) -> None:
    """Refuse what is no name of a database, above all a URL.

    Raises:
        ArgumentTypeError, UsageError: it is none.
    """
    if db_name is not None:
        to_text(db_name, "db_name")
    if _is_url(db_name):
        raise UsageError(f"a database's name is wanted, and this is a URL; use {client.__name__}.from_url(url)")


def chain_interceptors(interceptors: Sequence[Interceptor], retry: "Retry | None") -> tuple[Interceptor, ...]:
    """Return the interceptors, with ``retry`` as the innermost one.

    Raises:
        ArgumentTypeError: ``retry`` is no Retry.
    """
    chain = tuple(interceptors)
    if retry is not None:
        from pyelevator.interceptors import Retry  # the room has much that a client rarely needs

        if not isinstance(retry, Retry):
            raise ArgumentTypeError(f"retry must be a Retry, not {type(retry).__name__}")
        chain += (retry,)
    return chain


@frozen(kw_only=True, eq=False, repr=False)
class ClientOptions:
    """The arguments of a client's constructor, by their names and with their defaults there."""

    db_name: str | None = field(default=None, kw_only=False)
    transport: str | Transport = DEFAULT_TRANSPORT
    endpoint: str = DEFAULT_ENDPOINT
    timeout: float | Unset | None = UNSET
    auto_connect: bool = True
    encoding: str | None = DEFAULT_ENCODING
    dialect: str | Codec = DEFAULT_DIALECT
    max_connections: int = DEFAULT_MAX_CONNECTIONS
    curve: "Curve | None" = None
    interceptors: Sequence[Interceptor] = ()
    retry: "Retry | None" = None
    pool_timeout: float | None = None
    connect_timeout: float | None = CONNECT_TIMEOUT
    heartbeat: float | None = HEARTBEAT
    limits: Limits | None = None
    create: bool = field(default=False, converter=arguments.create)

    @classmethod
    def from_call(cls, client: type, db_name: str | None, options: Mapping[str, Any]) -> Self:
        """Make the options of what a constructor was called with, completed from the environment.

        Raises:
            TypeError: there is no such option.
        """
        for name in options:
            if not hasattr(cls, name):
                raise TypeError(f"{client.__name__}.__init__() got an unexpected keyword argument {name!r}")
        return cls(db_name, **options)._with_environment()

    def _with_environment(self) -> Self:
        """Take what is not given from ``ELEVATOR_URL``, if neither transport nor endpoint is given."""
        url = os.environ.get(URL_VARIABLE)
        if not url or not isinstance(self.transport, DefaultStr) or not isinstance(self.endpoint, DefaultStr):
            return self
        target = transports.parse_url(url)
        said = {"transport": target.scheme, "endpoint": target.address or DEFAULT_ENDPOINT, **target.options}
        return evolve(self, **{name: said[name] for name in said if self._is_open(name)})

    def _is_open(self, name: str) -> bool:
        """Return whether an option was not given, as far as that can be told."""
        value = getattr(self, name)
        if name in _REPEATABLE:
            return bool(value == fields_dict(ClientOptions)[name].default)
        return isinstance(value, DefaultStr) or value is UNSET


_REPEATABLE: Final = frozenset(
    {"db_name", "max_connections", "curve", "pool_timeout", "connect_timeout", "heartbeat", "create"}
)
"""The options for which a caller may give the default: they count as not given."""


def constructor_signature() -> Signature:
    """Return the signature that tools show of a client's constructor."""
    first = Parameter("self", Parameter.POSITIONAL_OR_KEYWORD)
    options = [
        Parameter(
            each.name,
            Parameter.KEYWORD_ONLY if each.kw_only else Parameter.POSITIONAL_OR_KEYWORD,
            default=each.default,
            annotation=each.type,
        )
        for each in fields(ClientOptions)
    ]
    return Signature([first, *options], return_annotation=None)


class _CommonKwargs(TypedDict, total=False):
    """The options of every constructor, for type checkers, without those that a URL or the result's type says."""

    timeout: float | Unset | None
    auto_connect: bool
    dialect: str | Codec
    max_connections: int
    curve: "Curve | None"
    interceptors: Sequence[Interceptor]
    retry: "Retry | None"
    pool_timeout: float | None
    connect_timeout: float | None
    heartbeat: float | None
    limits: Limits | None
    create: bool


class ClientKwargs(_CommonKwargs, total=False):
    """The options of the constructors, but for ``db_name`` and ``encoding``, for type checkers."""

    transport: str | Transport
    endpoint: str


class ConstructorKwargs(ClientKwargs, total=False):
    """The options of the constructors, but for ``db_name``, for type checkers."""

    encoding: str | None


class UrlKwargs(_CommonKwargs, total=False):
    """The options of ``from_url`` beside the URL, for type checkers."""

    db_name: str | None
    encoding: str | None
