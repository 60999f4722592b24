"""Programs written for py-elevator 0.5c: their imports and calls work, and say what to write instead."""

import importlib
import inspect
import subprocess
import sys
from itertools import islice
from typing import Any

import pytest

import pyelevator
from pyelevator import Elevator, ElevatorError, RequestTimeout, WriteBatch
from pyelevator.commands import RepairReport
from pyelevator.legacy import OLD_ATTRIBUTES, OLD_CALLS, OLD_MODULES
from support.programs import WAIT_TIMEOUT

NAMES = {
    "pyelevator.error": ["DatabaseError", "SignalError", "TimeoutError", "ELEVATOR_ERROR", "KEY_ERROR"],
    "pyelevator.constants": ["SUCCESS_STATUS", "FAILURE_STATUS", "WARNING_STATUS", "SIGNAL_BATCH_PUT", "OS_ERROR"],
    "pyelevator.base": ["Client"],
    "pyelevator.batch": ["WriteBatch"],
    "pyelevator.message": ["Request", "Response", "ResponseHeader", "MessageFormatError"],
    "pyelevator.utils": [],
    "pyelevator.utils.snippets": ["ms_to_sec", "sec_to_ms"],
    "pyelevator.utils.patterns": ["enum"],
}


@pytest.fixture
def old():
    """Imports a module of 0.5c anew, with its warning."""

    def load(name):
        sys.modules.pop(name, None)
        with pytest.warns(DeprecationWarning, match=rf"^{name} is py-elevator's; its names are in ") as warned:
            module = importlib.import_module(name)
        assert warned[0].filename == __file__
        return module

    yield load
    for name in OLD_MODULES:
        sys.modules.pop(name, None)
        vars(pyelevator).pop(name.split(".")[1], None) if name.count(".") == 1 and name != "pyelevator.client" else None


@pytest.fixture
def E():
    with Elevator(transport="fake") as client:
        client.Put("a", "1")
        client.Put("b", "2")
        yield client


@pytest.mark.parametrize("name", NAMES)
def test_a_module_of_0_5c_imports_with_its_names(old, name):
    if name.startswith("pyelevator.utils."):
        old("pyelevator.utils")
    module = old(name)
    assert [missing for missing in NAMES[name] if not hasattr(module, missing)] == []


def test_every_old_module_is_tried():
    assert NAMES.keys() == OLD_MODULES.keys()


def test_a_module_that_neither_has_is_still_missing():
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'pyelevator\.nothing'"):
        importlib.import_module("pyelevator.nothing")


def test_old_constants_have_the_numbers_of_the_wire(old):
    constants = old("pyelevator.constants")
    assert (constants.SUCCESS_STATUS, constants.FAILURE_STATUS, constants.WARNING_STATUS) == (1, -1, -2)
    assert (constants.TYPE_ERROR, constants.KEY_ERROR, constants.SIGNAL_ERROR) == (0, 1, 7)
    assert (constants.SIGNAL_BATCH_PUT, constants.SIGNAL_BATCH_DELETE) == (1, 0)


def test_the_old_timeout_error_catches_what_has_no_answer(old):
    error = old("pyelevator.error")
    with pytest.raises(error.TimeoutError):
        Elevator(endpoint="127.0.0.1:9", timeout=0.2)
    assert issubclass(RequestTimeout, error.TimeoutError)
    assert issubclass(error.TimeoutError, ElevatorError)


def test_the_old_table_of_errors_gives_what_callers_catch(old):
    error = old("pyelevator.error")
    builtins = (TypeError, KeyError, ValueError, IndexError, RuntimeError, OSError)
    assert all(issubclass(error.ELEVATOR_ERROR[code], kind) for code, kind in enumerate(builtins))
    assert error.ELEVATOR_ERROR[error.DATABASE_ERROR] is error.DatabaseError is pyelevator.DatabaseError
    assert error.ELEVATOR_ERROR[error.SIGNAL_ERROR] is error.SignalError is pyelevator.SignalError


