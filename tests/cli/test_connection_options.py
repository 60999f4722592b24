"""The options with which commands connect: URL, database, keys, timeouts; and the exit codes of what goes wrong."""

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from pyelevator import errors
from pyelevator.application import Application
from pyelevator.auth import ClientAuth
from pyelevator.auth.keys import generate_keys
from pyelevator.cli.connection_options import connection_options
from pyelevator.cli.errors import ExitCode, OneLineErrorGroup, exit_code
from pyelevator.cli.main import COMMANDS, elevator
from pyelevator.server import Server
from pyelevator.testing.servers import serve
from support.connections import transport_of
from support.optional import unwrap


@click.group(cls=OneLineErrorGroup)
def group():
    """A group with one command that connects."""


@group.command()
@connection_options(url_argument=True)
def where(connection):
    """Tell where it is connected."""
    with connection.open() as client:
        click.echo(f"{transport_of(client).url} {client.db_name} {client.timeout}")


def run(*args, env=None):
    result = CliRunner().invoke(group, ["where", *map(str, args)], env={"ELEVATOR_URL": None, **(env or {})})
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def url():
    with serve(Application.in_memory()) as server:
        yield server.urls[0]


def test_the_url_comes_from_the_argument_the_option_or_the_environment(url):
    reported = (0, f"{url} default 5.0\n", "")
    assert run(url) == run("--url", url) == run(env={"ELEVATOR_URL": url}) == reported
    assert run(url, env={"ELEVATOR_URL": "tcp://127.0.0.1:1"}) == reported
    assert run("--url", url, env={"ELEVATOR_URL": "tcp://127.0.0.1:1"}) == reported


def test_options_count_more_than_the_url(url):
    assert run(f"{url}?db=nowhere&timeout=9", "--db", "default", "--timeout", "7.5") == (0, f"{url} default 7.5\n", "")


def test_a_url_that_is_given_twice_is_a_mistake(url):
    assert run(url, "--url", url) == (2, "", "elevator: the URL is given twice, as an argument and with --url\n")


def test_one_key_without_the_other_is_a_mistake(url, tmp_path):
    code, _, err = run(url, "--curve-key", tmp_path / "x")
    assert (code, err) == (
        2,
        "elevator: --curve-key and --server-key go together: the client's keys, and whose server it is\n",
    )


@pytest.mark.parametrize("args", [["--timeout", "0"], ["--connect-timeout", "-1"], ["--dialect", "x"], ["nothing"]])
def test_what_makes_no_sense_is_exit_code_2(args):
    assert run(*args)[:2] == (2, "")


def test_a_database_that_is_missing_is_exit_code_4(url):
    assert run(url, "--db", "nowhere") == (4, "", "elevator: Database does not exist\n")


def test_no_server_is_exit_code_3(tmp_path):
    assert run(f"ipc://{tmp_path}/socket", "--connect-timeout", "0.01")[0] == 3


def test_keys_come_from_files_and_wrong_ones_are_exit_code_5(tmp_path):
    generate_keys(tmp_path, "server")
    for name in ("ann", "bob"):
        generate_keys(tmp_path / "clients", name)
    (tmp_path / "clients" / "bob.key").unlink()
    with Server(Application.in_memory(), ["tcp://127.0.0.1:0"], auth=ClientAuth.from_directory(tmp_path)) as server:
        url, keys = server.urls[0], ["--server-key", tmp_path / "server.key", "--curve-key"]
        assert run(url, *keys, tmp_path / "clients" / "ann.key_secret")[:2] == (0, f"{url} default 5.0\n")
        assert run(url, *keys, tmp_path / "clients" / "bob.key_secret")[0] == 5
        assert run(url)[0] == 5


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.KeyNotFound("Key not found"), 1),
        (OSError("disk full"), 1),
        (errors.UsageError("no"), 2),
        (errors.RequestTimeout("late"), 3),
        (errors.ConnectionLost("gone"), 3),
        (errors.MalformedMessage("what"), 3),
        (errors.DatabaseError("Database does not exist"), 4),
        (errors.UnknownCommand("what"), 4),
        (errors.MessageTooLarge("long"), 4),
        (errors.AuthenticationFailed("keys"), 5),
        (errors.PermissionDenied("not allowed"), 5),
        (click.Abort(), 130),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_kind_of_error_has_its_exit_code(error, code):
    assert exit_code(error) == code


def test_an_error_cannot_move_the_cursor_of_a_terminal():
    @group.command()
    def fail():
        raise errors.DatabaseError("no \x1b[2Jsuch\nthing \x9b")

    result = CliRunner().invoke(group, ["fail"])
    assert (result.exit_code, result.stderr) == (4, "elevator: no \\x1b[2Jsuch thing \\x9b\n")


def test_the_help_tells_every_exit_code_that_it_chooses():
    shown = CliRunner().invoke(elevator, ["--help"]).stdout
    assert [f"\n    {code:d}  " in shown for code in ExitCode if code < 100] == [True] * 6


def test_every_command_stands_in_the_help_with_a_sentence():
    context = click.Context(elevator)
    shown = CliRunner().invoke(elevator, ["--help"]).stdout.splitlines()
    for section in COMMANDS.values():
        for name in section:
            assert len([line for line in shown if line.split()[:1] == [name]]) == 1
            assert unwrap(elevator.get_command(context, name)).get_short_help_str(100).endswith(".")


def test_a_command_imports_only_what_it_needs():
    program = "import sys; from pyelevator.cli.main import elevator\n"
    program += "try: elevator(['ping', '--help'])\nexcept SystemExit: pass\n"
    program += "print(sorted({'rich', 'plyvel', 'prompt_toolkit', 'pyelevator.server', 'nacl'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
