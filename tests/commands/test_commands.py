"""Commands: what they take, what they refuse by name, and what they make of an answer."""

import pickle
from functools import partial
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import attrs
import pytest
from attrs.exceptions import FrozenInstanceError
from hypothesis import given, strategies as st

from pyelevator import commands
from pyelevator.commands import (
    COMMANDS,
    DELETE,
    HAS_VALUE,
    IS_MISSING,
    IS_PRESENT,
    MISSING,
    PRESENT,
    PUT,
    Access,
    Backup,
    BadSignal,
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
    DeletedChunk,
    DeleteRange,
    Exists,
    Get,
    GetAndDelete,
    Increment,
    MGet,
    PayloadKind,
    Ping,
    Pipeline,
    Progress,
    Put,
    Range,
    RepairReport,
    Sizes,
    Slice,
    SlowLog,
    Snapshot,
    Stats,
    Unknown,
    make_check,
    to_bytes,
)
from pyelevator.errors import (
    ArgumentTypeError,
    CheckFailed,
    DatabaseError,
    ErrorCode,
    MalformedMessage,
    SignalError,
    UsageError,
)

MODULES = [import_module(f"pyelevator.commands.{each.name}") for each in iter_modules(commands.__path__)]
SAMPLES: list[Command[Any]] = [
    Get("k"),
    Put("k", "v"),
    Delete("k"),
    Exists("k"),
    MGet(["k"]),
    Range("a", "b"),
    Slice("a", 1),
    Count("a", "b"),
    Batch([(PUT, "k", "v")]),
    DeleteRange("a", "b"),
    ConditionalBatch([(PUT, "k", "v")], [(IS_MISSING, "k")]),
    Increment("k", 2, 3),
    GetAndDelete("k"),
    Ping(),
    DbConnect("d"),
    DbMount("d"),
    DbUmount("d"),
    DbCreate("d", {"block_size": 1}),
    DbDrop("d"),
    DbForget("d"),
    DbList(),
    DbRepair(),
    Pipeline([Put("k", "v"), Get("k")]),
    Stats(),
    Backup("d", "/backups/d"),
    Compact("a", "b"),
    Sizes(["a", ("b", None)]),
    Progress(),
    SlowLog(5),
    Snapshot(["u"]),
]
BY_VERB = pytest.mark.parametrize("command", SAMPLES, ids=lambda command: command.verb)


def test_the_table_lists_every_command_under_its_verb():
    public = {
        kind
        for name, kind in vars(commands).items()
        if not name.startswith("_") and isinstance(kind, type) and issubclass(kind, Command)
    }
    assert set(COMMANDS.values()) == public - {Command, Unknown}
    assert {verb: kind.verb for verb, kind in COMMANDS.items()} == {verb: verb for verb in COMMANDS}


def test_no_command_is_missing_in_the_package_that_programs_import():
    written = [kind for module in MODULES for kind in vars(module).values() if is_verb(kind, module)]
    assert {kind.__name__ for kind in written} <= set(vars(commands)["__all__"])
    assert {kind.verb for kind in written if kind is not Unknown} == set(COMMANDS)


def is_verb(kind, module):
    return isinstance(kind, type) and kind.__module__ == module.__name__ and "verb" in vars(kind)


def test_the_samples_of_these_tests_are_all_commands():
    assert [command.verb for command in SAMPLES] == list(COMMANDS)


@BY_VERB
def test_a_command_is_frozen_and_equal_by_value(command):
    for field in attrs.fields(type(command)):
        with pytest.raises(FrozenInstanceError):
            setattr(command, field.name, None)
    assert pickle.loads(pickle.dumps(command)) == command


@pytest.mark.parametrize(
    ("flag", "verbs"),
    [
        (
            "writes",
            {"PUT", "DELETE", "BATCH", "CONDITIONALBATCH", "INCREMENT", "GETANDDELETE"} | {"DELETERANGE", "PIPELINE"},
        ),
        (
            "idempotent",
            {"GET", "PUT", "DELETE", "EXISTS", "MGET", "RANGE", "SLICE", "BATCH", "PING", "DBCONNECT", "DBLIST"}
            | {"COUNT", "PIPELINE", "STATS", "SIZES", "PROGRESS", "SLOWLOG", "SNAPSHOT"},
        ),
        (
            "needs_uid",
            {"GET", "PUT", "DELETE", "EXISTS", "MGET", "RANGE", "SLICE", "BATCH", "CONDITIONALBATCH"}
            | {"INCREMENT", "GETANDDELETE", "COUNT", "DELETERANGE"}
            | {"DBCREATE", "DBDROP", "DBLIST", "DBREPAIR", "PIPELINE", "COMPACT", "SIZES", "SNAPSHOT"},
        ),
    ],
)
def test_a_flag_is_set_for_these_verbs(flag, verbs):
    assert {command.verb for command in SAMPLES if getattr(command, flag)} == verbs


