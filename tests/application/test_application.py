"""Request -> Response: one test per meaning, over both storages."""

import gc
import logging
import weakref
from typing import Any

import pytest

from pyelevator.application import Application, Catalog
from pyelevator.commands import (
    COMMANDS,
    DELETE,
    PUT,
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
    Unknown,
)
from pyelevator.engines.base import EngineError, EngineFileError
from pyelevator.engines.memory import MemoryEngine, MemoryStorage
from pyelevator.errors import ErrorCode, WrongValue
from pyelevator.messages import Request, Response, Status
from support.applications import database_of


def failure(code, message):
    return Response.failure(code, message, 7)


def done(payload=None, status=Status.SUCCESS):
    return Response(payload, status, id=7)


@pytest.fixture
def letters(ask):
    """The same as ``ask``, with the keys a to e, each with its upper case."""
    ask(Batch([(PUT, key.encode(), key.upper().encode()) for key in "abcde"]))
    return ask


def test_a_refused_request_is_not_kept_until_garbage_is_collected():
    application, request = Application.in_memory(), Request(MGet(["a"]), "no uid", id=1)
    kept = weakref.ref(request)
    gc.disable()
    try:
        assert application(request).code is ErrorCode.RUNTIME
        del request
        assert kept() is None
    finally:
        gc.enable()


def test_put_get_exists_delete(ask):
    assert ask(Put("k", "v")) == done()
    assert ask(Get("k")) == done(b"v")
    assert ask(Exists("k")) == done(True)
    assert ask(Delete("k")) == done()
    assert ask(Exists("k")) == done(False)
    assert ask(Get("k")) == failure(ErrorCode.KEY, "Key 'k' does not exist")


def test_empty_keys_and_values_are_keys_and_values(ask):
    ask(Put("", "nothing"))
    ask(Put("k", ""))
    assert ask(Get("")) == done(b"nothing")
    assert ask(Get("k")) == done(b"")
    assert ask(Exists("")) == done(True)
    assert ask(MGet(["k", ""])) == done([b"", b"nothing"])


@pytest.mark.parametrize(
    ("key", "shown"), [(b"\xff", "\ufffd"), (b"x" * 60, "x" * 60), (b"x" * 1000, "x" * 60 + "...")]
)
def test_the_text_of_a_missing_key_is_readable_and_short(ask, key, shown):
    assert ask(Get(key)).message == f"Key '{shown}' does not exist"


def test_mget_answers_in_order_and_warns_of_missing_keys(letters):
    assert letters(MGet(["c", "a", "c"])) == done([b"C", b"A", b"C"])
    assert letters(MGet(["c", "x"], fill_cache=True)) == done([b"C", None], Status.WARNING)
    assert letters(MGet([])) == done([])


def test_range_is_inclusive_and_gives_pairs(letters):
    assert letters(Range("b", "c")) == done([(b"b", b"B"), (b"c", b"C")])
    assert letters(Range(None, None, True, True, "d")) == done([(b"d", b"D")])
    assert letters(Range("c", "a")) == done([])


def test_a_range_without_keys_or_values_is_flat(letters):
    assert letters(Range("b", "c", include_key=False)) == done([b"B", b"C"])
    assert letters(Range("b", "c", include_value=False)) == done([b"b", b"c"])
    assert letters(Range("b", "c", include_key=False, include_value=False)) == done([None, None])


@pytest.mark.parametrize(
    ("count", "keys"), [(2, [b"b", b"c"]), (0, []), (-3, []), ((1 << 63) - 1, [b"b", b"c", b"d", b"e"])]
)
def test_slice_gives_the_first_pairs_from_a_key_on(letters, count, keys):
    assert letters(Slice("b", count, include_value=False)) == done(keys)


def test_a_slice_from_nowhere_starts_at_the_first_key(letters):
    assert letters(Slice(None, 1)) == done([(b"a", b"A")])


@pytest.mark.parametrize(
    ("count", "max_bytes", "keys", "more"),
    [
        (5, 4, [b"a", b"b"], True),
        (5, 3, [b"a", b"b"], True),
        (5, 1, [b"a"], True),
        (5, 0, [b"a"], True),
        (2, 4, [b"a", b"b"], False),
        (5, 10, [b"a", b"b", b"c", b"d", b"e"], False),
        (9, 8, [b"a", b"b", b"c", b"d"], True),
        (0, 0, [], False),
    ],
)
def test_a_page_ends_after_about_max_bytes_but_never_before_the_first_pair(letters, count, max_bytes, keys, more):
    answer = letters(Slice(None, count, max_bytes=max_bytes))
    assert [key for key, _ in answer.payload] == keys
    assert answer.more is more


