"""A PostgreSQL of the tests' own: in a temporary folder, on loopback, as an unprivileged user."""

import os
import shutil
import signal
import subprocess
import tempfile
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import TypedDict

import pytest

from support.eventually import eventually
from support.ports import reserve_port

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[4]))
UNPRIVILEGED = 65534
ROLE = "elevator"
_CONFIGURATION = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
fsync = off
shared_buffers = 64MB
max_connections = 100
autovacuum = off
"""
_schemas = count(1)


def find_programs() -> Path:
    """Return the directory of PostgreSQL's programs; without them the test is skipped."""
    if not PROGRAMS or int(PROGRAMS[-1].parts[4]) < 15:
        pytest.skip("there is no PostgreSQL 15 or later here (Debian: apt-get install postgresql)")
    pytest.importorskip("psycopg", reason="psycopg is not installed (the extra postgres)")
    return PROGRAMS[-1].parent


class UnprivilegedArguments(TypedDict, total=False):
    """Arguments of ``Popen``."""

    user: int
    group: int
    extra_groups: list[int]


def unprivileged() -> UnprivilegedArguments:
    """Return the arguments of ``Popen`` for a process that is not root's; PostgreSQL refuses to be."""
    return {"user": UNPRIVILEGED, "group": UNPRIVILEGED, "extra_groups": []} if os.geteuid() == 0 else {}


def private_directory(prefix: str, parent: Path | None = None) -> Path:
    """Return a new directory of the unprivileged user."""
    directory = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    if os.geteuid() == 0:
        os.chown(directory, UNPRIVILEGED, UNPRIVILEGED)
    return directory


class PostgreSql:
    """One PostgreSQL server; as a context manager, it runs in the block.

    Args:
        settings: lines of postgresql.conf beside the usual ones.
        parent: where its directory is made; None for the usual place.
    """

    def __init__(self, settings: str = "", parent: Path | None = None) -> None:
        self.programs = find_programs()
        self.directory = private_directory("elevator-pg-", parent)
        self.data = self.directory / "data"
        self.port = reserve_port()
        self.url = f"postgresql://{ROLE}@127.0.0.1:{self.port}/postgres"
        self._settings = settings
        self._process: subprocess.Popen | None = None

    def __enter__(self) -> "PostgreSql":
        self._run("initdb", "-D", str(self.data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
        with (self.data / "postgresql.conf").open("a") as file:
            file.write(f"{_CONFIGURATION}port = {self.port}\n{self._settings}\n")
        self.start()
        self.execute(f"CREATE ROLE {ROLE} LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        return self

    def __exit__(self, *_: object) -> None:
        self.stop(signal.SIGQUIT)  # without a last checkpoint: nothing of it is kept
        shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def pid(self) -> int:
        return int((self.data / "postmaster.pid").read_text().splitlines()[0])

    def start(self) -> None:
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self.programs / "postgres", "-D", self.data], stdout=log, stderr=log, cwd="/", **unprivileged()
            )
        eventually(self._is_ready, (self.directory / "log").read_text, pause=0.05)

    def _is_ready(self) -> bool:
        with suppress(subprocess.CalledProcessError):
            return self.execute("SELECT 1") == "1"
        return False

    def has_ended(self) -> bool:
        """Return True if it has given up by itself."""
        return self._process is None or self._process.poll() is not None

    def stop(self, number: int = signal.SIGINT) -> None:
        """Stop it: SIGINT ends its sessions, SIGQUIT is a crash that it recovers from."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(number)
            self._process.wait(60)
            self._process = None

    def execute(self, sql: str, database: str = "postgres") -> str:
        """Execute SQL as the superuser, and return psql's unaligned output."""
        return self._run(
            "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-d",
            database, "-c", sql,
        ).strip()  # fmt: skip

    def new_schema(self) -> str:
        """Create an empty schema that the server's role owns, and return its name."""
        name = f"elevator_{os.getpid()}_{next(_schemas)}"
        self.execute(f"CREATE SCHEMA {name} AUTHORIZATION {ROLE}")
        return name

    def new_url(self, **parameters: object) -> str:
        """Return a URL with a schema of its own, and with further parameters."""
        given = {"schema": self.new_schema(), **parameters}
        return f"{self.url}?{'&'.join(f'{name}={value}' for name, value in given.items())}"

    def _run(self, program: str, *arguments: str) -> str:
        return subprocess.run(
            [self.programs / program, *arguments], check=True, capture_output=True, text=True, cwd="/", **unprivileged()
        ).stdout