@pytest.mark.parametrize(
    ("commands", "writes", "sync", "access"),
    [
        ([], False, False, Access.NONE),
        ([Get("k"), Range()], False, False, Access.READ),
        ([Get("k"), Put("k", "v")], True, False, Access.WRITE),
        ([Put("k", "v"), Delete("k", sync=True)], True, True, Access.WRITE),
    ],
)
def test_a_pipeline_writes_syncs_and_needs_what_one_of_its_commands_does(commands, writes, sync, access):
    pipeline = Pipeline(commands)
    assert (pipeline.writes, pipeline.sync, pipeline.access) == (writes, sync, access)
    assert pipeline.idempotent


def test_an_answer_to_a_pipeline_has_as_many_parts_as_it_has_commands():
    assert Pipeline([Get("k")]).result([b"v"]) == [b"v"]
    for wrong in ([], [b"v", b"v"], None, b"v"):
        with pytest.raises(MalformedMessage):
            Pipeline([Get("k")]).result(wrong)


def test_an_unknown_verb_is_a_command_that_may_not_be_repeated():
    command = Unknown("FOO", [b"k"])
    assert (command.verb, command.args, command.payload_kind, command.idempotent) == (
        "FOO",
        [b"k"],
        PayloadKind.RAW,
        False,
    )


@pytest.mark.parametrize("given_", ["k\xe9", b"k\xc3\xa9", bytearray(b"k\xc3\xa9"), memoryview(b"k\xc3\xa9")])
def test_str_and_anything_like_bytes_becomes_bytes(given_):
    assert Put(given_, given_) == Put(b"k\xc3\xa9", b"k\xc3\xa9")
    assert MGet([given_]).keys == (b"k\xc3\xa9",)
    assert Range(given_, given_, prefix=given_) == Range(b"k\xc3\xa9", b"k\xc3\xa9", prefix=b"k\xc3\xa9")
    assert Batch([(PUT, given_, given_), [DELETE, given_]]) == Batch(
        [(1, b"k\xc3\xa9", b"k\xc3\xa9"), (0, b"k\xc3\xa9")]
    )
    assert DbConnect(given_).name == "k\xe9"
    assert type(Get(given_).key) is bytes


@given(st.binary())
def test_bytes_of_any_kind_survive_as_str(data):
    assert to_bytes(data.decode("utf-8", "surrogateescape"), "key") == data


@pytest.mark.parametrize(
    "make", [Get, Exists, Delete, DbConnect, lambda text: Put("k", text), lambda text: MGet([text])]
)
def test_a_surrogate_that_stands_for_no_byte_is_refused(make):
    with pytest.raises(UsageError, match=r"holds the lone surrogate '\\ud800'; give bytes instead"):
        make("a\ud800")


def test_empty_is_a_key_a_value_and_a_list():
    assert Put("", "") == Put(b"", b"")
    assert MGet([]).keys == ()
    assert Batch([]).ops == []
    assert DbCreate("d").options == DbCreate("d", None).options == {}


NO_OPS: list[Any] = [1, None, (), {}, ""]
NO_CHECKS: list[Any] = [
    *[1, None, (), {}, "", "k", b"k", (IS_MISSING,), (IS_MISSING, b"k", b"v"), (IS_PRESENT, b"k", b"v")],
    *[(HAS_VALUE, b"k"), (HAS_VALUE, b"k", b"v", b"w"), (3, b"k"), (-1, b"k"), ("0", b"k"), (True, b"k")],
    *[(1.0, b"k"), (None, b"k"), ([], b"k")],
]