def test_a_page_of_keys_or_of_nothing_is_cut_too(letters):
    assert letters(Slice("a", 5, include_value=False, max_bytes=2)).payload == [b"a", b"b"]
    assert letters(Slice("a", 5, include_key=False, max_bytes=2)).payload == [b"A", b"B"]
    assert letters(Slice("a", 5, False, False, max_bytes=2)).payload == [None] * 5


def test_a_batch_is_executed_in_order(ask):
    ask(Put("b", "old"))
    assert ask(Batch([[PUT, b"a", b"1"], (DELETE, b"b"), (PUT, b"a", b"2"), [DELETE, b"missing"]])) == done()
    assert ask(Range()) == done([(b"a", b"2")])


def test_ping_needs_no_database(application):
    assert application(Request(Ping(), id=7)) == done(b"PONG")


def test_dbconnect_returns_the_uid_and_the_features(application):
    uid = application.catalog.uid_of("default")
    assert application(Request(DbConnect("default"), id=7)) == Response(
        uid.encode(),
        id=7,
        features=(
            "pyelevator/1",
            "id",
            "pages",
            "sync",
            "reverse",
            "cursors",
            "ranges",
            "forget",
            "repair",
            "bin",
            "pipeline",
            "snapshots",
            "stats",
            "slowlog",
            "conditionalbatch",
            "increment",
            "getanddelete",
            "tasks",
            "count",
            "deleterange",
        ),
    )
    assert application(Request(DbConnect("nope"), id=7)) == failure(ErrorCode.DATABASE, "Database nope doesn't exist")


def test_the_life_of_a_database(ask, application):
    assert ask(DbCreate("x", {"block_size": 8192})) == done()
    assert ask(DbCreate("x")) == failure(ErrorCode.DATABASE, "Database x already exists")
    assert ask(DbList()) == done([b"default", b"x"])
    uid = application.catalog.uid_of("x")
    assert ask(Put("k", "v"), uid) == done()
    for command in (DbUmount("x"), DbUmount("x"), DbMount("x"), DbMount("x")):
        assert ask(command) == done()
        assert ask(Get("k"), uid) == done(b"v")
    assert ask(DbRepair(), uid) == done()
    assert ask(Get("k"), uid) == done(b"v")
    assert ask(DbDrop("x")) == done()
    assert ask(DbDrop("x")) == failure(ErrorCode.DATABASE, "Database x does not exist")
    assert ask(Get("k"), uid) == failure(ErrorCode.RUNTIME, f"Database {uid} doesn't exist")
    assert ask(DbList()) == done([b"default"])


def test_names_of_any_bytes_are_listed_as_they_came(ask):
    ask(DbCreate(b"f\xff"))
    assert ask(DbList()) == done([b"default", b"f\xff"])


@pytest.mark.parametrize(
    ("options", "code"), [({"block_size": "x"}, ErrorCode.TYPE), ({"block_size": -1}, ErrorCode.VALUE)]
)
def test_wrong_options_are_refused_by_their_names(ask, options, code):
    answer = ask(DbCreate("x", options))
    assert answer.code is code
    assert "block_size" in answer.message
    assert ask(DbList()) == done([b"default"])


def test_an_unknown_verb_is_not_handled(ask):
    assert ask(Unknown("FOO", [1])) == failure(ErrorCode.KEY, "Command FOO not handled")


def test_every_command_has_a_handler(application):
    examples: dict[str, Command[Any]] = {
        "GET": Get("k"), "PUT": Put("k", "v"), "DELETE": Delete("k"), "EXISTS": Exists("k"), "MGET": MGet(["k"]),
        "RANGE": Range(), "SLICE": Slice(), "BATCH": Batch([]), "PING": Ping(), "DBCONNECT": DbConnect("x"),
        "DBMOUNT": DbMount("x"), "DBUMOUNT": DbUmount("x"), "DBCREATE": DbCreate("x"), "DBDROP": DbDrop("x"),
        "DBFORGET": DbForget("x"), "CONDITIONALBATCH": ConditionalBatch([], []),
        "COUNT": Count(), "DELETERANGE": DeleteRange(), "INCREMENT": Increment("k"), "GETANDDELETE": GetAndDelete("k"),
        "DBLIST": DbList(), "DBREPAIR": DbRepair(), "PIPELINE": Pipeline([Get("k")]), "STATS": Stats(),
        "BACKUP": Backup("x", "/x"), "COMPACT": Compact(), "SIZES": Sizes([]), "PROGRESS": Progress(),
        "SLOWLOG": SlowLog(),
        "SNAPSHOT": Snapshot(),
    }  # fmt: skip
    assert examples.keys() == COMMANDS.keys()
    for command in examples.values():
        assert "not handled" not in application(Request(command)).message


