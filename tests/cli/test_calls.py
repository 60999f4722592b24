"""One-shot commands: what they take, call, print and exit with."""

import json
import os
import subprocess
import sys

import click
import pytest

from pyelevator import DatabaseError, Elevator
from pyelevator.cli.calls.table import CALLS
from pyelevator.cli.main import COMMANDS, elevator
from pyelevator.proxy import Proxy, Upstream
from support.optional import unwrap

DONE = (0, b"", "")


def test_every_call_is_a_command_of_the_table():
    names = {name for section in COMMANDS.values() for name, place in section.items() if place.startswith("calls.")}
    assert names == set(CALLS)


# Keys and values


@pytest.mark.parametrize(
    ("form", "key", "value", "printed"),
    [
        ([], "abc", "é 1", "é 1\n".encode()),
        (["--hex"], "616263", "00ff", b"00ff\n"),
        (["--hex"], "61 62 63", "00 FF\n", b"00ff\n"),
        (["--base64"], "YWJj", "AP8=", b"AP8=\n"),
        (["--json"], "abc", 'a "b"', b'"a \\"b\\""\n'),
        (["--json", "--hex"], "616263", "00ff", b'"00ff"\n'),
        (["--null"], "abc", "1", b"1\0"),
        ([], "", "", b"\n"),
        ([], "-1", "-2.5", b"-2.5\n"),
    ],
)
def test_what_is_put_is_printed_in_the_same_format(run, form, key, value, printed):
    assert run("put", *form, "--", key, value) == DONE
    assert run("get", *form, "--", key) == (0, printed, "")


def test_formats_mean_the_same_bytes(run, db):
    run("put", "--hex", "ff00", "616263")
    assert db.Get(b"\xff\x00") == b"abc"
    assert run("get", "--base64", "/wA=") == (0, b"YWJj\n", "")


def test_what_is_printed_may_have_another_encoding(run, db):
    db.Put(b"abc", b"\xff\x00")
    assert run("get", "abc", "--print-as", "hex") == (0, b"ff00\n", "")
    assert run("get", "--hex", "616263", "--print-as", "base64") == (0, b"/wA=\n", "")
    assert run("range", "a", "--print-as", "hex", "--json") == (0, b'{"key": "616263", "value": "ff00"}\n', "")
    assert "with --print-as hex instead of --hex, only the output is" in run("get", "key", "--hex")[2]


def test_bytes_that_are_no_text_are_base64_in_json(run, db):
    db.Put(b"\xff", b"\xfe")
    assert run("get", "--hex", "ff", "--json") == (0, b'"fe"\n', "")
    assert run("range", "--json") == (0, b'{"key_base64": "/w==", "value_base64": "/g=="}\n', "")
    assert run("range", "--json", "--keys") == (0, b'{"base64": "/w=="}\n', "")


@pytest.mark.parametrize(
    "args",
    [
        ["get"],
        ["get", "a", "b"],
        ["get", "--hex", "xy"],
        ["get", "--base64", "a"],
        ["get", "--hex", "--base64", "6162"],
        ["get", "--json", "--null", "a"],
        ["get", "--json", "--raw", "a"],
        ["put", "a"],
        ["put", "a", "1", "--file", __file__],
        ["put", "a", "--file", "/nowhere/x"],
        ["delete"],
        ["range", "--keys", "--values"],
        ["range", "--limit", "-1"],
        ["slice", "a"],
        ["slice", "a", "many"],
        ["create", "x", "--option", "block_size"],
        ["create", "x", "--option", "blocks=1"],
        ["gett", "a"],
        ["get", "a", "--url", "here"],
    ],
    ids=" ".join,
)
def test_a_mistake_is_exit_code_2_and_one_line(run, args):
    code, out, err = run(*args)
    assert (code, out) == (2, b"")
    assert err.startswith("elevator: ")
    assert err.count("\n") == 1


def test_negative_numbers_are_arguments_and_typos_are_not(run, db):
    assert run("put", "t", "-5") == DONE
    assert db.Get(b"t") == b"-5"
    assert run("put", "t", "--sink")[0] == 2


