"""The storage: it opens, repairs and destroys databases."""

import enum
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import ClassVar

from pyelevator.commands import OptionValue, RepairReport
from pyelevator.engines.base.catalog_store import CatalogStore
from pyelevator.engines.base.engine import Engine


class Capability(enum.Enum):
    """An ability of an engine beyond the minimum of the seam; conformance suites ask for these, never for names."""

    DURABLE = "durable"
    """Written data is there after close and open, and in another process."""
    REPAIRABLE = "repairable"
    """``Storage.repair`` recovers what can be recovered of damaged files."""
    SNAPSHOT = "snapshot"
    """A snapshot covers the whole key space at one moment."""
    BACKUP = "backup"
    """``backup`` writes a copy that opens as a database of its own."""
    OPTIONS = "options"
    """The options of the old protocol are known; without it they are refused, like all that do not exist."""
    REMOTE = "remote"
    """Every call may wait for a network, so that a server's own loop makes none."""


class Storage(ABC):
    """Opens, repairs and destroys databases by path; every path has gone through :meth:`resolve`.

    Attributes:
        capabilities: what this storage and its engines can do, see :class:`Capability`.
        option_names: every name that an option may have, including older ones; None if that is not known, and so none
            is refused.
        files_per_database: about how many file descriptors an open database holds; 0 for none.
        call_timeout: seconds that a call takes at most, if that is known; see :mod:`pyelevator.engines.call_deadline`.
    """

    capabilities: ClassVar[frozenset[Capability]] = frozenset()
    option_names: ClassVar[frozenset[str] | None] = None
    files_per_database: ClassVar[int] = 0
    call_timeout: float | None = None

    @abstractmethod
    def resolve(self, path: str) -> str:
        """Return the one spelling of ``path``, so that no database is open under two.

        Args:
            path: absolute.
        """

    def confine(self, directories: Iterable[str]) -> None:  # noqa: B027 - a storage without files has no directories
        """Refuse to open, inspect, repair or destroy anything outside of these directories from now on.

        Args:
            directories: absolute paths.
        """

    @abstractmethod
    def check_options(self, options: Mapping[str, object]) -> dict[str, OptionValue]:
        """Return the options under their present names, ready for JSON; unknown ones are left out.

        Args:
            options: as a client or a configuration file says them.

        Raises:
            OptionTypeError, OptionValueError: a known option with a wrong value.
        """

    @abstractmethod
    def open(self, path: str, options: Mapping[str, object]) -> Engine:
        """Open the database at ``path``, or create it if there is none.

        Args:
            path: resolved.
            options: as ``check_options`` returns them.

        Raises:
            EngineDamaged: it is damaged; the files are left as they are.
            EngineError: it is open already, here or in another process; the file system refused.
        """

    def detect_options(self, path: str) -> dict[str, OptionValue]:  # noqa: ARG002
        """Return the options that the files of another program's database show, and that have to be kept for it.

        Args:
            path: of the database.

        Raises:
            EngineError: the file system refused.
        """
        return {}

    def check_free_space(self, path: str) -> None:  # noqa: B027 - a storage without files always has space
        """Check that a database of which a write failed could be opened again if it were closed.

        Args:
            path: of the database.

        Raises:
            EngineFileError: there is no space to open it.
        """

    @abstractmethod
    def exists(self, path: str) -> bool:
        """Return True if there is a database at ``path``, sound or damaged.

        Args:
            path: of the database.

        Raises:
            EngineError: the file system refused.
        """

    def prepare(self, path: str) -> Callable[[], None]:
        """Check that a database may be created at ``path``, or that the one there may be opened; change nothing.

        Args:
            path: of the database.

        Returns:
            A function that undoes, on a closed database, what opening it has created since, and keeps what was there.

        Raises:
            EngineError: there are files that are not a database of this kind, and that it would overwrite or delete.
        """
        return (lambda: None) if self.exists(path) else (lambda: self.destroy(path))

    @abstractmethod
    def repair(self, path: str, options: Mapping[str, object], *, force: bool = False) -> RepairReport:
        """Recover what can be recovered; afterwards all reads agree on the newest version that survived.

        Args:
            path: of the closed database.
            options: as for ``open``.
            force: go on even if most of the data could not be read, and would be set aside.

        Raises:
            EngineForeign: the files are not of this kind.
            EngineError: there is no database, or it is open; or nothing was changed, because ``force`` is needed.
        """

    def catalog_store(self) -> CatalogStore | None:
        """Return what keeps the catalog, if that is where the databases are; None for a file of the server's."""
        return None

    def empty(self, path: str, *, set_aside: bool = False) -> None:
        """Remove all pairs of a closed database, which the next opening may create again.

        Args:
            path, set_aside: as of ``destroy``.
        """
        self.destroy(path, set_aside=set_aside)

    def close(self) -> None:  # noqa: B027 - most have nothing
        """Release what the storage itself holds, when none of its databases is open any more."""

    @abstractmethod
    def destroy(self, path: str, *, set_aside: bool = False) -> None:
        """Remove the database's own files and nothing else; the directory only if that leaves it empty.

        Args:
            path: of the closed database. It is no error if there is none.
            set_aside: also remove what repairs have set aside.

        Raises:
            EngineForeign: the files are not of this kind.
            EngineError: the database is open.
        """
