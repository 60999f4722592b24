"""Application: a request in, a response out, whatever happens."""

from collections.abc import Callable, Iterable, Mapping
from time import monotonic
from typing import Any, Self

from pyelevator.application.catalog import Catalog
from pyelevator.application.context import Context
from pyelevator.application.handlers import HANDLERS
from pyelevator.application.policy import Policy
from pyelevator.engines.memory import MemoryStorage
from pyelevator.errors import UnknownCommand
from pyelevator.messages import Request, Response


class Application:
    """Answers requests on the databases of a catalog; may be called from many threads at once.

    Args:
        catalog: the databases.
        policy: what holds for every request and database.
        clock: tells the time, in seconds.

    >>> from pyelevator.commands import Ping
    >>> Application.in_memory()(Request(Ping(), id=7))
    Response(payload=b'PONG', status=<Status.SUCCESS: 1>, code=None, message='', id=7, more=False, features=())
    """

    def __init__(self, catalog: Catalog, policy: Policy | None = None, clock: Callable[[], float] = monotonic) -> None:
        self._serve(catalog, Context.of(policy or Policy(), catalog.is_named_by_path, clock))
        catalog.before_close(self.cursors.drop)

    def _serve(self, catalog: Catalog, context: Context) -> None:
        self.catalog, self._context = catalog, context
        self.policy, self.cursors, self._courtesy = context.policy, context.cursors, context.courtesy

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self.catalog.names())} databases, {len(self.cursors)} cursors>"

    @classmethod
    def in_memory(cls, policy: Policy | None = None) -> Self:
        """An application with one empty database, 'default', that is gone with the process."""
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
        """An application on the LevelDB databases of a data directory.

        See :class:`Catalog` for the arguments; ``default_options`` hold where a database has no option of its own.

        Raises:
            MissingExtra: no binding to LevelDB is installed.
            CatalogError: another server uses the directory, or its store file is broken.
        """
        from pyelevator.engines.leveldb import LevelDbStorage

        policy = policy or Policy()
        storage = LevelDbStorage(default_options, policy.row_cache)
        return cls(
            Catalog(storage, directory, store=store, allowed_roots=allowed_roots, max_open=policy.max_open), policy
        )

    def __call__(self, request: Request[Any]) -> Response:
        """The one answer to ``request``. Errors are answers too; nothing is raised."""
        handler = HANDLERS.get(type(request.command), _unhandled)
        try:
            return handler(self.catalog, request, self._context)
        except Exception as error:  # noqa: BLE001 - every request gets an answer
            return self._context.failure(error, request.command, request.id)

    def at_once(self, request: Request[Any]) -> Response | None:
        """The answer, if it takes little work and nothing has to be waited for; otherwise None, and nothing is done.

        For a server's own loop. A request that gets None here is answered by calling the application, in another
        thread: it is much work, its database is not open or somebody else is about to close it, or another write to
        it is going on.
        """
        handler = HANDLERS.get(type(request.command))
        if handler is None:
            return self(request)
        self._courtesy.wanted = True
        try:
            return handler.at_once(self.catalog, request, self._context)
        except Exception as error:  # noqa: BLE001 - as above
            return self._context.failure(error, request.command, request.id)

    @property
    def tick_seconds(self) -> float | None:
        """How often ``tick`` wants to be called; None for never."""
        limits = (self.policy.cursor_idle, self.policy.idle_unmount, self.policy.idle_unmount_adopted)
        soonest = min([seconds for seconds in limits if seconds is not None])
        return max(0.05, min(soonest / 4, 5.0))

    def tick(self) -> None:
        """Closes the databases and cursors that have not been used for long. It may take a while."""
        self.cursors.expire()
        self.catalog.unmount_unused(self.policy.idle_unmount, self.policy.idle_unmount_adopted)

    def leave(self, connection: bytes) -> None:
        """Takes note that a connection has ended (see ``Request.connection``)."""
        self.cursors.leave(connection)

    def close(self) -> None:
        """Closes the databases, once the requests that use them are answered."""
        self.catalog.close()


def _unhandled(_: Catalog, request: Request[Any], __: Context) -> Response:
    raise UnknownCommand(f"Command {request.command.verb} not handled")


class Wrapper(Application):
    """An application around another one, with the same databases; it answers as the other does until it is overridden.

    Args:
        application: the other one.
    """

    def __init__(self, application: Application) -> None:
        self._serve(application.catalog, application._context)
        self._application = application

    def __call__(self, request: Request[Any]) -> Response:
        return self._application(request)

    def at_once(self, request: Request[Any]) -> Response | None:
        return self._application.at_once(request)

    def tick(self) -> None:
        self._application.tick()

    def leave(self, connection: bytes) -> None:
        self._application.leave(connection)

    def close(self) -> None:
        self._application.close()