def test_a_missing_key_is_exit_code_1_and_named(run):
    assert run("get", "a\x1b") == (1, b"", "elevator: Key not found: a\\x1b\n")
    assert run("get", "--hex", "ff") == (1, b"", "elevator: Key not found: \\xff\n")


def test_exists_says_it_twice(run, db):
    db.Put(b"a", b"")
    assert run("exists", "a") == (0, b"true\n", "")
    assert run("exists", "b", "--json") == (1, b"false\n", "")


def test_a_default_is_printed_for_a_missing_key(run, db):
    db.Put(b"a", b"")
    assert run("get", "b", "--default", "x") == (0, b"x\n", "")
    assert run("get", "a", "--default", "x") == (0, b"\n", "")
    assert run("get", "--hex", "62", "--default", "ff") == (0, b"ff\n", "")


def test_one_client_puts_what_was_absent(run, db):
    assert run("put-if-absent", "a", "1") == (0, b"true\n", "")
    assert run("put-if-absent", "a", "-", stdin=b"2") == (1, b"false\n", "")
    assert run("compare-and-set", "a", "2", "3") == (1, b"false\n", "")
    assert run("compare-and-set", "a", "1", "3") == (0, b"true\n", "")
    assert db.Get(b"a") == b"3"
    assert run("get-and-delete", "a") == (0, b"3\n", "")
    assert run("get-and-delete", "a") == (1, b"", "elevator: Key not found: a\n")


def test_incr_adds_and_prints_the_sum(run, db):
    assert run("incr", "n") == (0, b"1\n", "")
    assert run("incr", "n", "-5") == (0, b"-4\n", "")
    assert run("incr", "m", "10", "--initial", "-3", "--json") == (0, b"7\n", "")
    assert db.MGet([b"n", b"m"]) == [b"-4", b"7"]
    db.Put(b"n", b"many")
    assert run("incr", "n")[0] == 4
    assert run("incr", "n", "much")[0] == 2


def test_a_batch_is_written_only_if_its_checks_hold(run, db):
    assert run("batch", stdin=b"missing a\nput a 1\nput b 1") == DONE
    assert run("batch", stdin=b"check a 1\npresent b\nput a 2\ndelete b") == DONE
    code, out, err = run("batch", stdin=b"check a 1\npresent b\nput c 3")
    assert (code, out, err) == (1, b"", "elevator: nothing was written, because of the checks of a, b\n")
    assert db.Range() == [[b"a", b"2"]]
    line = b'{"op": "check", "key": "a", "value": "2"}\n{"op": "missing", "key": "b"}\n{"key": "b", "value": "1"}\n'
    assert run("batch", "--json", stdin=line) == DONE
    assert db.Range() == [[b"a", b"2"], [b"b", b"1"]]


def test_values_come_from_stdin_and_files_byte_by_byte(run, db, tmp_path):
    value = bytes(range(256)) + b"\n"
    assert run("put", "a", "-", stdin=value) == DONE
    (tmp_path / "value").write_bytes(value)
    assert run("put", "b", "--file", tmp_path / "value") == DONE
    assert db.MGet([b"a", b"b"]) == [value, value]
    assert run("get", "a", "--raw") == (0, value, "")


def test_a_value_from_stdin_is_in_the_encoding_too(run, db):
    run("put", "--hex", "61", "-", stdin=b"00 ff\n")
    assert db.Get(b"a") == b"\x00\xff"
    assert run("put", "--hex", "61", "-", stdin=b"what")[0] == 2


def test_delete_takes_keys_as_arguments_and_from_stdin(run, db):
    for key in (b"a", b"b", b"c d", b"e\n", b"f"):
        db.Put(key, b"")
    assert run("delete", "a", "missing") == DONE
    assert run("delete", "-", stdin=b"b\n\nc d\n") == DONE
    assert run("delete", "-", "--null", stdin=b"e\n\0") == DONE
    assert db.Range(include_value=False) == [b"f"]
    assert run("delete", "-") == DONE


