"""BaseClient: what the sync and the async clients share."""

from abc import abstractmethod
from math import inf
from typing import TYPE_CHECKING, Any, ClassVar, Final, NoReturn, Self, TypeVar, Unpack

from attrs import evolve

from pyelevator import arguments, transports
from pyelevator._options import signature_from
from pyelevator.arguments.data import Data, to_bytes
from pyelevator.client import operations
from pyelevator.client.declaration import SharedMethods, Steps, shared_steps
from pyelevator.client.decoding import ResultDecoder, T, decoder_for
from pyelevator.client.handles import DatabaseHandle
from pyelevator.client.options import (
    DEFAULT_ENDPOINT,
    UNSET,
    ConstructorOptions,
    UrlOptions,
    chain_interceptors,
    check_name,
    complete_options,
    make_transport,
)
from pyelevator.client.pooling import BaseSession
from pyelevator.codec import Codec, codec_for
from pyelevator.deadlines import Deadline, check_timeout
from pyelevator.errors import UsageError
from pyelevator.flows import Flow, Forward, compose, intercept, send
from pyelevator.transports.base import check_heartbeat

if TYPE_CHECKING:
    from pyelevator.interceptors import Prefix

R = TypeVar("R")

DEFAULT_TIMEOUT: Final = 5.0


