"""The command line: what it understands, and what it says in one line when it does not."""

import logging
import re
import sys

import click
import pytest
from click.testing import CliRunner

import pyelevator.__main__
from pyelevator.application import Application
from pyelevator.cli import main
from pyelevator.cli.suggestions import OPTION_ALIASES
from pyelevator.config import ServerSettings
from pyelevator.testing.servers import serve
from support.optional import unwrap
from support.pages import ROOT


@pytest.fixture
def elevator():
    """Runs the command; its exit code, stdout and stderr."""

    def run(*args):
        result = CliRunner().invoke(main.elevator, [str(arg) for arg in args])
        return result.exit_code, result.stdout, result.stderr

    return run


def every_command():
    """All commands, in groups or not, each with its context."""
    contexts = [click.Context(main.elevator, info_name="elevator")]
    for context in contexts:
        if isinstance(group := context.command, click.Group):
            for name in group.list_commands(context):
                contexts.append(click.Context(unwrap(group.get_command(context, name)), context, name))
    return contexts[1:]


def every_option_and_argument():
    """The names of the options and arguments of all commands."""
    for context in every_command():
        for param in context.command.params:
            yield from param.opts if isinstance(param, click.Option) else [f"--{param.name}"]


@pytest.fixture
def served(monkeypatch):
    """The settings that ``serve`` would run with; it runs nothing."""
    settings: list[ServerSettings] = []

    def run(given, announce, reopen_log):
        settings.append(given)
        return 0

    monkeypatch.setattr("pyelevator.cli.processes.server.run_server", run)
    return settings


def test_without_arguments_it_shows_its_help(elevator):
    code, out, _ = elevator()
    assert code == 0
    assert "Run a server until SIGTERM, SIGINT or SIGQUIT." in out


def test_help_explains_a_command_as_its_option_does(elevator):
    assert elevator("help", "get") == elevator("get", "--help")
    assert elevator("help") == elevator("--help")


def test_no_option_in_any_help_shows_a_type_instead_of_a_meaning():
    helps = {context.command_path: context.get_help() for context in every_command()}
    assert len(helps) > 40
    shown = {
        path: re.findall(r"  --[\w-]+ ((?:INTEGER|FLOAT|TEXT|PATH)\b.*|.* RANGE\b.*)", text)
        for path, text in helps.items()
    }
    assert {path: options for path, options in shown.items() if options} == {}


def test_it_tells_its_version(elevator):
    assert elevator("--version") == (0, f"elevator, version {pyelevator.__version__}\n", "")


@pytest.mark.parametrize(
    ("command", "stated", "meant"),
    [
        *[
            ("serve", stated, "--data")
            for stated in ("--directory", "--dir", "--datadir", "--data_dir", "--path", "--db", "-d")
        ],
        *[("serve", stated, "--bind") for stated in ("--host", "--port", "--listen", "--address", "--endpoint", "-p")],
        *[("serve", stated, "--curve-keys") for stated in ("--password", "--requirepass", "--keys", "--curve-key")],
        *[("serve", stated, "--config") for stated in ("--config-file", "--conf", "-c", "--confg")],
        ("serve", "--max_message", "--max-message"),
        ("serve", "--verbose", "--log-level"),
        ("proxy", "--bind", "--listen"),
        ("proxy", "--backend", "--upstream"),
        ("get", "--host", "--url"),
        ("get", "--database", "--db"),
        ("get", "--password", "--curve-key"),
        ("put", "--fsync", "--sync"),
        ("dump", "--out", "--output"),
        ("load", "--db", "--to-db"),
        ("stats", "--interval", "--watch"),
        ("console", "--readwrite", "--write"),
        ("keygen", "--overwrite", "--force"),
        ("shell", "--database", "--db"),
    ],
)
def test_an_option_by_another_name_is_told_by_its_own(elevator, command, stated, meant):
    code, output, error = elevator(command, stated, "1")
    assert (code, output) == (2, "")
    assert error == (f"elevator: No such option {stated!r}; did you mean `{meant}`? See `elevator {command} --help`.\n")


