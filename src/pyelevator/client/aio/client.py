"""AsyncClient: what AsyncElevator and AsyncWriteBatch share."""

import inspect
from collections.abc import Callable, Coroutine
from typing import Any, Self, TypeVar

from pyelevator.client import operations
from pyelevator.client.aio.session import AsyncSession
from pyelevator.client.declaration import AsyncBlock
from pyelevator.client.decoding import T
from pyelevator.client.facade import BaseClient
from pyelevator.client.operations import ExpectedError
from pyelevator.client.paging import RangePager, ScanPager
from pyelevator.client.sync.client import SyncClient
from pyelevator.codec import Codec
from pyelevator.commands import Command
from pyelevator.deadlines import Deadline, check_timeout
from pyelevator.errors import ElevatorError, MessageTooLarge
from pyelevator.flows import Flow, drive_async
from pyelevator.messages import Response

R = TypeVar("R")
P = TypeVar("P", ScanPager, RangePager)
C = TypeVar("C", bound=type)


def copy_docstrings(original: type) -> Callable[[C], C]:
    """Give each method without a docstring that of the method of the same name in ``original``."""

    def document(copy: C) -> C:
        for name, method in vars(copy).items():
            if inspect.isfunction(method) and not method.__doc__:
                method.__doc__ = getattr(getattr(original, name, None), "__doc__", None)
        return copy

    return document


@copy_docstrings(SyncClient)
class AsyncClient(AsyncBlock, BaseClient[T]):
    """An async client: any number of tasks of one event loop share it.

    It does no input or output before it is awaited, and belongs to no event loop before that. It connects to its
    database on entering ``async with``, or else with the first call; ``auto_connect=False`` leaves that to
    :meth:`connect`. After its event loop has ended it may be used on another one.
    """

    _session: AsyncSession

    def _open_session(self, codec: Codec, max_connections: int, auto_connect: bool) -> None:
        self._session = AsyncSession(self._transport, codec, max_connections, self._pool_timeout)
        self._auto_connect = auto_connect

    def _share_session(self, client: BaseClient[Any], timeout: float | None) -> None:
        super()._share_session(client, timeout)
        self._auto_connect = isinstance(client, AsyncClient) and client._auto_connect

    async def disconnect(self, *, timeout: float | None = None) -> None:
        check_timeout(timeout)
        self._auto_connect = False
        self._handle.clear()
        if not self._shares_session:
            self._session.close()

    async def _call(  # type: ignore[override]  # see Outcome
        self,
        command: Command,
        timeout: float | None,
        compression: bool = False,
        decode: Callable[[Any], Any] | None = None,
        expected: ExpectedError[Any] | None = None,
    ) -> Any:
        """Execute a command; without a flow where the server takes it as it is.

        Thousands of calls may be under way, and a flow would take most of the time and memory of each.
        """
        handle, session, view = self._handle, self._session, self._key_prefix
        try:
            if type(command) not in handle.direct or compression is not False or session.dropped:
                outcome: Any = await self._execute(operations.send_command(handle, command, compression), timeout)
            else:
                seconds = self._timeout if timeout is None else check_timeout(timeout)
                call = session.submit(command if view is None else view.add_to(command), handle.uid, seconds)
                try:
                    outcome = await call.future
                    outcome = outcome if view is None else view.remove_from_outcome(command, outcome)
                except MessageTooLarge:
                    outcome = await self._drive(operations.send_command(handle, command), call.deadline)
                except BaseException:
                    session.cancel(call)
                    raise
            if isinstance(outcome, Response):
                if outcome.code is not None:
                    outcome = await self._drive(operations.recover(handle, command, call.uid, outcome), call.deadline)
                outcome = outcome.payload
            result = command.result(outcome)
        except ElevatorError as error:
            if expected is not None and isinstance(error, expected[0]):
                return expected[1]
            self._decoder.decode_keys_of(error)
            raise
        return result if decode is None else decode(result)

    def _execute(self, flow: Flow[Any], timeout: float | None) -> Any:
        return self._execute_until(flow, self._deadline(timeout))

    def _execute_until(self, flow: Flow[R], deadline: Deadline) -> Coroutine[Any, Any, R]:
        if self._auto_connect and self._handle.uid is None:
            flow = operations.connect_first(self._handle, self._database_name, self._creates, flow)
        return self._drive(flow, deadline)

    def _fetch_page(self, pager: P, compression: bool, deadline: Deadline) -> Coroutine[Any, Any, tuple[Any, P]]:
        """Return the rows of a page, which may still be encoded, and the pager of the next page."""
        return self._execute_until(operations.fetch_page(self._handle, pager, compression), deadline)

    def _drive(self, flow: Flow[R], deadline: Deadline) -> Coroutine[Any, Any, R]:
        dropped = self._session.dropped
        flow = operations.release_dropped(self._handle, dropped, flow) if dropped else flow
        return drive_async(self._wrap(flow, deadline), self._session.effect_handler(deadline))

    async def __aenter__(self) -> Self:
        if self._auto_connect and self._handle.uid is None:
            try:
                await self.connect()
            except BaseException:
                await self.disconnect()
                raise
        return self
