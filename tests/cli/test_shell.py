"""The shell at a real terminal, and fed by a pipe."""

import os
import signal
import stat
import subprocess
import sys
import threading

import pytest

from pyelevator.cli.main import elevator as command
from pyelevator.cli.shell.values import Highlighted
from pyelevator.testing.servers import ServerProcess
from support.programs import WAIT_TIMEOUT
from support.terminals import Terminal

TIME = r"\([\d,.]+ ms\)"
PROMPT = r"default.*>"
ELEVATOR = os.path.join(os.path.dirname(sys.executable), "elevator")
TAB, CTRL_C, CTRL_D = "\t", "\x03", "\x04"


@pytest.fixture
def history(tmp_path):
    return tmp_path / "state" / "history"


@pytest.fixture
def open_shell(server_url, history):
    """Opens shells at the server."""
    opened = []

    def call(*args, url=server_url, **environment):
        terminal = Terminal(ELEVATOR, "shell", url, *args, ELEVATOR_HISTORY=str(history), **environment)
        opened.append(terminal)
        terminal.read_until("Ctrl-D leaves")
        terminal.read_until(PROMPT)
        return terminal

    yield call
    for terminal in opened:
        terminal.close()


@pytest.fixture
def shell(open_shell):
    return open_shell()


# At a terminal


def test_commands_show_their_results_and_times(shell, db):
    shell.enter('put a "b c"', TIME)
    assert db.Get(b"a") == b"b c"
    assert "b c\n(" in shell.enter("get a", TIME)
    assert "a       b c\n(" in shell.enter("range", TIME)
    assert "false\n(" in shell.enter("exists nope", TIME)


def test_what_fails_is_one_line_and_the_shell_goes_on(shell):
    assert "Key not found: nope\n" in shell.enter("get nope", TIME)
    assert "there is no command 'gett'; did you mean `get`?\n" in shell.enter("gett a", TIME)
    assert "Missing argument 'KEY'" in shell.enter("get", TIME)
    assert "Database does not exist" in shell.enter("use nowhere", TIME)
    assert "true\n" in shell.enter("put a 1 --sync", TIME) + shell.enter("exists a", TIME)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (b"a text\nof lines", "a text\nof lines\n"),
        (b'{"b": [1, true]}', '{\n  "b": [\n    1,\n    true\n  ]\n}\n'),
        (b'{"a":1.10,"a":[]}', '{\n  "a": 1.10,\n  "a": []\n}\n'),
        (b"\x82\xa1a\x01\xa1b\xc4\x01\xff", 'msgpack\n{\n  "a": 1,\n  "b": {\n    "$bin": "ff"\n  }\n}\n'),
        (b"\xff\x00ab", "00000000  ff 00 61 62                                      ..ab\n"),
        (b"\x1b[31mred", "00000000  1b 5b 33 31 6d 72 65 64                          .[31mred\n"),
    ],
    ids=["text", "json", "json as it is", "msgpack", "hex", "control characters"],
)
def test_a_value_is_shown_as_what_it_seems_to_be(shell, db, value, shown):
    db.Put(b"a", value)
    assert f"get a\n{shown}(" in "\n".join(line.rstrip(" ") for line in shell.enter("get a", TIME).splitlines())


def test_formats_are_options_as_on_the_command_line(shell, db):
    db.Put(b"a", b"\xff")
    assert "ff\n(" in shell.enter("get a --hex --help", TIME) + shell.enter("get --hex 61", TIME)
    assert '{"key": "a", "value_base64": "/w=="}\n(' in shell.enter("range --json", TIME)


def test_missing_keys_are_named_without_the_programs_name(shell):
    assert "\nKey not found: nope\n" in shell.enter("mget nope", TIME)


def test_tab_completes_commands_databases_and_keys(shell, db):
    db.createdb("tenants")
    db.Put(b"user:ann", b"Ann")
    db.Put(b"user:bob smith", b"Bob")
    shell.send("databa" + TAB)
    shell.read_until("ses")
    assert "tenants\n" in shell.enter("", TIME)
    shell.send("get user:a" + TAB)
    shell.read_until("nn")
    assert "Ann\n" in shell.enter("", TIME)
    shell.send('get "user:b' + TAB)
    shell.read_until('smith"')
    assert "Bob\n" in shell.enter("", TIME)
    shell.send("use ten" + TAB)
    shell.read_until("ants")
    shell.enter("", TIME)
    shell.read_until("tenants.*>")


