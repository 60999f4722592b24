"""Snapshots: databases as they were at one moment, for the sync and the async client."""

from contextlib import suppress

from pyelevator.arguments.data import to_text
from pyelevator.client import operations
from pyelevator.client.declaration import Steps, shared_steps
from pyelevator.client.decoding import T
from pyelevator.client.facade import BaseClient
from pyelevator.client.handles import SnapshotHandle
from pyelevator.errors import ElevatorError, UsageError
from pyelevator.forks import FORKS


class SnapshotMethods(BaseClient[T]):
    """The methods of a snapshot; the server keeps it for the process in which it was taken."""

    _handles: dict[str, SnapshotHandle]
    _forks: int

    def _handle_of(self, name: str) -> SnapshotHandle:
        """Return the handle of a database of the snapshot."""
        handle = self._handles.get(to_text(name, "name"))
        if handle is None:
            known = ", ".join(map(repr, self._handles)) or "none, as it is closed or not taken yet"
            raise UsageError(f"the snapshot has no database {name!r}; it has {known}")
        return handle

    def _take_open(self) -> list[SnapshotHandle]:
        """Return a handle of the snapshot, to give it back, and close the others; none if there is nothing to give."""
        found = list(self._handles.values())[:1] if self._forks == FORKS.count else []
        for handle in self._handles.values():
            handle.uid = None
        self._handles.clear()
        return found

    @shared_steps
    def close(self, *, timeout: float | None = None) -> Steps[None]:
        """Tell the server that the snapshot is no longer needed; twice is fine. The ``with`` block ends with it.

        It does not matter if the server cannot be told: it keeps no snapshot for long.

        Args:
            timeout: seconds; the client's if None.
        """
        for handle in self._take_open():
            with suppress(ElevatorError):
                release = operations.release_snapshot(handle.database_uid, handle.cursor or b"")
                yield self._execute(release, timeout)
        self._handle.clear()

    @shared_steps
    def disconnect(self, *, timeout: float | None = None) -> Steps[None]:
        """Close the snapshot; the connections of its client stay open.

        Args:
            timeout: seconds; the client's if None.
        """
        yield self.close(timeout=timeout)

    def __del__(self) -> None:
        with suppress(AttributeError):  # its construction failed
            self._session.dropped.extend(self._take_open())  # neither waits nor sends
