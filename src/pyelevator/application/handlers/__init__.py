"""What each command does: the table of all handlers."""

from collections.abc import Mapping
from typing import Any, Final

from pyelevator.application.handlers import admin, keys, monitoring, scans, snapshots, tasks, updates
from pyelevator.application.handlers.kinds import (
    UNBOUNDED,
    AdminHandler,
    Handler,
    MonitoringHandler,
    ReadHandler,
    TaskHandler,
    UpdateHandler,
    WriteHandler,
)
from pyelevator.application.handlers.pipelines import pipeline_handler
from pyelevator.commands import (
    Backup,
    Batch,
    Command,
    Compact,
    ConditionalBatch,
    Count,
    DbConnect,
    DbCreate,
    DbDrop,
    DbForget,
    DbList,
    DbMount,
    DbRepair,
    DbUmount,
    Delete,
    DeleteRange,
    Exists,
    Get,
    GetAndDelete,
    Increment,
    MGet,
    Ping,
    Pipeline,
    Progress,
    Put,
    Range,
    Sizes,
    Slice,
    SlowLog,
    Snapshot,
    Stats,
)

__all__ = ["HANDLERS"]


def _unbounded_cost(_: Any) -> int:
    return UNBOUNDED


_PIPELINED: Final[Mapping[type[Command[Any]], Handler]] = {
    Get: ReadHandler(keys.get, from_value=keys.value_or_raise, returns_value=True),
    Exists: ReadHandler(keys.exists, from_value=keys.is_value),
    MGet: ReadHandler(keys.multi_get, lambda c: len(c.keys)),
    Range: ReadHandler(scans.scan_range, _unbounded_cost),
    Slice: ReadHandler(scans.scan_slice, lambda c: c.count),
    Count: ReadHandler(scans.count_range, _unbounded_cost),
    Put: WriteHandler(keys.put_ops, keys.put_cost),
    Delete: WriteHandler(keys.delete_ops),
    Batch: WriteHandler(lambda c: c.ops, keys.batch_cost),
    ConditionalBatch: UpdateHandler(updates.decide_batch, updates.conditional_cost, updates.count_batch),
    Increment: UpdateHandler(updates.decide_increment),
    GetAndDelete: UpdateHandler(updates.decide_get_and_delete),
}
"""The commands that a pipeline may contain."""

HANDLERS: Final[Mapping[type[Command[Any]], Handler]] = {
    **_PIPELINED,
    DeleteRange: UpdateHandler(updates.decide_delete_range, _unbounded_cost),
    Pipeline: pipeline_handler(_PIPELINED),
    Ping: AdminHandler(admin.ping),
    DbConnect: AdminHandler(admin.connect),
    DbList: AdminHandler(admin.list_databases),
    DbMount: AdminHandler(admin.without_result(lambda catalog, c: catalog.mount(c.name)), _unbounded_cost),
    DbUmount: AdminHandler(admin.without_result(lambda catalog, c: catalog.unmount(c.name)), _unbounded_cost),
    DbCreate: AdminHandler(
        admin.without_result(lambda catalog, c: catalog.create(c.name, c.options, tolerant=c.tolerant)),
        _unbounded_cost,
    ),
    DbDrop: AdminHandler(admin.without_result(lambda catalog, c: catalog.drop(c.name, force=c.force)), _unbounded_cost),
    DbForget: AdminHandler(admin.without_result(lambda catalog, c: catalog.forget(c.name)), _unbounded_cost),
    DbRepair: TaskHandler(tasks.repair),
    Snapshot: MonitoringHandler(snapshots.snapshot),
    Stats: MonitoringHandler(monitoring.stats),
    Backup: TaskHandler(tasks.backup),
    Compact: TaskHandler(tasks.compact),
    Sizes: ReadHandler(tasks.sizes, _unbounded_cost),
    Progress: MonitoringHandler(tasks.progress),
    SlowLog: MonitoringHandler(monitoring.slow_log),
}
"""Command class -> its handler; other commands are not handled."""
