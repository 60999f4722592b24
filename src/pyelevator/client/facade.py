"""What Elevator and WriteBatch share: where the server is, the connected database, timeouts."""

import enum
import os
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, NoReturn, Self, TypedDict, TypeVar, Unpack

from attrs import evolve, frozen

from pyelevator.arguments import to_text
from pyelevator.client import operations
from pyelevator.client.decoding import Text, text_for
from pyelevator.client.operations import DEFAULT_DATABASE, Link
from pyelevator.client.paging import RangePager, ScanCommand, ScanPager
from pyelevator.client.sync.prefetch import PrefetchedFlow
from pyelevator.client.sync.session import Session
from pyelevator.codec import Codec, Limits, codec_for
from pyelevator.commands import Command
from pyelevator.deadlines import Deadline, check_timeout
from pyelevator.errors import ArgumentTypeError, MessageTooLarge, UsageError
from pyelevator.flows import Flow, Forward, Interceptor, compose, drive, intercept
from pyelevator.legacy import accept_old_calls, call_timeout
from pyelevator.messages import Request
from pyelevator.transports import Curve, FakeTransport, IpcTransport, TcpTransport, Transport, parse_url
from pyelevator.transports.base import HEARTBEAT, check_heartbeat
from pyelevator.transports.connect_errors import CONNECT_TIMEOUT
from pyelevator.transports.url import is_url

if TYPE_CHECKING:
    from pyelevator.interceptors import Retry

T = TypeVar("T", str, bytes)
R = TypeVar("R")
P = TypeVar("P", ScanPager, RangePager)


class Default(str):
    """A default that can be told apart from the same text given by the caller."""

    __slots__ = ()


class Unset(enum.Enum):
    """The type of UNSET, which stands for an argument that was not given where None says something else."""

    UNSET = "unset"


UNSET: Final = Unset.UNSET
DEFAULT_TRANSPORT: Final = Default("tcp")
DEFAULT_ENDPOINT: Final = Default("127.0.0.1:4141")
DEFAULT_ENCODING: Final = Default("utf-8")
DEFAULT_DIALECT: Final = Default("classic")
DEFAULT_TIMEOUT: Final = 5.0
DEFAULT_MAX_CONNECTIONS: Final = 16
ENVIRONMENT: Final = "ELEVATOR_URL"

_TRANSPORTS: Final[Mapping[str, Callable[..., Transport]]] = {
    "tcp": lambda endpoint, *options: TcpTransport(endpoint, None, *options),
    "ipc": IpcTransport,
    "fake": lambda *_: FakeTransport(),
}


def _transport_for(transport: str | Transport, endpoint: str, curve: Curve | None, *options: Any) -> Transport:
    """What carries the messages; ``options`` are those of a TcpTransport after its keys, in their order there."""
    if curve is not None:
        return _curve_transport(transport, endpoint, curve, *options)
    if isinstance(transport, Transport):
        if not isinstance(endpoint, Default):
            raise UsageError("endpoint= goes with transport='tcp' or 'ipc'; a Transport object knows its own")
        connect_timeout, _, heartbeat = options
        for name, given in (
            ("connect_timeout", connect_timeout != CONNECT_TIMEOUT),
            ("heartbeat", heartbeat != HEARTBEAT),
        ):
            if given:
                raise UsageError(f"{name}= goes with transport='tcp' or 'ipc'; a Transport object knows its own")
        return transport
    if not isinstance(transport, str):
        raise ArgumentTypeError(f"transport must be a name or a Transport, not {type(transport).__name__}")
    if is_url(transport):
        raise UsageError("transport= is a name such as 'tcp'; for a URL use from_url()")
    if transport not in _TRANSPORTS:
        raise UsageError(f"there is no transport {transport!r}; choose one of {', '.join(_TRANSPORTS)}")
    if transport == "fake" and not isinstance(endpoint, Default):
        raise UsageError("endpoint= goes with transport='tcp' or 'ipc'; a fake has none")
    if transport == "ipc" and isinstance(endpoint, Default):
        raise UsageError("transport='ipc' needs endpoint=, the path of the server's socket file")
    return _TRANSPORTS[transport](endpoint, *options)


def _curve_transport(transport: str | Transport, endpoint: str, curve: Curve, *options: Any) -> Transport:
    """Anything else than TCP would leave the keys aside, and the caller believe that they guard something."""
    if not isinstance(curve, Curve):
        raise ArgumentTypeError(f"curve must be a Curve, not {type(curve).__name__}")
    if transport != "tcp":
        raise UsageError("curve= goes with transport='tcp'; socket files have modes, and a Transport has its own keys")
    return TcpTransport(endpoint, curve, *options)