def test_sync_reaches_the_server(run, db):
    assert run("put", "a", "1", "--sync") == run("delete", "b", "--sync") == DONE
    assert run("batch", "--sync", stdin=b"put c 1") == DONE
    assert db.Range(include_value=False) == [b"a", b"c"]


def test_mget_prints_what_it_finds_and_names_what_is_missing(run, db):
    db.Put(b"a", b"1")
    db.Put(b"b", b"")
    assert run("mget", "b", "a") == (0, b"b\t\na\t1\n", "")
    assert run("mget", "a", "x", "b", "y") == (
        1,
        b"a\t1\nb\t\n",
        "elevator: Key not found: x\nelevator: Key not found: y\n",
    )
    code, out, _ = run("mget", "-", "--json", stdin=b"a\nx\n")
    assert (code, out) == (1, b'{"key": "a", "value": "1"}\n{"key": "x", "value": null}\n')


# Ranges


@pytest.fixture
def letters(db):
    for letter in (b"a", b"b", b"c", b"d"):
        db.Put(letter, letter.upper())


@pytest.mark.parametrize(
    ("args", "keys"),
    [
        ([], "abcd"),
        (["b"], "bcd"),
        (["b", "c"], "bc"),
        (["", "b"], "ab"),
        (["c", ""], "cd"),
        (["--limit", "2"], "ab"),
        (["--limit", "0"], ""),
        (["b", "--limit", "2"], "bc"),
        (["b", "d", "--limit", "2"], "bc"),
        (["--reverse"], "dcba"),
        (["--reverse", "--limit", "2"], "dc"),
        (["b", "--reverse"], "dcb"),
        (["b", "--reverse", "--limit", "2"], "dc"),
        (["", "c", "--reverse", "--limit", "2"], "cb"),
        (["--prefix", "c"], "c"),
        (["--consistent", "--limit", "3"], "abc"),
        (["x", "z"], ""),
        (["c", "b"], ""),
    ],
    ids=" ".join,
)
@pytest.mark.usefixtures("letters")
def test_a_range_prints(run, args, keys):
    assert run("range", *args) == (0, "".join(f"{key}\t{key.upper()}\n" for key in keys).encode(), "")
    assert run("range", "--keys", *args) == (0, "".join(f"{key}\n" for key in keys).encode(), "")
    assert run("range", "--values", "--null", *args) == (0, "".join(f"{key.upper()}\0" for key in keys).encode(), "")


@pytest.mark.parametrize(
    ("args", "keys"),
    [
        (["b", "2"], "bc"),
        (["", "3"], "abc"),
        (["c", "2", "--reverse"], "cb"),
        (["", "1", "--reverse"], "d"),
        (["a", "0"], ""),
        (["", "9", "--prefix", "c"], "c"),
    ],
    ids=" ".join,
)
@pytest.mark.usefixtures("letters")
def test_a_slice_prints(run, args, keys):
    assert run("slice", *args) == (0, "".join(f"{key}\t{key.upper()}\n" for key in keys).encode(), "")
    assert run("slice", "--keys", "--json", *args) == (0, "".join(f'"{key}"\n' for key in keys).encode(), "")


@pytest.mark.parametrize(
    ("args", "number"),
    [
        ([], 4),
        (["b"], 3),
        (["b", "c"], 2),
        (["", "b"], 2),
        (["--prefix", "c"], 1),
        (["x"], 0),
        (["--hex", "62", "63"], 2),
    ],
)
@pytest.mark.usefixtures("letters")
def test_keys_are_counted_and_deleted(run, args, number):
    assert run("count", *args) == (0, f"{number}\n".encode(), "")
    if args:
        assert run("delete-range", *args, "--sync", "--json") == (0, f"{number}\n".encode(), "")
        assert run("count") == (0, f"{4 - number}\n".encode(), "")


