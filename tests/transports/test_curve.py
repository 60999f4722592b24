"""Keys and their files: what is taken, what is refused, and that no secret is ever shown."""

import os
import socket

import pytest

from pyelevator.auth.keys import generate_keys
from pyelevator.client import Elevator
from pyelevator.errors import ArgumentTypeError, UsageError
from pyelevator.transports import Curve, FakeTransport, TcpTransport, parse_url
from pyelevator.transports.curve import KeyPair, is_key, read_public_key
from pyelevator.transports.zmtp.mechanism import SERVERS, NullMechanism

PUBLIC_SUFFIX = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"
SECRET = "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs"
OTHER = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
"""The keys of the examples in ZeroMQ's manual (zmq_curve): a server's pair, and a client's public key."""


@pytest.fixture
def files(tmp_path):
    generate_keys(tmp_path)
    generate_keys(tmp_path, "alice")
    return tmp_path


def test_keys_may_be_text_or_bytes():
    assert Curve(OTHER, PUBLIC_SUFFIX, SECRET) == Curve(OTHER.encode(), PUBLIC_SUFFIX.encode(), SECRET.encode())


@pytest.mark.parametrize("text", ["", "short", "a" * 39, "a" * 41, " " * 40, "é" * 40, "#" * 40, '"' * 40])
def test_what_is_no_key_is_told(text):
    assert not is_key(text)
    with pytest.raises(UsageError, match="server_public_key is no CURVE key; that is 40 characters of Z85"):
        Curve(text, PUBLIC_SUFFIX, SECRET)


@pytest.mark.parametrize("value", [None, 1, ["x"]])
def test_a_key_of_another_type_is_told(value):
    with pytest.raises(ArgumentTypeError, match="public_key must be str or bytes"):
        Curve(OTHER, value, SECRET)


def test_a_secret_key_of_another_pair_is_refused():
    with pytest.raises(UsageError, match="does not belong to the public key"):
        Curve(PUBLIC_SUFFIX, OTHER, SECRET)


@pytest.mark.parametrize("secret", [SECRET[:-1], SECRET + "x", SECRET.replace("D", '"')])
def test_a_wrong_secret_is_not_shown_either(secret):
    with pytest.raises(UsageError) as caught:
        Curve(OTHER, PUBLIC_SUFFIX, secret)
    assert SECRET[5:-5] not in str(caught.value)


def test_no_repr_shows_a_secret():
    curve = Curve(OTHER, PUBLIC_SUFFIX, SECRET)
    things = (
        curve,
        KeyPair(PUBLIC_SUFFIX, SECRET),
        TcpTransport("127.0.0.1:1", curve),
        Elevator(curve=curve, auto_connect=False),
    )
    assert [thing for thing in things if SECRET in repr(thing) + str(thing)] == []
    assert PUBLIC_SUFFIX in repr(curve)


def test_from_files(files):
    curve = Curve.from_files(files / "alice.key_secret", files / "server.key")
    assert curve.server_public_key == read_public_key(files / "server.key")
    assert curve.public_key == read_public_key(files / "alice.key")


def test_the_server_s_key_may_be_given_as_it_is(files):
    assert Curve.from_files(str(files / "alice.key_secret"), OTHER).server_public_key == OTHER


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o620, 0o666, 0o777])
def test_a_secret_that_others_can_use_is_refused_with_advice(files, mode):
    path = files / "alice.key_secret"
    os.chmod(path, mode)
    with pytest.raises(UsageError) as caught:
        Curve.from_files(path, files / "server.key")
    assert str(caught.value) == (
        f"{path} holds a secret key, and others can use it (mode {mode:04o}); run: chmod 600 {path}"
    )


def test_the_command_that_helps_is_safe_to_paste(tmp_path):
    generate_keys(tmp_path / "my keys; rm x")
    path = tmp_path / "my keys; rm x" / "server.key_secret"
    os.chmod(path, 0o644)
    with pytest.raises(UsageError) as caught:
        KeyPair.read(path)
    assert str(caught.value).endswith(f"run: chmod 600 '{path}'")


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_secret_for_its_owner_alone_is_taken(files, mode):
    os.chmod(files / "alice.key_secret", mode)
    assert KeyPair.read(files / "alice.key_secret").public_key


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is no key file; `elevator keygen` writes such"),
        ("hello", "is no key file"),
        (f'curve\n    public-key = "{PUBLIC_SUFFIX}"\n', "does not hold a public and a secret key"),
        (f'curve\n    public-key = "{OTHER}"\n    secret-key = "{SECRET}"\n', "does not belong to the public key"),
        (f'curve\n    public-key = "x"\n    secret-key = "{SECRET}"\n', "public_key is no CURVE key"),
    ],
)
def test_a_file_without_a_pair_is_told_without_its_secret(tmp_path, content, message):
    path = tmp_path / "x.key_secret"
    path.write_text(content)
    os.chmod(path, 0o600)
    with pytest.raises(UsageError) as caught:
        KeyPair.read(path)
    assert message in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("key", ["/nowhere/server.key", "server.key"])
def test_a_file_that_is_not_there_is_named(files, key):
    with pytest.raises(UsageError, match=f"cannot read {key}: No such file or directory"):
        Curve.from_files(files / "alice.key_secret", key)
    with pytest.raises(UsageError, match=f"cannot read {key}: No such file or directory"):
        Curve.from_files(key, OTHER)


def test_a_server_key_file_without_a_key_is_told(files):
    (files / "empty.key").write_text('public-key = "nothing"')
    with pytest.raises(UsageError, match="does not hold a public key"):
        Curve.from_files(files / "alice.key_secret", files / "empty.key")


def test_a_url_names_files(files):
    target = parse_url(f"tcp://db:4141/x?curve_key={files}/alice.key_secret&server_key={files}/server.key&timeout=5")
    assert target.options == {
        "db_name": "x",
        "timeout": 5.0,
        "curve": Curve.from_files(files / "alice.key_secret", files / "server.key"),
    }


@pytest.mark.parametrize("parameter", ["curve_key", "server_key"])
def test_a_url_with_half_of_the_keys_is_refused(parameter):
    with pytest.raises(UsageError, match="curve_key, the file of the client's keys, and server_key go together"):
        parse_url(f"tcp://db?{parameter}=/x")


def test_the_environment_s_url_brings_its_keys(files, monkeypatch):
    url = f"tcp://127.0.0.1:1?curve_key={files}/alice.key_secret&server_key={files}/server.key"
    seen = []
    monkeypatch.setattr(Curve, "mechanism", lambda curve: seen.append(curve) or NullMechanism(b"DEALER", SERVERS))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("ELEVATOR_URL", url.replace(":1?", f":{silent.getsockname()[1]}?"))
        with pytest.raises(TimeoutError):
            Elevator(timeout=0.3)
    assert seen[0] == Curve.from_files(files / "alice.key_secret", files / "server.key")


@pytest.mark.parametrize("where", [{"transport": "ipc", "endpoint": "/x"}, {"transport": FakeTransport()}])
def test_keys_without_tcp_are_refused(where):
    with pytest.raises(UsageError, match="curve= goes with transport='tcp'"):
        Elevator(curve=Curve(OTHER, PUBLIC_SUFFIX, SECRET), **where)


def test_something_else_than_keys_is_refused():
    with pytest.raises(ArgumentTypeError, match="curve must be a Curve, not tuple"):
        Elevator(curve=(OTHER, PUBLIC_SUFFIX, SECRET))  # type: ignore[call-overload]
