"""The schema: each setting is a key of the file, an environment variable and an option, with equal values and errors."""

import logging
from pathlib import Path

import click
import pytest
from attrs import fields
from click.testing import CliRunner

from pyelevator.cli.main import elevator
from pyelevator.config import ProxySettings, ServerSettings, read_proxy_config, read_server_config
from pyelevator.config.schema import ProgramSettings, settings_of
from pyelevator.proxy import Upstream
from support.optional import unwrap

PROGRAMS = {"serve": (ServerSettings, "ELEVATOR_"), "proxy": (ProxySettings, "ELEVATOR_PROXY_")}
REQUIRED = {"serve": ["--engine", "memory"], "proxy": ["--upstream", "tcp://127.0.0.1:9"]}

VALUES = {
    "curve_keys": ("/keys", Path("/keys")),
    "insecure": (True, True),
    "ipc_mode": ("0660", 0o660),
    "max_unread": (1000, 1000),
    "log_file": (None, None),  # opened at the start: test_cli.py
    "log_level": ("ERROR", logging.ERROR),
    "data": ("/data", Path("/data")),
    "binds": ("tcp://127.0.0.1:1", ("tcp://127.0.0.1:1",)),
    "engine": ("memory", "memory"),
    "store": ("/store.json", Path("/store.json")),
    "allow_paths": ("/srv", (Path("/srv"),)),
    "workers": (3, 3),
    "sync": (True, True),
    "idle_unmount": (1.5, 1.5),
    "idle_unmount_adopted": (0.5, 0.5),
    "max_message": (2048, 2048),
    "max_batch": (1, 1),
    "max_range": (2, 2),
    "max_range_bytes": (3, 3),
    "max_connections": (4, 4),
    "max_open": (5, 5),
    "max_cursors": (6, 6),
    "cursor_idle": (7, 7),
    "cursor_age": (8, 8),
    "row_cache": (0, 0),
    "metrics": ("127.0.0.1:0", "127.0.0.1:0"),
    "log_format": ("json", "json"),
    "slow": (2.5, 2.5),
    "slow_entries": (7, 7),
    "slow_keys": (True, True),
    "write_buffers": (1024, 1024),
    "listen": ("tcp://127.0.0.1:1", ("tcp://127.0.0.1:1",)),
    "upstreams": ("tcp://127.0.0.1:8", (Upstream("tcp://127.0.0.1:8"),)),
    "timeout": (2.5, 2.5),
}
"""Setting -> a value as a TOML file has it, and as the program gets it."""

CASES = [
    (program, setting)
    for program, (settings_class, _) in PROGRAMS.items()
    for setting in settings_of(settings_class)
    if setting.is_option and setting.name != "log_file"
]


@pytest.fixture
def started(monkeypatch):
    """Runs a command up to its settings, and returns them."""
    found = []
    monkeypatch.setattr("pyelevator.cli.processes.server.run_server", lambda settings, *_: found.append(settings) or 0)
    monkeypatch.setattr("pyelevator.cli.processes.proxy._run_proxy", lambda settings, _: found.append(settings) or 0)

    def start(program, *args, env=None):
        ran = CliRunner().invoke(elevator, [program, *map(str, args), *REQUIRED[program]], env=env or {})
        assert ran.exit_code == 0, ran.stderr
        return found.pop()

    return start


def toml(value):
    return f'"{value}"' if isinstance(value, str) else str(value).lower()


@pytest.mark.parametrize(("program", "setting"), CASES, ids=lambda one: getattr(one, "name", one))
def test_a_setting_is_the_same_from_file_environment_and_option(program, setting, started, tmp_path, monkeypatch):
    monkeypatch.setitem(REQUIRED, program, [] if setting.name in ("engine", "upstreams") else REQUIRED[program])
    written, parsed = VALUES[setting.name]
    (tmp_path / "file.toml").write_text(f"{setting.key} = {toml(written)}\n")
    option = [setting.option] if setting.is_flag else [setting.option, written]
    variable = {setting.environment(PROGRAMS[program][1]): str(written)}
    for settings in (
        started(program, "--config", tmp_path / "file.toml"),
        started(program, env=variable),
        started(program, *option),
    ):
        assert getattr(settings, setting.name) == parsed