@pytest.mark.usefixtures("letters")
def test_everything_is_deleted_only_if_that_is_said(run, db):
    for args in ([], ["", ""]):
        code, out, err = run("delete-range", *args)
        assert (code, out) == (2, b"")
        assert "--all for the whole database" in err
    assert run("delete-range", "--all") == (0, b"4\n", "")
    assert db.Count() == 0


@pytest.mark.usefixtures("letters")
def test_items_end_with_nul_where_asked(run):
    assert run("range", "a", "b", "--null") == (0, b"a\0A\0b\0B\0", "")
    assert run("mget", "a", "b", "--null") == (0, b"a\0A\0b\0B\0", "")


# Batches


def test_a_batch_is_read_from_stdin(run, db):
    db.Put(b"old", b"")
    text = b"""
    # what follows
    put a 1
    PUT 'b c' "d\\n\\xff\\"" # and more
    put "" ''
    delete old
    """
    assert run("batch", stdin=text) == DONE
    assert db.Range() == [[b"", b""], [b"a", b"1"], [b"b c", b'd\n\xff"']]


def test_a_quote_in_a_batch_may_hold_lines(run, db):
    assert run("batch", stdin=b"put a 'x\ny # z'\nput b it\\s # what's\nput c ''") == DONE
    assert db.Range() == [[b"a", b"x\ny # z"], [b"b", b"it\\s"], [b"c", b""]]
    assert "line 2: the quote ' does not end" in run("batch", stdin=b"put a 1\nput b 'x\nput c 1\n")[2]


def test_a_batch_is_read_from_a_file_and_in_hex(run, db, tmp_path):
    (tmp_path / "batch").write_text("put 61 ff\n")
    assert run("batch", tmp_path / "batch", "--hex") == DONE
    assert db.Range() == [[b"a", b"\xff"]]


def test_what_a_range_prints_as_json_is_a_batch(run, db):
    rows = [[b"a", b"1"], [b"b\n", bytes(range(256))], [b"\xff", "é\ud83d\ude00".encode("utf-16", "surrogatepass")]]
    for key, value in rows:
        db.Put(key, value)
    _, out, _ = run("range", "--json")
    assert run("delete", "--hex", "61", "620a", "ff") == DONE
    assert run("batch", "--json", stdin=out + b'{"op": "delete", "key": "a"}\n') == DONE
    assert db.Range() == rows[1:]


@pytest.mark.parametrize(
    ("args", "text", "message"),
    [
        ([], b"put a 1\nput b\n", "line 2: put takes key and value; nothing was written"),
        (
            [],
            b"put a 1\nset b 2\n",
            "line 2: there is no operation 'set'; there are put, delete, check, missing, present",
        ),
        ([], b"put a 1\nput b 'c\n", "line 2: the quote ' does not end"),
        (["--hex"], b"put 61 1\n", "line 1: '1' is not hex"),
        (["--json"], b'{"key": "a", "value": "1"}\nput\n', "line 2: "),
        (["--json"], b"[1]\n", "line 1: [1] is no object"),
        (["--json"], b'{"key": "a"}\n', "line 1: value is missing"),
        (["--json"], b'{"key": "a", "value": "1", "ttl": 1}\n', "line 1: put takes no ttl"),
        (["--json"], b'{"key": "a", "value": 1}\n', "line 1: value is 1, and no string; write value_base64 for bytes"),
        (["--json"], b'{"op": ["x"], "key": "a"}\n', "line 1: there is no operation ['x']"),
    ],
)
def test_a_batch_with_a_mistake_is_not_written(run, db, args, text, message):
    code, out, err = run("batch", *args, stdin=text)
    assert (code, out) == (2, b"")
    assert message in err
    assert db.Range() == []


# Databases


def test_databases_are_created_listed_and_dropped(run, db):
    assert run("create", "x", "--option", "block_size=4096", "--option", "compression=none") == DONE
    assert run("databases") == (0, b"default\nx\n", "")
    assert run("databases", "--json") == (0, b'"default"\n"x"\n', "")
    assert run("put", "--db", "x", "a", "1") == DONE
    assert run("range") == DONE
    assert run("range", "--db", "x") == (0, b"a\t1\n", "")
    assert run("unmount", "x") == run("mount", "x") == DONE
    assert run("drop", "x") == DONE
    assert db.listdb() == ["default"]


