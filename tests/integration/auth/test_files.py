"""Files of the server: links that were planted, directories that others can write, modes, pipes, and names in the log."""

import copy
import logging
import os
import pickle
import stat

import attrs
import pytest

from pyelevator.application import Catalog, CatalogError
from pyelevator.auth import ClientAuth
from pyelevator.cli.logs import logging_to
from pyelevator.client import Elevator
from pyelevator.engines.leveldb import LevelDbStorage
from pyelevator.errors import UsageError
from pyelevator.testing.servers import ServerProcess
from pyelevator.transports import Curve
from pyelevator.transports.authentication import CurveServer
from pyelevator.transports.curve import KeyPair, connect_hint, read_public_key


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_link_at_a_temporary_name_overwrites_nothing(tmp_path):
    (tmp_path / "mine").write_text("precious")
    (tmp_path / "data").mkdir()
    for name in (".store.json.new", ".store.json.tmp", "store.json.new"):
        (tmp_path / "data" / name).symlink_to(tmp_path / "mine")
    catalog = Catalog(LevelDbStorage(), str(tmp_path / "data"))
    catalog.create("x")
    catalog.close()
    assert (tmp_path / "mine").read_text() == "precious"
    assert [name for name in os.listdir(tmp_path / "data") if name.endswith(".new") and name.startswith(".")] == []


def test_a_link_in_place_of_the_lock_is_refused(tmp_path):
    (tmp_path / "elevator.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CatalogError, match=r"elevator\.lock in it is a symbolic link"):
        Catalog(LevelDbStorage(), str(tmp_path))
    assert not (tmp_path / "elsewhere").exists()


def test_a_data_directory_that_others_can_write_is_warned_of(tmp_path, caplog):
    tmp_path.chmod(0o777)
    Catalog(LevelDbStorage(), str(tmp_path)).close()
    assert f"others can write in the data directory {tmp_path}" in caplog.text
    caplog.clear()
    tmp_path.chmod(0o755)
    Catalog(LevelDbStorage(), str(tmp_path)).close()
    assert "others can write" not in caplog.text


@pytest.mark.parametrize("folder", ["", "clients"])
@pytest.mark.parametrize("lax", [0o770, 0o707, 0o777])
def test_keys_in_a_directory_that_others_can_write_are_refused(keys, folder, lax):
    directory = keys.directory / folder
    directory.chmod(lax)
    with pytest.raises(UsageError, match=r"others can write in .*; run: chmod go-w "):
        ClientAuth.from_directory(keys.directory)


@pytest.mark.parametrize("name", ["clients/mallory.key", "permissions.toml", "server.key_secret"])
def test_a_pipe_among_the_keys_does_not_hang_the_start(keys, name):
    keys.let_in("alice")
    path = keys.directory / name
    path.unlink(missing_ok=True)
    os.mkfifo(path, 0o600)
    if name.startswith("clients"):
        assert len(ClientAuth.from_directory(keys.directory).clients.permissions()) == 2
    else:
        with pytest.raises(UsageError, match="it is no regular file"):
            ClientAuth.from_directory(keys.directory)


@pytest.mark.parametrize("umask", [0o000, 0o022])
def test_files_of_a_server_are_its_owner_s_alone_whatever_the_umask(tmp_path, umask):
    before = os.umask(umask)
    try:
        with ServerProcess(tmp_path / "data", args=["--log-file", str(tmp_path / "log"), "-v"]) as process:
            with Elevator(endpoint=process.urls[0].removeprefix("tcp://"), timeout=20) as E:
                E.createdb("x")
    finally:
        os.umask(before)
    made = [tmp_path / "log", tmp_path / "data", *(tmp_path / "data").rglob("*")]
    assert [path for path in made if mode(path) & 0o077] == []
    assert len(made) > 8


def test_names_cannot_forge_lines_of_the_log_and_values_are_never_there(tmp_path):
    name = "app\n2026-01-01 00:00:00,000 ERROR forged\x1b[2J\udcff"
    with ServerProcess(tmp_path / "data", args=["--log-file", str(tmp_path / "log"), "-vv"]) as process:
        with Elevator(endpoint=process.urls[0].removeprefix("tcp://"), timeout=20) as E:
            E.createdb(name)
            E.connect(name)
            E.Put("k", "a-value-of-mine")
            assert E.Get("k") == "a-value-of-mine"
            E.unmount(name)
            E.dropdb(name)
    log = (tmp_path / "log").read_text()
    assert r"mounted app\n2026-01-01 00:00:00,000 ERROR forged\x1b[2J\udcff" in log
    assert "\x1b" not in log
    assert not any(line.startswith("2026-01-01 00:00:00,000 ERROR") for line in log.splitlines())
    assert "a-value-of-mine" not in log


def test_a_traceback_in_the_log_is_indented(tmp_path):
    with logging_to(tmp_path / "log", logging.INFO):
        try:
            raise ValueError("first\n2026 INFO forged\x1b")
        except ValueError:
            logging.getLogger("pyelevator.server").exception("failed")
    lines = (tmp_path / "log").read_text().splitlines()
    assert lines[0].endswith("pyelevator.server: failed")
    assert all(line.startswith("  ") for line in lines[1:])
    assert "\x1b" not in "".join(lines)


# Secrets


@pytest.fixture
def alice(keys):
    return keys.let_in("alice")


@pytest.mark.parametrize(
    "show",
    [repr, str, format, attrs.asdict, attrs.astuple, copy.copy, lambda curve: f"{curve!r:>99}"],
)
def test_no_way_of_looking_at_keys_shows_the_secret_one(keys, alice, show):
    pair, server = KeyPair.generate(), CurveServer(alice.secret_key, alice.public_key.__eq__)
    assert alice.secret_key not in str(show(alice))
    assert pair.secret_key not in str(show(pair))
    assert alice.secret_key not in str(show(server))


@pytest.mark.parametrize(
    "make",
    [
        lambda curve: curve,
        lambda curve: KeyPair(curve.public_key, curve.secret_key),
        lambda curve: CurveServer(curve.secret_key, curve.public_key.__eq__),
    ],
)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_keys_are_not_pickled(alice, make, protocol):
    with pytest.raises(TypeError, match="a secret key is not pickled; read it from its file where it is needed"):
        pickle.dumps(make(alice), protocol)


def test_copies_of_keys_are_as_good_as_they_are(alice):
    for same in (copy.copy(alice), copy.deepcopy(alice), attrs.evolve(alice)):
        assert same == alice
        assert same.secret_key == alice.secret_key


def test_a_secret_in_the_wrong_parameter_is_not_repeated(keys, alice):
    secret, public, server = alice.secret_key, alice.public_key, alice.server_public_key
    wrong = [
        lambda: Curve(server, secret, public),
        lambda: Curve(secret, public, secret),
        lambda: Curve(server, public, secret[:-1]),
        lambda: KeyPair(secret, public),
        lambda: KeyPair.read(secret),
        lambda: Curve.from_files(secret, server),
        lambda: read_public_key(f"{secret}x"[:39]),
        lambda: Elevator(curve=secret),
    ]
    for call in wrong:
        with pytest.raises((UsageError, TypeError)) as caught:
            call()
        assert secret[:30] not in str(caught.value) or call is wrong[6]


def test_a_server_s_secret_given_as_its_public_key_is_not_shown(keys, alice):
    secret = KeyPair.read(keys.directory / "server.key_secret").secret_key
    assert secret not in connect_hint(Curve(secret, alice.public_key, alice.secret_key))
