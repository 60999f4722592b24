"""The server as a real process: signals, directories, ports and socket files."""

import re
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from pyelevator.commands import DbConnect, DbCreate, DbList, Get, Ping, Put
from pyelevator.testing.servers import ANY_PORT, ServerProcess, serve
from support.optional import unwrap
from support.programs import WAIT_TIMEOUT, run

STUCK = Path(__file__).parent / "stuck_server.py"


def uid(client, name="default"):
    client.ask(DbConnect(name))
    return client.answer(DbConnect(name)).payload.decode()


def put(client, key, value):
    client.ask(Put(key, value), uid=uid(client))
    assert client.answer(Put(key, value)).code is None


def get(client, key):
    client.ask(Get(key), uid=uid(client))
    return client.answer(Get(key)).payload


def elevator(*args):
    command = [sys.executable, "-m", "pyelevator", *map(str, args)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=WAIT_TIMEOUT)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_exit_code_0_and_the_data_is_there_again(raw, tmp_path, number):
    with ServerProcess(tmp_path / "data") as process:
        client = raw(process.urls[0])
        put(client, "k", "v")
        assert process.stop(number) == 0
        assert "Traceback" not in process.output
        process.restart()
        assert get(client, "k") == b"v"


def test_what_was_answered_survives_a_kill(raw, tmp_path):
    with ServerProcess(tmp_path / "data") as process:
        client = raw(process.urls[0])
        put(client, "k", "v")
        process.kill()
        process.restart()
        assert get(raw(process.urls[0]), "k") == b"v"


def test_it_announces_where_it_serves_what(tmp_path, monkeypatch):
    monkeypatch.setenv("PYELEVATOR_NATIVE", "0")  # with the extension, the line says so
    data, ipc = tmp_path / "data", f"ipc://{tmp_path}/socket"
    with ServerProcess(data, binds=[ANY_PORT, ipc]) as process:
        assert re.fullmatch(
            rf"serving tcp://127\.0\.0\.1:\d+ {re.escape(ipc)} \(data {re.escape(str(data))}, leveldb\)\n",
            process.output,
        )
        assert stat.S_IMODE(data.stat().st_mode) == 0o700


def test_verbose_logs_what_it_listens_on_and_never_what_is_stored(raw):
    with ServerProcess(args=["-vv"]) as process:
        put(raw(process.urls[0]), "a secret key", "a secret value")
        assert process.stop() == 0
        assert f"INFO pyelevator.server: listening on {process.urls[0]}" in process.output
        assert "INFO pyelevator.server: stopping on SIGTERM" in process.output
        assert "secret" not in process.output


def test_the_log_goes_to_a_file(tmp_path):
    with ServerProcess(args=["-v", "--log-file", str(tmp_path / "log")]) as process:
        assert process.output == f"serving {process.urls[0]} (memory)\n"
        assert "listening on" in (tmp_path / "log").read_text()


def test_a_second_server_on_the_same_directory_says_so_in_one_line(raw, tmp_path):
    with ServerProcess(tmp_path) as process:
        second = elevator("serve", "--data", tmp_path, "--bind", ANY_PORT)
        assert (second.returncode, second.stdout) == (1, "")
        assert re.fullmatch(rf"elevator: .*{re.escape(str(tmp_path))}.*\n", second.stderr)
        put(raw(process.urls[0]), "k", "the first one is well")


def test_a_port_in_use_is_named(tmp_path):
    with ServerProcess() as process:
        second = elevator("serve", "--data", tmp_path, "--bind", process.urls[0])
        assert (second.returncode, second.stdout) == (1, "")
        assert second.stderr == (
            f"elevator: cannot listen on {process.urls[0]}: Address already in use; "
            "another program listens there: stop it, or choose another port\n"
        )
        assert ServerProcess(tmp_path).stop() == 0


def test_a_stale_socket_file_is_replaced_and_one_in_use_refused(raw, tmp_path):
    url = f"ipc://{tmp_path}/socket"
    with ServerProcess(binds=[url]) as process:
        second = elevator("serve", "--engine", "memory", "--bind", url)
        assert (second.returncode, second.stderr) == (
            1,
            f"elevator: cannot listen on {url}: another server listens there\n",
        )
        process.kill()
        assert (tmp_path / "socket").is_socket()
        process.restart()
        client = raw(url)
        client.ask(Ping())
        assert client.answer(Ping()).payload == b"PONG"


def test_a_socket_file_is_gone_after_a_graceful_stop(tmp_path):
    with ServerProcess(binds=[f"ipc://{tmp_path}/socket"]) as process:
        assert process.stop() == 0
        assert not (tmp_path / "socket").exists()


