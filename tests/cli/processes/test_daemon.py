"""Signals to a server and a proxy as processes, and log files that are rotated."""

import logging
import os
import signal
import subprocess
import sys

import pytest

from pyelevator import Elevator, PermissionDenied
from pyelevator.auth.keys import generate_keys
from pyelevator.cli.logs import LogFile, logging_to
from pyelevator.cli.processes.daemon import _reload
from pyelevator.testing.servers import ProxyProcess, ServerProcess
from pyelevator.transports import Curve
from support import programs
from support.eventually import eventually
from support.optional import unwrap

WAIT = 30
URL = "tcp://127.0.0.1:9"
HARMLESS = ["SIGHUP", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGVTALRM", "SIGPROF", "SIGIO", "SIGSTKFLT", "SIGRTMIN"]
NOTES = {"SIGHUP": "reloaded on SIGHUP"}


def server(*args):
    return ServerProcess(args=args)


def proxy(*args):
    return ProxyProcess("tcp://127.0.0.1:9", args=args)


def noted(process, path, number, what):
    """Sends a signal, and waits until its note is in the log."""
    os.kill(process.pid, number)
    eventually(lambda: path.exists() and what in path.read_text())


@pytest.mark.parametrize("start", [server, proxy])
def test_what_is_no_signal_to_stop_stops_nothing(start, tmp_path):
    path = tmp_path / "log"
    with start("-v", "--log-file", str(path)) as process:
        for name in HARMLESS:
            noted(process, path, getattr(signal, name), NOTES.get(name, f"{name} is ignored"))
        assert process.stop() == 0
        assert "stopping on SIGTERM" in path.read_text()


def test_a_server_goes_on_answering_whatever_signals_come():
    with server() as process, Elevator.from_url(process.urls[0]) as E:
        for name in HARMLESS * 3:
            os.kill(process.pid, getattr(signal, name))
            E.Put("k", name)
            assert E.Get("k") == name
        assert process.stop() == 0


DELAYED = """
    import os, signal, sys
    from pyelevator.cli.processes.daemon import blocked_signals

    number = getattr(signal, sys.argv[1])
    with blocked_signals():
        os.kill(os.getpid(), number)
    os.kill(os.getpid(), number)
    print("ended")
"""


@pytest.mark.parametrize("name", HARMLESS)
def test_a_signal_that_comes_late_does_not_change_how_a_process_ends(name):
    ran = programs.run(DELAYED, name)
    assert (ran.code, ran.out, ran.err) == (0, "ended\n", "")


@pytest.mark.parametrize("start", [server, proxy])
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGQUIT", "SIGPWR", "SIGXCPU"])
def test_what_stops_stops_gracefully_after_other_signals_too(start, name, tmp_path):
    path = tmp_path / "log"
    with start("-v", "--log-file", str(path)) as process:
        noted(process, path, signal.SIGHUP, "SIGHUP")
        assert process.stop(getattr(signal, name)) == 0
        assert f"stopping on {name}" in path.read_text()


@pytest.mark.parametrize("start", [server, proxy])
def test_a_realtime_signal_without_a_name_is_named_by_its_number(start, tmp_path):
    path = tmp_path / "log"
    with start("--log-file", str(path)) as process:
        noted(process, path, signal.SIGRTMIN + 2, f"signal {signal.SIGRTMIN + 2} is ignored")
        assert process.stop() == 0


STARTING = """
import os, signal, sys
from pyelevator.__main__ import main

for name in ("SIGHUP", "SIGUSR1", "SIGUSR2"):  # as soon as the command's own first words have been read
    sys.meta_path.insert(0, type("Sender", (), {"find_spec": staticmethod(
        lambda module, *_, number=getattr(signal, name): os.kill(os.getpid(), number)
        if module == "pyelevator.cli.main" else None)}))
main()
"""


@pytest.mark.parametrize(
    "command", [["serve", "--engine", "memory", "--bind"], ["proxy", "--upstream", URL, "--listen"]]
)
def test_signals_that_come_while_it_starts_end_nothing(command):
    arguments = [sys.executable, "-u", "-c", STARTING, *command, "tcp://127.0.0.1:0"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        output = ""
        while not output.rpartition("\n")[0].rpartition("\n")[2].startswith("serving tcp://127.0.0.1:"):
            line = unwrap(process.stdout).readline()
            assert line, output
            output += line
        process.terminate()
        output += unwrap(process.stdout).read()
    assert process.returncode == 0
    assert "SIGUSR1 is ignored" in output


@pytest.mark.parametrize("start", [server, proxy])
def test_a_rotated_log_file_is_noticed_without_a_signal(start, tmp_path):
    path = tmp_path / "log"
    with start("-v", "--log-file", str(path)) as process:
        noted(process, path, signal.SIGUSR1, "SIGUSR1")
        path.rename(tmp_path / "log.1")
        noted(process, path, signal.SIGUSR2, "SIGUSR2")
        assert "SIGUSR2" not in (tmp_path / "log.1").read_text()


@pytest.mark.parametrize("start", [server, proxy])
def test_sighup_opens_a_rotated_log_file_at_once(start, tmp_path):
    path = tmp_path / "log"
    with start("--log-file", str(path)) as process:
        path.rename(tmp_path / "log.1")
        os.kill(process.pid, signal.SIGHUP)
        eventually(path.exists)
        assert process.stop() == 0


@pytest.mark.parametrize("start", [server, proxy])
def test_a_log_file_whose_directory_is_gone_ends_nothing(start, tmp_path):
    path = tmp_path / "logs" / "log"
    path.parent.mkdir()
    with start("-v", "--log-file", str(path)) as process:
        path.parent.rename(tmp_path / "old")
        os.kill(process.pid, signal.SIGHUP)
        eventually(lambda: "the log file cannot be opened" in process.output)
        path.parent.mkdir()
        noted(process, path, signal.SIGUSR1, "SIGUSR1")
        assert process.stop() == 0


class Place:
    """A server's, or a proxy's, directory of keys."""

    def __init__(self, tmp_path):
        self.directory = tmp_path / "keys"
        self.clients = self.directory / "clients"
        generate_keys(self.directory)
        self.ann = self.client("ann")

    def client(self, name):
        generate_keys(self.clients, name)
        return Curve.from_files(self.clients / f"{name}.key_secret", self.directory / "server.key")


@pytest.fixture(params=["server", "proxy"])
def keyed(request, tmp_path):
    place = Place(tmp_path)
    arguments = ["-v", "--curve-keys", str(place.directory)]
    with ServerProcess(args=arguments if request.param == "server" else []) as behind:
        if request.param == "server":
            yield place, behind
        else:
            with ProxyProcess(behind.urls[0], args=arguments) as process:
                yield place, process


def test_sighup_reads_keys_and_permissions_again(keyed):
    place, process = keyed
    address = process.urls[0].removeprefix("tcp://")
    with Elevator(endpoint=address, curve=place.ann, timeout=WAIT) as E:
        E.Put("k", "v")
        permissions = place.directory / "permissions.toml"
        permissions.write_text('["ann"]\nread = ["*"]\n')
        stat = permissions.stat()
        os.kill(process.pid, signal.SIGHUP)
        eventually(lambda: process.output.count("reloaded on SIGHUP") == 1)
        with pytest.raises(PermissionDenied):
            E.Put("k", "w")
        assert E.Get("k") == "v"
        permissions.write_text("nonsense")
        os.utime(permissions, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        os.kill(process.pid, signal.SIGHUP)
        eventually(lambda: process.output.count("reloaded on SIGHUP") == 2)
        assert "what was allowed before stays allowed" in process.output
        assert E.Get("k") == "v"


def test_what_cannot_be_renewed_keeps_nothing_else_from_it(caplog):
    called = []

    def broken():
        raise OSError("gone")

    _reload((broken, lambda: called.append("renewed")))
    assert called == ["renewed"]
    assert "reloading on SIGHUP failed" in caplog.text


def test_lines_of_a_log_file_that_cannot_be_opened_go_to_stderr(tmp_path, capsys):
    path = tmp_path / "logs" / "log"
    path.parent.mkdir()
    with logging_to(path, logging.INFO) as reopen:
        logger = logging.getLogger("pyelevator.test")
        logger.info("one")
        path.parent.rename(tmp_path / "old")
        logger.info("two")
        with pytest.raises(OSError, match="No such file"):
            reopen()
        logger.info("three")
        path.parent.mkdir()
        logger.info("four")
    assert "one" in (tmp_path / "old" / "log").read_text()
    stated = capsys.readouterr().err
    assert "two [the log file cannot be opened" in stated
    assert "three [the log file cannot be opened" in stated
    assert path.read_text().endswith("four\n")


def test_stderr_needs_no_opening():
    with logging_to(None, logging.INFO) as reopen:
        reopen()
    assert not any(isinstance(handler, LogFile) for handler in logging.getLogger("pyelevator").handlers)
