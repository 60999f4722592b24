"""The seam between a catalog and what keeps it: a file of one server, or a cluster that several servers share."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import ClassVar

from attrs import frozen


@frozen
class Entry:
    """One database of a catalog.

    Attributes:
        name: as clients know it.
        uid: as requests address it; it survives restarts.
        path: of the files; resolved by the catalog, in a store file as it was recorded.
        options: LevelDB's, under their present names.
        adopted: it existed before this server, so its files are another program's.
        opened: it has been open here at least once; otherwise it may not be a database at all.
        recorded: the path as an old server recorded it, kept in the store file as long as nothing is found there; None
            if that is ``path``.
    """

    name: str
    uid: str
    path: str
    options: Mapping[str, object]
    adopted: bool = False
    opened: bool = True
    recorded: str | None = None


class CatalogStore(ABC):
    """Keeps the entries of a catalog.

    Attributes:
        is_shared: True if other servers change it as well, and so creates and drops the databases itself.
    """

    is_shared: ClassVar[bool] = False

    @abstractmethod
    def read(self) -> Sequence[Entry] | None:
        """Return the databases, in the order of their creation; None if nothing was ever written."""

    def read_changes(self) -> Sequence[Entry] | None:
        """Return the databases if others have changed them since they were read; otherwise None.

        Raises:
            EngineError: they could not be read.
        """
        return None

    def locate(self, entry: Entry) -> Entry:
        """Return the entry of a database that is to be created, with the path that it will have."""
        return entry

    @abstractmethod
    def replacing(self, before: Sequence[Entry], after: Sequence[Entry]) -> AbstractContextManager[None]:
        """Write the new entries so that they count once the block has ended without an exception.

        A shared store creates the databases that are new and drops those that are gone, each in one step with its
        entry, before the block.

        Raises:
            DatabaseError: others were quicker; nothing of theirs is changed.
            EngineError, OSError: it failed.
        """

    def maintain(self) -> None:  # noqa: B027 - a file needs none
        """Do what has to be done now and then; called often.

        Raises:
            EngineError: it failed; the next call tries again.
        """


class NoStore(CatalogStore):
    """Keeps nothing: the databases end with the process."""

    def read(self) -> Sequence[Entry] | None:
        return []

    def replacing(self, before: Sequence[Entry], after: Sequence[Entry]) -> AbstractContextManager[None]:  # noqa: ARG002
        return nullcontext()
