import os
import resource
import signal
import subprocess
import sys

import pytest
from click.testing import CliRunner

from pyelevator import Elevator
from pyelevator.application import Application
from pyelevator.auth.keys import generate_keys
from pyelevator.cli.main import elevator
from pyelevator.proxy import Upstream
from pyelevator.testing.servers import ANY_PORT, serve
from support.optional import unwrap
from support.programs import WAIT_TIMEOUT


def test_a_proxy_process_serves_and_stops_by_sigterm():
    with serve(Application.in_memory()) as server:
        command = [sys.executable, "-m", "pyelevator", "proxy", "--listen", ANY_PORT, "--upstream", server.urls[0]]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            line = unwrap(process.stdout).readline()
            assert line.startswith("serving tcp://127.0.0.1:")
            assert line.endswith(f"(for {server.urls[0]})\n")
            with Elevator.from_url(line.split()[1]) as E:
                E.Put("k", "v", timeout=30)
                assert E.Get("k", timeout=30) == "v"
            process.send_signal(signal.SIGTERM)
            assert process.wait(WAIT_TIMEOUT) == 0


def test_a_proxy_process_opens_all_the_files_that_it_may():
    """Half of them are for clients."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    few = [sys.executable, "-c", FEW, "proxy", "--listen", ANY_PORT, "--upstream", "tcp://127.0.0.1:9"]
    with subprocess.Popen(few, stdout=subprocess.PIPE, text=True) as process:
        line = unwrap(process.stdout).readline()
        limits = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
        process.send_signal(signal.SIGTERM)
        assert line.startswith("serving ")
        assert limits == (hard, hard)
        assert process.wait(WAIT_TIMEOUT) == 0


FEW = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (50, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
from pyelevator.cli.main import elevator
elevator()
"""


def test_without_an_upstream_it_says_what_is_missing():
    ran = CliRunner().invoke(elevator, ["proxy"], env={"ELEVATOR_URL": None})
    assert ran.exit_code == 2
    assert "--upstream URL is missing" in ran.stderr


def test_without_an_upstream_it_takes_the_server_of_the_environment():
    with serve(Application.in_memory()) as server:
        url = f"{server.urls[0]}/testdb?timeout=7&max_connections=1&heartbeat=0&encoding=none"
        command = [sys.executable, "-m", "pyelevator", "proxy", "--listen", ANY_PORT]
        environment = {**os.environ, "ELEVATOR_URL": url}
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
            line = unwrap(process.stdout).readline()
            assert line.endswith(f"(for {server.urls[0]})\n")
            with Elevator.from_url(line.split()[1]) as E:
                assert E.ping(timeout=30) == "PONG"
            process.send_signal(signal.SIGTERM)
            assert process.wait(WAIT_TIMEOUT) == 0


@pytest.mark.parametrize(
    "given",
    [["--upstream", "tcp://127.0.0.1:9"], ["--config", "proxy.toml"], {"ELEVATOR_PROXY_UPSTREAM": "tcp://127.0.0.1:9"}],
)
def test_an_upstream_that_is_given_counts_more_than_the_environment(given, tmp_path):
    (tmp_path / "proxy.toml").write_text('upstream = [{url = "tcp://127.0.0.1:9"}]')
    arguments = given if isinstance(given, list) else []
    environment = {**os.environ, "ELEVATOR_URL": "tcp://127.0.0.1:10", **(given if isinstance(given, dict) else {})}
    command = [sys.executable, "-m", "pyelevator", "proxy", "--listen", ANY_PORT, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=tmp_path) as process:
        line = unwrap(process.stdout).readline()
        process.send_signal(signal.SIGTERM)
        assert line.endswith("(for tcp://127.0.0.1:9)\n")
        assert process.wait(WAIT_TIMEOUT) == 0


@pytest.mark.parametrize(
    ("url", "reported"),
    [
        ("tcp://127.0.0.1:4140/testdb", "ELEVATOR_URL is where this proxy listens, and --upstream URL is missing"),
        ("fake://", "'fake://' cannot be an upstream"),
        ("tcp://ann:secret@host", "has a user or a fragment"),
        ("", "--upstream URL is missing"),
    ],
)
def test_an_environment_that_names_no_server_behind_a_proxy_is_told_of(url, reported):
    ran = CliRunner().invoke(elevator, ["proxy"], env={"ELEVATOR_URL": url})
    assert ran.exit_code == 2
    assert reported in ran.stderr
    assert "secret" not in ran.stderr


def test_keys_of_the_environment_are_those_for_the_upstream(tmp_path):
    generate_keys(tmp_path, "server")
    generate_keys(tmp_path / "clients", "ann")
    url = f"tcp://127.0.0.1:9?curve_key={tmp_path}/clients/ann.key_secret&server_key={tmp_path}/server.key&dialect=flat"
    upstream = Upstream.from_client_url(url)
    assert (upstream.target.url, upstream.dialect, upstream.curve is not None) == ("tcp://127.0.0.1:9", "flat", True)


def test_a_port_in_use_is_one_line():
    with serve(Application.in_memory()) as server:
        ran = CliRunner().invoke(elevator, ["proxy", "--listen", server.urls[0], "--upstream", "tcp://127.0.0.1:9"])
    assert ran.exit_code == 2
    assert "another program listens there" in ran.stderr
    assert ran.stderr.count("\n") == 1


def test_an_empty_data_directory_name_is_refused():
    ran = CliRunner().invoke(elevator, ["serve", "--data", ""])
    assert ran.exit_code == 2
    assert "--data" in ran.stderr
    assert "it is empty" in ran.stderr


def test_ping_asks_where_the_environment_says():
    with serve(Application.in_memory()) as server:
        ran = CliRunner().invoke(elevator, ["ping"], env={"ELEVATOR_URL": server.urls[0]})
    assert (ran.exit_code, ran.stdout) == (0, "PONG\n")
