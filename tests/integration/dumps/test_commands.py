"""``elevator dump`` and ``elevator load`` as processes, also killed ones."""

import os
import random
import signal
import subprocess
import sys

import pytest

from pyelevator import Elevator
from pyelevator.testing.servers import ServerProcess
from support.dumped import content, fill
from support.eventually import eventually
from support.programs import WAIT_TIMEOUT

PAIRS = {b"%06d" % number: random.Random(number).randbytes(400) for number in range(8_000)}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with ServerProcess(data=tmp_path_factory.mktemp("dumps") / "data") as process:
        with Elevator.from_url(process.urls[0], encoding=None) as client:
            fill(client, PAIRS)
        yield process


@pytest.fixture
def client(server):
    with Elevator.from_url(server.urls[0], encoding=None, timeout=60) as client:
        yield client


def start(server, *args, **pipes):
    environment = {**os.environ, "ELEVATOR_URL": server.urls[0]}
    command = [sys.executable, "-m", "pyelevator", *map(str, args)]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, **pipes)


def run(server, *args, **pipes):
    process = start(server, *args, **pipes)
    out, err = process.communicate(timeout=WAIT_TIMEOUT)
    return process.returncode, out, err.decode()


def of(client, name):
    client.connect(name)
    return content(client)


@pytest.mark.parametrize("options", [["--compression", "zstd"], ["--format", "jsonl"]], ids=["zstd", "jsonl"])
def test_a_dump_to_stdout_is_loaded_from_a_file(server, client, tmp_path, options):
    name = f"copy-{options[-1]}"
    with (tmp_path / "f").open("wb") as file:
        code, _, err = run(server, "dump", "default", *options, stdout=file)
    assert (code, err.startswith("dumped 8,000 pairs of 1 database, 3.2 MB in ")) == (0, True)
    assert run(server, "load", "--check", tmp_path / "f", stdout=subprocess.PIPE)[1] == (
        b"sound: 8,000 pairs of 1 database\n"
    )
    assert run(server, "load", tmp_path / "f", "--to-db", name, "--quiet") == (0, None, "")
    assert of(client, name) == PAIRS
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


def test_a_dump_goes_through_a_pipe(server, client):
    dump = start(server, "dump", "default", "--prefix", "0001", stdout=subprocess.PIPE)
    code, _, err = run(server, "load", "-", "--to-db", "piped", stdin=dump.stdout)
    dump.stdout.close()
    assert (dump.wait(WAIT_TIMEOUT), code) == (0, 0)
    assert "loaded 100 pairs of 1 database" in err
    dump.stderr.close()
    assert len(of(client, "piped")) == 100


def test_all_databases_are_dumped_if_none_is_named(server, client, tmp_path):
    client.createdb("one-more")
    assert run(server, "dump", "-o", tmp_path / "f", "--quiet")[0] == 0
    code, out, _ = run(server, "load", "--check", tmp_path / "f", stdout=subprocess.PIPE)
    assert (code, out.decode().split(" of ")[1]) == (0, f"{len(client.listdb())} databases\n")


def still_runs(process):
    assert process.poll() is None
    return True


def test_several_databases_for_one_are_refused_before_any_is_written(server, tmp_path):
    (tmp_path / "f").write_text(
        '{"dump": "1"}\n{"database": "a"}\n{"key": "k", "value": "v"}\n{"database_end": 1}\n'
        '{"database": "b"}\n{"database_end": 0}\n{"dump_end": 2}\n'
    )
    for names in ((), ("a", "b")):
        code, _, err = run(server, "load", tmp_path / "f", *names, "--to-db", "never")
        assert code == 2
        assert "say which, as in `elevator load FILE shop --to-db NAME`" in err
    with Elevator.from_url(server.urls[0]) as client:
        assert "never" not in client.listdb()


def test_a_killed_dump_leaves_no_file(server, tmp_path):
    process = start(server, "dump", "default", "-o", tmp_path / "f", "--compression", "none")
    eventually(lambda: still_runs(process) and any(path.stat().st_size > 1_000_000 for path in tmp_path.iterdir()))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (tmp_path / "f").exists() or run(server, "load", "--check", tmp_path / "f")[0] == 0


