"""The application: turns each request into one response."""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from time import monotonic
from typing import Any, Final, Self

from attrs import evolve

from pyelevator.application.catalog import Catalog
from pyelevator.application.catalog.registry import UnknownName, UnknownUid
from pyelevator.application.catalog.store import CatalogError
from pyelevator.application.context import Context
from pyelevator.application.errors import failure_response
from pyelevator.application.handlers import HANDLERS
from pyelevator.application.handlers.admin import server_stats
from pyelevator.application.handlers.groups import ONE_BY_ONE, read_together, write_together
from pyelevator.application.monitoring.slow_log import log_request
from pyelevator.application.policy import Policy
from pyelevator.application.snapshots import SnapshotDatabase
from pyelevator.engines.base import EngineError, EngineUnavailable
from pyelevator.engines.memory import MemoryStorage
from pyelevator.engines.urls import open_storage
from pyelevator.errors import Id, UnknownCommand
from pyelevator.flows import Effect, Interceptor, Sleep, compose, drive, encode_failures
from pyelevator.messages import Request, Response
from pyelevator.monitoring import ServerStats

_UNKNOWN_DATABASE: Final = (UnknownUid, UnknownName)
"""Errors that may be only because another server has changed a shared catalog."""

_REMOTE_WORKERS: Final = 24
_EXPIRED: Final = "the requests before this one took too long, or the database cannot be reached; nothing was done"
_SHARED_INTERVAL: Final = 0.25
"""Seconds after which the changes of other servers to a shared catalog are looked for."""

_REQUESTS: Final = logging.getLogger("pyelevator.requests")