WRONG = [
    *[(Get, [bad], "key must be str or bytes, not") for bad in (1, None, 1.5, True, [b"k"], {"k": 1}, object())],
    *[(kind, [1], "key must be str or bytes, not int") for kind in (Delete, Exists)],
    (Put, [1, "v"], "key must be str or bytes, not int"),
    (Put, ["k", 1], "value must be str or bytes, not int"),
    (Put, ["k", None], "value must be str or bytes, not NoneType"),
    *[(MGet, [bad], "keys must be a list or a tuple, not") for bad in ("k", b"k", {"k"}, {"k": 1}, 1, None, iter("k"))],
    (MGet, [["k", 1]], r"keys\[1\] must be str or bytes, not int"),
    (MGet, [["k"], 1], "fill_cache must be bool, not int"),
    (Put, ["k", "v", 1], "sync must be bool, not int"),
    (Delete, ["k", None], "sync must be bool, not NoneType"),
    (Batch, [[], "yes"], "sync must be bool, not str"),
    (Range, [1], "start must be str or bytes, not int"),
    (Range, ["a", 1], "stop must be str or bytes, not int"),
    (Range, ["a", "b", 1], "include_key must be bool, not int"),
    (Range, ["a", "b", True, None], "include_value must be bool, not NoneType"),
    (Range, ["a", "b", True, True, 1], "prefix must be str or bytes, not int"),
    (Slice, [1, 1], "start must be str or bytes, not int"),
    *[(Slice, ["a", bad], "count must be int, not") for bad in ("1", 1.0, True, None)],
    (Slice, ["a", 1, "yes"], "include_key must be bool, not str"),
    (Slice, ["a", 1, True, 0], "include_value must be bool, not int"),
    (Slice, ["a", 1, True, True, "1"], "max_bytes must be int, not str"),
    (Slice, ["a", 1, True, True, None, 1], "reverse must be bool, not int"),
    (Slice, ["a", 1, True, True, None, True, "yes"], "exclusive must be bool, not str"),
    (Slice, ["a", 1, True, True, None, True, True, 1], "cursor must be str or bytes, not int"),
    (Range, ["a", "b", True, True, None, None], "reverse must be bool, not NoneType"),
    (Range, ["a", "b", True, True, None, False, "1"], "max_bytes must be int, not str"),
    (Range, ["a", "b", True, True, None, False, 1, 1], "cursor must be str or bytes, not int"),
    (partial(Slice, lazy=1), [], "lazy must be bool, not int"),  # type: ignore[arg-type]
    *[(Batch, [bad], "ops must be a list or a tuple, not") for bad in ("k", {"k": 1}, 1, None, iter(()))],
    *[(Batch, [[bad]], r"ops\[0\] must be \(PUT, key, value\) or \(DELETE, key\), not") for bad in NO_OPS],
    (
        Batch,
        [[(PUT, "k", "v"), (PUT, "k")]],
        r"ops\[1\] must be \(PUT, key, value\) or \(DELETE, key\), not 2 elements",
    ),
    (Batch, [[(DELETE, "k", "v")]], r"ops\[0\] must be \(PUT, key, value\) or \(DELETE, key\), not 3 elements"),
    (Batch, [[(PUT, 1, "v")]], r"ops\[0\]\[1\] must be str or bytes, not int"),
    (Batch, [[(PUT, "k", 1)]], r"ops\[0\]\[2\] must be str or bytes, not int"),
    (Batch, [[(DELETE, None)]], r"ops\[0\]\[1\] must be str or bytes, not NoneType"),
    *[
        (ConditionalBatch, [[], bad], "checks must be a list or a tuple, not")
        for bad in ("k", {"k": 1}, 1, None, iter(()), {(IS_MISSING, b"k")})
    ],
    *[
        (
            ConditionalBatch,
            [[], [(IS_MISSING, b"a"), bad]],
            r"checks\[1\] must be \(IS_MISSING, key\), \(IS_PRESENT, key\)",
        )
        for bad in NO_CHECKS
    ],
    (ConditionalBatch, [[], [(IS_MISSING, 1)]], r"checks\[0\]\[1\] must be str or bytes, not int"),
    (ConditionalBatch, [[], [(HAS_VALUE, "k", None)]], r"checks\[0\]\[2\] must be str or bytes, not NoneType"),
    (ConditionalBatch, [[], [], 1], "sync must be bool, not int"),
    *[(kind, [1], "start must be str or bytes, not int") for kind in (Count, DeleteRange)],
    *[(kind, ["a", 1], "stop must be str or bytes, not int") for kind in (Count, DeleteRange)],
    *[(kind, ["a", "b", 1], "prefix must be str or bytes, not int") for kind in (Count, DeleteRange)],
    (DeleteRange, ["a", "b", None, 1], "sync must be bool, not int"),
    (Increment, [1], "key must be str or bytes, not int"),
    *[(Increment, ["k", bad], "by must be int, not") for bad in ("1", 1.0, True, None)],
    *[(Increment, ["k", 1, bad], "initial must be int, not") for bad in ("1", 1.0, True, None)],
    (Increment, ["k", 1, 0, 1], "sync must be bool, not int"),
    (GetAndDelete, [1], "key must be str or bytes, not int"),
    (GetAndDelete, ["k", 1], "sync must be bool, not int"),
    *[
        (make_check, ["k", bad], "expected must be str, bytes, MISSING or PRESENT, not")
        for bad in (None, 1, True, [b"v"], IS_MISSING)
    ],
    (make_check, [1, "v"], "key must be str or bytes, not int"),
    (make_check, [1, MISSING], "key must be str or bytes, not int"),
    *[
        (kind, [1], "name must be str or bytes, not int")
        for kind in (DbConnect, DbMount, DbUmount, DbCreate, DbDrop, DbForget)
    ],
    (DbCreate, ["d", {}, 1], "tolerant must be bool, not int"),
    (DbDrop, ["d", "yes"], "force must be bool, not str"),
    (DbRepair, [1], "force must be bool, not int"),
    (DbRepair, [False, 1], "report must be bool, not int"),
    *[(DbCreate, ["d", bad], "options must be a mapping, not") for bad in ("k", ["k"], 1, True)],
    (DbCreate, ["d", {1: 1}], "the name of an option must be str or bytes, not int"),
    (DbCreate, ["d", {"block_size": [1]}], r"options\['block_size'\] must be a number, a bool or str, not list"),
    *[(Pipeline, [[bad]], "commands must read or write keys, not") for bad in (Ping(), DbList(), Pipeline([]), "k", 1)],
    *[(Pipeline, [bad], "commands must be a list or a tuple, not") for bad in ("k", 1, None, Get("k"))],
    (Backup, [1, "/b"], "name must be str or bytes, not int"),
    (Backup, ["d", 1], "directory must be str or bytes, not int"),
    (Compact, [1], "start must be str or bytes, not int"),
    (Compact, ["a", 1], "stop must be str or bytes, not int"),
    *[(Sizes, [bad], "ranges must be a list or a tuple, not") for bad in ("k", 1, None)],
    (Sizes, [["a", 1]], r"ranges\[1\] must be str or bytes, not int"),
    (Sizes, [[("a", 1)]], r"ranges\[0\]\[1\] must be str or bytes, not int"),
    (Sizes, [[("a",)]], r"ranges\[0\] must be a prefix, or \(start, stop\), not 1 elements"),
    (SlowLog, ["5"], "limit must be int, not str"),
    *[(Snapshot, [bad], "uids must be a list or a tuple, not") for bad in ("u", 1, None)],
    (Snapshot, [["u", 1]], r"uids\[1\] must be str or bytes, not int"),
    (Unknown, [1], "name must be str or bytes, not int"),
]


