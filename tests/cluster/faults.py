"""Faults of a three-node cluster under load: what two servers on it told their clients, and whether that was true."""

import signal
from collections.abc import Callable
from contextlib import ExitStack
from time import monotonic, sleep

from attrs import define, field

from cluster.haproxy import HaProxy
from cluster.nodes import Cluster, Node, send
from cluster.workload import TIMEOUT, Clients
from pyelevator import Elevator
from pyelevator.testing.servers import ServerProcess
from torture.report import Findings, count, ms

_PING_LIMIT = 0.1


@define(eq=False)
class Scene:
    """A cluster with two servers on it.

    Attributes:
        cluster: that is broken.
        url: by which the servers reach it.
        behind: what is between them and it, for the titles.
        servers: the two.
        stack: ends them.
    """

    cluster: Cluster
    url: str
    behind: str = ""
    servers: list[ServerProcess] = field(factory=list)
    stack: ExitStack = field(factory=ExitStack)

    def new_server(self) -> ServerProcess:
        return self.stack.enter_context(ServerProcess(engine=self.url, timeout=120))

    def leader(self) -> Node:
        leader = self.cluster.leader()
        assert leader is not None
        return leader


def kill_primary(scene: Scene) -> Callable[[], None]:
    """Kill -9 of the primary and its Patroni, while the asynchronous standby receives nothing."""
    leader, lagging = scene.leader(), scene.cluster.standby("async").walreceiver()
    send([lagging or 0][: lagging is not None], signal.SIGSTOP)
    sleep(3)
    scene.cluster.kill(leader)
    send([lagging or 0][: lagging is not None], signal.SIGCONT)
    return lambda: scene.cluster.start(leader)


def kill_standby(scene: Scene) -> Callable[[], None]:
    """Kill -9 of the synchronous standby and its Patroni."""
    standby = scene.cluster.standby("sync")
    scene.cluster.kill(standby)
    return lambda: scene.cluster.start(standby)


def kill_server(scene: Scene) -> Callable[[], None]:
    """Kill -9 of one of the two `elevator serve`, which is started again on its port."""
    server = scene.servers[0]
    server.kill()
    return server.restart


def freeze_primary(scene: Scene) -> Callable[[], None]:
    """SIGSTOP of the primary and its Patroni until another one is the primary; then it goes on, with its old timeline."""
    processes = scene.leader().processes()
    send(processes, signal.SIGSTOP)
    return lambda: send(processes, signal.SIGCONT)


def freeze_backend(scene: Scene) -> Callable[[], None]:
    """SIGSTOP of five of the processes that serve the servers' connections."""
    backends = scene.leader().backends("elevator")[:5]
    send(backends, signal.SIGSTOP)
    return lambda: send(backends, signal.SIGCONT)


FAULTS: dict[str, Callable[[Scene], Callable[[], None]]] = {
    "primary killed": kill_primary,
    "standby killed": kill_standby,
    "server killed": kill_server,
    "primary frozen": freeze_primary,
    "backends frozen": freeze_backend,
}
"""Name -> what breaks something, and returns what mends it."""


def attempt(scene: Scene, name: str, seconds: float) -> Findings:
    """One fault under the load of six writers."""
    scene.cluster.wait_until_synchronous(180)
    urls = [server.url for server in scene.servers]
    with Clients(urls, 6, name.replace(" ", "-")) as clients:
        sleep(5)
        before = clients.acknowledged
        repair = FAULTS[name](scene)
        broken_at = monotonic()
        sleep(seconds)
        repair()
        sleep(15)
    pause = clients.first_acknowledgement_after(broken_at)
    scene.cluster.wait_until_synchronous(180)
    with Elevator(endpoint=urls[-1].removeprefix("tcp://"), timeout=30) as client:
        wrong = clients.check(client)
    return findings(name, scene.behind, clients, before, pause, wrong)


def findings(name: str, behind: str, clients: Clients, before: int, pause: float | None, wrong: list[str]) -> Findings:
    records = [*clients.writers, *clients.readers]
    pings = [ping for record in clients.pingers for ping in record.pings]
    slow = sum(ping > _PING_LIMIT for ping in pings)
    slowest = max(record.slowest for record in records)
    errors = sorted({text for record in records for text in record.errors})
    torn = sum(record.torn for record in records)
    figures = {
        "acknowledged batches of 9 keys, of which before the fault": f"{count(clients.acknowledged)}, {count(before)}",
        "refused: nothing was done": count(sum(len(record.refused) for record in clients.writers)),
        "unknown: may have been executed": count(sum(len(record.unknown) for record in clients.writers)),
        "reads of 8 keys, torn": f"{count(sum(record.reads for record in records))}, {torn}",
        "first acknowledgement after the fault": "none" if pause is None else f"{pause:.1f} s",
        "slowest call (timeout 6 s)": f"{slowest:.2f} s",
        "PINGs, over 100 ms, slowest": f"{count(len(pings))}, {slow}, {ms(max(pings, default=0))}",
    }
    violations = [*wrong, *[f"an error of another kind: {text}" for text in errors[:5]]]
    violations += ["batches were torn"] if torn else []
    violations += [f"a call took {slowest:.1f} s"] if slowest > TIMEOUT + 0.5 else []
    violations += [] if pause is not None else ["nothing was acknowledged after the fault"]
    return Findings(f"{name.capitalize()}{behind}", (FAULTS[name].__doc__ or "").strip(), figures, violations)


def run(names: list[str], seconds: float) -> list[Findings]:
    """Try the faults one after the other on one cluster."""
    with Cluster() as cluster:
        return _attempt_all(cluster, Scene(cluster, cluster.url), names, seconds)


def run_behind_haproxy(seconds: float) -> list[Findings]:
    """Try those faults that HAProxy has a part in, with its address in the URL instead of the nodes'."""
    with Cluster() as cluster, HaProxy(cluster) as proxy:
        scene = Scene(cluster, proxy.url, " behind HAProxy")
        return _attempt_all(cluster, scene, ["primary killed", "primary frozen", "backends frozen"], seconds)


def _attempt_all(cluster: Cluster, scene: Scene, names: list[str], seconds: float) -> list[Findings]:
    leader = scene.leader()
    cluster.execute(leader, "CREATE ROLE elevator LOGIN")
    cluster.execute(leader, "CREATE SCHEMA elevator AUTHORIZATION elevator")
    found = []
    with scene.stack:
        scene.servers += [scene.new_server(), scene.new_server()]
        for name in names:
            print(f"trying: {name}{scene.behind}", flush=True)
            found.append(attempt(scene, name, seconds))
            print(found[-1].section(), flush=True)
    return found
