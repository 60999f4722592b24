"""Commands of a pipeline that travel by themselves: of operators, and such as may take long."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from pyelevator.arguments.data import KeyRange, to_text
from pyelevator.client.decoding import same
from pyelevator.client.operations import ExpectedError
from pyelevator.client.pipelines.results import PipelineResult
from pyelevator.commands import Backup, Command, Compact, Data, DeleteRange, Progress, Sizes, SlowLog, Stats

if TYPE_CHECKING:
    from pyelevator.monitoring import ServerStats, SlowRequest
    from pyelevator.reports import BackupReport, TaskProgress

U = TypeVar("U")


class MaintenanceBuilder:
    """The methods of a pipeline whose commands travel in requests of their own.

    Each is sent in its place: when what was queued before it is answered, and before what follows. So a long one does
    not hold up the commands of other clients, they see its progress, and each is authorized by itself.
    """

    if TYPE_CHECKING:

        def _add(
            self, command: Command[Any], decode: Callable[[Any], U], expected: ExpectedError[U] | None = None
        ) -> PipelineResult[U]:
            """Queue a command."""

    def DeleteRange(
        self,
        start: Data | None = None,
        stop: Data | None = None,
        *,
        prefix: Data | None = None,
        sync: bool = False,
    ) -> PipelineResult[int]:
        """Delete a range chunk by chunk, as :meth:`Elevator.DeleteRange <pyelevator.Elevator.DeleteRange>`.

        The time that the pipeline has is for all of the chunks. An error's ``deleted`` says how far it has come.

        Returns:
            A handle on the number of keys that were deleted.
        """
        return self._add(DeleteRange(start, stop, prefix, sync), same)

    def sizes(self, ranges: Sequence[KeyRange]) -> PipelineResult[list[int]]:
        """Ask about how many bytes ranges take on disk, as :meth:`Elevator.sizes <pyelevator.Elevator.sizes>`.

        Returns:
            A handle on the bytes, in the order of the ranges.
        """
        return self._add(Sizes(ranges), same)

    def compact(self, start: Data | None = None, stop: Data | None = None) -> PipelineResult[None]:
        """Reclaim the space of deleted pairs, as :meth:`Elevator.compact <pyelevator.Elevator.compact>`.

        Returns:
            A handle; its result is None.
        """
        return self._add(Compact(start, stop), same)

    def backup(self, db_name: str, directory: str) -> PipelineResult["BackupReport"]:
        """Copy a database on the server, as :meth:`Elevator.backup <pyelevator.Elevator.backup>`.

        Returns:
            A handle on how large the copy is.
        """
        return self._add(Backup(to_text(db_name, "db_name"), directory), same)

    def progress(self) -> PipelineResult["list[TaskProgress]"]:
        """Ask how far the server's long tasks have come, as :meth:`Elevator.progress <pyelevator.Elevator.progress>`.

        Returns:
            A handle on those that are under way.
        """
        return self._add(Progress(), same)

    def stats(self) -> PipelineResult["ServerStats"]:
        """Ask the server what it says about itself, as :meth:`Elevator.stats <pyelevator.Elevator.stats>`.

        Returns:
            A handle on the figures.
        """
        return self._add(Stats(), same)

    def slowlog(self, limit: int | None = None) -> PipelineResult["list[SlowRequest]"]:
        """Ask for the latest requests that took long, as :meth:`Elevator.slowlog <pyelevator.Elevator.slowlog>`.

        Returns:
            A handle on a list, the latest first.
        """
        return self._add(SlowLog(limit), same)
