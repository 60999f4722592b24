import resource
import signal
import subprocess
import sys

import pytest
from click.testing import CliRunner

from pyelevator import Elevator
from pyelevator.application import Application
from pyelevator.cli.main import elevator
from pyelevator.config.proxy_settings import ProxySettings, read_proxy_config
from pyelevator.proxy.routing import Upstream
from pyelevator.testing.servers import ANY_PORT, serve


def test_a_proxy_process_serves_and_stops_by_sigterm():
    with serve(Application.in_memory()) as server:
        command = [sys.executable, "-m", "pyelevator", "proxy", "--listen", ANY_PORT, "--upstream", server.urls[0]]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            line = process.stdout.readline()
            assert line.startswith("serving tcp://127.0.0.1:")
            assert line.endswith(f"(for {server.urls[0]})\n")
            with Elevator.from_url(line.split()[1]) as E:
                E.Put("k", "v", timeout=30)
                assert E.Get("k", timeout=30) == "v"
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0


def test_a_proxy_process_opens_all_the_files_that_it_may():
    """Half of them are for clients."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    few = [sys.executable, "-c", FEW, "proxy", "--listen", ANY_PORT, "--upstream", "tcp://127.0.0.1:9"]
    with subprocess.Popen(few, stdout=subprocess.PIPE, text=True) as process:
        line = process.stdout.readline()
        limits = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
        process.send_signal(signal.SIGTERM)
        assert line.startswith("serving ")
        assert limits == (hard, hard)
        assert process.wait(30) == 0


FEW = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (50, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
from pyelevator.cli.main import elevator
elevator()
"""


def test_a_config_file_says_it_all(tmp_path):
    path = tmp_path / "proxy.toml"
    path.write_text(
        """
        listen = ["tcp://127.0.0.1:0"]
        timeout = 2

        [[upstream]]
        name = "west"
        url = "tcp://west.example"
        databases = ["west-*"]
        max_connections = 1

        [[upstream]]
        url = "ipc:///run/old.sock?dialect=flat"
        max_serial_connections = 2
        """
    )
    assert read_proxy_config(path) == ProxySettings(
        ("tcp://127.0.0.1:0",),
        (
            Upstream("tcp://west.example", ("west-*",), "west", max_connections=1),
            Upstream("ipc:///run/old.sock?dialect=flat", max_serial_connections=2),
        ),
        2.0,
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("lisen = []", "the file has no 'lisen'; there are listen, timeout, curve_keys"),
        ("timeout = 'soon'", "timeout in the file cannot be 'soon'"),
        ("[[upstream]]\nname = 'x'", "each [[upstream]] needs a url"),
        ("[[upstream]]\nurl = 'tcp://h'\nspeed = 9", "[[upstream]] has no 'speed'"),
        ("[[upstream]]\nurl = 'tcp://h'\nmax_connections = 0", "max_connections must be 1 or more, not 0"),
        ("[[upstream]]\nurl = 'tcp://h'\nmax_connections = 'few'", "max_connections in [[upstream]] cannot be 'few'"),
        ("[[upstream]]\nurl = 'http://h'", "'http://h'"),
        ("[[upstream]]\nurl = 'tcp://h'\ncurve_key = 'x'", "needs both curve_key and server_key"),
        ("not toml", "proxy.toml"),
    ],
)
def test_a_config_file_that_is_not_understood_is_named_with_the_reason(tmp_path, text, says):
    path = tmp_path / "proxy.toml"
    path.write_text(text)
    ran = CliRunner().invoke(elevator, ["proxy", "--config", str(path)])
    assert ran.exit_code == 2
    assert str(path) in ran.stderr
    assert says in ran.stderr


def test_without_an_upstream_it_says_what_is_missing():
    ran = CliRunner().invoke(elevator, ["proxy"])
    assert ran.exit_code == 2
    assert "--upstream URL is missing" in ran.stderr


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