class Application:
    """Answers requests on the databases of a catalog; may be called from many threads at once.

    Args:
        catalog: the databases.
        policy: the limits and rules for every request and database.
        clock: returns the time for cursors, in seconds.

    >>> from pyelevator.commands import Ping
    >>> Application.in_memory()(Request(Ping(), id=7))
    Response(payload=b'PONG', status=<Status.SUCCESS: 1>, code=None, message='', id=7, more=False, features=())
    """

    def __init__(self, catalog: Catalog, policy: Policy | None = None, clock: Callable[[], float] = monotonic) -> None:
        self._serve(catalog, Context(policy or Policy(), catalog.is_named_by_path, clock))
        catalog.on_close(self.cursors.close_engine)
        catalog.open_snapshot = lambda database, *cursor: SnapshotDatabase(database, self.cursors, *cursor)

    def _serve(self, catalog: Catalog, context: Context) -> None:
        self.catalog, self._context = catalog, context
        self.policy, self.cursors, self._cooperation = context.policy, context.cursors, context.cooperation
        self.monitor, self.slow_log = context.monitor, context.slow_log

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self.catalog.names())} databases, {len(self.cursors)} cursors>"

    @classmethod
    def in_memory(cls, policy: Policy | None = None) -> Self:
        """Return an application with one empty database, 'default', that ends with the process.

        Args:
            policy: the limits and rules.
        """
        policy = policy or Policy()
        return cls(Catalog(MemoryStorage(), max_open=policy.max_open), policy)

    @classmethod
    def on_leveldb(
        cls,
        directory: str,
        *,
        store: str | None = None,
        allowed_roots: Iterable[str] | None = None,
        default_options: Mapping[str, Any] | None = None,
        policy: Policy | None = None,
    ) -> Self:
        """Return an application on the LevelDB databases of a data directory.

        Args:
            directory: the data directory, created if it is missing.
            store, allowed_roots: see :class:`Catalog`.
            default_options: LevelDB's, for those that a database does not have.
            policy: the limits and rules.

        Raises:
            MissingExtra: no binding to LevelDB is installed.
            CatalogError: another server uses the directory, or its store file is damaged.
        """
        from pyelevator.engines.leveldb import LevelDbStorage

        policy = policy or Policy()
        storage = LevelDbStorage(default_options, policy.row_cache, policy.write_buffers)
        return cls(
            Catalog(storage, directory, store=store, allowed_roots=allowed_roots, max_open=policy.max_open), policy
        )

    @classmethod
    def on_url(cls, url: str, policy: Policy | None = None) -> Self:
        """Return an application on an engine that a URL names: ``postgresql://...``, or one of another package.

        Args:
            url: whose scheme names the engine, see :func:`pyelevator.engines.urls.open_storage`.
            policy: the limits and rules.

        Raises:
            UsageError: there is no such engine, or the URL is wrong.
            MissingExtra: a package that the engine needs is not installed.
            CatalogError: the engine cannot be reached.
        """
        policy, storage = policy or Policy(), open_storage(url)
        try:
            return cls(Catalog(storage, max_open=policy.max_open), policy)
        except EngineError as error:
            raise CatalogError(f"the engine cannot be used: {error}") from error

    def __call__(self, request: Request) -> Response:
        """Return the one response to ``request``; errors become responses, and nothing is raised."""
        handler = HANDLERS.get(type(request.command), _unhandled)
        try:
            return handler(self.catalog, request, self._context)
        except Exception as error:  # noqa: BLE001 - every request gets an answer
            if not (isinstance(error, _UNKNOWN_DATABASE) and self.catalog.is_shared):
                return self._context.failure(error, request.command, request.id)
        try:  # once more, as another server may just have created what the request names
            self.catalog.refresh()  # or another thread has done so, since the name was looked up
            return handler(self.catalog, request, self._context)
        except Exception as error:  # noqa: BLE001 - as above
            return self._context.failure(error, request.command, request.id)

    def try_handle(self, request: Request) -> Response | None:
        """Return the response if it takes little work and no waiting; otherwise None, and nothing is done.

        This is for a server's own loop. After None, the server calls the application in another thread: the request is
        much work, its database is not open or is being closed, or another write to it is running.

        Args:
            request: decoded, and allowed.
        """
        handler = HANDLERS.get(type(request.command))
        if handler is None:
            return self(request)
        self._cooperation.requested = True
        try:
            return handler.try_handle(self.catalog, request, self._context)
        except Exception as error:  # noqa: BLE001 - as above
            if isinstance(error, _UNKNOWN_DATABASE) and self.catalog.is_shared:
                return None
            return self._context.failure(error, request.command, request.id)

    def respond_together(self, requests: Sequence[Request]) -> list[Response]:
        """Return the responses to requests of one queue, which may share what they wait for."""
        if len(requests) > 1:
            together = write_together if requests[0].command.writes else read_together
            try:
                return together(self.catalog, requests, self._context)
            except ONE_BY_ONE:
                pass
            except Exception as error:  # noqa: BLE001 - every request gets an answer
                return [self._context.failure(error, request.command, request.id) for request in requests]
        return [self(request) for request in requests]

    @property
    def call_timeout(self) -> float | None:
        """Seconds from a request's arrival to the end of the calls for it; None for any time."""
        return self.catalog.call_timeout

    def expired(self, request_id: Id | None) -> Response:
        """Return the response to a request that has waited too long to be executed."""
        return failure_response(EngineUnavailable(_EXPIRED), request_id)

    @property
    def min_workers(self) -> int:
        """The number of threads that a server needs at least, so that calls that wait leave some to others."""
        return _REMOTE_WORKERS if self.catalog.is_remote else 1

    @property
    def maintenance_interval(self) -> float | None:
        """Seconds between two calls of ``run_maintenance``; None for never."""
        if self.catalog.is_shared:
            return _SHARED_INTERVAL
        limits = (self.policy.cursor_idle, self.policy.idle_unmount, self.policy.idle_unmount_adopted)
        soonest = min([seconds for seconds in limits if seconds is not None])
        return max(0.05, min(soonest / 4, 5.0))

    def run_maintenance(self) -> None:
        """Close the databases and cursors that have been idle for long; it may take seconds."""
        self.cursors.expire()
        self.catalog.maintain()
        self.catalog.unmount_idle(self.policy.idle_unmount, self.policy.idle_unmount_adopted)

    def observe(
        self, request: Request, seconds: float, client: str = "", sizes: tuple[int, int] = (0, 0), weight: int = 1
    ) -> None:
        """Take down how long a request took, in the latencies and, if that was long, in the slow log.

        Args:
            request: that was answered.
            seconds: that it took.
            client: the address that it came from.
            sizes: bytes of the request's message and of the response's.
            weight: how many requests it stands for.
        """
        self.monitor.observe(request, seconds, weight)
        is_slow = seconds >= self.slow_log.threshold
        if is_slow or _REQUESTS.isEnabledFor(logging.DEBUG):
            entry = self.slow_log.describe(request, seconds, self._database_name(request), client, sizes)
            if is_slow:
                self.slow_log.add(entry)
            log_request(_REQUESTS, logging.WARNING if is_slow else logging.DEBUG, entry)

    def observed_from(self, seconds: float) -> float:
        """Return the seconds from which on every request is to be observed, ``seconds`` at most.

        That is 0 where all requests are logged.
        """
        return 0.0 if _REQUESTS.isEnabledFor(logging.DEBUG) else min(seconds, self.slow_log.threshold)

    def _database_name(self, request: Request) -> str | None:
        name = request.command.named_database
        return self.catalog.name_of(request.uid) if name is None else str(name)

    def stats(self) -> ServerStats:
        """Return what STATS answers, as the server itself sees it."""
        return server_stats(self.catalog, self._context)

    def connection_ended(self, connection: bytes) -> None:
        """Note that a connection has ended; its cursors are closed soon.

        Args:
            connection: its identity.
        """
        self.cursors.connection_ended(connection)

    def close(self) -> None:
        """Close the databases, once the requests that use them are answered."""
        self.catalog.close()


