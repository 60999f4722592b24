"""SyncClient: what Elevator and WriteBatch share."""

from collections.abc import Callable
from typing import Any, Self, TypeVar

from pyelevator.client import operations
from pyelevator.client.decoding import T
from pyelevator.client.facade import BaseClient
from pyelevator.client.operations import DatabaseHandle
from pyelevator.client.options import check_name
from pyelevator.client.paging import RangePager, ScanPager
from pyelevator.client.sync.prefetch import PrefetchedFlow
from pyelevator.client.sync.session import Session
from pyelevator.codec import Codec
from pyelevator.commands import Command
from pyelevator.deadlines import Deadline
from pyelevator.errors import MessageTooLarge
from pyelevator.flows import Flow, drive
from pyelevator.legacy import accept_old_calls, call_timeout
from pyelevator.messages import Request

R = TypeVar("R")
P = TypeVar("P", ScanPager, RangePager)


@accept_old_calls
class SyncClient(BaseClient[T]):
    """A sync client: any number of threads share it."""

    _shares_session = False

    def _open_session(self, codec: Codec, max_connections: int, auto_connect: bool) -> None:
        self._session = Session(self._transport, codec, max_connections, self._pool_timeout)
        if auto_connect:
            try:
                self.connect()
            except BaseException:  # the caller does not get the client, and could not close it
                self._session.close()
                raise

    def _share_session(self, client: "SyncClient[T]", timeout: float | None) -> None:
        """Become a client of the same database over the same connections."""
        self._copy_settings(client, timeout)
        self._session, self._shares_session = client._session, True

    def connect(self, db_name: str | None = None, *, create: bool | None = None, timeout: float | None = None) -> None:
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
        self._execute(operations.connect(self._handle, name, creates), timeout)
        self._database_name, self._creates = name, creates

    def disconnect(self, *, timeout: float | None = None) -> None:
        """Close every connection at once; ``connect`` opens new ones. Those of another client stay open.

        Args:
            timeout: has no effect, as nothing is waited for.
        """
        call_timeout(timeout)
        self._handle.clear()
        if not self._shares_session:
            self._session.close()

    def _deadline(self, timeout: float | None) -> Deadline:
        told = None if timeout is None else call_timeout(timeout)
        return Deadline.after(self._timeout if told is None else told)

    def _execute(self, flow: Flow[R], timeout: float | None) -> R:
        return self._execute_until(flow, self._deadline(timeout))

    def _execute_command(
        self,
        command: Command[R],
        timeout: float | None,
        compression: bool = False,
        flow: Callable[[DatabaseHandle, Any, bool], Flow[R]] = operations.execute,
    ) -> R:
        """Execute a command of one message; without a flow, where its response is the result."""
        deadline = self._deadline(timeout) if timeout is not None else Deadline.after(self._timeout)
        link = self._handle
        if compression is not False or not link.is_modern or self._forward is not None or self._session.dropped:
            return self._execute_until(flow(link, command, compression), deadline)
        uid = link.uid_for(command) if command.meta_fields or command.feature else link.uid
        try:
            response = self._session.send_in_place(Request.minimal(command, uid, 0), deadline)
        except MessageTooLarge:
            return self._execute_until(flow(link, command, compression), deadline)
        if response.code is not None:
            response = self._execute_until(operations.recover(link, command, uid, response), deadline)
        return command.result(response.payload)

    def _fetch_page(self, pager: P, compression: bool, deadline: Deadline) -> tuple[Any, P]:
        """Return the rows of a page, which may still be encoded, and the pager of the next page."""
        return self._execute_until(operations.fetch_page(self._handle, pager, compression), deadline)

    def _prefetch_page(self, pager: P, compression: bool, deadline: Deadline) -> PrefetchedFlow[tuple[Any, P]]:
        """Begin to fetch a page."""
        flow = operations.fetch_page(self._handle, pager, compression)
        return PrefetchedFlow(self._session, self._wrap(flow, deadline), deadline)

    def _release_cursor(self, pager: ScanPager, timeout: float | None) -> None:
        self._execute(operations.release_cursor(self._handle, pager), timeout)

    def _execute_until(self, flow: Flow[R], deadline: Deadline) -> R:
        dropped = self._session.dropped
        flow = operations.release_dropped(self._handle, dropped, flow) if dropped else flow
        return drive(self._wrap(flow, deadline), self._session.effect_handler(deadline))

    def __enter__(self) -> Self:
        return self
