"""Application: a request in, a response out, whatever happens."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Self

from pyelevator.application.catalog import Catalog
from pyelevator.application.handlers import HANDLERS, SLOW
from pyelevator.engines.base import EngineError
from pyelevator.engines.memory import MemoryStorage
from pyelevator.errors import ErrorCode, ServerError, UnknownCommand
from pyelevator.messages import Request, Response

_log: Final = logging.getLogger("pyelevator.application")


class Application:
    """Answers requests on the databases of a catalog; may be called from many threads at once.

    >>> from pyelevator.commands import Ping
    >>> Application.in_memory()(Request(Ping(), id=7))
    Response(payload=b'PONG', status=<Status.SUCCESS: 1>, code=None, message='', id=7, more=False, features=())
    """

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog

    @classmethod
    def in_memory(cls) -> Self:
        """An application with one empty database, 'default', that is gone with the process."""
        return cls(Catalog(MemoryStorage()))

    @classmethod
    def on_leveldb(
        cls,
        directory: str,
        *,
        store: str | None = None,
        allowed_roots: Iterable[str] | None = None,
        default_options: Mapping[str, Any] | None = None,
    ) -> Self:
        """An application on the LevelDB databases of a data directory.

        See :class:`Catalog` for the arguments; ``default_options`` hold where a database has no option of its own.

        Raises:
            MissingExtra: plyvel is not installed.
            CatalogError: another server uses the directory, or its store file is broken.
        """
        from pyelevator.engines.leveldb import LevelDbStorage

        return cls(Catalog(LevelDbStorage(default_options), directory, store=store, allowed_roots=allowed_roots))

    def __call__(self, request: Request[Any]) -> Response:
        """The one answer to ``request``. Errors are answers too; nothing is raised."""
        try:
            handler = HANDLERS.get(type(request.command))
            if handler is None:
                raise UnknownCommand(f"Command {request.command.verb} not handled")
            return handler.call(self.catalog, request)
        except Exception as error:  # noqa: BLE001 - every request gets an answer
            answer = next(answer for kind, answer in _ANSWERS if isinstance(error, kind))
            return Response.failure(*answer(error), request.id)

    def is_slow(self, request: Request[Any]) -> bool:
        """Whether a server should answer ``request`` outside its own loop: much work, or a database to open first."""
        handler = HANDLERS.get(type(request.command))
        if handler is None:
            return False
        command = request.command
        return handler.cost(command) >= SLOW or (command.addressed and not self.catalog.ready(request.uid))

    def close(self) -> None:
        """Closes the databases, once the requests that use them are answered."""
        self.catalog.close()


def _internal(error: Exception) -> tuple[ErrorCode, str]:
    _log.error("a request failed", exc_info=error)
    return ErrorCode.RUNTIME, f"internal error: {type(error).__name__}"


_ANSWERS: Final[Sequence[tuple[type[Exception], Callable[[Any], tuple[ErrorCode, str]]]]] = (
    (ServerError, lambda error: (error.code, error.message)),
    (EngineError, lambda error: (error.code, str(error))),
    (OSError, lambda error: (ErrorCode.OS, error.strerror or str(error))),
    (Exception, _internal),
)
"""What was raised -> the failure's code and message; the first that fits."""