@pytest.mark.parametrize(("kind", "args", "text"), WRONG)
def test_a_wrong_type_is_a_type_error_that_names_the_argument(kind, args, text):
    with pytest.raises(ArgumentTypeError, match="^" + text) as refused:
        kind(*args)
    assert isinstance(refused.value, TypeError)
    assert isinstance(refused.value, UsageError)


def test_every_argument_of_every_command_is_among_the_wrong_types():
    fields = {field.name for kind in COMMANDS.values() for field in attrs.fields(kind)}
    named = {text.replace("\\", "").split("[")[0].split(" ")[0] for _, _, text in WRONG}
    assert fields <= named


@pytest.mark.parametrize(
    ("kind", "args", "text"),
    [
        (Slice, ["a", 2**63], "count must fit into 64 bits"),
        (Slice, ["a", -(2**63) - 1], "count must fit into 64 bits"),
        (Increment, ["a", 2**63], "by must fit into 64 bits"),
        (Increment, ["a", 1, -(2**63) - 1], "initial must fit into 64 bits"),
        (Slice, ["a", 1, True, True, 2**63], "max_bytes must fit into 64 bits"),
        (DbCreate, ["d", {"block_size": 2**63}], r"options\['block_size'\] must fit into 64 bits"),
    ],
)
def test_a_number_that_the_wire_cannot_carry_is_refused(kind, args, text):
    with pytest.raises(UsageError, match=text):
        kind(*args)


