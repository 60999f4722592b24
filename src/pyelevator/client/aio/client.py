"""What AsyncElevator and AsyncWriteBatch share: the event loop's session, and connecting when it is needed."""

import inspect
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Self, TypeVar

from attrs import evolve

from pyelevator.client import operations
from pyelevator.client.aio.session import AsyncSession
from pyelevator.client.facade import Client, Facade, check_name
from pyelevator.client.operations import Link
from pyelevator.client.paging import RangePager, ScanPager
from pyelevator.codec import Codec
from pyelevator.commands import Command
from pyelevator.deadlines import Deadline, check_timeout
from pyelevator.errors import MessageTooLarge
from pyelevator.flows import Flow, drive_async
from pyelevator.messages import Response

if TYPE_CHECKING:
    pass

T = TypeVar("T", str, bytes)
R = TypeVar("R")
P = TypeVar("P", ScanPager, RangePager)
C = TypeVar("C", bound=type)


def documented_by(original: type) -> Callable[[C], C]:
    """Gives each method without a docstring that of the method of the same name in ``original``."""

    def document(copy: C) -> C:
        for name, method in vars(copy).items():
            if inspect.isfunction(method) and not method.__doc__:
                method.__doc__ = getattr(getattr(original, name, None), "__doc__", None)
        return copy

    return document


def connected(link: Link, name: str, flow: Flow[R]) -> Flow[R]:
    """Connects before ``flow``, where nothing has done so yet. What another call connects to meanwhile stays."""
    if link.uid is None:
        found = evolve(link)
        yield from operations.connect(found, name)
        if link.uid is None:
            link.lead_to(found.name, found.uid, found.features)
    return (yield from flow)


@documented_by(Client)
class AsyncClient(Facade[T]):
    """An async client: any number of tasks of one event loop share it.

    It does no input or output before it is awaited, and belongs to no event loop before that. It connects to its
    database on entering ``async with``, or else with the first call; ``auto_connect=False`` leaves that to
    :meth:`connect`. After its event loop has ended it may be used on another one.
    """

    def _start(self, codec: Codec, max_connections: int, auto_connect: bool) -> None:
        self._session = AsyncSession(self._transport, codec, max_connections, self._pool_timeout)
        self._connects = auto_connect

    def _borrow(self, client: "AsyncClient[T]", timeout: float | None) -> None:
        self._adopt(client, timeout)
        self._session, self._connects = client._session, client._connects

    async def connect(self, db_name: str | None = None, *, timeout: float | None = None) -> None:
        check_name(db_name, type(self))
        name = self._wanted if db_name is None else db_name
        await self._drive(operations.connect(self._link, name), timeout)
        self._wanted = name

    async def disconnect(self, *, timeout: float | None = None) -> None:
        check_timeout(timeout)
        self._connects = False
        self._link.leave()
        self._session.close()

    def _run(self, flow: Flow[R], timeout: float | None) -> Coroutine[Any, Any, R]:
        return self._run_until(flow, self._deadline(timeout))

    def _run_until(self, flow: Flow[R], deadline: Deadline) -> Coroutine[Any, Any, R]:
        if self._connects and self._link.uid is None:
            flow = connected(self._link, self._wanted, flow)
        return self._drive_until(flow, deadline)

    async def _call(
        self,
        command: Command[R],
        timeout: float | None,
        compression: bool = False,
        flow: Callable[[Link, Any, bool], Flow[R]] = operations.call,
    ) -> R:
        """Does what ``flow`` does for a command of one key, of which thousands may be under way.

        Then most of the time and memory is what a flow takes, so there is none where an answer is the result.
        """
        link = self._link
        if compression is not False or not link.plain or self._forward is not None or self._session.dropped:
            return await self._run(flow(link, command, compression), timeout)
        uid = link.address(command) if command.meta_fields else link.uid
        call = self._session.submit(command, uid, self._timeout if timeout is None else check_timeout(timeout))
        try:
            outcome = await call.future
        except MessageTooLarge:
            return await self._drive_until(flow(link, command, compression), call.deadline)
        except BaseException:
            self._session.cancel(call)
            raise
        if isinstance(outcome, Response):
            if outcome.code is not None:
                outcome = await self._drive_until(operations.refused(link, command, uid, outcome), call.deadline)
            outcome = outcome.payload
        return command.result(outcome)

    def _fetch_page(self, pager: P, compression: bool, deadline: Deadline) -> Coroutine[Any, Any, tuple[Any, P]]:
        """Return the rows of a page, which may still be encoded, and the pager of the next page."""
        return self._run_until(operations.fetch_page(self._link, pager, compression), deadline)

    async def _release_cursor(self, pager: ScanPager, timeout: float | None) -> None:
        await self._run(operations.release_cursor(self._link, pager), timeout)

    def _drive(self, flow: Flow[R], timeout: float | None) -> Coroutine[Any, Any, R]:
        return self._drive_until(flow, self._deadline(timeout))

    def _drive_until(self, flow: Flow[R], deadline: Deadline) -> Coroutine[Any, Any, R]:
        dropped = self._session.dropped
        flow = operations.give_back(self._link, dropped, flow) if dropped else flow
        return drive_async(self._intercepted(flow, deadline), self._session.effect_handler(deadline))

    async def __aenter__(self) -> Self:
        if self._connects and self._link.uid is None:
            try:
                await self.connect()
            except BaseException:
                await self.disconnect()
                raise
        return self
