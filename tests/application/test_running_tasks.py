"""Long tasks: others see how far they have come, and they end whatever becomes of them."""

import threading
from typing import Any

import pytest

from pyelevator.application import Application, Catalog
from pyelevator.application.policy import Policy
from pyelevator.application.running_tasks import Tasks
from pyelevator.commands import Backup, Compact, DbConnect, DbRepair, Progress, Put, RepairReport, Sizes
from pyelevator.engines.memory import MemoryEngine, MemoryStorage
from pyelevator.engines.progress import report
from pyelevator.errors import ErrorCode
from pyelevator.messages import Request
from pyelevator.reports import TaskProgress
from support.applications import database_of


def test_a_task_is_there_while_it_runs_and_says_how_far_it_is():
    now, checkpoints = [100.0], []
    tasks = Tasks(lambda: checkpoints.append(1), lambda: now[0])
    with tasks.running("backup", "shop"):
        assert tasks.progress() == [TaskProgress("backup", "shop", 0.0, 0, 0)]
        report(3, 10)
        now[0] = 102.5
        with tasks.running("compact", "app"):
            report(1, 2)
            expected = [TaskProgress("backup", "shop", 2.5, 3, 10), TaskProgress("compact", "app", 0.0, 1, 2)]
            assert tasks.progress() == expected
        report(4, 10)
        assert tasks.progress() == [TaskProgress("backup", "shop", 2.5, 4, 10)]
    report(5, 10)
    assert tasks.progress() == []
    assert len(checkpoints) == 3


def test_a_task_that_fails_is_gone():
    tasks = Tasks()
    with pytest.raises(ZeroDivisionError), tasks.running("repair", "shop"):
        raise ZeroDivisionError
    assert tasks.progress() == []


class Held(MemoryEngine):
    """Its compaction is halfway until the test says so."""

    halfway, go_on = threading.Event(), threading.Event()

    def compact(self):
        report(50, 100)
        self.halfway.set()
        self.go_on.wait(30)


class HeldStorage(MemoryStorage):
    def open(self, path, options):
        engine: Any = super().open(path, options)
        return Held(database_of(engine))


@pytest.fixture
def application():
    made = Application(Catalog(HeldStorage()))
    yield made
    made.close()


@pytest.fixture
def ask(application):
    def ask(command):
        uid = application(Request(DbConnect("default"))).payload.decode()
        return application(Request(command, uid))

    return ask


def test_another_client_sees_how_far_a_compaction_is(ask):
    Held.halfway.clear()
    Held.go_on.clear()
    ask(Put("k", "v"))  # an empty range is not compacted
    compaction = threading.Thread(target=ask, args=(Compact(),))
    compaction.start()
    try:
        assert Held.halfway.wait(30)
        (task,) = Progress().result(ask(Progress()).payload)
        assert (task.task, task.database, task.done, task.total) == ("compact", "default", 50, 100)
        assert task.seconds >= 0
    finally:
        Held.go_on.set()
        compaction.join()
    assert Progress().result(ask(Progress()).payload) == []


def test_a_repair_is_a_task_as_well(ask, monkeypatch):
    seen = []

    def repair(*_, **__):
        seen.extend(Progress().result(ask(Progress()).payload))
        return RepairReport()

    monkeypatch.setattr("pyelevator.application.catalog.catalog.Catalog.repair", repair)
    assert ask(DbRepair()).code is None
    assert [(task.task, task.database) for task in seen] == [("repair", "default")]


def test_the_memory_engine_makes_no_backups_and_says_so(ask):
    answer = ask(Backup("default", "/backups/x"))
    assert (answer.code, answer.message) == (
        ErrorCode.DATABASE,
        "the memory engine writes no files, so there is no backup to /backups/x",
    )


def test_sizes_of_too_many_ranges_are_refused():
    application = Application.in_memory(Policy(max_range=3))
    uid = application(Request(DbConnect("default"))).payload.decode()
    answer = application(Request(Sizes(["a"] * 4), uid))
    assert (answer.code, answer.message) == (
        ErrorCode.VALUE,
        "the sizes of 4 ranges are over the limit of 3; ask for fewer",
    )
    application.close()