def test_old_messages_can_be_made_and_read(old):
    message = old("pyelevator.message")
    assert message.Request(command="GET", args=["k"], db_uid="u", meta={}) == (
        b"\x84\xa4meta\x80\xa3uid\xa1u\xa3cmd\xa3GET\xa4args\x91\xa1k"
    )
    header = message.ResponseHeader(b"\x84\xa6status\xff\xa8err_code\x01\xa7err_msg\xa2no\xabcompression\xc2")
    assert (header.status, header.err_code, header.err_msg) == (-1, 1, b"no")
    assert message.Response(b"\x81\xa5datas\x91\xa1v").datas == [b"v"]
    with pytest.raises(message.MessageFormatError, match="a reply holds datas"):
        message.Response(b"\x80")


def test_old_helpers_count_as_they_did(old):
    old("pyelevator.utils")
    snippets, patterns = old("pyelevator.utils.snippets"), old("pyelevator.utils.patterns")
    assert (snippets.ms_to_sec(1500), snippets.sec_to_ms(2), snippets.sec_to_ms(0.5)) == (1, 2000, 500.0)
    assert patterns.enum("A", "B", C=7).C == 7


@pytest.mark.parametrize(
    "call",
    [
        lambda E: E.listdb(compression=True),
        lambda E: E.createdb("x", compression=True),
        lambda E: E.dropdb("other", compression=False),
        lambda E: E.repairdb(compression=True),
        lambda E: E.connect("default", compression=True),
        lambda E: E.mount("default", compression=True),
        lambda E: E.unmount("default", compression=True),
        lambda E: E.Put("k", "v", compression=True),
        lambda E: E.Delete("k", compression=True),
        lambda E: E.Get("a", compression=True),
        lambda E: E.MGet(["a"], compression=True),
        lambda E: E.Range("a", "b", compression=True),
        lambda E: E.Slice("a", 1, compression=True),
        lambda E: list(E.RangeIter("a", "b", compression=True)),
        lambda E: E.WriteBatch().Write(compression=True),
        lambda E: E.disconnect(compression=True),
    ],
)
def test_every_method_takes_compression(E, call):
    E.createdb("other")
    call(E)


@pytest.mark.parametrize(
    ("call", "result"),
    [
        (lambda E: E.Delete("a", "b", 3), None),
        (lambda E: E.repairdb("default", 1), RepairReport()),
        (lambda E: E.listdb("x"), ["default"]),
        (lambda E: E.Range("a", "b", True), [["a", "1"], ["b", "2"]]),
        (lambda E: E.disconnect("x", 1), None),
    ],
)
def test_further_positional_arguments_are_ignored_with_a_warning(E, call, result):
    with pytest.warns(DeprecationWarning, match=r"by position; the others have no effect$") as warned:
        assert call(E) == result
    assert warned[0].filename == __file__


def test_createdb_and_dropdb_take_their_old_keywords(E):
    with pytest.warns(DeprecationWarning, match=r"createdb\((key|db_options)=...\) is py-elevator's; say "):
        E.createdb(key="x", db_options={"block_size": 8192})
    with pytest.warns(DeprecationWarning, match=r"dropdb\(key=...\) is py-elevator's; say db_name="):
        E.dropdb(key="x")
    assert E.listdb() == ["default"]


def test_db_options_may_stand_second(E):
    E.createdb("x", {"block_size": 8192})
    assert E.listdb() == ["default", "x"]


def test_a_slice_without_a_count_is_empty(E):
    assert (E.Slice(), E.Slice("a"), E.Slice("a", None)) == ([], [], [])
    assert E.Slice("a", 1) == E.Slice(key_from="a", offset=1) == [["a", "1"]]