def test_the_environment_overrides_the_file_and_options_both(started, tmp_path):
    (tmp_path / "e.toml").write_text("workers = 2\nmax_batch = 2\nmax_open = 2\n")
    env = {"ELEVATOR_CONFIG": str(tmp_path / "e.toml"), "ELEVATOR_WORKERS": "3", "ELEVATOR_MAX_BATCH": "3"}
    settings = started("serve", "--workers", 4, env=env)
    assert (settings.workers, settings.max_batch, settings.max_open) == (4, 3, 2)


def test_variables_with_several_values_are_split(started):
    env = {"ELEVATOR_BIND": "tcp://127.0.0.1:1 tcp://127.0.0.1:2", "ELEVATOR_ALLOW_PATH": "/a b:/c"}
    settings = started("serve", env=env)
    assert settings.binds == ("tcp://127.0.0.1:1", "tcp://127.0.0.1:2")
    assert settings.allow_paths == (Path("/a b"), Path("/c"))


def test_an_empty_variable_counts_as_not_set(started):
    assert started("serve", env={"ELEVATOR_WORKERS": "", "ELEVATOR_BIND": ""}) == ServerSettings(engine="memory")


def test_variables_of_the_server_do_not_change_the_proxy(started):
    env = {"ELEVATOR_MAX_UNREAD": "1", "ELEVATOR_LOG_LEVEL": "DEBUG", "ELEVATOR_INSECURE": "1"}
    assert started("proxy", env=env) == ProxySettings(upstreams=(Upstream("tcp://127.0.0.1:9"),))


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("MAX_UNREAD", "much", "'much': must be an integer from 1"),
        ("IPC_MODE", "rw", "'rw': must be the mode of a file"),
        ("LOG_LEVEL", "LOUD", "'LOUD': must be one of DEBUG, "),
    ],
)
def test_a_mistake_in_a_variable_names_it_and_its_value(program, variable, value, message):
    name = PROGRAMS[program][1] + variable
    ran = CliRunner().invoke(elevator, [program, *REQUIRED[program]], env={name: value})
    assert ran.exit_code == 2
    assert f"(env var: '{name}')" in ran.stderr
    assert message in ran.stderr
    assert ran.stderr.count("\n") == 1


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_flags_of_the_log_override_its_level(program, started):
    env = {PROGRAMS[program][1] + "LOG_LEVEL": "ERROR"}
    assert started(program, env=env).log_level == logging.ERROR
    assert started(program, "-v", env=env).log_level == logging.INFO
    assert started(program, "-vv", env=env).log_level == logging.DEBUG
    assert started(program, "--quiet").log_level == logging.ERROR


@pytest.mark.parametrize("program", PROGRAMS)
def test_help_shows_each_setting_with_its_variable_and_default(program):
    settings_class, prefix = PROGRAMS[program]
    command = unwrap(elevator.get_command(click.Context(elevator), program))
    options = {one.name: one for one in command.params}
    for setting in settings_of(settings_class):
        if setting.is_option:
            shown = unwrap(options[setting.name].get_help_record(click.Context(command)))
            assert f"[env var: {setting.environment(prefix)}]" in shown[1]
            assert f"Default: {setting.default_text}." in shown[1] or not setting.default_text


@pytest.mark.parametrize("settings_class", [ServerSettings, ProxySettings])
def test_every_field_is_a_setting_and_every_help_a_sentence(settings_class):
    assert {one.name for one in fields(settings_class)} - {"ignored"} == {
        one.name for one in settings_of(settings_class)
    }
    assert [one.name for one in settings_of(settings_class) if not one.help[0].isupper() or one.help[-1] != "."] == []


def test_both_programs_share_the_common_settings():
    common = {one.name for one in settings_of(ProgramSettings)}
    assert common == {
        "curve_keys", "insecure", "ipc_mode", "max_unread", "metrics", "log_format", "log_file", "log_level",
    }  # fmt: skip


@pytest.mark.parametrize("read", [read_server_config, read_proxy_config])
def test_both_files_report_common_settings_alike(read, tmp_path):
    file = tmp_path / "a.toml"
    file.write_text("max_unread = 0")
    with pytest.raises(ValueError, match=r"a\.toml: max_unread = 0: must be an integer from 1"):
        read(file)
