"""HAProxy in front of a cluster: it leads to the node whose Patroni says that it is the primary."""

import shutil
import socket
import subprocess
from contextlib import suppress

from attrs import define, field

from cluster.nodes import Cluster
from support.eventually import eventually
from support.ports import reserve_port
from support.postgresql import unprivileged

_CONFIGURATION = """
global
    maxconn 500
defaults
    mode tcp
    retries 2
    timeout connect 1s
    timeout client 1h
    timeout server 1h
    timeout check 1s
listen primary
    bind 127.0.0.1:{port}
    option httpchk GET /primary
    http-check expect status 200
    default-server inter 1s fall 2 rise 1 on-marked-down shutdown-sessions
{servers}
"""


@define(eq=False)
class HaProxy:
    """A HAProxy; as a context manager, it runs in the block.

    Args:
        cluster: that it leads to.
    """

    cluster: Cluster
    port: int = field(factory=reserve_port)
    _process: subprocess.Popen | None = None

    def __enter__(self) -> "HaProxy":
        servers = [
            f"    server n{node.number} 127.0.0.1:{node.port} check port {node.rest}" for node in self.cluster.nodes
        ]
        path = self.cluster.directory / "haproxy.cfg"
        path.write_text(_CONFIGURATION.format(port=self.port, servers="\n".join(servers)))
        program = shutil.which("haproxy") or "/usr/sbin/haproxy"
        with (self.cluster.directory / "haproxy.log").open("ab") as log:
            self._process = subprocess.Popen(
                [program, "-db", "-f", str(path)], stdout=log, stderr=log, cwd="/", **unprivileged()
            )
        eventually(self._answers, "HAProxy listens")
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)

    @property
    def url(self) -> str:
        return f"postgresql://elevator@127.0.0.1:{self.port}/postgres"

    def _answers(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False