@pytest.mark.parametrize("timeout", [0, -1, 0.0, -0.5])
@pytest.mark.parametrize(
    "call",
    [
        lambda E, **timeout: E.Get("a", **timeout),
        lambda E, **timeout: E.MGet(["a"], **timeout),
        lambda E, **timeout: E.listdb(**timeout),
        lambda E, **timeout: E.Range("a", "b", **timeout),
        lambda E, **timeout: list(E.RangeIter("a", "b", **timeout)),
        lambda E, **timeout: E.connect("default", **timeout),
        lambda E, **timeout: E.disconnect(**timeout),
        lambda E, **timeout: E.WriteBatch().Write(**timeout),
    ],
)
def test_a_timeout_of_0_or_below_is_the_clients_own(E, call, timeout):
    with pytest.warns(DeprecationWarning, match=r"^a timeout of 0 or below is py-elevator's word") as warned:
        call(E, timeout=timeout)
    assert warned[0].filename == __file__


def test_a_timeout_that_is_no_number_of_seconds_is_still_an_error(E):
    for timeout in ("1", True, float("nan")):
        with pytest.raises((TypeError, ValueError), match="timeout must be"):
            E.Get("a", timeout=timeout)


# Iterators


def test_a_range_that_one_loop_has_exhausted_starts_anew_in_the_next(E):
    rows = E.RangeIter("a", "b")
    assert list(rows) == [["a", "1"], ["b", "2"]]
    E.Put("aa", "3")
    with pytest.warns(DeprecationWarning, match=r"^this RangeIter was read to its end; it starts over") as warned:
        assert [list(rows) for _ in range(2)] == [[["a", "1"], ["aa", "3"], ["b", "2"]]] * 2
    assert {warning.filename for warning in warned} == {__file__}


def test_parts_of_a_range_that_fits_into_one_do_not_start_over_unsaid(E):
    rows = E.RangeIter("a", "b")
    assert list(islice(rows, 3)) == [["a", "1"], ["b", "2"]]
    with pytest.raises(DeprecationWarning, match=r"rows = iter\(rows\) before you take parts"):
        list(islice(rows, 3))
    rows = iter(E.RangeIter("a", "b"))
    assert [list(islice(rows, 3)) for _ in range(2)] == [[["a", "1"], ["b", "2"]], []]


def test_an_iterator_of_a_range_never_starts_anew(E):
    plain = iter(E.RangeIter("a", "b"))
    assert (list(plain), list(plain)) == ([["a", "1"], ["b", "2"]], [])


def test_a_range_that_several_loops_share_ends_once(E):
    rows = E.RangeIter("a", "b")
    assert [list(islice(rows, 1)) for _ in range(4)] == [[["a", "1"]], [["b", "2"]], [], []]
    rows = E.RangeIter("a", "b")
    assert next(rows) == ["a", "1"]
    assert (list(rows), list(rows)) == ([["b", "2"]], [])
    assert next(rows, None) is None


def test_a_range_that_was_closed_stays_so(E):
    rows = E.RangeIter("a", "b")
    list(rows)
    rows.close()
    assert list(rows) == []
    assert next(E.RangeIter("x", "y"), None) is None


def test_a_client_tells_where_its_server_is():
    E: Any = Elevator(endpoint="127.0.0.1:4242", auto_connect=False)
    assert (E.transport, E.endpoint, E.host) == ("tcp", "127.0.0.1:4242", "tcp://127.0.0.1:4242")
    batch: Any = WriteBatch(transport="ipc", endpoint="/run/e.sock", auto_connect=False)
    assert batch.host == "ipc:///run/e.sock"


