import resource
import signal
import subprocess
import sys

from click.testing import CliRunner

from pyelevator import Elevator
from pyelevator.application import Application
from pyelevator.cli.main import elevator
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