def test_a_batch_has_several_lines_and_is_written_at_its_end(shell, db):
    shell.send("batch\r  put a 1\r")
    shell.read_until("put a 1")
    assert db.Range() == []
    shell.enter('put b "2\\n"\rend', TIME)
    assert db.Range() == [[b"a", b"1"], [b"b", b"2\n"]]
    assert "line 1: there is no operation 'set'" in shell.enter("batch\rset c 3\rend", TIME)


def test_ctrl_c_discards_a_line_and_ctrl_d_leaves(shell, db):
    shell.send("batch\rput a 1\r")
    shell.read_until("put a 1")
    shell.send(CTRL_C)
    shell.read_until(PROMPT)
    shell.enter("exists a", TIME)
    shell.read_until(PROMPT)
    shell.send(CTRL_D)
    assert shell.wait()[0] == 0
    assert db.Range() == []


def test_ctrl_c_ends_the_call_and_not_the_shell(open_shell):
    with ServerProcess(args=["--engine", "memory"]) as server:
        shell = open_shell("--timeout", "600", url=server.urls[0])
        shell.enter("put a 1", TIME)
        os.kill(server.pid, signal.SIGSTOP)
        try:
            shell.send("get a\r")
            shell.read_until("get a")
            threading.Timer(1, shell.send, [CTRL_C]).start()  # it waits by then; else the line is discarded
            shell.read_until(f"interrupted(.|\n)*{TIME}")
        finally:
            os.kill(server.pid, signal.SIGCONT)
        assert "1\n(" in shell.enter("get a", TIME)


def test_watch_repeats_a_command_until_ctrl_c(shell, db):
    db.Put(b"n", b"first")
    shell.enter("get n", TIME)
    shell.send("\\watch 0.05\r")
    shell.read_until(r"\d\d:\d\d:\d\d get n")
    shell.read_until("first")
    db.Put(b"n", b"second")
    shell.read_until("second")
    shell.send(CTRL_C)
    shell.read_until(PROMPT)
    assert "third" not in shell.enter("exists n", TIME)
    shown = shell.enter("\\watch --count 2 0 get n", f"{TIME}(.|\n)*{TIME}")
    assert shown.count("get n\nsecond\n") == 2


def test_the_last_command_is_repeated_and_a_mistake_only_once(shell):
    assert "there is no command to repeat" in shell.enter("\\watch", "repeat; name")
    shell.enter("\\watch 0 gett a", f"there is no command 'gett'(.|\n)*{TIME}")
    assert "gett" not in shell.enter("exists a", TIME)


def test_timing_is_turned_off_and_on(shell):
    assert "times are not shown" in shell.enter("\\timing", "not shown")
    assert "ms" not in shell.enter("exists a", "false")
    shell.enter("\\timing", "times are shown")
    shell.enter("exists a", TIME)


def test_help_lists_and_explains(shell):
    shown = shell.enter("help", TIME)
    for name in ("get", "batch", "databases", "use", "\\watch"):
        assert f"\n  {name} " in shown
    assert "\n  \\slow " in shown
    shown = shell.enter("help range", TIME)
    assert "Print keys and values from START to STOP." in shown
    assert "--url" not in shown
    assert "Connect to another database." in shell.enter("use --help", TIME)


def test_the_history_outlives_the_shell_and_is_private(open_shell, history):
    first = open_shell()
    first.enter("exists something", TIME)
    first.enter(" exists secret", TIME)
    first.enter("exit", "exit")
    assert first.wait()[0] == 0
    assert stat.S_IMODE(history.stat().st_mode) == 0o600
    assert "secret" not in history.read_text()
    second = open_shell()
    second.send("\x1b[A\x1b[A")  # up, behind `exit`
    second.read_until("exists something")


def test_long_output_goes_through_the_pager(open_shell, db, tmp_path):
    with db.WriteBatch() as batch:
        for number in range(1000):
            batch.Put(b"%04d" % number, b"")
    pager = tmp_path / "pager"
    pager.write_text("#!/bin/sh\necho paged; head -2; exec cat >/dev/null\n")
    pager.chmod(0o700)
    shell = open_shell(PAGER=str(pager))
    assert "paged" not in shell.enter("range --limit 3", TIME)
    shown = shell.enter("range", TIME)
    assert "paged\n0000    \n0001    \n(" in shown


