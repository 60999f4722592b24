"""Three PostgreSQL nodes under Patroni over three etcd: on loopback, as an unprivileged user, in a temporary folder."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from urllib.error import URLError
from urllib.request import urlopen

from attrs import define, field

from support.optional import unwrap
from support.ports import reserve_port
from support.postgresql import PROGRAMS, private_directory, unprivileged

TTL = 20
_CONFIGURATION = """
scope: elevator
name: n{number}
restapi: {{listen: "127.0.0.1:{rest}", connect_address: "127.0.0.1:{rest}"}}
etcd3: {{hosts: "{etcd}"}}
bootstrap:
  dcs:
    ttl: {ttl}
    loop_wait: 2
    retry_timeout: 5
    maximum_lag_on_failover: 1048576
    synchronous_mode: true
    postgresql: {{use_pg_rewind: true, parameters: {{max_connections: 100, wal_log_hints: "on"}}}}
  initdb: [{{encoding: UTF8}}, {{locale: C.UTF-8}}, data-checksums]
  pg_hba: ["local all all trust", "host all all 127.0.0.1/32 trust", "host replication all 127.0.0.1/32 trust"]
postgresql:
  listen: 127.0.0.1:{port}
  connect_address: 127.0.0.1:{port}
  data_dir: {directory}/data{number}
  bin_dir: {programs}
  pgpass: {directory}/pgpass{number}
  parameters: {{unix_socket_directories: "{directory}"}}
  authentication:
    superuser: {{username: postgres, password: x}}
    replication: {{username: replicator, password: x}}
    rewind: {{username: rewinder, password: x}}