@pytest.mark.parametrize(
    ("command", "arguments", "datas"),
    [
        ("GET", ["a"], ["1"]),
        ("MGET", [["a", "x"]], ["1", None]),
        ("PUT", ["k", "v"], None),
        ("EXISTS", ["a"], [True]),
        ("EXISTS", ["x"], False),
        ("RANGE", ["a", "b", True, True], [["a", "1"], ["b", "2"]]),
        ("RANGE", ["a", "b", False, True], ["1", "2"]),
        ("SLICE", ["a", 1, True, True], [["a", "1"]]),
        ("BATCH", [[[1, "c", "3"], [0, "a"]]], None),
        ("DBLIST", {}, ["default"]),
        ("PING", [], ["PONG"]),
    ],
)
def test_send_answers_as_it_did(E, command, arguments, datas):
    with pytest.warns(DeprecationWarning, match=r"^send\(\) is py-elevator's"):
        assert E.send(E.db_uid, command, arguments, timeout=5) == datas


def test_send_raises_what_the_server_answers(E):
    with pytest.warns(DeprecationWarning, match="py-elevator"), pytest.raises(KeyError):
        E.send(E.db_uid, "GET", ["x"])
    with pytest.warns(DeprecationWarning, match="py-elevator"), pytest.raises(KeyError, match="not handled"):
        E.send(E.db_uid, "FOO", [])


@pytest.mark.parametrize(
    "call",
    [
        lambda E: E.Put("k"),
        lambda E: E.Put(),
        lambda E: E.Put("k", None),
        lambda E: E.Put(None, "v"),
        lambda E: E.Put(first="k", second="v"),
        lambda E: E.Put("k", "v", key="k"),
        lambda E: E.Delete(),
        lambda E: E.Delete(first="k"),
    ],
)
def test_calls_that_were_never_right_are_refused_as_ever(E, call):
    with pytest.raises(TypeError):
        call(E)


@pytest.mark.parametrize(
    "call",
    [
        lambda E: E.Range("a", "a"),
        lambda E: E.Range("a", limit="a"),
        lambda E: E.Range(start="a", limit="a"),
        lambda E: E.Range(start=None, limit="a"),
        lambda E: E.Range(None, "a"),
        lambda E: E.Slice("a", 1),
        lambda E: E.Slice("a", offset=1),
        lambda E: E.Slice(None, 1),
    ],
)
def test_arguments_may_be_given_by_position_and_by_name(E, call):
    assert call(E) == [["a", "1"]]


def test_tools_show_the_signatures_of_today():
    assert str(inspect.signature(Elevator.Delete)).startswith("(self, key: ")
    assert "compression" not in inspect.signature(Elevator.Delete).parameters
    assert list(inspect.signature(Elevator.Slice).parameters)[:3] == ["self", "key_from", "offset"]


def test_what_neither_took_is_still_an_error(E):
    with pytest.raises(TypeError, match="compresion"):
        E.Put("a", "b", compresion=True)
    with pytest.raises(TypeError):
        E.Put("a")


def test_every_old_call_and_attribute_is_one_of_a_client():
    assert [name for name in OLD_CALLS if not hasattr(Elevator, name) and not hasattr(WriteBatch, name)] == []
    assert [name for name in OLD_ATTRIBUTES if not hasattr(Elevator, name) or not hasattr(WriteBatch, name)] == []


def test_a_program_of_0_5c_runs_and_is_told_what_to_change(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "from pyelevator import Elevator, WriteBatch\n"
        "from pyelevator.error import DatabaseError, TimeoutError\n"
        "E = Elevator(transport='fake')\n"
        "E.createdb(key='x', db_options={})\n"
        "E.Delete('nothing', None)\n"
        "try:\n"
        "    E.connect('nope')\n"
        "except DatabaseError as error:\n"
        "    print(error)\n"
    )
    ran = subprocess.run([sys.executable, program], check=False, capture_output=True, text=True, timeout=WAIT_TIMEOUT)
    assert (ran.returncode, ran.stdout) == (0, "Database does not exist\n")
    assert ran.stderr.count("DeprecationWarning") == 4
    assert f"{program}:2: DeprecationWarning: pyelevator.error is py-elevator's; " in ran.stderr
