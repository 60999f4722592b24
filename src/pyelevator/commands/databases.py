"""The commands that connect to databases, and that create, open, close, repair and drop them."""

from typing import ClassVar

import attrs
from attrs import field

from pyelevator import arguments
from pyelevator._attrs import command
from pyelevator._json import Report, to_count, to_texts
from pyelevator.arguments.data import OptionValue
from pyelevator.commands.base import Access, Command, NoResult, PayloadKind, check_type
from pyelevator.errors import DatabaseError, ErrorCode


@command
class DbConnect(Command[str]):
    """The uid of a database, under which the other commands address it."""

    verb = "DBCONNECT"
    access = Access.READ
    names_database = True
    payload_kind = PayloadKind.SCALAR
    needs_uid = False
    errors = {ErrorCode.DATABASE: (DatabaseError, "Database does not exist")}
    name: str = field(converter=arguments.path)

    def result(self, payload: object) -> str:
        return check_type(payload, bytes, self.verb).decode("utf-8", "surrogateescape")


class _CatalogCommand(NoResult):
    """The base of the commands that change which databases there are, or are open."""

    access = Access.ADMIN
    idempotent = False
    names_database = True


@command
class DbMount(_CatalogCommand):
    """Open a database."""

    verb = "DBMOUNT"
    needs_uid = False
    name: str = field(converter=arguments.path)


@command
class DbUmount(_CatalogCommand):
    """Close a database; the next use opens it again."""

    verb = "DBUMOUNT"
    needs_uid = False
    name: str = field(converter=arguments.path)


@command
class DbCreate(_CatalogCommand):
    """Create a database, or adopt the one at an absolute path, with LevelDB options.

    ``tolerant`` lets the server pass over options that do not exist. A codec says so for clients without ids, because
    old servers did it; it travels on from a proxy, which has ids of its own.
    """

    verb = "DBCREATE"
    meta_fields = ("tolerant",)
    name: str = field(converter=arguments.path)
    options: dict[str, OptionValue] = field(factory=dict, converter=arguments.options)
    tolerant: bool = field(default=False, converter=arguments.flag, eq=False, repr=False)


@command
class DbDrop(_CatalogCommand):
    """Remove a database and its files.

    With ``force`` also those of an adopted one, which was there before, and what repairs have set aside.
    """

    verb = "DBDROP"
    meta_fields = ("force",)
    name: str = field(converter=arguments.path)
    force: bool = field(default=False, converter=arguments.flag)


@command
class DbForget(_CatalogCommand):
    """Take a database off the list, and touch none of its files. A server with the feature ``forget`` knows it."""

    verb = "DBFORGET"
    needs_uid = False
    name: str = field(converter=arguments.path)


@command
class DbList(Command[list[str]]):
    """The names of all databases."""

    verb = "DBLIST"
    access = Access.NONE
    payload_kind = PayloadKind.LIST

    def result(self, payload: object) -> list[str]:
        names = check_type(payload, list, self.verb)
        return [check_type(name, bytes, self.verb).decode("utf-8", "surrogateescape") for name in names]


@attrs.frozen
class RepairReport(Report):
    """The report of a repair.

    Attributes:
        kept: names of the files whose data is in the repaired database.
        set_aside: paths, below the database's directory, of files that were not taken over as they were: damaged ones,
            of which what could be read was kept, and obsolete ones. They stay until they are
            removed, or the database is dropped with ``force=True``.
        lost: those of ``set_aside`` of which nothing could be read.
        size: bytes of the repaired database.
    """

    wire_verb = "DBREPAIR"
    kept: tuple[str, ...] = field(default=(), converter=to_texts)
    set_aside: tuple[str, ...] = field(default=(), converter=to_texts)
    lost: tuple[str, ...] = field(default=(), converter=to_texts)
    size: int = field(default=0, converter=to_count)


@command
class DbRepair(Command[RepairReport | None]):
    """Repair the connected database.

    Attributes:
        force: go on even where most of the data would be set aside.
        report: the answer says what was kept and set aside; without it, and from old servers, it is None.
    """

    verb = "DBREPAIR"
    access = Access.ADMIN
    idempotent = False
    meta_fields = ("force", "report")
    force: bool = field(default=False, converter=arguments.flag)
    report: bool = field(default=False, converter=arguments.flag)

    @property
    def payload_kind(self) -> PayloadKind:  # type: ignore[override]
        """The kind of its answer: a string, if a report was asked for."""
        return PayloadKind.SCALAR if self.report else PayloadKind.EMPTY

    def result(self, payload: object) -> RepairReport | None:
        return RepairReport.decode(payload) if isinstance(payload, bytes) and payload else None


@command
class Snapshot(NoResult):
    """Keep a snapshot of the connected database, and of others at the same moment, that further requests read from.

    The answer says the ``cursor`` of the snapshot. A request with the uid ``UID@CURSOR`` reads what the database with
    that uid was at the moment; one that writes is refused. The cursor is given back as that of a :class:`Slice` is. A
    server with the feature ``snapshots`` knows it.

    Attributes:
        uids: of the other databases.
        cursor: True, so that a proxy sees that a cursor is asked for.
    """

    verb = "SNAPSHOT"
    feature: ClassVar[str] = "snapshots"
    access = Access.READ
    meta_fields = ("cursor",)
    uids: tuple[str, ...] = field(default=(), converter=arguments.uids)
    cursor: bytes | bool = field(default=False, converter=arguments.cursor, repr=False)
