"""The old server's command line is answered with the new one."""

import shlex

import pytest
from click.testing import CliRunner

from pyelevator.cli import main, old_command_line
from pyelevator.cli.old_command_line import suggest_command_line
from support.optional import unwrap

STATED = "this is the old server's command line; use: elevator serve "


@pytest.fixture(autouse=True)
def no_default_config(monkeypatch, tmp_path):
    monkeypatch.setattr(old_command_line, "DEFAULT_CONFIG", tmp_path / "elevator.conf")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("-c /etc/e.conf", "--config /etc/e.conf"),
        ("--config /etc/e.conf", "--config /etc/e.conf"),
        ("-c /etc/e.conf -t tcp", "--config /etc/e.conf --bind tcp://127.0.0.1:4141"),
        ("-c /etc/e.conf -b 10.0.0.1 -p 4242", "--config /etc/e.conf --bind tcp://10.0.0.1:4242"),
        ("-c /etc/e.conf -t ipc", "--config /etc/e.conf --bind ipc:///run/elevator.sock"),
        ("-c /etc/e.conf -w 8 -v DEBUG", "--config /etc/e.conf --workers 8 -vv"),
        ("-c /etc/e.conf -v info", "--config /etc/e.conf -v"),
        ("-c '/etc/my e.conf'", "--config '/etc/my e.conf'"),
        ("-p 4242", "--data /var/lib/elevator --bind tcp://127.0.0.1:4242"),
    ],
)
def test_an_old_line_is_said_anew(old, new):
    assert suggest_command_line(shlex.split(old)) == STATED + new


def test_flags_that_are_gone_are_explained():
    stated = unwrap(suggest_command_line(["--daemon", "-P", "-c", "/etc/e.conf"]))
    assert stated.startswith(f"{STATED}--config /etc/e.conf (-d: run it under systemd")
    assert stated.endswith("; -P: unexpected errors are answered and logged)")


def test_the_old_default_configuration_is_named_where_it_is(monkeypatch, tmp_path):
    (tmp_path / "elevator.conf").touch()
    assert unwrap(suggest_command_line(["-d"])).startswith(f"{STATED}--config {tmp_path / 'elevator.conf'} (-d: ")


@pytest.mark.parametrize("words", [["--data", "d"], ["-x"], ["-c"], ["-t", "udp"], ["--daemonize"]])
def test_other_unknown_options_are_told_as_always(words):
    assert suggest_command_line(words) is None
    result = CliRunner().invoke(main.elevator, words)
    assert result.exit_code == 2
    assert "No such option" in result.stderr


def test_the_command_answers_an_old_line_with_the_new_one():
    result = CliRunner().invoke(main.elevator, ["-d", "-c", "/etc/e.conf"])
    assert result.exit_code == 2
    assert f"{STATED}--config /etc/e.conf" in result.stderr


@pytest.mark.parametrize("old", ["-c FILE -t tcp -b 127.0.0.1 -p 4242 -w 2 -v INFO", "-c FILE -v DEBUG"])
def test_the_suggested_command_line_works(old, monkeypatch, tmp_path):
    served = []
    monkeypatch.setattr("pyelevator.cli.processes.server.run_server", lambda settings, *_: served.append(settings) or 0)
    (tmp_path / "e.conf").write_text(f"[global]\ndatabases_storage_path = {tmp_path / 'data'}\n")
    stated = unwrap(suggest_command_line(shlex.split(old.replace("FILE", str(tmp_path / "e.conf")))))
    words = shlex.split(stated.removeprefix(STATED))
    assert CliRunner().invoke(main.elevator, ["serve", *words]).exit_code == 0
    assert [settings.data for settings in served] == [tmp_path / "data"]
