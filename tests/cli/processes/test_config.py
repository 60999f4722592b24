"""``elevator config check`` and ``elevator config show``, and settings from the environment."""

import json
import re
import tomllib

import pytest
from click.testing import CliRunner

from pyelevator import UsageError
from pyelevator.cli.main import elevator
from pyelevator.cli.processes.options import load_settings
from pyelevator.config import ServerSettings, read_server_config
from pyelevator.config.environment import PROXY, SERVER, read_variables
from pyelevator.config.values import without_secrets


def run(*args, **env):
    result = CliRunner().invoke(elevator, ["config", *map(str, args)], env=env)
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "elevator.toml"
    path.write_text('data = "/srv/data"\nworkers = 8\n[options]\nblock_size = 8192\n')
    return path


def test_sound_settings_are_ok(file):
    ok = (0, "ok\n", "")
    assert run("check", file) == run("check", "--config", file) == run("check", ELEVATOR_CONFIG=str(file)) == ok
    assert run("check", "--proxy", ELEVATOR_PROXY_UPSTREAM="tcp://127.0.0.1:4141") == ok


@pytest.mark.parametrize(
    ("text", "variables", "why"),
    [
        ("workers = 0", {}, "workers = 0: must be an integer from 1"),
        ("wrokers = 3", {}, "there is no key 'wrokers' here"),
        ("workers =", {}, "elevator.toml: "),
        ("", {}, "--data DIR is missing"),
        ('data = "/x"', {"ELEVATOR_WORKERS": "many"}, "ELEVATOR_WORKERS: 'many': must be an integer from 1"),
        ('data = "/x"', {"ELEVATOR_BIND": "tcp://0.0.0.0:4141"}, "0.0.0.0"),
        ('data = "/x"', {"ELEVATOR_OPTIONS": "blok_size = 1"}, "ELEVATOR_OPTIONS: "),
        ('data = "/x"', {"ELEVATOR_OPTIONS": "block_size 1"}, "must be a table of TOML in one line"),
        ('data = "/x"\nmetrics = "9141"', {}, "must be HOST:PORT, for instance 127.0.0.1:9141"),
        ('data = "/x"\nlog_format = "xml"', {}, "must be one of text, json"),
        ('data = "/x"\nslow = -1', {}, "must be a number of milliseconds, or 0 for never"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_exit_code_2(tmp_path, text, variables, why):
    path = tmp_path / "elevator.toml"
    path.write_text(text)
    code, out, err = run("check", path, **variables)
    assert (code, out) == (2, "")
    assert re.search(re.escape(why), err)


@pytest.mark.parametrize("url", ["postgres//ann:hunter2@db.example/data", "tcp://ann:hunter2@h:1?password=hunter2"])
@pytest.mark.parametrize("setting", ["engine", "metrics"])
def test_a_mistake_in_a_url_shows_no_password(tmp_path, url, setting):
    path = tmp_path / "elevator.toml"
    path.write_text(f'data = "/x"\n{setting} = "{url}"')
    reported = [run("check", path)[2], run("check", ELEVATOR_DATA="/x", **{f"ELEVATOR_{setting.upper()}": url})[2]]
    reported.append(CliRunner().invoke(elevator, ["serve", "--data", str(tmp_path), f"--{setting}", url]).stderr)
    for text in reported:
        assert "hunter2" not in text
        assert "...@" in text


KEY = "C/E<s^!kw%L4nR-a$lT9@yZ(pU:1#bQ>2&0mXv=j"


@pytest.mark.parametrize("setting", ["workers", "engine", "bind", "data", "curve_keys", "metrics", "log_format"])
def test_a_key_in_the_wrong_place_is_not_repeated(tmp_path, setting):
    path = tmp_path / "elevator.toml"
    path.write_text(f'{setting} = "{KEY}"')
    reported = [run("check", path), run("check", **{"ELEVATOR_DATA": "/x", f"ELEVATOR_{setting.upper()}": KEY})]
    ran = CliRunner().invoke(elevator, ["serve", f"--{setting.replace('_', '-')}", KEY])
    for code, out, err in (*reported, (ran.exit_code, ran.stdout, ran.stderr)):
        assert (code, out) == (2, "")
        assert re.search(r"elevator: .*must be|is no URL of an Elevator server", err)
        assert [part for part in (KEY, *re.split("[?#]", KEY)) if part in err] == []


@pytest.mark.parametrize("value", [KEY, "tcp://ann:hunter2/hunter2@h"])
@pytest.mark.parametrize(
    ("command", "why"),
    [
        (["ping", "--timeout"], "Invalid value for '--timeout': '"),
        (["ping", "--dialect"], "there is no dialect of that name; choose one of classic, flat"),
        (["ping", "--url"], "is no URL of an Elevator server|port is not a number"),
        (["config", "check", "--config"], "cannot read "),
        (["proxy", "--upstream"], "is no URL of an Elevator server|port is not a number"),
    ],
)
def test_a_wrong_value_is_not_repeated_if_it_may_be_a_secret(command, why, value):
    ran = CliRunner().invoke(elevator, [*command, value])
    assert ran.exit_code == 2
    assert re.search(why, ran.stderr)
    assert [part for part in (KEY, *re.split("[?#]", KEY), "hunter2") if part in ran.stderr] == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://ann:hunter/2@db/data", "postgresql://...@db/data"),
        ("postgresql://ann:h@nter@2@db", "postgresql://...@db"),
        ("postgresql:/ann:hunter2@db", "postgresql:/...@db"),
        ("ann:hunter2@db", "ann:...@db"),
        ("postgresql://db?sslpassword=hunter2&sslmode=prefer", "postgresql://db?sslpassword=...&sslmode=prefer"),
        ("postgresql://db?PASSWORD=hunter 2", "postgresql://db?PASSWORD=..."),
        ("host=db password=hunter2", "host=db password=..."),
        ("postgresql://db?pass%77ord=hunter2", "postgresql://db?pass%77ord=..."),
        ("postgresql://db?passfile=/run/pass", "postgresql://db?passfile=/run/pass"),
        ("ipc:///run/a@b.sock", "ipc:///run/a@b.sock"),
        ("/srv/ann@db", "/srv/ann@db"),
    ],
)
def test_a_setting_is_shown_without_what_may_be_a_password(text, shown):
    assert without_secrets(text) == shown


def test_variables_that_mean_nothing_are_told_of(file):
    code, out, err = run("check", file, ELEVATOR_WROKERS="3", ELEVATOR_URL="tcp://x:1", ELEVATOR_PROXY_TIMEOUT="3")
    assert (code, out) == (0, "ok\n")
    assert err == "elevator: ELEVATOR_WROKERS means nothing; did you mean ELEVATOR_WORKERS?\n"


def test_a_file_that_is_given_twice_is_a_mistake(file):
    assert run("check", file, "--config", file)[0] == 2


def test_all_settings_are_shown_with_their_sources(file):
    code, out, _ = run("show", "--config", file, ELEVATOR_MAX_BATCH="7", ELEVATOR_ENGINE="")
    assert code == 0
    lines = {line.split(" ")[0]: line.rpartition("# ")[2] for line in out.splitlines() if " = " in line}
    assert lines["data"] == lines["workers"] == str(file)
    assert (lines["max_batch"], lines["engine"], lines["ipc_mode"]) == ("ELEVATOR_MAX_BATCH", "default", "default")


def test_what_is_shown_is_a_file_with_the_same_settings(file, tmp_path):
    variables = {"ELEVATOR_MAX_BATCH": "7", "ELEVATOR_LOG_LEVEL": "INFO"}
    shown = tmp_path / "shown.toml"
    shown.write_text(run("show", "--config", file, **variables)[1])
    given = {**read_server_config(file), **read_variables(SERVER, variables)}
    assert ServerSettings(**read_server_config(shown)) == ServerSettings(**given)
    assert run("check", shown) == (0, "ok\n", "")


def test_settings_are_shown_as_json(file):
    reported = json.loads(run("show", "--config", file, "--json")[1])
    assert reported["workers"] == {"value": 8, "source": str(file)}
    assert reported["options"]["value"] == {"block_size": 8192}
    assert reported["metrics"] == {"value": None, "source": "default"}


def test_a_proxy_s_settings_are_shown_as_a_file_too(tmp_path):
    path = tmp_path / "proxy.toml"
    path.write_text('[[upstream]]\nname = "a"\nurl = "tcp://db.example:4141"\ndatabases = ["x-*"]\n')
    reported = tomllib.loads(run("show", "--proxy", "--config", path)[1])
    assert reported["upstream"] == [{"name": "a", "url": "tcp://db.example:4141", "databases": ["x-*"]}]
    assert run("show", "--proxy", ELEVATOR_PROXY_TIMEOUT="2.5")[1].count("ELEVATOR_PROXY_TIMEOUT") == 1


def test_passwords_are_not_shown():
    out = run("show", ELEVATOR_ENGINE="postgresql://ann:s3cret@db.example/elevator?password=s3cret")[1]
    assert "s3cret" not in out


def test_options_of_databases_come_from_the_environment_too(monkeypatch, file):
    given = {"config": file, "verbose": 0, "quiet": False}
    for text in ("block_size = 1024, compression = false", "{block_size = 1024, compression = false}"):
        monkeypatch.setenv("ELEVATOR_OPTIONS", text)
        options = load_settings(SERVER, given).options
        assert options["block_size"] == 1024
        assert "compression" in options
    monkeypatch.setenv("ELEVATOR_OPTIONS", "")
    assert load_settings(SERVER, given).options == {"block_size": 8192}


def test_every_setting_has_a_variable_of_its_own():
    assert len(SERVER.variables) == len(SERVER.settings)
    assert not set(SERVER.variables) & set(PROXY.variables)
    with pytest.raises(UsageError, match="ELEVATOR_PROXY_TIMEOUT: 'soon': must be a number of seconds above 0"):
        read_variables(PROXY, {"ELEVATOR_PROXY_TIMEOUT": "soon"})