@pytest.mark.parametrize("seed", range(2))
def test_what_a_killed_dump_has_written_is_refused(server, tmp_path, seed):
    process = start(server, "dump", "default", "--compression", "none", stdout=subprocess.PIPE)
    (tmp_path / "f").write_bytes(process.stdout.read(random.Random(seed).randrange(1, 2_700_000)))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    code, _, err = run(server, "load", tmp_path / "f", "--to-db", "never")
    assert code == 2
    assert "dump" in err
    with Elevator.from_url(server.urls[0]) as client:
        assert "never" not in client.listdb()


def test_a_dump_of_a_killed_server_fails_and_leaves_no_file(tmp_path):
    with ServerProcess(data=tmp_path / "data") as other:
        with Elevator.from_url(other.urls[0], encoding=None) as client:
            fill(client, {b"%04d" % number: os.urandom(50_000) for number in range(200)})
        process = start(other, "dump", "--compression", "none", stdout=subprocess.PIPE, bufsize=0)
        beginning = process.stdout.read(1_000_000)  # it waits then until more is read
        other.kill()
        rest, err = process.communicate()
        assert process.returncode == 3, err
        (tmp_path / "f").write_bytes(beginning + rest)
        other.restart()
        code, _, err = run(other, "load", tmp_path / "f", "--to-db", "never")
        assert (code, err) == (2, "elevator: the dump is incomplete: its end is missing; make it again\n")


@pytest.mark.parametrize("seed", range(2))
def test_a_killed_load_goes_on_where_it_was(server, client, tmp_path, seed):
    name = f"killed-{seed}"
    assert run(server, "dump", "default", "-o", tmp_path / "f")[0] == 0
    data = (tmp_path / "f").read_bytes()
    args = ("load", "-", "--to-db", name, "--positions", tmp_path)
    process = start(server, *args, stdin=subprocess.PIPE)
    process.stdin.write(data[: random.Random(seed).randrange(len(data))])
    process.stdin.flush()
    eventually(lambda: still_runs(process) and any(path.suffix == ".loading" for path in tmp_path.iterdir()))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    with (tmp_path / "f").open("rb") as file:
        code, _, err = run(server, *args, stdin=file)
    assert code == 0, err
    assert of(client, name) == PAIRS
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


@pytest.mark.parametrize("seed", [1])
def test_a_load_into_a_killed_server_goes_on_when_it_is_back(server, tmp_path, seed):
    assert run(server, "dump", "default", "-o", tmp_path / "f")[0] == 0
    data, half = (tmp_path / "f").read_bytes(), random.Random(seed).randrange(100, 2_500_000)
    with ServerProcess(data=tmp_path / "data") as other:
        args = ("load", "-", "--positions", tmp_path)
        process = start(other, *args, stdin=subprocess.PIPE)
        process.stdin.write(data[:half])
        process.stdin.flush()
        eventually(lambda: still_runs(process) and any(path.suffix == ".loading" for path in tmp_path.iterdir()))
        other.kill()
        _, err = process.communicate(data[half:])
        assert (process.returncode, err != b"") == (3, True)
        other.restart()
        with (tmp_path / "f").open("rb") as file:
            assert run(other, *args, stdin=file)[0] == 0
        with Elevator.from_url(other.urls[0], encoding=None) as client:
            assert content(client) == PAIRS


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["dump", "nosuch"], 4, "elevator: Database does not exist\n"),
        (["load", "/nowhere/f"], 1, "elevator: /nowhere/f: No such file or directory\n"),
        (["load", "/dev/null"], 2, "elevator: this is no dump of `elevator dump`: it is empty\n"),
        (["dump", "--url", "here"], 2, "elevator: 'here' is no URL"),
    ],
)
def test_mistakes_are_one_line(server, args, code, message):
    got, _, err = run(server, *args, stdout=subprocess.PIPE)
    assert (got, err[: len(message)], err.count("\n")) == (code, message, 1)
