"""PyPI's Elevator 0.5 and py-elevator 0.5c on Python 2.7, as ``make legacy`` sets them up in .legacy."""

import os
import subprocess
import textwrap
import time
from pathlib import Path

import pytest
from attrs import frozen

ROOT = Path(__file__).parents[2] / ".legacy"
READY = ROOT / ".ready"
SUITE = ROOT / "sdist" / "py-elevator-0.5c"

needs_the_old_software = pytest.mark.skipif(
    not READY.is_file(), reason="Elevator 0.5 is not set up; `make legacy` does it, where Python 2.7 with pip is"
)

SERVER = "import sys; sys.argv[0] = 'elevator'; from elevator.server import main; main()"
COMMAND_LINE = "import sys; sys.argv[0] = 'elevator-cli'; from elevator_cli.main import main; main()"

UNHURRIED = """\
import os, zmq

class Socket(zmq.Socket):
    def setsockopt(self, option, value):
        if option == zmq.RCVTIMEO:  # whole numbers only, and one second is little on a loaded machine
            value = int(value) * 30
        zmq.Socket.setsockopt(self, option, value)

zmq.sugar.context.Context._socket_class = Socket
zmq.core = zmq  # where it was

reserved = []

def free_port(low, high):
    probe = socket.socket()
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    probe.bind(("127.0.0.1", 0))
    reserved.append(probe)
    return probe.getsockname()[1]

if os.environ.get("OLD_SUITE"):  # it takes any port, and compares to tuples
    import msgpack, random, socket
    unpackb = msgpack.unpackb
    msgpack.unpackb = lambda packed: unpackb(packed, use_list=False)
    random.randint = free_port
"""
"""The sitecustomize of Python 2.7: the libraries as they were in 2013, and no hurry."""

CONFIG = """\
[global]
pidfile = {home}/elevator.pid
databases_storage_path = {home}/data
database_store = {home}/store.json
default_db = default
activity_log = {home}/elevator.log
errors_log = {home}/errors.log
majordome_interval = 0
max_cache_size = 1024
transport = ipc
bind = 127.0.0.1
port = 4141
unixsocket = {home}/socket
"""
"""A configuration that both servers take."""


@frozen
class Ran:
    code: int
    out: str
    err: str


def python2():
    """The Python 2.7 that the old software was installed for."""
    return READY.read_text().strip()


def environment(home, **more):
    """Where Python 2.7 finds the old software; ``home`` gets a sitecustomize."""
    site = Path(home) / "site"
    site.mkdir(exist_ok=True)
    (site / "sitecustomize.py").write_text(UNHURRIED)
    kept = {name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ}
    return {**kept, "PYTHONPATH": f"{site}:{ROOT}", "PYTHONDONTWRITEBYTECODE": "1", **more}


def run2(home, program, *args, stdin="", timeout=60, cwd=None, **environ):
    """Run a program of Python 2.7 to its end; files, not pipes, as a process of its own may outlive it."""
    out, err = Path(home) / "out.txt", Path(home) / "err.txt"
    reported = Path(home) / "in.txt"
    reported.write_text(stdin)
    with reported.open() as input, out.open("wb") as output, err.open("wb") as errors:
        ran = subprocess.run(
            [python2(), "-c", textwrap.dedent(program), *map(str, args)],
            check=False,
            stdin=input,
            stdout=output,
            stderr=errors,
            timeout=timeout,
            cwd=cwd or home,
            env=environment(home, **environ),
        )
    return Ran(ran.returncode, out.read_text("latin-1"), err.read_text("latin-1"))


class OldServerProcess:
    """Elevator 0.5 on a Unix socket, over the data in ``home``; it is up when the constructor returns.

    Attributes:
        home: with the configuration, the store file, the data and the logs.
        url: what it listens on.
    """

    def __init__(self, home):
        self.home = Path(home)
        (self.home / "data").mkdir(exist_ok=True)
        config = self.home / "elevator.conf"
        config.write_text(CONFIG.format(home=self.home))
        self.socket = self.home / "socket"
        self.socket.unlink(missing_ok=True)
        self.url = f"ipc://{self.socket}"
        words = ["--config", config, "--transport", "ipc", "--log-level", "CRITICAL"]
        with (self.home / "server.txt").open("ab") as output:
            self.process = subprocess.Popen(
                [python2(), "-c", SERVER, *map(str, words)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self.home,
                env=environment(self.home),
            )
        self._wait()

    def _wait(self):
        until = time.monotonic() + 60
        while not self.socket.exists():
            if self.process.poll() is not None or time.monotonic() > until:
                self.stop()
                raise RuntimeError((self.home / "server.txt").read_text())
            time.sleep(0.02)

    @property
    def errors(self):
        """What it has said of workers that have ended: nothing, if all it got was what it takes."""
        return (self.home / "server.txt").read_text()

    def stop(self):
        """End it; what it has written is with the system."""
        self.process.kill()
        self.process.wait(20)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