def test_ignored_keys_of_a_configuration_file_are_logged(raw, tmp_path, monkeypatch):
    monkeypatch.setenv("PYELEVATOR_NATIVE", "0")  # with the extension, the line says so
    (tmp_path / "e.conf").write_text(
        f"[global]\ndaemonize = yes\ndatabases_storage_path = {tmp_path}/data\nport = 0\n"
        f"unixsocket = {tmp_path}/socket\nmajordome_interval = 5\n"
    )
    command = [sys.executable, "-m", "pyelevator", "serve", "--config", str(tmp_path / "e.conf")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert unwrap(process.stdout).readline() == f"serving ipc://{tmp_path}/socket (data {tmp_path}/data, leveldb)\n"
        client = raw(f"ipc://{tmp_path}/socket")
        put(client, "k", "v")
        process.terminate()
        assert process.wait(WAIT_TIMEOUT) == 0
        assert (
            unwrap(process.stderr)
            .read()
            .endswith("WARNING pyelevator.server: these keys of the configuration are ignored: daemonize\n")
        )


def test_default_options_reach_the_databases(raw, tmp_path):
    (tmp_path / "e.toml").write_text("[options]\nwrite_buffer_size = 65536\ncompression = false\n")
    with ServerProcess(tmp_path / "data", args=["--config", str(tmp_path / "e.toml")]) as process:
        for i in range(10):
            put(raw(process.urls[0]), f"{i}", "x" * 100_000)
        assert list((tmp_path / "data" / "default").glob("*.ldb")), "1 MB fits LevelDB's own default buffer of 4 MB"


@pytest.mark.parametrize(
    ("binds", "args", "code"),
    [
        ([ANY_PORT], [], None),
        (["tcp://0.0.0.0:0"], ["--insecure"], 6),
        (["tcp://0.0.0.0:0"], ["--insecure", "--allow-path", "{allowed}"], None),
        ([ANY_PORT], ["--allow-path", "/nowhere"], 6),
    ],
)
def test_exposure_decides_which_paths_are_allowed(raw, tmp_path, binds, args, code):
    args = [arg.format(allowed=tmp_path / "allowed") for arg in args]
    (tmp_path / "allowed").mkdir()
    with ServerProcess(tmp_path / "data", binds=binds, args=args) as process:
        client = raw(process.urls[0].replace("0.0.0.0", "127.0.0.1"))
        create = DbCreate(f"{tmp_path}/allowed/db")
        client.ask(create)
        assert client.answer(create).code == code


def test_the_store_file_can_be_somewhere_else(raw, tmp_path):
    with ServerProcess(tmp_path / "data", args=["--store", str(tmp_path / "catalog.json")]) as process:
        client = raw(process.urls[0])
        client.ask(DbCreate("more"))
        assert client.answer(DbCreate("more")).code is None
        process.restart()
        client = raw(process.urls[0])
        client.ask(DbList())
        assert client.answer(DbList()).payload == [b"default", b"more"]
    assert "more" in (tmp_path / "catalog.json").read_text()


def test_a_second_signal_ends_it_at_once(raw):
    with subprocess.Popen([sys.executable, str(STUCK)], stdout=subprocess.PIPE, text=True) as process:
        raw(unwrap(process.stdout).readline().split(" ")[1]).ask(Ping())
        assert unwrap(process.stdout).readline() == "stuck\n"
        process.terminate()
        assert "stopping on SIGTERM" in unwrap(process.stdout).readline()
        process.terminate()
        assert process.wait(WAIT_TIMEOUT) == 128 + signal.SIGTERM


FILES = """
import logging, resource
logging.basicConfig()
resource.setrlimit(resource.RLIMIT_NOFILE, (50, 200))
from pyelevator.cli.processes.server import limit_connections
print(limit_connections(80), limit_connections(4096), resource.getrlimit(resource.RLIMIT_NOFILE))
"""


def test_clients_leave_half_of_the_files_that_it_may_open_to_the_databases():
    ran = run(FILES)
    assert ran.out == "80 100 (200, 200)\n"
    assert "no more than 100 connections, because this process may have only 200 files open" in ran.err


def test_an_idle_server_uses_no_processor_time(raw):
    with ServerProcess() as process:
        client = raw(process.urls[0])
        client.ask(Ping())
        client.answer(Ping())
        before = ticks(process.pid)
        assert not client.socket.poll(500)
        assert ticks(process.pid) - before <= 5


def ticks(pid):
    """User and system time of a process, in hundredths of a second (proc(5), fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def test_a_server_that_does_not_come_up_says_why():
    with pytest.raises(RuntimeError, match="no URL of an Elevator server"):
        ServerProcess(binds=["here"])


def test_a_server_in_a_thread_picks_a_port(raw, gated):
    with serve(gated) as server:
        assert re.fullmatch(r"tcp://127\.0\.0\.1:\d+", server.urls[0])
    with socket.socket() as free:
        free.bind(("127.0.0.1", int(server.urls[0].rpartition(":")[2])))
