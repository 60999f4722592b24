"""Pipelines in the application: each command by itself, in order, within limits."""

from typing import Any

import pytest

from pyelevator.application import Application, InterceptedApplication, Policy
from pyelevator.application.handlers import pipelines
from pyelevator.commands import PUT, Batch, Command, Delete, Exists, Get, MGet, Pipeline, Put, Range, Slice
from pyelevator.engines.base import EngineFileError
from pyelevator.engines.memory import MemoryEngine
from pyelevator.errors import ErrorCode
from pyelevator.interceptors import read_only
from pyelevator.messages import Request, Response, Status


def missing(key):
    return Response.failure(ErrorCode.KEY, f"Key '{key}' does not exist")


def outcomes(response):
    """The payloads of what succeeded plainly, and the other answers as they are."""
    assert response.code is None
    payload = response.payload
    return [one.payload if isinstance(one, Response) and one == Response(one.payload) else one for one in payload]


def test_commands_are_executed_in_order_and_answered_in_order(ask):
    commands: list[Command[Any]] = [
        Get("k"), Put("k", "1"), Get("k"), Put("k", "2"), Put("l", "3"), Delete("k"), Exists("k"), Get("k"),
        MGet(["l", "k"]), Range(), Slice(None, 5), Batch([(PUT, b"m", b"4")]), Get("m"),
    ]  # fmt: skip
    answer = ask(Pipeline(commands))
    assert answer.id == 7
    assert outcomes(answer) == [
        missing("k"), None, b"1", None, None, None, False, missing("k"),
        Response([b"3", None], Status.WARNING), [(b"l", b"3")], [(b"l", b"3")], None, b"4",
    ]  # fmt: skip


def test_an_empty_pipeline_has_no_answers(ask):
    assert ask(Pipeline([])) == Response([], id=7)


def test_a_missing_database_fails_the_pipeline_as_a_whole(ask):
    assert ask(Pipeline([Get("k")]), "nope").message == "Database nope doesn't exist"


def with_policy(**limits):
    application = Application.in_memory(Policy(**limits))
    uid = application.catalog.uid_of("default")
    return lambda command: application(Request(command, uid))


def test_more_commands_than_a_batch_may_have_are_refused_unexecuted():
    ask = with_policy(max_batch=2)
    answer = ask(Pipeline([Put("a", "1"), Put("b", "2"), Put("c", "3")]))
    assert answer.code is ErrorCode.VALUE
    assert answer.message == "a pipeline of 3 commands is over the limit of 2; split it"
    assert ask(Range()).payload == []


def test_a_batch_in_a_pipeline_has_its_limit_too():
    ask = with_policy(max_batch=2)
    batch, put = outcomes(ask(Pipeline([Batch([(PUT, b"k", b"v")] * 3), Put("a", "1")])))
    assert (batch.code, put) == (ErrorCode.VALUE, None)


def test_commands_over_the_byte_limit_are_refused_and_not_executed():
    ask = with_policy(max_range_bytes=100)
    ask(Put("k", "v" * 60))
    answers = outcomes(ask(Pipeline([Get("k"), Get("k"), Get("k"), Put("l", "1")])))
    assert answers[:2] == [b"v" * 60] * 2
    assert [answer.code for answer in answers[2:]] == [ErrorCode.VALUE] * 2
    assert "over the limit of 100 bytes; split it" in answers[3].message
    assert ask(Exists("l")).payload is False


@pytest.fixture
def written(monkeypatch):
    """How many operations the engine was given at once, and whether synced; one of the key "bad" fails."""
    writes, write = [], MemoryEngine.write

    def counting(self, ops, *, sync=False, wait=True):
        if any(op[1] == b"bad" for op in ops):
            raise EngineFileError("no space left on device")
        writes.append((len(ops), sync))
        write(self, ops, sync=sync, wait=wait)

    monkeypatch.setattr(MemoryEngine, "write", counting)
    return writes


def test_only_consecutive_writes_are_written_together(written):
    ask = with_policy()
    ask(Pipeline([Put("a", "1"), Delete("b"), Put("c", "3"), Get("a"), Put("d", "4"), Put("e", "5", sync=True)]))
    assert written == [(3, False), (1, False), (1, True)]


def test_a_failed_write_fails_the_commands_written_with_it_only(written):
    ask = with_policy()
    answers = outcomes(ask(Pipeline([Put("a", "1"), Get("a"), Put("bad", "2"), Put("with it", "3"), Get("a")])))
    refused = Response.failure(ErrorCode.OS, "no space left on device")
    assert answers == [None, b"1", refused, refused, b"1"]