@pytest.mark.parametrize(
    ("signal", "text"),
    [
        (2, "2"),
        (-1, "-1"),
        ("1", "'1'"),
        (b"PUT", "'PUT'"),
        (None, "None"),
        ("x" * 1000, "'xxxxxxxxxxxx...xxxxxxxxxxxxx'"),
    ],
)
def test_an_operation_that_is_neither_put_nor_delete_is_refused(signal, text):
    with pytest.raises(BadSignal) as refused:
        Batch([(PUT, "k", "v"), (signal, "k")])
    assert str(refused.value) == f"Unrecognized signal received : {text}"


@pytest.mark.parametrize(
    ("expected", "check"),
    [
        (MISSING, (IS_MISSING, b"k")),
        (PRESENT, (IS_PRESENT, b"k")),
        ("v\xe9", (HAS_VALUE, b"k", b"v\xc3\xa9")),
        (b"", (HAS_VALUE, b"k", b"")),
        (bytearray(b"v"), (HAS_VALUE, b"k", b"v")),
        (memoryview(b"v"), (HAS_VALUE, b"k", b"v")),
    ],
)
def test_a_check_is_made_of_what_is_expected(expected, check):
    assert make_check("k", expected) == check


def test_missing_and_present_show_their_names_and_survive_pickling():
    assert repr([MISSING, PRESENT]) == "[MISSING, PRESENT]"
    assert pickle.loads(pickle.dumps(MISSING)) is MISSING


def test_checks_of_tuples_and_of_lists_are_equal():
    tuples = ConditionalBatch([], [(IS_MISSING, b"k"), (HAS_VALUE, b"k", b"v")])
    lists = ConditionalBatch([], [[IS_MISSING, b"k"], [HAS_VALUE, b"k", b"v"]])
    assert tuples == lists
    assert hash(tuples) == hash(lists)
    assert tuples != ConditionalBatch([], [(IS_PRESENT, b"k"), (HAS_VALUE, b"k", b"v")])


CHECKED = ConditionalBatch([], [(IS_MISSING, "a"), (IS_PRESENT, b"\xff"), (HAS_VALUE, "c", "3"), (IS_MISSING, "a")])


@pytest.mark.parametrize(
    ("answer", "keys", "text"),
    [
        ("check failed: 0", (b"a",), "check failed: 'a'; nothing was written"),
        ("check failed: 0, 1", (b"a", b"\xff"), r"check failed: 'a', '\\xff'; nothing was written"),
        ("check failed: 0, 2, 3", (b"a", b"c"), "check failed: 'a', 'c'; nothing was written"),
        ("check failed: 7, -1, x, 01,", (), "check failed: ; nothing was written"),
        ("check failed: ", (), "check failed: ; nothing was written"),
    ],
)
def test_failed_checks_are_named_by_their_keys(answer, keys, text):
    error = CHECKED.error(ErrorCode.DATABASE, answer)
    assert type(error) is CheckFailed
    assert (error.keys, str(error), error.detail, error.code) == (keys, text, answer, ErrorCode.DATABASE)
    assert isinstance(error, DatabaseError)
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.keys, str(copy)) == (keys, text)


def test_many_failed_checks_are_not_all_in_the_text():
    checks = [(IS_MISSING, b"%d" % i) for i in range(1000)]
    answer = "check failed: " + ", ".join(map(str, range(1000)))
    error = ConditionalBatch([], checks).error(ErrorCode.DATABASE, answer)
    assert isinstance(error, CheckFailed)
    assert (len(error.keys), str(error)) == (1000, "check failed: '0', '1', '2', ...; nothing was written")


def test_another_failure_of_a_conditional_batch_is_what_it_is():
    assert type(CHECKED.error(ErrorCode.DATABASE, "damaged")) is DatabaseError
    assert type(CHECKED.error(ErrorCode.SIGNAL, "Unrecognized")) is SignalError


@pytest.mark.parametrize("signal", [True, 1.0])
def test_what_equals_a_signal_is_one(signal):
    assert Batch([(signal, "k", "v")]).ops == [(1, b"k", b"v")]
    assert type(Batch([(signal, "k", "v")]).ops[0][0]) is int


def test_batches_of_tuples_and_of_lists_are_equal():
    tuples, lists = Batch([(PUT, b"k", b"v"), (DELETE, b"k")]), Batch([[PUT, b"k", b"v"], [DELETE, b"k"]])
    assert tuples == lists
    assert hash(tuples) == hash(lists)
    assert tuples != Batch([(PUT, b"k", b"v")])


