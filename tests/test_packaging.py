"""The unit of systemd and the file of the container."""

import configparser
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from pyelevator import Elevator
from pyelevator.config.environment import SERVER, read_variables
from support.optional import unwrap
from support.programs import WAIT_TIMEOUT

PACKAGING = Path(__file__).parents[1] / "packaging"
UNIT = (PACKAGING / "elevator.service").read_text()
CONTAINER = (PACKAGING / "Containerfile").read_text()


class Repeated(dict):
    """Keeps all values of a key, as systemd does."""

    def __setitem__(self, key, value):
        if key in self and isinstance(value, list):
            self[key].extend(value)
        else:
            super().__setitem__(key, value)


@pytest.fixture(scope="module")
def unit():
    parser = configparser.ConfigParser(strict=False, interpolation=None, dict_type=Repeated)
    parser.optionxform = str  # type: ignore[method-assign,assignment]
    parser.read_string(UNIT)
    return parser


def environment_of_unit():
    """The variables that the unit sets."""
    given = re.findall(r'^Environment="?(\w+)=(.*?)"?$', UNIT, re.MULTILINE)
    return dict(given)


def test_the_unit_s_variables_are_settings(tmp_path):
    given = {
        name: value.replace("%S", "/var/lib").replace("%t", "/run") for name, value in environment_of_unit().items()
    }
    assert given.keys() <= SERVER.variables.keys()
    found = read_variables(SERVER, given)
    assert found["data"] == Path("/var/lib/elevator")
    assert found["binds"] == ("tcp://127.0.0.1:4141", "ipc:///run/elevator/elevator.sock")


def test_the_unit_waits_for_readiness_watches_reloads_and_confines(unit):
    service = unit["Service"]
    assert service["Type"] == "notify"
    assert service["ExecReload"] == "/bin/kill -HUP $MAINPID"
    assert {service[name] for name in service if name.startswith(("Protect", "Private"))} == {
        "yes",
        "strict",
        "invisible",
    }
    for name in ("NoNewPrivileges", "DynamicUser", "MemoryDenyWriteExecute", "RestrictNamespaces"):
        assert service[name] == "yes"
    assert service["CapabilityBoundingSet"] == ""


def test_what_the_unit_starts_tells_of_its_readiness_and_life(unit, tmp_path):
    program, *arguments = unit["Service"]["ExecStart"].split()
    assert program == "/usr/bin/elevator"
    given = environment_of_unit()
    for key, value in (("%S", str(tmp_path)), ("%t", str(tmp_path)), ("tcp://127.0.0.1:4141", "tcp://127.0.0.1:0")):
        given = {name: text.replace(key, value) for name, text in given.items()}
    (tmp_path / "elevator").mkdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(30)
        environment = {**os.environ, **given, "NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "300000"}
        command = [sys.executable, "-m", "pyelevator", *arguments]
        with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
            assert manager.recv(1000) == b"READY=1"
            with Elevator(transport="ipc", endpoint=str(tmp_path / "elevator" / "elevator.sock"), timeout=30) as E:
                E.Put("k", "v")
            assert manager.recv(1000) == b"WATCHDOG=1"
            process.terminate()
            assert process.wait(WAIT_TIMEOUT) == 0


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze here")
def test_systemd_finds_no_fault_in_the_unit(tmp_path):
    path = tmp_path / "elevator.service"
    path.write_text(UNIT.replace("/usr/bin/elevator", sys.executable))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", path], capture_output=True, text=True, check=False)
    if "Failed to" in done.stderr and "manager" in done.stderr:
        pytest.skip(f"systemd-analyze cannot work here: {done.stderr.strip()}")
    assert [line for line in done.stderr.splitlines() if "elevator.service" in line] == []


def test_the_container_s_variables_are_settings():
    (line,) = re.findall(r"^ENV (.*)$", CONTAINER, re.MULTILINE)
    given = dict(word.split("=", 1) for word in line.split())
    assert given.keys() <= SERVER.variables.keys()
    found = read_variables(SERVER, given)
    assert (found["data"], found["metrics"]) == (Path("/data"), "127.0.0.1:9141")


def test_the_container_runs_as_nobody_and_checks_its_health():
    user = re.findall(r"^USER (.*)$", CONTAINER, re.MULTILINE)
    assert user == ["65534:65534"]
    assert CONTAINER.index("USER") < CONTAINER.index("ENTRYPOINT")
    assert "HEALTHCHECK" in CONTAINER
    assert "http://127.0.0.1:9141/healthz" in CONTAINER


def run_container_test(directory, **programs):
    """Run the test of the container with programs in place of docker and podman; return its exit code and last line."""
    for tool in ("bash", "sed", "timeout", "dirname", "env"):
        (directory / tool).symlink_to(unwrap(shutil.which(tool)))
    for name, script in programs.items():
        (directory / name).write_text(f"#!/usr/bin/env bash\n{script}\n")
        (directory / name).chmod(0o755)
    command: list[str | Path] = [unwrap(shutil.which("bash")), PACKAGING / "test-container"]
    done = subprocess.run(command, env={"PATH": str(directory)}, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("programs", "reason"),
    [
        ({}, "there is no docker and no podman"),
        ({"docker": "exit 1"}, "docker is installed and does not work"),
        ({"podman": "exit 1"}, "podman is installed and does not work"),
        (
            {"docker": "exit 1", "podman": "[ $1 != pull ] && [ $1 != image ]"},
            "podman cannot pull docker.io/library/python:3.12-slim; PYTHON_IMAGE= names another",
        ),
        (
            {"podman": "[ $1 != run ] || { echo 'a line'; echo 'no cgroups'; exit 126; }"},
            "podman runs no containers here (no cgroups)",
        ),
        (
            {"podman": "case $* in *print*) echo 42;; *download*) exit 1;; esac"},
            "containers of podman cannot reach PyPI",
        ),
    ],
)
def test_where_no_container_can_run_it_is_said_and_nothing_fails(tmp_path, programs, reason):
    assert run_container_test(tmp_path, **programs) == (0, f"the container is not built: {reason}")


def test_a_container_that_cannot_be_built_is_a_failure(tmp_path):
    script = "case $* in *print*) echo 42;; build*) echo 'no such package'; exit 3;; esac"
    assert run_container_test(tmp_path, podman=script) == (3, "no such package")