def test_every_command_that_prints_data_takes_json():
    others = {"serve", "proxy", "console", "shell", "dump", "load", "completion", "help", "ping", "keygen", "config"}
    for name in main.elevator.list_commands(click.Context(main.elevator)):
        command = unwrap(main.elevator.get_command(click.Context(main.elevator), name))
        assert any("--json" in param.opts for param in command.params) == (name not in others), name


def test_commands_and_options_that_texts_name_exist():
    stated = re.compile(r"`elevator ([a-z][a-z-]*)([^`]*)`")
    named = [found for path in (ROOT / "src").rglob("*.py") for found in stated.findall(path.read_text())]
    assert len(named) > 20
    for name, rest in named:
        command = main.elevator.get_command(click.Context(main.elevator), name)
        assert command is not None, name
        options = {option for param in command.params for option in (*param.opts, *param.secondary_opts)}
        assert {word for word in rest.split() if word.startswith("--")} <= options, (name, rest)


def test_the_other_names_of_options_are_of_options_that_exist():
    assert OPTION_ALIASES.keys() - set(every_option_and_argument()) == set()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["serv"], "No such command 'serv'; did you mean `serve`?"),
        (["xyzzy"], "No such command 'xyzzy'."),
        (["set", "a", "1"], "No such command 'set'; did you mean `put`?"),
        (["help", "gte"], "No such command 'gte'; did you mean `get`?"),
        (["get"], "Missing argument 'KEY'. See `elevator get --help`."),
        (["serve", "--prot", "1"], "No such option '--prot'. See `elevator serve --help`."),
        (["--url", "fake://"], "No such option '--url'; options of a command stand behind it. See `elevator --help`."),
        (["get", "--key", "a"], "No such option '--key'; KEY is given without the name of an option."),
        (["serve", "--config-fle", "x"], "did you mean `--config`?"),
        (["serve"], "--data DIR is missing: say where to keep the databases, or serve with --engine memory"),
        (
            ["serve", "--engine", "sql"],
            "Invalid value for '--engine': 'sql': must be one of leveldb, memory",
        ),
        (
            ["serve", "--engine", "memory", "--workers", "0"],
            "'--workers': '0': must be an integer from 1",
        ),
        (["serve", "--engine", "memory", "--bind", "here"], "'here' is no URL of an Elevator server"),
        (["serve", "--engine", "memory", "--bind", "fake://"], "cannot listen on 'fake://'"),
        (["serve", "--engine", "memory", "--bind", "tcp://127.0.0.1:port"], "the port is not a number"),
        (["serve", "--engine", "memory", "--config", "/nowhere/x"], "cannot read /nowhere/x: No such file"),
        (["serve", "--engine", "memory", "--idle-unmount", "-1"], "must be a number of minutes, or 0 for never"),
        (
            ["serve", "--engine", "memory", "--max-open", "0"],
            "'--max-open': '0': must be an integer from 1",
        ),
        (["serve", "--engine", "memory", "-v", "--quiet"], "-v and --quiet contradict one another"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_line_and_exit_code_2(elevator, args, message):
    code, out, err = elevator(*args)
    assert (code, out) == (2, "")
    assert err.startswith("elevator: ")
    assert message in err
    assert err.count("\n") == 1


def test_a_mistake_in_the_configuration_names_file_key_and_value(elevator, tmp_path):
    (tmp_path / "e.conf").write_text("[global]\nport = http\n")
    message = f"elevator: {tmp_path}/e.conf: port = 'http': must be an integer from 0 to 65535\n"
    assert elevator("serve", "--config", tmp_path / "e.conf") == (2, "", message)


def test_a_port_that_this_machine_does_not_have_is_exit_code_1(elevator):
    code, _, err = elevator("serve", "--engine", "memory", "--bind", "tcp://192.0.2.1:4141", "--insecure")
    assert code == 1
    assert err == (
        "elevator: cannot listen on tcp://192.0.2.1:4141: Cannot assign requested address; "
        "this machine has no such address\n"
    )


def test_a_data_directory_that_is_a_file_is_one_line(elevator, tmp_path):
    (tmp_path / "data").write_text("")
    code, _, err = elevator("serve", "--data", tmp_path / "data")
    assert (code, err) == (1, f"elevator: {tmp_path}/data: File exists\n")


def test_a_log_file_that_cannot_be_written_is_one_line(elevator, tmp_path):
    code, _, err = elevator("serve", "--engine", "memory", "--log-file", tmp_path / "nowhere" / "log")
    assert (code, err) == (1, f"elevator: {tmp_path}/nowhere/log: No such file or directory\n")


def test_the_defaults(elevator, served, tmp_path):
    assert elevator("serve", "--data", tmp_path) == (0, "", "")
    assert served == [ServerSettings(data=tmp_path, binds=("tcp://127.0.0.1:4141",), engine="leveldb", workers=4)]


def test_the_command_line_overrides_the_file_and_the_file_the_defaults(elevator, served, tmp_path):
    (tmp_path / "e.toml").write_text('data = "/file"\nworkers = 8\nbind = ["tcp://127.0.0.1:1"]\nlog_level = "ERROR"')
    binds = ["--bind", "tcp://127.0.0.1:2", "--bind", "tcp://127.0.0.1:3"]
    elevator("serve", "--config", tmp_path / "e.toml", "--data", "/typed", *binds)
    (settings,) = served
    assert str(settings.data) == "/typed"
    assert settings.binds == ("tcp://127.0.0.1:2", "tcp://127.0.0.1:3")
    assert settings.workers == 8
    assert settings.log_level == logging.ERROR


def test_limits_and_what_is_promised_of_writes_are_options(elevator, served, tmp_path):
    (tmp_path / "e.toml").write_text("idle_unmount = 5\nmax_batch = 7\nmax_open = 8\n")
    limits = [
        "--max-message",
        2000,
        "--max-batch",
        1,
        "--max-range",
        2,
        "--max-range-bytes",
        3,
        "--max-connections",
        4,
        "--row-cache",
        0,
    ]
    elevator("serve", "--engine", "memory", "--config", tmp_path / "e.toml", "--sync", "--idle-unmount", "0.5", *limits)
    elevator("serve", "--engine", "memory", "--config", tmp_path / "e.toml", "--idle-unmount", "0")
    first, second = served
    assert (first.sync, first.idle_unmount, first.max_message, first.max_open) == (True, 0.5, 2000, 8)
    assert (first.max_batch, first.max_range, first.max_range_bytes, first.max_connections) == (1, 2, 3, 4)
    assert (first.row_cache, second.row_cache) == (0, 33_554_432)
    assert (second.sync, second.idle_unmount, second.max_batch, second.max_range) == (False, 0.0, 7, 1_000_000)


@pytest.mark.parametrize(
    ("flags", "level"),
    [([], logging.WARNING), (["-v"], logging.INFO), (["-vv"], logging.DEBUG), (["--quiet"], logging.ERROR)],
)
def test_the_flags_set_the_log_level(elevator, served, flags, level):
    elevator("serve", "--engine", "memory", *flags)
    assert served[0].log_level == level


def test_without_click_it_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "click", None)
    for module in [name for name in sys.modules if name.startswith("pyelevator.cli.")]:
        monkeypatch.delitem(sys.modules, module)
    with pytest.raises(SystemExit) as caught:
        pyelevator.__main__.main()
    assert caught.value.code == 1
    assert capsys.readouterr().err == ("the command line needs click; install it with: pip install 'pyelevator[cli]'\n")


def test_ping_prints_the_servers_answer(elevator):
    with serve(Application.in_memory()) as server:
        assert elevator("ping", server.urls[0]) == (0, "PONG\n", "")


def test_ping_without_a_server_is_exit_code_3_and_says_what_to_do(elevator, tmp_path):
    code, out, err = elevator("ping", f"ipc://{tmp_path}/socket?timeout=0.05")
    assert (code, out) == (3, "")
    assert err == (
        f"elevator: cannot connect to the Elevator server at ipc://{tmp_path}/socket: there is no such socket file (tried "
        "for 0.05 s); start one with `elevator serve`\n"
    )


def test_ping_of_what_is_no_url_is_exit_code_2(elevator):
    assert elevator("ping", "here")[0] == 2
