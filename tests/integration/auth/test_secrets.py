"""No secret in the arguments of a process, in its log, or in what it says when it fails."""

import os
from pathlib import Path

import pytest

from pyelevator.auth import ClientAuth
from pyelevator.client import Elevator
from pyelevator.errors import AuthenticationFailed, PermissionDenied
from pyelevator.testing.servers import ServerProcess
from pyelevator.transports.curve import KeyPair


def secrets_of(keys):
    files = [keys.directory / "server.key_secret", *keys.secrets.glob("*.key_secret")]
    return [KeyPair.read(file).secret_key for file in files]


def test_a_server_and_its_clients_show_no_secret_anywhere(keys):
    alice, bob, mallory = keys.let_in("alice"), keys.let_in("bob"), keys.make("mallory")
    keys.permit("[alice]\nadmin = '*'\n[bob]\nread = '*'")
    with ServerProcess(args=["-vv", "--curve-keys", str(keys.directory)]) as process:
        endpoint = process.urls[0].removeprefix("tcp://")
        with Elevator(endpoint=endpoint, curve=alice) as E:
            E.Put("k", "v")
        with Elevator(endpoint=endpoint, curve=bob) as E:
            with pytest.raises(PermissionDenied) as denied:
                E.Put("k", "v")
        with pytest.raises(AuthenticationFailed) as refused:
            Elevator(endpoint=endpoint, curve=mallory, timeout=20)
        shown = Path(f"/proc/{process.pid}/cmdline").read_text() + Path(f"/proc/{process.pid}/environ").read_text()
        assert process.stop() == 0
        shown += process.output + str(denied.value) + str(refused.value)
    assert mallory.public_key in process.output, "the log of the refusal was looked at"
    assert [secret for secret in secrets_of(keys) if secret in shown] == []
    assert len(secrets_of(keys)) == 4


def test_the_server_s_objects_show_no_secret(keys):
    keys.let_in("alice")
    auth = ClientAuth.from_directory(keys.directory)
    (secret,) = [auth.curve.secret_key]
    assert secret not in repr(auth) + repr(auth.curve) + str(auth.clients.permissions())


def test_a_server_secret_that_others_can_read_is_refused_with_advice(keys):
    keys.let_in("alice")
    path = keys.directory / "server.key_secret"
    os.chmod(path, 0o644)
    with pytest.raises(RuntimeError) as caught:
        ServerProcess(args=["--curve-keys", str(keys.directory)])
    assert f"elevator: {path} holds a secret key, and others can use it (mode 0644); run: chmod 600 {path}\n" in str(
        caught.value
    )


def test_a_loose_client_secret_is_refused_on_the_command_line_too(keys):
    keys.let_in("alice")
    os.chmod(keys.secrets / "alice.key_secret", 0o604)
    url = f"tcp://127.0.0.1:1?curve_key={keys.secrets}/alice.key_secret&server_key={keys.directory}/server.key"
    with pytest.raises(ValueError, match=r"others can use it \(mode 0604\); run: chmod 600 "):
        Elevator.from_url(url)


def test_a_directory_without_keys_keeps_the_server_from_starting(tmp_path):
    with pytest.raises(RuntimeError, match=r"make the server's keys with `elevator keygen "):
        ServerProcess(args=["--curve-keys", str(tmp_path)])
