"""The commands of operators: a server's figures, its sizes, and its long tasks."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from attrs import field

from pyelevator import arguments
from pyelevator._attrs import command
from pyelevator.commands.base import Access, Command, NoResult, PayloadKind, R_co, check_type
from pyelevator.errors import ErrorCode, MalformedMessage, UnknownCommand

if TYPE_CHECKING:
    from pyelevator.monitoring import ServerStats, SlowRequest
    from pyelevator.reports import BackupReport, TaskProgress


@command
class Ping(Command[bytes]):
    """Asks the server for a sign of life; the answer is ``PONG``."""

    verb = "PING"
    access = Access.NONE
    payload_kind = PayloadKind.SCALAR
    needs_uid = False

    def result(self, payload: object) -> bytes:
        return check_type(payload, bytes, self.verb)


class _ReportCommand(Command[R_co]):
    """The base of the commands that admins are answered with a report, whatever database they are connected to."""

    access = Access.ADMIN
    payload_kind = PayloadKind.SCALAR
    needs_uid = False

    def __init_subclass__(cls) -> None:
        cls.errors = {ErrorCode.KEY: (UnknownCommand, f"this server does not know {cls.verb}")}


@command
class Stats(_ReportCommand["ServerStats"]):
    """Statistics of the server, as a JSON object; not about one database, but for admins of all."""

    verb = "STATS"

    def result(self, payload: object) -> "ServerStats":
        from pyelevator.monitoring import ServerStats  # few clients ask

        return ServerStats.decode(check_type(payload, bytes, self.verb))


@command
class Backup(_ReportCommand["BackupReport"]):
    """Write a consistent copy of a database into a new directory on the server."""

    verb = "BACKUP"
    idempotent = False
    names_database = True
    path_fields = ("directory",)
    name: str = field(converter=arguments.path)
    directory: str = field(converter=arguments.path)

    def result(self, payload: object) -> "BackupReport":
        from pyelevator.reports import BackupReport  # few clients ask

        return BackupReport.decode(check_type(payload, bytes, self.verb))


@command
class Compact(NoResult):
    """Compact the connected database, or a range of it, both ends inclusive, None for an open end."""

    verb = "COMPACT"
    feature = "tasks"
    access = Access.ADMIN
    idempotent = False
    start: bytes | None = field(default=None, converter=arguments.optional_bytes)
    stop: bytes | None = field(default=None, converter=arguments.optional_bytes)


@command
class Sizes(Command[list[int]]):
    """About how many bytes ranges of the connected database take, each from a key up to before another one."""

    verb = "SIZES"
    feature = "tasks"
    access = Access.READ
    payload_kind = PayloadKind.SCALAR
    ranges: Sequence[tuple[bytes | None, bytes | None]] = field(converter=arguments.ranges)

    def result(self, payload: object) -> list[int]:
        from pyelevator.reports import decode_sizes  # few clients ask

        sizes = decode_sizes(check_type(payload, bytes, self.verb))
        if len(sizes) == len(self.ranges):
            return sizes
        raise MalformedMessage(f"the answer to {len(self.ranges)} ranges holds {len(sizes)} sizes")


@command
class Progress(_ReportCommand["list[TaskProgress]"]):
    """The progress of the server's long tasks; not about one database, but for admins of all."""

    verb = "PROGRESS"

    def result(self, payload: object) -> "list[TaskProgress]":
        from pyelevator.reports import TaskProgress  # few clients ask

        return TaskProgress.decode_list(check_type(payload, bytes, self.verb))


@command
class SlowLog(_ReportCommand["list[SlowRequest]"]):
    """The latest requests that took long, the latest first, as a JSON array; ``limit`` of them, or all.

    A server with the feature ``slowlog`` knows it; it is for admins of all databases.
    """

    verb = "SLOWLOG"
    limit: int | None = field(default=None, converter=arguments.optional_integer)

    def result(self, payload: object) -> "list[SlowRequest]":
        from pyelevator.monitoring import SlowRequest

        return SlowRequest.decode_list(check_type(payload, bytes, self.verb))
