"""What snapshots of sync and async clients share."""

from collections.abc import Sequence

from pyelevator.arguments.data import to_text
from pyelevator.client.handles import SnapshotHandle
from pyelevator.errors import UsageError
from pyelevator.forks import FORKS


def check_names(databases: Sequence[str]) -> list[str]:
    """Return the names of databases.

    Raises:
        ArgumentTypeError: one of them is no name.
    """
    return [to_text(name, "databases") for name in databases]


def find_database(handles: dict[str, SnapshotHandle], name: str) -> SnapshotHandle:
    """Return the handle of a database of a snapshot.

    Raises:
        UsageError: the snapshot is closed, or was not taken of that database.
    """
    handle = handles.get(to_text(name, "name"))
    if handle is None:
        known = ", ".join(map(repr, handles)) or "none, as it is closed or not taken yet"
        raise UsageError(f"the snapshot has no database {name!r}; it has {known}")
    return handle


def take_open(handles: dict[str, SnapshotHandle], forks: int) -> list[SnapshotHandle]:
    """Return a handle of the snapshot, to give it back, and empty the table; none if there is nothing to give back.

    Args:
        handles: of the snapshot.
        forks: the number of the process that has taken it: it is not another one's.
    """
    found = list(handles.values())[:1] if forks == FORKS.count else []
    for handle in handles.values():
        handle.uid = None
    handles.clear()
    return found