def check_name(db_name: str | None, client: type) -> None:
    """Refuses what is no name of a database, above all a URL."""
    if db_name is not None:
        to_text(db_name, "db_name")
    if is_url(db_name):
        raise UsageError(f"a database's name is wanted, and this is a URL; use {client.__name__}.from_url(url)")


def _chain(interceptors: Sequence[Interceptor], retry: "Retry | None") -> tuple[Interceptor, ...]:
    chain = tuple(interceptors)
    if retry is not None:
        from pyelevator.interceptors import Retry  # the room has much that a client rarely needs

        if not isinstance(retry, Retry):
            raise ArgumentTypeError(f"retry must be a Retry, not {type(retry).__name__}")
        chain += (retry,)
    return chain


@frozen
class Options:
    """The arguments of a client's constructor, by their names there."""

    transport: str | Transport
    endpoint: str
    db_name: str | None
    timeout: float | Unset | None
    encoding: str | None
    dialect: str | Codec
    max_connections: int
    curve: Curve | None = None
    pool_timeout: float | None = None
    connect_timeout: float | None = CONNECT_TIMEOUT
    heartbeat: float | None = HEARTBEAT

    def completed(self) -> "Options":
        """With what ``ELEVATOR_URL`` says, if neither transport nor endpoint is given, for what is not given."""
        url = os.environ.get(ENVIRONMENT)
        if not url or not isinstance(self.transport, Default) or not isinstance(self.endpoint, Default):
            return self
        target = parse_url(url)
        told = {"transport": target.scheme, "endpoint": target.address or DEFAULT_ENDPOINT, **target.options}
        return evolve(self, **{name: told[name] for name in told if _is_open(name, getattr(self, name, None))})


_LEFT_OPEN: Final[Mapping[str, Any]] = {
    "db_name": None,
    "max_connections": DEFAULT_MAX_CONNECTIONS,
    "curve": None,
    "pool_timeout": None,
    "connect_timeout": CONNECT_TIMEOUT,
    "heartbeat": HEARTBEAT,
}
"""The defaults of the arguments whose defaults callers may as well give."""


def _is_open(name: str, value: object) -> bool:
    """Whether an argument was not given."""
    return isinstance(value, Default) or value is UNSET or (name in _LEFT_OPEN and value == _LEFT_OPEN[name])


class _Common(TypedDict, total=False):
    """The arguments of every constructor, for type checkers, without those that a URL or the result's type says."""

    timeout: float | Unset | None
    auto_connect: bool
    dialect: str | Codec
    max_connections: int
    curve: Curve | None
    interceptors: Sequence[Interceptor]
    retry: "Retry | None"
    pool_timeout: float | None
    connect_timeout: float | None
    heartbeat: float | None
    limits: Limits | None


class Arguments(_Common, total=False):
    """The arguments of the constructors, but for ``db_name`` and ``encoding``, for type checkers."""

    transport: str | Transport
    endpoint: str


class UrlArguments(_Common, total=False):
    """The arguments of ``from_url`` beside the URL, for type checkers."""

    db_name: str | None
    encoding: str | None