def _unhandled(_: Catalog, request: Request, __: Context) -> Response:
    raise UnknownCommand(f"Command {request.command.verb} not handled")


class ApplicationWrapper(Application):
    """An application around another one, with the same databases; its methods call the other's until overridden."""

    def __init__(self, application: Application) -> None:
        self._serve(application.catalog, application._context)
        self._application = application

    def __call__(self, request: Request) -> Response:
        return self._application(request)

    def try_handle(self, request: Request) -> Response | None:
        return self._application.try_handle(request)

    def respond_together(self, requests: Sequence[Request]) -> list[Response]:
        return [self(request) for request in requests]

    def run_maintenance(self) -> None:
        self._application.run_maintenance()

    def connection_ended(self, connection: bytes) -> None:
        self._application.connection_ended(connection)

    def close(self) -> None:
        self._application.close()


class InterceptedApplication(ApplicationWrapper):
    """Sends each request through the interceptors to another application.

    They may wait, so a server calls this in its workers, never in its own loop.

    Args:
        application: the other one.
        interceptors: the first one gets each request first.

    >>> from pyelevator.commands import Get
    >>> def closed(request, forward):
    ...     yield from ()
    ...     return Response(b"closed")
    >>> InterceptedApplication(Application.in_memory(), [closed])(Request(Get("k"), "uid")).payload
    b'closed'
    """

    def __init__(self, application: Application, interceptors: Sequence[Interceptor]) -> None:
        super().__init__(application)
        self._forward = compose(interceptors)

    def __call__(self, request: Request) -> Response:
        if request.context.row_sink is not None:  # interceptors read and change rows
            request = request.with_context(evolve(request.context, row_sink=None))
        try:
            response: object = drive(self._forward(request), self._perform)
        except Exception as error:  # noqa: BLE001 - every request gets an answer
            return failure_response(error, request.id)
        if isinstance(response, Response):
            return encode_failures(request, response, failure_response)
        return failure_response(
            TypeError(f"an interceptor answered {type(response).__name__}, not a Response"), request.id
        )

    def _perform(self, effect: Effect) -> Response | None:
        if isinstance(effect, Sleep):
            time.sleep(effect.seconds)
            return None
        return self._application(effect.request)

    def try_handle(self, request: Request) -> Response | None:  # noqa: ARG002
        return None