def test_options_hold_text_and_numbers():
    given: Any = {b"compression": b"snappy", "block_size": 1, "paranoid_checks": True, "x": None}
    options = DbCreate(b"d", given).options
    assert options == {"compression": "snappy", "block_size": 1, "paranoid_checks": True, "x": None}


@pytest.mark.parametrize(
    ("command", "payload_kind"),
    [
        (Range("a", "b"), PayloadKind.PAIRS),
        (Range("a", "b", include_key=False), PayloadKind.LIST),
        (Range("a", "b", include_value=False), PayloadKind.LIST),
        (Slice("a", 1), PayloadKind.PAIRS),
        (Slice("a", 1, include_key=False, include_value=False), PayloadKind.LIST),
        (MGet(["k"]), PayloadKind.LIST),
        (Get("k"), PayloadKind.SCALAR),
        (Put("k", "v"), PayloadKind.EMPTY),
        (Pipeline([]), PayloadKind.RESPONSES),
    ],
)
def test_a_command_tells_the_kind_of_its_payload(command, payload_kind):
    assert command.payload_kind is payload_kind


@pytest.mark.parametrize(
    ("command", "payload", "result"),
    [
        (Get("k"), b"v", b"v"),
        (Put("k", "v"), None, None),
        (Put("k", "v"), b"whatever an old server answers", None),
        (Exists("k"), False, False),
        (Increment("k"), b"-7", -7),
        (Count(), b"7", 7),
        (DeleteRange(), [b"7"], DeletedChunk(7, None)),
        (DeleteRange(), [b"7", b"k"], DeletedChunk(7, b"k")),
        (GetAndDelete("k"), b"v", b"v"),
        (MGet(["k", "l"]), [b"v", None], [b"v", None]),
        (Range("a", "b"), [[b"a", b"1"]], [[b"a", b"1"]]),
        (Slice("a", 1, include_value=False), [b"a"], [b"a"]),
        (Ping(), b"PONG", b"PONG"),
        (DbConnect("d"), b"uid", "uid"),
        (DbList(), [b"default", b"d\xff"], ["default", "d\udcff"]),
        (Unknown("FOO", []), {b"any": b"thing"}, {b"any": b"thing"}),
    ],
)
def test_a_payload_becomes_a_result(command, payload, result):
    assert command.result(payload) == result


@pytest.mark.parametrize(
    ("command", "payload", "text"),
    [
        (Get("k"), None, "the answer to GET holds NoneType, not bytes"),
        (Get("k"), True, "the answer to GET holds bool, not bytes"),
        (Exists("k"), b"1", "the answer to EXISTS holds bytes, not bool"),
        (MGet(["k"]), b"v", "the answer to MGET holds bytes, not list"),
        (MGet(["k"]), [], "the answer to 1 keys holds 0 values, or some are not bytes"),
        (MGet(["k"]), [1], "the answer to 1 keys holds 1 values, or some are not bytes"),
        (Range("a", "b"), None, "the answer to RANGE holds NoneType, not list"),
        (Ping(), None, "the answer to PING holds NoneType, not bytes"),
        (DbConnect("d"), None, "the answer to DBCONNECT holds NoneType, not bytes"),
        (DbList(), [None], "the answer to DBLIST holds NoneType, not bytes"),
    ],
)
def test_a_payload_of_the_wrong_type_is_malformed(command, payload, text):
    with pytest.raises(MalformedMessage) as refused:
        command.result(payload)
    assert str(refused.value) == text


# What a repair tells


def test_a_report_survives_its_way():
    report = RepairReport(("000005.ldb",), ("lost/000007.log", "lost/\udcff"), ("lost/000007.log",), 1 << 40)
    assert RepairReport.decode(report.encode()) == report
    assert DbRepair(report=True).result(report.encode()) == report


@pytest.mark.parametrize("payload", [None, b"", [], {}])
def test_an_old_servers_answer_to_a_repair_is_none(payload):
    assert DbRepair(report=True).result(payload) is None


@pytest.mark.parametrize("data", [b"x", b"[]", b"{}", b'{"kept": 1}', b"\xff", b"[" * 100_000])
def test_a_report_that_is_none_is_malformed(data):
    with pytest.raises(MalformedMessage, match="the answer to DBREPAIR holds something else than its report"):
        RepairReport.decode(data)


def test_a_newer_servers_report_is_understood():
    assert RepairReport.decode(b'{"kept": [], "set_aside": [], "lost": [], "size": 3, "rows": 7}').size == 3