class Facade(Generic[T]):
    """A connection to one database of one server; what the sync and the async clients have in common.

    Args:
        db_name: the database to connect to; ``default`` if None.
        transport: ``"tcp"``, ``"ipc"``, ``"fake"``, or a :class:`~pyelevator.transports.Transport`.
        endpoint: ``host:port`` for tcp, the path of a socket file for ipc. If neither transport nor endpoint is
            given, the environment's ``ELEVATOR_URL`` says where the server is, and the options that are not given.
        timeout: seconds that each call may take, 5 if not given; None for no limit. Each method takes its own
            ``timeout=`` as well.
        auto_connect: connect to the database at once; an async client connects on entering ``async with``, or with
            its first call.
        encoding: ``"utf-8"`` for str results, None for bytes.
        dialect: ``"classic"``, or ``"flat"`` for a 0.7 server; or a :class:`~pyelevator.codec.Codec` of another.
        max_connections: how many threads may have a request under way at the same time; in an async client, how many
            calls at a server that cannot tell them apart.
        curve: the keys for a server over TCP that asks for them.
        interceptors: what stands around each request, outermost first (see :mod:`pyelevator.interceptors`).
        retry: when to send a request again that got no answer (see :class:`~pyelevator.Retry`); never if None. It
            is the innermost interceptor.
        pool_timeout: seconds that a call may wait for one of ``max_connections``, within its timeout; None for all
            of it.
        connect_timeout: seconds for which a connection that is refused, or to an unknown host, is tried again within
            a call's timeout, because a server may just be starting; None for all of it.
        heartbeat: seconds after which a connection that waits or is idle asks the server whether it lives, so that
            neither takes the other for gone; 0 or None for never. A sync client looks after its idle connections in
            a thread, one for all clients of the process.
        limits: what the client takes from a server before it raises LimitExceeded, see
            :class:`~pyelevator.codec.Limits`; a connection that brings more than twice a frame at once ends.

    Raises:
        UsageError: an argument makes no sense.
        ConnectTimeout: no server answered within ``timeout``, or there was none for ``connect_timeout``.
        AuthenticationFailed: the server asks for keys, or for others.
        DatabaseError: "Database does not exist".
    """

    _default_timeout: ClassVar[float] = DEFAULT_TIMEOUT

    def __init__(
        self,
        db_name: str | None = None,
        *,
        transport: str | Transport = DEFAULT_TRANSPORT,
        endpoint: str = DEFAULT_ENDPOINT,
        timeout: float | Unset | None = UNSET,
        auto_connect: bool = True,
        encoding: str | None = DEFAULT_ENCODING,
        dialect: str | Codec = DEFAULT_DIALECT,
        max_connections: int = DEFAULT_MAX_CONNECTIONS,
        curve: Curve | None = None,
        interceptors: Sequence[Interceptor] = (),
        retry: "Retry | None" = None,
        pool_timeout: float | None = None,
        connect_timeout: float | None = CONNECT_TIMEOUT,
        heartbeat: float | None = HEARTBEAT,
        limits: Limits | None = None,
    ) -> None:
        check_name(db_name, type(self))
        self._interceptors = _chain(interceptors, retry)
        self._forward = compose(self._interceptors) if self._interceptors else None
        self._looks_ahead = not interceptors  # else they would see times, and an order, that are nobody's
        options = Options(
            transport,
            endpoint,
            db_name,
            timeout,
            encoding,
            dialect,
            max_connections,
            curve,
            pool_timeout,
            connect_timeout,
            heartbeat,
        ).completed()
        self._pool_timeout = check_timeout(options.pool_timeout, "pool_timeout")
        self.timeout = self._default_timeout if options.timeout is UNSET else options.timeout
        self._text: Text[Any] = text_for(options.encoding)
        codec = codec_for(options.dialect, limits)
        self._link = Link(codec)
        connect_timeout = check_timeout(options.connect_timeout, "connect_timeout")
        check_heartbeat(options.heartbeat)
        self._transport = _transport_for(
            options.transport,
            options.endpoint,
            options.curve,
            connect_timeout,
            2 * codec.limits.frame_bytes,
            options.heartbeat,
        )
        self._wanted = options.db_name or DEFAULT_DATABASE
        self._start(codec, options.max_connections, auto_connect)

    @abstractmethod
    def _start(self, codec: Codec, max_connections: int, auto_connect: bool) -> None:
        """Ends the construction: makes the session, and connects or remembers to."""

    @classmethod
    def from_url(cls, url: str, **options: Unpack[UrlArguments]) -> Self:
        """A client for the server, database and options that a URL names.

        ``tcp://host:4141/testdb?timeout=5``, ``ipc:///run/elevator.sock?db=testdb``, ``fake://`` (a server of its
        own in this process). Options: db, timeout, dialect, encoding (``none`` for bytes), auto_connect,
        max_connections, pool_timeout, connect_timeout, heartbeat, and for a server that asks for keys curve_key and
        server_key (see :meth:`Curve.from_files`). Every argument of the constructor but ``transport`` and ``endpoint``
        can be given beside the URL, and counts more than what the URL says.

        A type checker cannot read the URL, and takes the client for one of str; where the URL says ``encoding=none``,
        ``Elevator[bytes].from_url(url)`` tells it.

        Raises:
            UsageError: the URL is not understood.
        """
        target = parse_url(url)
        place = {"transport": target.scheme, "endpoint": target.address or DEFAULT_ENDPOINT}
        if told := sorted(place.keys() & options.keys()):
            raise UsageError(f"the URL says where the server is; leave {told[0]}= away")
        return cls(**{**place, **target.options, **options})

    def _intercepted(self, flow: Flow[R], deadline: Deadline) -> Flow[R]:
        forward: Forward | None = self._forward
        if self._link.needs_adapter:
            forward = compose(self._interceptors, self._link.forward)
        return flow if forward is None else intercept(forward, flow, deadline)

    def _decode_rows(self, command: ScanCommand, rows: list[Any]) -> list[Any]:
        """Decode the rows that a scan has fetched."""
        pairs = command.include_key and command.include_value
        return self._text.pairs(rows) if pairs else self._text.values(rows)

    def _adopt(self, client: "Facade[T]", timeout: float | None) -> None:
        """Becomes a client of the same database."""
        self.timeout = timeout
        self._text, self._transport, self._wanted = client._text, client._transport, client._wanted
        self._interceptors, self._forward, self._looks_ahead = (
            client._interceptors,
            client._forward,
            client._looks_ahead,
        )
        self._link = evolve(client._link)

    @property
    def db_name(self) -> str | None:
        """The connected database's name; None while there is none."""
        return self._link.name

    @property
    def db_uid(self) -> str | None:
        """The connected database's uid on the server; None while there is none."""
        return self._link.uid

    @property
    def timeout(self) -> float | None:
        """Seconds that each call may take, unless it says otherwise; None for no limit."""
        return self._timeout

    @timeout.setter
    def timeout(self, seconds: float | None) -> None:
        self._timeout = check_timeout(seconds)

    def _deadline(self, timeout: float | None) -> Deadline:
        return Deadline.after(self._timeout if timeout is None else check_timeout(timeout))

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"a {type(self).__name__} cannot be pickled or copied; make one in each process (a fork brings its own)"
        )

    def __repr__(self) -> str:
        state = f"connected to {self.db_name!r}" if self.db_name else "not connected"
        return f"<{type(self).__name__} {self._transport.url} {state}>"


