"""Who can reach a server: public addresses without keys are refused, socket files have modes."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from pyelevator.auth.exposure import check_exposure
from pyelevator.cli.processes.server import validate
from pyelevator.client import Elevator
from pyelevator.config import ServerSettings, read_server_config
from pyelevator.errors import AuthenticationFailed, UsageError
from pyelevator.testing.servers import ServerProcess
from pyelevator.transports.sockets.listener.listener import ZmtpListener
from support.programs import WAIT_TIMEOUT

LOCAL = ["tcp://127.0.0.1:4141", "tcp://localhost:4141", "tcp://[::1]:4141", "ipc:///run/elevator.sock"]
PUBLIC = ["tcp://0.0.0.0:4141", "tcp://*:4141", "tcp://[::]:4141", "tcp://10.0.0.1:4141", "tcp://db.example:4141"]


def elevator(*args):
    command = [sys.executable, "-m", "pyelevator", *map(str, args)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=WAIT_TIMEOUT)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("url", LOCAL)
def test_loopback_and_socket_files_need_no_keys(url):
    check_exposure([url], keys=False, insecure=False)


@pytest.mark.parametrize("url", PUBLIC)
def test_a_public_address_without_keys_is_refused_with_advice(url):
    with pytest.raises(UsageError) as caught:
        check_exposure([*LOCAL, url], keys=False, insecure=False)
    assert str(caught.value) == (
        f"other machines can reach {url}, and they would not be asked for a key; "
        "make keys with `elevator keygen DIR` and serve with --curve-keys DIR, bind tcp://127.0.0.1:4141 instead, "
        "or say --insecure if you trust every machine in that network"
    )


@pytest.mark.parametrize("url", PUBLIC)
@pytest.mark.parametrize("stated", [{"keys": True, "insecure": False}, {"keys": False, "insecure": True}])
def test_keys_or_insecure_allow_a_public_address(url, stated):
    check_exposure([url], **stated)


def test_the_command_refuses_and_listens_on_nothing(tmp_path):
    ran = elevator("serve", "--data", tmp_path / "data", "--bind", "tcp://0.0.0.0:0")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith("elevator: other machines can reach tcp://0.0.0.0:0, ")
    assert ran.stderr.count("\n") == 1
    assert not (tmp_path / "data").exists()


def test_the_command_serves_a_public_address_when_insecure_is_said():
    with ServerProcess(binds=["tcp://0.0.0.0:0"], args=["--insecure"]) as process:
        with Elevator(endpoint=process.urls[0].replace("0.0.0.0", "127.0.0.1").removeprefix("tcp://")) as E:
            assert E.ping() == "PONG"


def test_the_command_serves_a_public_address_with_keys(keys):
    alice = keys.let_in("alice")
    with ServerProcess(binds=["tcp://0.0.0.0:0"], args=["--curve-keys", str(keys.directory)]) as process:
        endpoint = process.urls[0].replace("0.0.0.0", "127.0.0.1").removeprefix("tcp://")
        with Elevator(endpoint=endpoint, curve=alice) as E:
            assert E.ping() == "PONG"
        with pytest.raises(AuthenticationFailed):
            Elevator(endpoint=endpoint, timeout=20)


def test_the_settings_come_from_a_file_too(tmp_path):
    (tmp_path / "e.toml").write_text('curve_keys = "/etc/keys"\ninsecure = true\nipc_mode = "0660"\n')
    settings = ServerSettings(**read_server_config(tmp_path / "e.toml"))
    assert (str(settings.curve_keys), settings.insecure, settings.ipc_mode) == ("/etc/keys", True, 0o660)


def test_a_public_bind_in_an_old_configuration_is_refused_as_well(tmp_path):
    (tmp_path / "e.conf").write_text(f"[global]\ndatabases_storage_path = {tmp_path}\nbind = 0.0.0.0\nport = 4141\n")
    with pytest.raises(UsageError, match=r"other machines can reach tcp://0\.0\.0\.0:4141"):
        validate(ServerSettings(**read_server_config(tmp_path / "e.conf")))


@pytest.mark.parametrize("value", ['"600x"', '"rw"', '"1000"', "600", "0o600", '""', "true"])
def test_a_mode_is_octal_digits(tmp_path, value):
    (tmp_path / "e.toml").write_text(f"ipc_mode = {value}\n")
    with pytest.raises(UsageError, match=r"ipc_mode = .*: must be"):
        read_server_config(tmp_path / "e.toml")


def test_a_wrong_mode_on_the_command_line_is_one_line():
    ran = elevator("serve", "--engine", "memory", "--ipc-mode", "rw")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert (
        ran.stderr == "elevator: Invalid value for '--ipc-mode': 'rw': must be the mode of a file, as text: \"0600\"\n"
    )


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077], ids=oct)
@pytest.mark.parametrize(
    ("args", "expected"), [([], 0o600), (["--ipc-mode", "0660"], 0o660), (["--ipc-mode", "666"], 0o666)]
)
def test_a_socket_file_has_its_mode_whatever_the_umask(tmp_path, umask, args, expected):
    before = os.umask(umask)
    try:
        with ServerProcess(binds=[f"ipc://{tmp_path}/socket"], args=args):
            assert mode(tmp_path / "socket") == expected
    finally:
        os.umask(before)


def test_a_socket_file_is_its_owner_s_alone_from_the_first_moment_on(tmp_path, monkeypatch):
    """Its mode is only ever widened, after the bind: seen at the moment in between."""
    seen = []
    chmod = os.chmod
    monkeypatch.setattr(os, "chmod", lambda path, *a, **k: (seen.append(mode(Path(path))), chmod(path, *a, **k)))
    before = os.umask(0)
    try:
        listener = ZmtpListener(f"ipc://{tmp_path}/socket", ipc_mode=0o666)
    finally:
        os.umask(before)
    assert seen == [0o600]
    assert mode(tmp_path / "socket") == 0o666
    listener.close()


def test_making_a_socket_file_leaves_the_umask_as_it_was(tmp_path):
    before = os.umask(0o027)
    try:
        ZmtpListener(f"ipc://{tmp_path}/socket").close()
        with pytest.raises(UsageError):
            ZmtpListener(f"ipc://{tmp_path}")
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)


def test_an_abstract_socket_is_refused_because_it_has_no_mode():
    with pytest.raises(UsageError, match="an abstract socket has no mode, so every local user could connect"):
        ZmtpListener("ipc://@elevator")
