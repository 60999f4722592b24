"""``elevator console`` as a process: what it prints, how it ends, and with whose keys it asks."""

import signal
import subprocess
import sys
from contextlib import ExitStack

import pytest

from pyelevator import Elevator
from pyelevator.auth.keys import generate_keys
from pyelevator.testing.servers import ProxyProcess, ServerProcess
from pyelevator.transports import Curve
from support.optional import unwrap
from support.programs import WAIT_TIMEOUT
from support.web_console import Client, running_console


class ConsoleProcess:
    """A process that runs ``elevator console``; ``lines`` is what it prints, and ``url`` its link."""

    def __init__(self, *args):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pyelevator", "console", "--listen", "127.0.0.1:0", *args],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self.lines = []
        self.output = unwrap(self.process.stdout)
        for line in self.output:
            self.lines.append(line)
            if line.startswith("open "):
                break
        self.url = self.lines[-1].removeprefix("open ").strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.output.close()

    def end(self, number):
        self.process.send_signal(number)
        code = self.process.wait(WAIT_TIMEOUT)
        self.lines += self.output
        return code


def run(*args, start=("-m", "pyelevator")):
    command = [sys.executable, *start, "console", *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=WAIT_TIMEOUT, check=False)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_prints_a_link_and_ends_with_a_signal(server, number):
    with ConsoleProcess(server.urls[0]) as console:
        client = Client(console.url)
        assert client.get("/api/databases").json["databases"][0]["name"] == "default"
        assert client.get("/", token="wrong").status == 401
        assert client.session["write"] is False
        assert console.end(number) == 0
        assert console.lines == [f"open {console.url}\n"]


def test_write_and_the_environment_s_url_are_understood(server, monkeypatch):
    monkeypatch.setenv("ELEVATOR_URL", f"{server.urls[0]}/default")
    with ConsoleProcess("--write") as console:
        client = Client(console.url)
        assert client.session == {**client.session, "write": True, "url": f"{server.urls[0]}/default"}
        assert client.put("k", "v", None).status == 200


@pytest.mark.parametrize("way", ["tcp", "ipc", "proxy"])
def test_a_server_is_shown_and_edited_whatever_leads_to_it(tmp_path, way):
    bind = f"ipc://{tmp_path}/server.sock" if way == "ipc" else "tcp://127.0.0.1:0"
    with ExitStack() as stack:
        url = stack.enter_context(ServerProcess(tmp_path / "data", binds=(bind,))).urls[0]
        if way == "proxy":
            url = stack.enter_context(ProxyProcess(url)).urls[0]
        client = Client(stack.enter_context(running_console(url, write=True)).url)
        assert client.put("k", "one", None).status == 200
        seen = client.digest("k")
        assert client.put("k", "two", seen).status == 200
        assert client.put("k", "three", seen).status == 409
        assert client.get("/api/keys", db="default", before="").json["keys"] == ["k"]
        assert client.get("/api/value", db="default", key="k").json["texts"]["text"] == "two"
        assert client.get("/api/stats").json["requests"]["GET"]["count"] > 0
        assert client.get("/api/databases").json["databases"][0]["engine"]["size"] > 0


def test_the_command_warns_where_others_can_reach_it(server):
    with ConsoleProcess(server.urls[0], "--listen", "0.0.0.0:0") as console:
        assert "travels unencrypted" in console.lines[0]
        assert Client(console.url).get("/api/databases").status == 200


def test_without_a_server_the_command_says_so_and_ends():
    ended = run("--url", "tcp://127.0.0.1:1", "--connect-timeout", "0.1")
    assert (ended.returncode, ended.stdout) == (3, "")
    assert ended.stderr.startswith("elevator: cannot connect to the Elevator server at tcp://127.0.0.1:1")


def test_a_wrong_address_to_listen_on_is_a_usage_error(server):
    ended = run(server.urls[0], "--listen", "8141")
    assert ended.returncode == 2
    assert ended.stderr == "elevator: --listen takes HOST:PORT, such as 127.0.0.1:8141, not '8141'\n"


@pytest.mark.parametrize("missing", ["starlette", "uvicorn"])
def test_without_its_extra_the_command_names_it(server, missing):
    program = f"import sys; sys.modules[{missing!r}] = None; from pyelevator.__main__ import main; main()"
    ended = run(server.urls[0], start=("-c", program))
    assert ended.returncode == 1
    assert ended.stderr == (
        "elevator: the console needs Starlette and uvicorn; install them with: pip install 'pyelevator[console]'\n"
    )


@pytest.fixture
def keyed(tmp_path):
    """A server with keys, and the directory that they are in: ann may write to one database, and see no figures."""
    generate_keys(tmp_path / "keys", "server")
    generate_keys(tmp_path / "keys" / "clients", "ann")
    generate_keys(tmp_path / "keys" / "clients", "admin")
    (tmp_path / "keys" / "permissions.toml").write_text('[ann]\nread = ["default"]\n[admin]\nadmin = ["*"]\n')
    with ServerProcess(tmp_path / "data", args=["--curve-keys", str(tmp_path / "keys")]) as process:
        yield process.urls[0], tmp_path / "keys"


def files_of(keys, name):
    return keys / "clients" / f"{name}.key_secret", keys / "server.key"


def test_a_console_has_the_permissions_of_its_key(keyed):
    url, keys = keyed
    with Elevator.from_url(url, curve=Curve.from_files(*files_of(keys, "admin"))) as admin:
        admin.createdb("secret")
        admin.Put("k", "v")
    with running_console(url, {"curve": Curve.from_files(*files_of(keys, "ann"))}, write=True) as console:
        client = Client(console.url)
        assert client.get("/api/databases").json == {"databases": [{"name": "default"}]}
        assert client.get("/api/value", db="default", key="k").json["texts"]["text"] == "v"
        for reply in (
            client.get("/api/keys", db="secret"),
            client.get("/api/stats"),
            client.put("k", "x", client.digest("k")),
        ):
            assert reply.status == 403
            assert reply.json["error"].startswith("not allowed: ")


def test_the_command_takes_keys_from_files(keyed):
    url, keys = keyed
    secret, server_key = files_of(keys, "ann")
    with ConsoleProcess(url, "--curve-key", str(secret), "--server-key", str(server_key)) as console:
        assert Client(console.url).get("/api/databases").json == {"databases": [{"name": "default"}]}
    ended = run(url)
    assert ended.returncode == 5
