"""Backups that the console has a server make, and the long tasks of the server, of all clients."""

import asyncio
import time
from collections import deque
from typing import Final

from attrs import asdict, define
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from pyelevator.client.aio import AsyncElevator
from pyelevator.console.web import backend_of, json_body
from pyelevator.errors import ElevatorError
from pyelevator.reports import BackupReport

MAX_LISTED: Final = 50
_BACKUP_TIMEOUT: Final = 7 * 86400.0


@define
class ConsoleBackup:
    """A backup that this console asked for: ``running``, ``done`` or ``failed``.

    Attributes:
        directory: on the server.
        started_at: in seconds of Unix time.
    """

    database: str
    directory: str
    started_at: float
    state: str = "running"
    error: str | None = None
    report: BackupReport | None = None

    async def run(self, client: AsyncElevator[bytes]) -> None:
        """Have the server make it."""
        try:
            self.report = await client.backup(self.database, self.directory, timeout=_BACKUP_TIMEOUT)
            self.state = "done"
        except ElevatorError as error:
            self.state, self.error = "failed", str(error)
        except asyncio.CancelledError:
            self.state, self.error = "failed", "the console ended; the server goes on"
        finally:
            await client.disconnect()


class Backups:
    """The backups of a console, the newest first."""

    def __init__(self) -> None:
        self._backups: deque[ConsoleBackup] = deque(maxlen=MAX_LISTED)
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, client: AsyncElevator[bytes], database: str, directory: str) -> None:
        """Start one, with a client of its own."""
        backup = ConsoleBackup(database, directory, time.time())
        self._backups.append(backup)
        task = asyncio.get_running_loop().create_task(backup.run(client))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def report(self) -> list[dict[str, object]]:
        """Return what the page shows of them."""
        return [asdict(backup) for backup in reversed(self._backups)]

    async def close(self) -> None:
        """Wait for none of them any more; the server goes on."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)


async def list_backups(request: Request) -> Response:
    """List the backups of this console, and the long tasks of the server."""
    tasks = await backend_of(request).server.progress()
    return JSONResponse({"backups": request.app.state.backups.report(), "tasks": [asdict(task) for task in tasks]})


async def start_backup(request: Request) -> Response:
    """Have the server make a backup."""
    body = await json_body(request)
    request.app.state.backups.start(backend_of(request).make_client(None), body["db"], body["directory"])
    return JSONResponse({"backups": request.app.state.backups.report()})