def test_a_question_is_asked_before_a_database_is_dropped(shell, db):
    db.createdb("x")
    shell.send("drop x\r")
    shell.read_until(r"\[y/N\]")
    shell.enter("n", TIME)
    assert db.listdb() == ["default", "x"]
    shell.enter("drop x --yes", TIME)
    assert db.listdb() == ["default"]


def test_it_goes_on_after_the_server_was_restarted(open_shell):
    with ServerProcess(args=["--engine", "memory"]) as server:
        shell = open_shell(url=server.urls[0])
        shell.enter("put a 1", TIME)
        server.stop()
        assert "connect" in shell.enter("get a", TIME)
        server.restart()
        assert "Key not found: a" in shell.enter("get a", TIME)


# From a pipe


def test_commands_from_a_pipe_print_plain_results(run, db):
    text = b"put a 1\nbatch\nput b '2\n3'\ndelete c\nend\nrange\nuse default\nget b --json\n"
    assert run("shell", stdin=text) == (0, b'a\t1\nb\t2\n3\n"2\\n3"\n', "")


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        (b"get nope\nput a 1\n", 1, "Key not found: nope\n"),
        (b"xyzzy a\nput a 1\n", 2, "there is no command 'xyzzy'; help lists what there is\n"),
        (b"put a - \nput a 1\n", 2, "Invalid value for '[VALUE]': the shell itself reads from stdin; give it here, or in a file\n"),
        (b"use nowhere\nput a 1\n", 4, "Database does not exist\n"),
        (b"put a 'x\n", 2, "the quote ' does not end\n"),
        (b"batch\nput a 1\n", 2, "the batch has no end\n"),
    ],
)  # fmt: skip
def test_a_failure_ends_what_comes_from_a_pipe(run, db, text, code, message):
    assert run("shell", stdin=text) == (code, b"", message)
    assert db.Range() == []


def test_an_answer_ends_no_script_and_the_last_exit_code_counts(run, db):
    assert run("shell", stdin=b"exists a\nput a 1\nexists a\n") == (0, b"false\ntrue\n", "")
    assert run("shell", stdin=b"put-if-absent b 1\nput-if-absent b 2\n") == (1, b"true\nfalse\n", "")
    assert run("shell", stdin=b"exit\nput c 1\n") == (0, b"", "")
    assert db.Range(include_value=False) == [b"a", b"b"]


def test_other_commands_take_the_shells_connection(run, db):
    db.createdb("x")
    text = b"use x\nput k:1 v\nping\nstats --json\nslowlog\n\\slow\nsizes k: l:\ndump --format jsonl x\n"
    code, out, _ = run("shell", stdin=text)
    assert code == 0
    assert out.startswith(b'PONG\n{"version": ')
    assert b"\nk:\t" in out
    assert b'{"key": "k:1", "value": "v"}\n' in out


def test_a_broken_pipe_ends_a_script_quietly(server_url, db):
    with db.WriteBatch() as batch:
        for number in range(20_000):
            batch.Put(b"%06d" % number, b"x" * 20)
    line = f"(echo range; echo range) | {ELEVATOR} shell {server_url} | head -1; echo ${{PIPESTATUS[1]}}"
    done = subprocess.run(["bash", "-c", line], check=False, capture_output=True, text=True, timeout=WAIT_TIMEOUT)
    assert (done.stdout, done.stderr) == (f"000000\t{'x' * 20}\n141\n", "")


def test_without_prompt_toolkit_it_says_what_to_install(monkeypatch, capsys, server_url):
    for module in [name for name in sys.modules if name.startswith("prompt_toolkit")]:
        monkeypatch.delitem(sys.modules, module)
    for module in ("prompt", "completion"):
        monkeypatch.delitem(sys.modules, f"pyelevator.cli.shell.{module}", raising=False)
    monkeypatch.setitem(sys.modules, "prompt_toolkit", None)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    with pytest.raises(SystemExit):
        command(["shell", server_url])
    assert capsys.readouterr().err == (
        "elevator: the shell needs prompt_toolkit; install it with: pip install 'pyelevator[shell]'\n"
    )


@pytest.mark.parametrize(("levels", "lines"), [(30, 64), (40, 1)])
def test_what_is_nested_deeply_is_shown_in_one_line(levels, lines):
    value = b"[" * levels + b"[1, 2]" + b"]" * levels
    assert len(Highlighted().value(value).splitlines()) == lines
