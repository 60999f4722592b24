"""The commands of operators: a server's figures, its sizes, and its long tasks."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from attrs import field

from pyelevator import arguments
from pyelevator._attrs import command
from pyelevator.commands.base import Access, Command, NoResult, PayloadKind, check_type
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

    def result(self, payload: Any) -> bytes:
        return check_type(payload, bytes, self.verb)


@command
class Stats(Command["ServerStats"]):
    """Statistics of the server, as a JSON object; not about one database, but for admins of all."""

    verb = "STATS"
    access = Access.ADMIN
    payload_kind = PayloadKind.SCALAR
    needs_uid = False
    errors = {ErrorCode.KEY: (UnknownCommand, "this server does not know STATS")}

    def result(self, payload: Any) -> "ServerStats":
        from pyelevator.monitoring import ServerStats  # few clients ask

        return ServerStats.decode(check_type(payload, bytes, self.verb))


@command
class Backup(Command["BackupReport"]):
    """Write a consistent copy of a database into a new directory on the server."""

    verb = "BACKUP"
    access = Access.ADMIN
    payload_kind = PayloadKind.SCALAR
    idempotent = False
    names_database = True
    needs_uid = False
    path_fields = ("directory",)
    errors = {ErrorCode.KEY: (UnknownCommand, "this server does not know BACKUP")}
    name: str = field(converter=arguments.path)
    directory: str = field(converter=arguments.path)

    def result(self, payload: Any) -> "BackupReport":
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

    def result(self, payload: Any) -> list[int]:
        from pyelevator.reports import decode_sizes  # few clients ask

        sizes = decode_sizes(check_type(payload, bytes, self.verb))
        if len(sizes) == len(self.ranges):
            return sizes
        raise MalformedMessage(f"the answer to {len(self.ranges)} ranges holds {len(sizes)} sizes")


@command
class Progress(Command["list[TaskProgress]"]):
    """How far the server's long tasks have come; not about one database, but for admins of all."""

    verb = "PROGRESS"
    access = Access.ADMIN
    payload_kind = PayloadKind.SCALAR
    needs_uid = False
    errors = {ErrorCode.KEY: (UnknownCommand, "this server does not know PROGRESS")}

    def result(self, payload: Any) -> "list[TaskProgress]":
        from pyelevator.reports import decode_tasks  # few clients ask

        return decode_tasks(check_type(payload, bytes, self.verb))


@command
class SlowLog(Command["list[SlowRequest]"]):
    """The latest requests that took long, the latest first, as a JSON array; ``limit`` of them, or all.

    A server with the feature ``slowlog`` knows it; it is for admins of all databases.
    """

    verb = "SLOWLOG"
    access = Access.ADMIN
    payload_kind = PayloadKind.SCALAR
    needs_uid = False
    errors = {ErrorCode.KEY: (UnknownCommand, "this server does not know SLOWLOG")}
    limit: int | None = field(default=None, converter=arguments.optional_integer)

    def result(self, payload: Any) -> "list[SlowRequest]":
        from pyelevator.monitoring import decode_slow_log

        return decode_slow_log(check_type(payload, bytes, self.verb))
