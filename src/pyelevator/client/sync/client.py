"""SyncClient: what Elevator and WriteBatch share."""

from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from pyelevator.client import operations
from pyelevator.client.declaration import SyncBlock
from pyelevator.client.decoding import T
from pyelevator.client.facade import BaseClient
from pyelevator.client.operations import ExpectedError
from pyelevator.client.paging import RangePager, ScanPager
from pyelevator.codec import Codec
from pyelevator.commands import Command
from pyelevator.deadlines import MAX_TIMEOUT, Deadline
from pyelevator.errors import ElevatorError, MessageTooLarge
from pyelevator.flows import Flow, drive
from pyelevator.legacy import accept_old_calls, call_timeout
from pyelevator.messages import Request, Response

if TYPE_CHECKING:
    from pyelevator.client.sync.prefetch import PrefetchedFlow
    from pyelevator.client.sync.session import Session

R = TypeVar("R")
P = TypeVar("P", ScanPager, RangePager)


@accept_old_calls
class SyncClient(SyncBlock, BaseClient[T]):
    """A sync client: any number of threads share it."""

    _session: "Session"

    def _open_session(self, codec: Codec, max_connections: int, auto_connect: bool) -> None:
        from pyelevator.client.sync.session import Session  # with what carries messages, when there is a client

        self._session = Session(self._transport, codec, max_connections, self._pool_timeout)
        if auto_connect:
            try:
                self.connect()
            except BaseException:  # the caller does not get the client, and could not close it
                self._session.close()
                raise

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
        if (type(timeout) is float or type(timeout) is int) and 0 < timeout < MAX_TIMEOUT:  # nearly always
            return Deadline.after(timeout)
        given = call_timeout(timeout)
        return Deadline.after(self._timeout if given is None else given)

    def _call(
        self,
        command: Command,
        timeout: float | None,
        compression: bool = False,
        decode: Callable[[Any], Any] | None = None,
        expected: ExpectedError[Any] | None = None,
    ) -> Any:
        seconds = self._seconds  # as in ``Deadline.after``, without a call: every command comes through here
        deadline = Deadline(monotonic() + seconds, seconds) if timeout is None else self._deadline(timeout)
        try:
            result = command.result(self._send(command, deadline, compression).payload)
        except ElevatorError as error:
            if expected is not None and isinstance(error, expected[0]):
                return expected[1]
            self._decoder.decode_keys_of(error)
            raise
        return result if decode is None else decode(result)

    def _send(self, command: Command, deadline: Deadline, compression: bool = False) -> Response:
        """Send a command, and return its response, a success; without a flow where the server takes it as it is."""
        handle, session = self._handle, self._session
        if type(command) not in handle.direct or compression is not False or session.dropped:
            return self._drive(operations.send_command(handle, command, compression), deadline)
        uid, view = handle.uid, self._key_prefix
        sent = command if view is None else view.add_to(command)
        try:
            response = session.send_in_place(Request.minimal(sent, uid, 0), deadline)
        except MessageTooLarge:
            return self._drive(operations.send_command(handle, command), deadline)
        if response.code is None:
            return response if view is None else view.remove_from(command, response)
        return self._drive(operations.recover(handle, command, uid, response), deadline)

    def _execute(self, flow: Flow[Any], timeout: float | None) -> Any:
        return self._drive(flow, self._deadline(timeout))

    def _fetch_page(self, pager: P, compression: bool, deadline: Deadline) -> tuple[Any, P]:
        """Return the rows of a page, which may still be encoded, and the pager of the next page."""
        command = pager.next_command()
        response = self._send(command, deadline, compression)
        return pager.feed(command.result(response.payload), more=response.more, cursor=response.cursor)

    def _prefetch_page(self, pager: P, compression: bool, deadline: Deadline) -> "PrefetchedFlow[tuple[Any, P]]":
        """Begin to fetch a page."""
        from pyelevator.client.sync.prefetch import PrefetchedFlow  # few ranges have many pages

        flow = operations.fetch_page(self._handle, pager, compression)
        return PrefetchedFlow(self._session, self._wrap(flow, deadline), deadline)

    def _drive(self, flow: Flow[R], deadline: Deadline) -> R:
        dropped = self._session.dropped
        flow = operations.release_dropped(self._handle, dropped, flow) if dropped else flow
        return drive(self._wrap(flow, deadline), self._session.effect_handler(deadline))
