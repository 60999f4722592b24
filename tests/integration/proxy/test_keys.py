"""`elevator proxy` as a process: keys towards clients and towards servers, permissions, and who can reach it."""

import asyncio
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner

from pyelevator import (
    AsyncElevator,
    AuthenticationFailed,
    ConnectFailed,
    Elevator,
    PermissionDenied,
    ServerRuntimeError,
)
from pyelevator.auth.keys import generate_keys
from pyelevator.cli.main import elevator
from pyelevator.testing.servers import ProxyProcess, ServerProcess
from pyelevator.transports import Curve
from support.connections import pretend_connected

SOON = 1.0


class Keys:
    """The keys of a proxy or server, and of its clients."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        generate_keys(directory)

    def client(self, name, *, known=True):
        generate_keys(self.directory / ("clients" if known else "unknown"), name)
        return self.files(name, "clients" if known else "unknown")

    def files(self, name, folder="clients"):
        return self.directory / folder / f"{name}.key_secret", self.directory / "server.key"


def ask_for_ever(client):
    while True:
        client.Exists("k")


def address(process):
    return process.urls[0].removeprefix("tcp://")


@pytest.fixture
def keys(tmp_path):
    return Keys(tmp_path / "keys")


def test_clients_show_the_proxy_their_keys_and_it_shows_the_server_its_own(tmp_path, keys):
    server_keys = Keys(tmp_path / "server-keys")
    key, server_key = server_keys.client("the-proxy")
    alice, mallory = Curve.from_files(*keys.client("alice")), Curve.from_files(*keys.client("mallory", known=False))
    with ServerProcess(args=["--curve-keys", str(server_keys.directory)]) as server:
        upstream = f"{server.urls[0]}?curve_key={key}&server_key={server_key}"
        with ProxyProcess(upstream, args=["--curve-keys", str(keys.directory)]) as proxy:
            with Elevator(endpoint=address(proxy), curve=alice, timeout=20) as E:
                E.Put("k", "v")
                assert E.Get("k") == "v"

            async def session():
                async with AsyncElevator(endpoint=address(proxy), curve=alice, timeout=20) as E:
                    return await E.Get("k")

            assert asyncio.run(session()) == "v"
            for curve in (mallory, None):
                with pytest.raises(ConnectFailed):
                    Elevator(endpoint=address(proxy), curve=curve, timeout=SOON)
            with pytest.raises(AuthenticationFailed):
                Elevator(endpoint=address(server), timeout=SOON)
            assert proxy.stop() == 0
            assert str(key) not in proxy.output


def test_a_proxy_without_the_server_s_key_answers_with_an_error_in_time(tmp_path):
    server_keys = Keys(tmp_path / "server-keys")
    with ServerProcess(args=["--curve-keys", str(server_keys.directory)]) as server:
        with ProxyProcess(server.urls[0], args=["--timeout", "20"]) as proxy:
            with Elevator(endpoint=address(proxy), auto_connect=False, timeout=20) as E:
                with pytest.raises(ServerRuntimeError, match=r"it asks for keys \(CURVE\)$"):
                    E.ping()


def test_keys_in_a_config_file_on_both_sides(tmp_path, keys):
    server_keys = Keys(tmp_path / "server-keys")
    key, server_key = server_keys.client("the-proxy")
    alice = Curve.from_files(*keys.client("alice"))
    config = tmp_path / "proxy.toml"
    with ServerProcess(args=["--curve-keys", str(server_keys.directory)]) as server:
        config.write_text(
            f"""
            curve_keys = "{keys.directory}"
            [[upstream]]
            url = "{server.urls[0]}"
            curve_key = "{key}"
            server_key = "{server_key}"
            """
        )
        with ProxyProcess(None, args=["--config", str(config)]) as proxy:
            with Elevator(endpoint=address(proxy), curve=alice, timeout=20) as E:
                E.Put("k", "v")
                assert E.Get("k") == "v"


def test_permissions_hold_at_the_proxy_which_the_server_cannot_look_behind(keys):
    alice, bob = (Curve.from_files(*keys.client(name)) for name in ("alice", "bob"))
    (keys.directory / "permissions.toml").write_text(
        '[alice]\nadmin = ["*"]\n[bob]\nread = ["default"]\nwrite = ["/data/bob/*"]\n'
    )
    with ServerProcess() as server, ProxyProcess(server.urls[0], args=["--curve-keys", str(keys.directory)]) as proxy:
        with Elevator(endpoint=address(proxy), curve=alice, timeout=20) as A:
            A.createdb("private")
            A.Put("k", "v")
            A.connect("private")
            private = A.db_uid
            with Elevator(endpoint=address(proxy), curve=bob, timeout=20) as B:
                assert B.Get("k") == "v"
                assert B.listdb() == ["default"]
                for forbidden in (
                    lambda: B.Put("k", "w"),
                    lambda: B.createdb("mine"),
                    lambda: B.dropdb("private"),
                    lambda: B.connect("private"),
                    lambda: B.connect("/data/bob/../private"),
                ):
                    with pytest.raises(PermissionDenied, match="not allowed"):
                        forbidden()
                pretend_connected(B, private, B.db_name)
                with pytest.raises(PermissionDenied, match=f"GET needs read access to the database {private}$"):
                    B.Get("k")
                pretend_connected(B, "made-up", B.db_name)
                assert B.Get("k") == "v"  # the uid is unknown, so the client connects again by name
            assert A.listdb() == ["default", "private"]


def test_a_removed_key_is_refused_at_the_proxy_while_connected(keys):
    alice = Curve.from_files(*keys.client("alice"))
    with ServerProcess() as server, ProxyProcess(server.urls[0], args=["--curve-keys", str(keys.directory)]) as proxy:
        with Elevator(endpoint=address(proxy), curve=alice, timeout=20) as E:
            (keys.directory / "clients" / "alice.key").unlink()
            with pytest.raises(PermissionDenied, match="does not know this client's key"):
                ask_for_ever(E)  # the files are looked at once a second


def test_a_public_address_is_refused_without_keys_and_taken_with_insecure(keys):
    words = ["proxy", "--listen", "tcp://0.0.0.0:0", "--upstream", "tcp://127.0.0.1:9"]
    ran = CliRunner().invoke(elevator, words)
    assert ran.exit_code == 2
    assert "they would not be asked for a key" in ran.stderr
    elsewhere = ["proxy", "--insecure", "--listen", "tcp://203.0.113.1:0", "--upstream", "tcp://127.0.0.1:9"]
    assert "this machine has no such address" in CliRunner().invoke(elevator, elsewhere).stderr


def test_socket_files_have_the_mode_that_was_asked_for(tmp_path):
    default, asked = tmp_path / "default.sock", tmp_path / "asked.sock"
    with ServerProcess() as server:
        with ProxyProcess(server.urls[0], listen=[f"ipc://{default}"]) as proxy:
            assert stat.S_IMODE(default.stat().st_mode) == 0o600
            with Elevator(transport="ipc", endpoint=str(default), timeout=20) as E:
                assert E.ping() == "PONG"
            assert proxy.stop() == 0
        with ProxyProcess(server.urls[0], listen=[f"ipc://{asked}"], args=["--ipc-mode", "0660"]):
            assert stat.S_IMODE(asked.stat().st_mode) == 0o660


@pytest.mark.parametrize(
    ("upstream", "says"),
    [
        ("tcp://h?curve_key=/nowhere&server_key=/nowhere", "cannot read /nowhere"),
        ("tcp://h?timeout=5", "timeout says nothing to a proxy"),
        ("tcp://h?max_serial_connections=0", "max_serial_connections must be 1 or more"),
        ("tcp://h?max_connections=0", "max_connections must be 1 or more, not 0"),
        ("tcp://h?max_connections=few", "what stands there is no value for max_connections"),
    ],
)
def test_an_upstream_that_is_not_understood_is_one_line(upstream, says):
    ran = CliRunner().invoke(elevator, ["proxy", "--upstream", upstream])
    assert (ran.exit_code, ran.stderr.count("\n")) == (2, 1)
    assert says in ran.stderr