class BaseClient(SharedMethods[T]):
    """A connection to one database of one server; what the sync and the async clients have in common.

    Args:
        db_name: the database to connect to; ``default`` if None.
        transport: ``"tcp"``, ``"ipc"``, ``"fake"``, or a :class:`~pyelevator.transports.Transport`.
        endpoint: ``host:port`` for tcp, the path of a socket file for ipc, the name of a shared fake. If neither
            transport nor endpoint is given, the environment's ``ELEVATOR_URL`` says where the server is, and the
            options that are not given.
        timeout: seconds that each call may take, 5 if not given; None for no limit. Each method takes its own
            ``timeout=`` as well.
        auto_connect: connect to the database at once; an async client connects on entering ``async with``, or with
            its first call.
        encoding: ``"utf-8"`` for str results, None for bytes.
        dialect: ``"classic"``, or ``"flat"`` for a 0.7 server; or a :class:`~pyelevator.codec.Codec` of another.
        max_connections: how many threads may have a request under way at the same time; in an async client, how many
            calls at a server that cannot tell them apart.
        curve: the keys for a server over TCP that asks for them.
        interceptors: they wrap each request, outermost first (see :mod:`pyelevator.interceptors`).
        retry: when to send a request again that got no answer (see :class:`~pyelevator.Retry`); never if None. It
            is the innermost interceptor.
        pool_timeout: seconds that a call may wait for one of ``max_connections``, within its timeout; None for all
            of it.
        connect_timeout: seconds for which a connection that is refused, or to an unknown host, is tried again within
            a call's timeout, because a server may just be starting; None for all of it.
        heartbeat: seconds after which a connection that waits or is idle asks the server whether it lives, so that
            neither takes the other for gone; 0 or None for never. A sync client looks after its idle connections in
            a thread, one for all clients of the process.
        create: create the database if it is missing; only :meth:`connect` with a name of its own does not.
        limits: what the client takes from a server before it raises LimitExceeded, see
            :class:`~pyelevator.codec.Limits`; a connection that brings more than twice a frame at once ends.

    Raises:
        UsageError: an argument makes no sense.
        ConnectTimeout: no server answered within ``timeout``, or there was none for ``connect_timeout``.
        AuthenticationFailed: the server asks for keys, or for others.
        DatabaseError: "Database does not exist", or with ``create`` why it cannot be created.
        PermissionDenied: ``create`` takes the right to create databases.
    """

    _shares_session = False
    _default_timeout: ClassVar[float] = DEFAULT_TIMEOUT

    @signature_from(ConstructorOptions)
    def __init__(self, db_name: str | None = None, **options: Unpack[ConstructorOptions]) -> None:
        check_name(db_name, type(self))
        given = complete_options(type(self), db_name, options)
        self._interceptors = chain_interceptors(given["interceptors"], given["retry"])
        self._forward = compose(self._interceptors) if self._interceptors else None
        self._key_prefix: Prefix | None = None
        self._prefetches = not given["interceptors"]  # else they would see requests that the caller has not made yet
        self._pool_timeout = check_timeout(given["pool_timeout"], "pool_timeout")
        self.timeout = self._default_timeout if given["timeout"] is UNSET else given["timeout"]
        self._decoder: ResultDecoder[Any] = decoder_for(given["encoding"])
        codec = codec_for(given["dialect"], given["limits"])
        self._handle = DatabaseHandle(codec, is_intercepted=bool(self._interceptors))
        check_timeout(given["connect_timeout"], "connect_timeout")
        check_heartbeat(given["heartbeat"])
        self._transport = make_transport(given, 2 * codec.limits.frame_bytes)
        self._database_name = given["db_name"] or operations.DEFAULT_DATABASE
        self._creates = given["create"]
        self._open_session(codec, given["max_connections"], given["auto_connect"])

    @abstractmethod
    def _open_session(self, codec: Codec, max_connections: int, auto_connect: bool) -> None:
        """End the construction: make the session, and connect or remember to."""

    if TYPE_CHECKING:
        disconnect: Any
        _drive: Any
        _session: BaseSession

    @classmethod
    def from_url(cls, url: str, **options: Unpack[UrlOptions]) -> Self:
        """Make a client for the server, database and options that a URL names.

        ``tcp://host:4141/testdb?timeout=5``, ``ipc:///run/elevator.sock?db=testdb``, ``fake://`` (a server of its
        own in this process) and ``fake://shop/testdb`` (one that all clients of that name share).
        Options: db, timeout, dialect, encoding (``none`` for bytes), auto_connect, create, max_connections,
        pool_timeout, connect_timeout, heartbeat, and for a server that asks for keys curve_key and server_key (see
        :meth:`Curve.from_files`). Every argument of the constructor but ``transport`` and ``endpoint`` can be given
        beside the URL, and counts more than what the URL says.

        A type checker cannot read the URL, and takes the client for one of str; where the URL says ``encoding=none``,
        ``Elevator[bytes].from_url(url)`` tells it.

        Args:
            url: scheme, address, database and options, as above.
            options: of the constructor; they override those of the URL.

        Raises:
            UsageError: the URL is not understood.
        """
        target = transports.parse_url(url)
        place = {"transport": target.scheme, "endpoint": target.address or DEFAULT_ENDPOINT}
        if conflicting := sorted(place.keys() & options.keys()):
            raise UsageError(f"the URL says where the server is; leave {conflicting[0]}= away")
        return cls(**{**place, **target.options, **options})

    def _wrap(self, flow: Flow[R], deadline: Deadline) -> Flow[R]:
        forward = self._compose(self._handle.forward) if self._handle.needs_adapter else self._forward
        return flow if forward is None else intercept(forward, flow, deadline)

    def _compose(self, innermost: Forward) -> Forward:
        """Return what carries requests on to ``innermost``; interceptors see the keys as the server does."""
        forward = compose(self._interceptors, innermost)
        return forward if self._key_prefix is None else self._key_prefix.wrap(forward)

    def _add_prefix(self, prefix: Data) -> None:
        """Become a view of the keys with a prefix, within those that the client sees already."""
        from pyelevator.interceptors.prefix import Prefix  # the room has much that a client rarely needs

        outer = b"" if self._key_prefix is None else self._key_prefix.prefix
        self._key_prefix = Prefix(outer + to_bytes(prefix, "prefix"))
        self._forward = self._compose(send)

    def _share_session(self, client: "BaseClient[T]", timeout: float | None) -> None:
        """Become a client of the same database over the same connections."""
        self._session, self._shares_session = client._session, True
        self.timeout = timeout
        self._decoder, self._transport, self._database_name = client._decoder, client._transport, client._database_name
        self._interceptors, self._forward = client._interceptors, client._forward
        self._prefetches, self._key_prefix = client._prefetches, client._key_prefix
        self._handle, self._creates = evolve(client._handle), client._creates

    def _target(self, db_name: str | None, create: bool | None) -> tuple[str, bool]:
        """Return the name of the database to connect to, and whether it is created if it is missing."""
        self._handle.check_may_connect()
        if create is not None:
            arguments.flag(create, "create")
        if db_name is None:
            return self._database_name, self._creates if create is None else create
        return db_name, bool(create)

    @shared_steps
    def connect(
        self, db_name: str | None = None, *, create: bool | None = None, timeout: float | None = None
    ) -> Steps[None]:
        """Connect to a database: the named one, or again to the last one (at first the constructor's).

        The client stays connected to where it was if that fails.

        Args:
            db_name: the database's name; None for the last one.
            create: create the database if it is missing; if None, as the constructor said of its own database.
            timeout: seconds; the client's if None.

        Raises:
            DatabaseError: "Database does not exist".
            TransportError: no answer came.
        """
        check_name(db_name, type(self))
        name, creates = self._target(db_name, create)
        yield self._drive(operations.connect(self._handle, name, creates), self._deadline(timeout))
        self._database_name, self._creates = name, creates

    @shared_steps
    def _leave(self, _: type[BaseException] | None) -> Steps[None]:
        """Leave the ``with`` block."""
        yield self.disconnect()

    @property
    def db_name(self) -> str | None:
        """The connected database's name; None while there is none."""
        return self._handle.name

    @property
    def db_uid(self) -> str | None:
        """The connected database's uid on the server; None while there is none."""
        return self._handle.uid

    @property
    def timeout(self) -> float | None:
        """Seconds that each call may take, unless it says otherwise; None for no limit."""
        return self._timeout

    @timeout.setter
    def timeout(self, seconds: float | None) -> None:
        self._timeout = check_timeout(seconds)
        self._seconds = inf if self._timeout is None else self._timeout

    def _deadline(self, timeout: float | None) -> Deadline:
        return Deadline.after(self._timeout if timeout is None else check_timeout(timeout))

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"a {type(self).__name__} cannot be pickled or copied; make one in each process (a fork brings its own)"
        )

    def __repr__(self) -> str:
        state = f"connected to {self.db_name!r}" if self.db_name else "not connected"
        state += f" under {self._key_prefix.prefix!r}" if self._key_prefix else ""
        return f"<{type(self).__name__} {self._transport.url} {state}>"