@accept_old_calls
class Client(Facade[T]):
    """A sync client: any number of threads share it."""

    def _start(self, codec: Codec, max_connections: int, auto_connect: bool) -> None:
        self._session = Session(self._transport, codec, max_connections, self._pool_timeout)
        if auto_connect:
            try:
                self.connect()
            except BaseException:  # nobody gets the client, so nobody could close it
                self._session.close()
                raise

    def _borrow(self, client: "Client[T]", timeout: float | None) -> None:
        """Becomes a client of the same database over the same connections."""
        self._adopt(client, timeout)
        self._session = client._session

    def connect(self, db_name: str | None = None, *, timeout: float | None = None) -> None:
        """Connects to a database: the named one, or again to the last one (at first the constructor's).

        The client stays connected to where it was if that fails.

        Raises:
            DatabaseError: "Database does not exist".
        """
        check_name(db_name, type(self))
        name = self._wanted if db_name is None else db_name
        self._run(operations.connect(self._link, name), timeout)
        self._wanted = name

    def disconnect(self, *, timeout: float | None = None) -> None:
        """Closes every connection at once, so a ``timeout`` has nothing to limit; ``connect`` opens new ones."""
        call_timeout(timeout)
        self._link.leave()
        self._session.close()

    def _deadline(self, timeout: float | None) -> Deadline:
        told = None if timeout is None else call_timeout(timeout)
        return Deadline.after(self._timeout if told is None else told)

    def _run(self, flow: Flow[R], timeout: float | None) -> R:
        return self._run_until(flow, self._deadline(timeout))

    def _call(
        self,
        command: Command[R],
        timeout: float | None,
        compression: bool = False,
        flow: Callable[[Link, Any, bool], Flow[R]] = operations.call,
    ) -> R:
        """Does what ``flow`` does for a command of one key; without a flow, where an answer is the result."""
        deadline = self._deadline(timeout) if timeout is not None else Deadline.after(self._timeout)
        link = self._link
        if compression is not False or not link.plain or self._forward is not None or self._session.dropped:
            return self._run_until(flow(link, command, compression), deadline)
        uid = link.address(command) if command.meta_fields else link.uid
        try:
            response = self._session.carry(Request.minimal(command, uid, 0), deadline)
        except MessageTooLarge:
            return self._run_until(flow(link, command, compression), deadline)
        if response.code is not None:
            response = self._run_until(operations.refused(link, command, uid, response), deadline)
        return command.result(response.payload)

    def _fetch_page(self, pager: P, compression: bool, deadline: Deadline) -> tuple[Any, P]:
        """Return the rows of a page, which may still be encoded, and the pager of the next page."""
        return self._run_until(operations.fetch_page(self._link, pager, compression), deadline)

    def _prefetch_page(self, pager: P, compression: bool, deadline: Deadline) -> PrefetchedFlow[tuple[Any, P]]:
        """Begin to fetch a page."""
        flow = operations.fetch_page(self._link, pager, compression)
        return PrefetchedFlow(self._session, self._intercepted(flow, deadline), deadline)

    def _release_cursor(self, pager: ScanPager, timeout: float | None) -> None:
        self._run(operations.release_cursor(self._link, pager), timeout)

    def _run_until(self, flow: Flow[R], deadline: Deadline) -> R:
        dropped = self._session.dropped
        flow = operations.give_back(self._link, dropped, flow) if dropped else flow
        return drive(self._intercepted(flow, deadline), self._session.performer(deadline))

    def __enter__(self) -> Self:
        return self