def test_a_server_with_sync_syncs_the_writes_of_pipelines(written):
    with_policy(sync=True)(Pipeline([Put("a", "1")]))
    assert written == [(1, True)]


@pytest.mark.parametrize(
    ("commands", "at_once"),
    [
        ([Get("k")] * 200, True),
        ([Get("k")] * 256, False),
        ([Get("k"), Put("k", "v")], False),
        ([Get("k"), Range()], False),
    ],
    ids=["few reads", "many reads", "a write", "a range"],
)
def test_only_few_reads_are_answered_in_the_server_s_loop(commands, at_once):
    application = Application.in_memory()
    uid = application.catalog.uid_of("default")
    application(Request(Put("k", "v"), uid))
    answer = application.try_handle(Request(Pipeline(commands), uid))
    assert (answer is not None) == at_once


def test_an_interceptor_of_the_server_refuses_single_commands():
    application = InterceptedApplication(Application.in_memory(), [read_only])
    uid = application.catalog.uid_of("default")
    exists, put, again = outcomes(application(Request(Pipeline([Exists("k"), Put("k", "v"), Exists("k")]), uid, 7)))
    assert (exists, put.code, again) == (False, ErrorCode.OS, False)


class Cracked(MemoryEngine):
    """Its key 7 cannot be read."""

    def get(self, key):
        if key == b"0007":
            raise EngineFileError("bad block")
        return super().get(key)

    def collect(self, keys, *args, **kwargs):
        if b"0007" in keys:
            raise EngineFileError("bad block")
        return super().collect(keys, *args, **kwargs)


KEYS = [b"%04d" % i for i in range(600)]


@pytest.mark.parametrize("commands", [KEYS, KEYS[::-1], KEYS[:300] * 2])
def test_many_keys_read_at_once_have_outcomes_in_order(ask, commands):
    ask(Batch([(PUT, key, b"v" + key) for key in KEYS[::2]]))
    there = set(KEYS[::2])
    answer = ask(Pipeline([kind(key) for key in commands for kind in (Get, Exists)]))
    assert outcomes(answer) == [
        one for key in commands for one in ((b"v" + key, True) if key in there else (missing(key.decode()), False))
    ]


@pytest.mark.parametrize("commands", [KEYS, KEYS[::-1], KEYS[:300] * 2])
def test_many_values_that_exist_are_the_outcomes_as_they_are(ask, commands, monkeypatch):
    ask(Batch([(PUT, key, key[:-4] if key == KEYS[5] else b"v" + key) for key in KEYS]))
    monkeypatch.delattr(pipelines._PipelineRun, "_value_outcome")
    answer = ask(Pipeline([Get(key) for key in commands]))
    assert outcomes(answer) == [b"" if key == KEYS[5] else b"v" + key for key in commands]


def test_reads_see_the_writes_before_them_and_not_later_ones(ask):
    gets: list[Command[Any]] = [Get(key) for key in KEYS]
    puts: list[Command[Any]] = [Put(key, b"new") for key in KEYS]
    ask(Batch([(PUT, key, b"old") for key in KEYS]))
    assert outcomes(ask(Pipeline(gets + puts + gets))) == [b"old"] * 600 + [None] * 600 + [b"new"] * 600


def test_of_many_keys_those_are_answered_that_fit_and_the_rest_is_refused():
    ask = with_policy(max_range_bytes=3_000)
    ask(Batch([(PUT, key, b"v" * 10) for key in KEYS]))
    answers = outcomes(ask(Pipeline([Get(key) for key in KEYS])))
    assert answers[:301] == [b"v" * 10] * 301
    assert {one.message for one in answers[301:]} == {
        "the answers to this pipeline are over the limit of 3,000 bytes; split it"
    }


def test_a_key_read_many_times_counts_as_often():
    ask = with_policy(max_range_bytes=3_000)
    ask(Put("k", b"v" * 10))
    answers = outcomes(ask(Pipeline([Get("k")] * 600)))
    assert [one == b"v" * 10 for one in answers] == [True] * 301 + [False] * 299


def test_what_cannot_be_read_of_many_keys_is_an_error_of_its_own_command(monkeypatch):
    monkeypatch.setattr("pyelevator.engines.memory.MemoryEngine", Cracked)
    ask = with_policy()
    ask(Batch([(PUT, key, b"v") for key in KEYS]))
    answers = outcomes(ask(Pipeline([Get(key) for key in KEYS])))
    assert answers[7].message == "bad block"
    assert answers[:7] + answers[8:] == [b"v"] * 599