"""


def missing_programs() -> list[str]:
    """Return the Debian packages that a cluster needs and that are not here."""
    found = {"postgresql": bool(PROGRAMS), "patroni": shutil.which("patroni"), "etcd-server": shutil.which("etcd")}
    return [package for package, there in found.items() if not there]


@define(eq=False)
class Node:
    """One node: its ports, and its Patroni."""

    number: int
    directory: Path
    port: int = field(factory=reserve_port)
    rest: int = field(factory=reserve_port)
    patroni: subprocess.Popen | None = None

    @property
    def data(self) -> Path:
        return self.directory / f"data{self.number}"

    @property
    def postmaster(self) -> int | None:
        with suppress(OSError, ValueError, IndexError):
            return int((self.data / "postmaster.pid").read_text().splitlines()[0])
        return None

    def is_leader(self) -> bool:
        """Return True if its Patroni says so."""
        with suppress(URLError, OSError), urlopen(f"http://127.0.0.1:{self.rest}/leader", timeout=1) as answer:
            return bool(answer.status == 200)
        return False

    def processes(self) -> list[int]:
        """Return its Patroni, its PostgreSQL, and all their children."""
        roots = [pid for pid in (self.patroni and self.patroni.pid, self.postmaster) if pid and is_alive(pid)]
        return [*roots, *(child for pid in roots for child in children(pid) if child not in roots)]

    def walreceiver(self) -> int | None:
        return next((pid for pid in children(self.postmaster or 0) if "walreceiver" in command_of(pid)), None)

    def backends(self, role: str) -> list[int]:
        """Return the processes that serve the connections of a role."""
        return [pid for pid in children(self.postmaster or 0) if f" {role} " in command_of(pid)]


def is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").exists()


def command_of(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    return ""


def children(parent: int) -> Iterator[int]:
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == parent:
                yield int(stat.parent.name)


def send(pids: list[int], number: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


class Cluster:
    """Three nodes; as a context manager, they run in the block."""

    def __init__(self) -> None:
        self.directory = private_directory("elevator-cluster-")
        self.nodes = [Node(number, self.directory) for number in (1, 2, 3)]
        self._etcd: list[subprocess.Popen] = []
        self._etcd_ports = [(reserve_port(), reserve_port()) for _ in self.nodes]

    def __enter__(self) -> "Cluster":
        for number in range(3):
            self._start_etcd(number)
        sleep(2)
        self.start(self.nodes[0])
        self.wait_for(lambda: self.leader() is not None, 60)
        for node in self.nodes[1:]:
            self.start(node)
        self.wait_until_synchronous()
        return self

    def __exit__(self, *_: object) -> None:
        for node in self.nodes:
            send(node.processes(), signal.SIGCONT)
            send(node.processes(), signal.SIGKILL)
        for process in (*self._etcd, *(node.patroni for node in self.nodes)):
            if process is not None:
                process.kill()
                process.wait(10)
        shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def url(self) -> str:
        hosts = ",".join([f"127.0.0.1:{node.port}" for node in self.nodes])
        return f"postgresql://elevator@{hosts}/postgres"

    def start(self, node: Node) -> None:
        """Start a node's Patroni, which starts its PostgreSQL."""
        path = self.directory / f"n{node.number}.yml"
        etcd = ",".join([f"127.0.0.1:{client}" for _, client in self._etcd_ports])
        path.write_text(
            _CONFIGURATION.format(
                number=node.number, rest=node.rest, port=node.port, etcd=etcd, ttl=TTL, directory=self.directory,
                programs=PROGRAMS[-1].parent,
            )
        )  # fmt: skip
        node.patroni = self._run(f"n{node.number}", [shutil.which("patroni"), str(path)])

    def kill(self, node: Node) -> None:
        """Kill -9 of everything of a node."""
        send(node.processes(), signal.SIGKILL)
        if node.patroni is not None:
            node.patroni.wait(10)
        (node.data / "postmaster.pid").unlink(missing_ok=True)

    def leader(self) -> Node | None:
        return next((node for node in self.nodes if node.is_leader()), None)

    def standby(self, state: str) -> Node:
        """Return the standby whose ``sync_state`` is ``sync`` or ``async``."""
        leader = self.leader()
        sql = f"SELECT application_name FROM pg_stat_replication WHERE sync_state = '{state}'"
        name = self.execute(unwrap(leader), sql).splitlines()[0]
        return self.nodes[int(name.removeprefix("n")) - 1]

    def execute(self, node: Node, sql: str) -> str:
        command: list[str | Path] = [
            PROGRAMS[-1].with_name("psql"),
            "-XAtq",
            "-h",
            "127.0.0.1",
            "-p",
            str(node.port),
            "-U",
            "postgres",
        ]
        done = subprocess.run(
            [*command, "-c", sql], check=False, capture_output=True, text=True, cwd="/", timeout=30, **unprivileged()
        )
        return done.stdout.strip()

    def wait_until_synchronous(self, seconds: float = 90) -> None:
        """Wait until there is a leader with a synchronous standby, and all nodes stream."""

        def is_complete() -> bool:
            leader = self.leader()
            return leader is not None and self.execute(
                leader, "SELECT count(*) FILTER (WHERE sync_state = 'sync'), count(*) FROM pg_stat_replication WHERE state = 'streaming'"
            ) == "1|2"  # fmt: skip

        self.wait_for(is_complete, seconds)

    def wait_for(self, condition, seconds: float) -> None:
        deadline = monotonic() + seconds
        while not condition():
            if monotonic() >= deadline:
                logs = "\n".join([path.read_text()[-1500:] for path in sorted(self.directory.glob("*.log"))])
                raise TimeoutError(f"the cluster did not get there in {seconds} s\n{logs}")
            sleep(0.3)

    def _start_etcd(self, number: int) -> None:
        peer, client = self._etcd_ports[number]
        members = ",".join([f"e{n}=http://127.0.0.1:{port}" for n, (port, _) in enumerate(self._etcd_ports)])
        self._etcd.append(
            self._run(
                f"etcd{number}",
                [
                    shutil.which("etcd"), "--name", f"e{number}", "--data-dir", str(self.directory / f"etcd{number}"),
                    "--listen-peer-urls", f"http://127.0.0.1:{peer}",
                    "--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}",
                    "--listen-client-urls", f"http://127.0.0.1:{client}",
                    "--advertise-client-urls", f"http://127.0.0.1:{client}",
                    "--initial-cluster", members, "--initial-cluster-state", "new",
                ],
            )
        )  # fmt: skip

    def _run(self, name: str, command: list) -> subprocess.Popen:
        environment = {**os.environ, "HOME": str(self.directory)}
        with (self.directory / f"{name}.log").open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, cwd="/", env=environment, **unprivileged())


def main() -> None:
    """Start a cluster, print its URL, and wait for the end of the input."""
    with Cluster() as cluster:
        leader = cluster.leader()
        cluster.execute(unwrap(leader), "CREATE ROLE elevator LOGIN; CREATE SCHEMA elevator AUTHORIZATION elevator")
        print(cluster.url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