# Failures


class BrokenEngine(MemoryEngine):
    error: Exception

    def get(self, key):
        raise self.error

    def scan(self, bounds):
        yield (b"k", b"v")
        raise self.error


class BrokenStorage(MemoryStorage):
    def open(self, path, options):
        engine: Any = super().open(path, options)
        return BrokenEngine(database_of(engine))


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (EngineError("it is damaged"), ErrorCode.DATABASE, "it is damaged"),
        (EngineFileError("no space"), ErrorCode.OS, "no space"),
        (OSError(28, "No space left on device"), ErrorCode.OS, "No space left on device"),
        (OSError("odd"), ErrorCode.OS, "odd"),
        (WrongValue("no"), ErrorCode.VALUE, "no"),
        (ZeroDivisionError("secret"), ErrorCode.RUNTIME, "internal error: ZeroDivisionError"),
        (KeyError("secret"), ErrorCode.RUNTIME, "internal error: KeyError"),
        (RecursionError(), ErrorCode.RUNTIME, "internal error: RecursionError"),
        (MemoryError(), ErrorCode.RUNTIME, "internal error: MemoryError"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("command", [Get("k"), Exists("k"), Range(), Slice(None, 5), Slice(None, 5, max_bytes=100)])
def test_whatever_an_engine_raises_there_is_an_answer(monkeypatch, caplog, error, code, message, command):
    monkeypatch.setattr(BrokenEngine, "error", error, raising=False)
    application = Application(Catalog(BrokenStorage()))
    uid = application.catalog.uid_of("default")
    assert application(Request(command, uid, id=7)) == failure(code, message)
    internal = [record for record in caplog.records if record.levelno == logging.ERROR and record.exc_info]
    assert len(internal) == (1 if message.startswith("internal") else 0)
    application.close()


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_only_the_end_of_the_process_passes(monkeypatch, error):
    monkeypatch.setattr(BrokenEngine, "error", error(), raising=False)
    application = Application(Catalog(BrokenStorage()))
    with pytest.raises(error):
        application(Request(Get("k"), application.catalog.uid_of("default")))


# Costs


@pytest.mark.parametrize(
    ("command", "slow"),
    [
        (Get("k"), False),
        (Put("k", "v"), False),
        (Put("k", b"x" * 1_000_000), True),
        (Delete("k"), False),
        (Exists("k"), False),
        (MGet(["k"] * 100), False),
        (MGet(["k"] * 10_000), True),
        (Range("a", "b"), True),
        (Slice("a", 10), False),
        (Slice("a", -1), False),
        (Slice("a", 10_000), True),
        (Batch([(PUT, b"k", b"v")] * 10), False),
        (Batch([(PUT, b"k", b"v")] * 1000), True),
        (Batch([(PUT, b"k", b"x" * 1_000_000)]), True),
        (Ping(), False),
        (DbConnect("default"), False),
        (DbList(), False),
        (DbMount("x"), True),
        (DbUmount("x"), True),
        (DbCreate("x"), True),
        (DbDrop("x"), True),
        (DbRepair(), True),
        (Unknown("FOO"), False),
    ],
    ids=lambda value: f"{value!r:.40}",
)
def test_slow_requests_are_recognized_by_their_cost(application, command, slow):
    application.catalog.mount("default")
    assert (application.try_handle(Request(command, application.catalog.uid_of("default"))) is None) is slow


def test_the_first_request_on_an_unmounted_database_is_slow(application):
    request = Request(Get("k"), application.catalog.uid_of("default"))
    application.catalog.unmount("default")
    assert application.try_handle(request) is None
    assert application.try_handle(Request(Ping())).payload == b"PONG"
    missing = application(request)
    assert application.try_handle(request) == missing


# Constructors


def test_applications_in_memory_share_nothing():
    one, other = Application.in_memory(), Application.in_memory()
    one(Request(DbCreate("x")))
    assert other(Request(DbList())).payload == [b"default"]


def test_an_application_on_leveldb_keeps_its_data(tmp_path):
    for value in (None, b"v"):
        application = Application.on_leveldb(str(tmp_path / "data"), allowed_roots=())
        uid = application.catalog.uid_of("default")
        assert application(Request(Get("k"), uid)).payload == value
        application(Request(Put("k", "v"), uid))
        assert application(Request(DbCreate(str(tmp_path / "db")))).code is ErrorCode.DATABASE
        application.close()
