"""The table of all handlers: command class -> what executes it."""

from collections.abc import Mapping
from typing import Final

from pyelevator import commands
from pyelevator.application.handlers import admin, keys, scans, updates
from pyelevator.application.handlers.kinds import (
    MAX_INLINE_COST,
    UNBOUNDED,
    AdminHandler,
    Handler,
    ReadHandler,
    UpdateHandler,
    WriteHandler,
)
from pyelevator.application.handlers.pipelines import pipeline_handler
from pyelevator.commands import DELETE, PUT, Command
from pyelevator.monitoring import SlowRequest
from pyelevator.reports import TaskProgress

__all__ = ["HANDLERS"]


def _unbounded_cost(_: object) -> int:
    return UNBOUNDED


_PIPELINED_HANDLERS: Final[Mapping[type[Command], Handler]] = {
    commands.Get: ReadHandler(keys.get, from_value=keys.value_or_raise, returns_value=True),
    commands.Exists: ReadHandler(keys.exists, from_value=lambda _, value: value is not None),
    commands.MGet: ReadHandler(keys.multi_get, lambda c: len(c.keys)),
    commands.Range: ReadHandler(scans.scan_range, _unbounded_cost),
    commands.Slice: ReadHandler(scans.scan_slice, lambda c: c.count),
    commands.Count: ReadHandler(scans.count_range, _unbounded_cost),
    commands.Put: WriteHandler(lambda c: ((PUT, c.key, c.value),), keys.put_cost),
    commands.Delete: WriteHandler(lambda c: ((DELETE, c.key),)),
    commands.Batch: WriteHandler(lambda c: c.ops, keys.batch_cost),
    commands.ConditionalBatch: UpdateHandler(
        updates.decide_batch,
        lambda c: len(c.checks) + keys.batch_cost(c),
        lambda c: len(c.ops) + len(c.checks),
    ),
    commands.Increment: UpdateHandler(updates.decide_increment),
    commands.GetAndDelete: UpdateHandler(updates.decide_get_and_delete),
}
"""The commands that a pipeline may contain."""

HANDLERS: Final[Mapping[type[Command], Handler]] = {
    **_PIPELINED_HANDLERS,
    commands.DeleteRange: UpdateHandler(updates.decide_delete_range, _unbounded_cost),
    commands.Pipeline: pipeline_handler(_PIPELINED_HANDLERS),
    commands.Ping: AdminHandler(lambda *_: b"PONG", is_quick=True),
    commands.DbConnect: AdminHandler(admin.connect, is_quick=True),
    commands.DbList: AdminHandler(
        lambda catalog, *_: list(map(admin.encode_name, catalog.names())), is_quick=True, max_databases=MAX_INLINE_COST
    ),
    commands.DbMount: AdminHandler(lambda catalog, c, *_: catalog.mount(c.name)),
    commands.DbUmount: AdminHandler(lambda catalog, c, *_: catalog.unmount(c.name)),
    commands.DbCreate: AdminHandler(lambda catalog, c, *_: catalog.create(c.name, c.options, tolerant=c.tolerant)),
    commands.DbDrop: AdminHandler(lambda catalog, c, *_: catalog.drop(c.name, force=c.force)),
    commands.DbForget: AdminHandler(lambda catalog, c, *_: catalog.forget(c.name)),
    commands.DbRepair: AdminHandler(admin.repair),
    commands.Snapshot: AdminHandler(admin.snapshot),
    commands.Stats: AdminHandler(lambda catalog, _, __, context: admin.server_stats(catalog, context).encode()),
    commands.Backup: AdminHandler(admin.backup),
    commands.Compact: AdminHandler(admin.compact),
    commands.Sizes: ReadHandler(admin.sizes, _unbounded_cost),
    commands.Progress: AdminHandler(lambda _, __, ___, context: TaskProgress.encode_list(context.tasks.progress())),
    commands.SlowLog: AdminHandler(lambda _, c, __, context: SlowRequest.encode_list(context.slow_log.latest(c.limit))),
}
"""Command class -> its handler; other commands are not handled."""