@pytest.mark.parametrize("command", ["drop", "mount", "unmount", "forget"])
def test_a_database_that_is_missing_is_exit_code_4(run, command):
    code, out, err = run(command, "nowhere")
    assert (code, out) == (4, b"")
    assert err.startswith("elevator: ")


def test_a_repair_prints_its_report(run):
    report = {"kept": [], "set_aside": [], "lost": [], "size": 0}
    run("create", "x")
    for args in ([], ["x"], ["--db", "x"], ["x", "--force"]):
        code, out, _ = run("repair", *args, "--json")
        assert (code, json.loads(out)) == (0, report)
    assert run("repair")[1] == b"kept: \nset aside: \nlost: \nsize: 0\n"
    assert run("repair", "nowhere")[0] == 4


def test_databases_are_listed_without_a_connection_to_default(run, server_url):
    with pytest.raises(DatabaseError):
        Elevator.from_url(f"{server_url}/nowhere")
    assert run("databases", "--url", f"{server_url}/nowhere") == (0, b"default\n", "")


# Arrangements


@pytest.mark.parametrize("dialect", ["classic", "flat"])
@pytest.mark.parametrize("through", ["server", "proxy"])
def test_commands_reach_a_server_in_each_dialect_and_through_a_proxy(run, server_url, dialect, through):
    with Proxy(["tcp://127.0.0.1:0"], Upstream(server_url)) as proxy:
        place = ["--url", proxy.urls[0] if through == "proxy" else server_url, "--dialect", dialect]
        assert run("put", "a", "1", *place) == DONE
        assert run("get", "a", *place) == (0, b"1\n", "")
        assert run("batch", *place, stdin=b"put b 2\ndelete a") == DONE
        assert run("range", *place) == (0, b"b\t2\n", "")
        assert run("create", "x", *place) == DONE
        assert run("databases", *place) == (0, b"default\nx\n", "")
        assert run("get", "a", *place)[0] == 1
        if dialect == "flat":
            reported = "elevator: this server does not know INCREMENT; nothing was sent\n"
            assert run("incr", "n", *place) == (2, b"", reported)
        else:
            assert run("incr", "n", *place) == run("count", "--prefix", "n", *place) == (0, b"1\n", "")
            assert run("batch", *place, stdin=b"missing n\nput a 1")[0] == 1


# Processes


@pytest.fixture
def shell(server_url):
    """Runs a line in bash with ``elevator`` on its path."""
    environment = {
        **os.environ,
        "ELEVATOR_URL": server_url,
        "PATH": f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}",
    }

    def call(line):
        done = subprocess.run(
            ["bash", "-c", line], check=False, env=environment, capture_output=True, text=True, timeout=120
        )
        return done.returncode, done.stdout, done.stderr

    return call


@pytest.mark.usefixtures("letters")
def test_pipes_and_xargs(shell):
    assert shell("elevator range --keys --null b c | xargs -0 elevator mget") == (0, "b\tB\nc\tC\n", "")
    assert shell("elevator range --keys | elevator delete - && elevator range") == (0, "", "")


def test_a_broken_pipe_is_quiet(shell, db):
    with db.WriteBatch() as batch:
        for number in range(20_000):
            batch.Put(b"%06d" % number, b"x" * 20)
    assert shell("elevator range | head -1; echo ${PIPESTATUS[0]}") == (0, f"000000\t{'x' * 20}\n141\n", "")


def test_help_stands_alone():
    """Each command's help begins with a sentence, and says what each option means."""
    for name, call in CALLS.items():
        command = unwrap(elevator.get_command(click.Context(elevator), name))
        sentence = call.help.partition("\n")[0]
        assert sentence.endswith((".", "false."))
        assert command.get_short_help_str(80) == sentence
        assert [param.name for param in command.params if isinstance(param, click.Option) and not param.help] == []
