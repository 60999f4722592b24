"""What watches a server and a proxy: metrics, health, readiness, a service manager, logs of JSON."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pyelevator import Elevator, UsageError
from pyelevator.cli.processes.metrics_server import serving_metrics
from pyelevator.cli.processes.notifier import Notifier
from pyelevator.peers.service import Service
from support.optional import unwrap

ROOT = Path(__file__).parents[3]
DASHBOARD = ROOT / "packaging" / "grafana-dashboard.json"
WAIT = 30
METRICS = ("--metrics", "127.0.0.1:0")


@contextmanager
def running(*args, env=None, log=None):
    """The process of an ``elevator`` command, and the line that it prints when it is ready."""
    command = [sys.executable, "-m", "pyelevator", *map(str, args)]
    environment = {**os.environ, **(env or {})}
    with (
        open(log or os.devnull, "w") as stderr,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True, env=environment) as process,
    ):
        try:
            yield process, unwrap(process.stdout).readline()
        finally:
            process.kill()


def metrics_port(line):
    """The port of the metrics in the line that a program prints when it is ready."""
    return int(unwrap(re.search(r", metrics at http://127\.0\.0\.1:(\d+)/metrics\)$", line))[1])


def fetch(port, path):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=WAIT) as response:
            return response.status, response.headers["Content-Type"], response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["Content-Type"], error.read().decode()


def samples(port):
    text = fetch(port, "/metrics")[2]
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """A server on LevelDB and a proxy before it, which were used; and the ports of their metrics."""
    data = tmp_path_factory.mktemp("data")
    with running("serve", "--data", data, "--bind", "tcp://127.0.0.1:0", *METRICS) as (server, line):
        url = unwrap(re.search(r"tcp://\S+", line))[0]
        with running("proxy", "--listen", "tcp://127.0.0.1:0", "--upstream", url, *METRICS) as (_, reported):
            with Elevator.from_url(unwrap(re.search(r"tcp://\S+", reported))[0], timeout=WAIT) as E:
                E.Put("k", "v" * 1000)
                E.MGet(["k"], fill_cache=True)
                E.MGet(["k"])
                with pytest.raises(KeyError):
                    E.Get("missing")
                E.ping()  # whose answer comes when the requests before it have been counted
                yield server, metrics_port(line), metrics_port(reported)


def test_the_server_counts_requests_by_verb_and_outcome(programs):
    found = samples(programs[1])
    assert found["elevator_requests_total", ("outcome", "success"), ("verb", "PUT")] == 1
    assert found["elevator_requests_total", ("outcome", "key"), ("verb", "GET")] == 1
    assert found["elevator_requests_total", ("outcome", "success"), ("verb", "GET")] == 0
    assert found["elevator_request_duration_seconds_count", ("verb", "PUT")] == 1
    assert found["elevator_request_duration_seconds_bucket", ("le", "+Inf"), ("verb", "PUT")] == 1
    assert 0 < found["elevator_request_duration_seconds_sum", ("verb", "PUT")] < 60
    assert found["elevator_connections",] >= 1
    assert found["elevator_received_bytes_total",] > 1000
    assert found["elevator_sent_bytes_total",] > 1000
    assert found["elevator_row_cache_hits_total", ("database", "default")] == 1
    assert found["elevator_database_size_bytes", ("database", "default")] > 1000
    assert found["elevator_databases", ("state", "open")] == 1
    assert found["elevator_workers",] == 4
    assert found["process_resident_memory_bytes",] > 1 << 20
    assert found["process_open_fds",] > 3


def test_the_proxy_counts_what_goes_through_it(programs):
    found = samples(programs[2])
    assert found["elevator_requests_total", ("outcome", "success"), ("verb", "PUT")] == 1
    assert found["elevator_requests_total", ("outcome", "key"), ("verb", "GET")] == 1
    assert found["elevator_connections",] == 1
    assert found["elevator_accepted_connections_total",] == 1
    assert found["elevator_received_bytes_total",] > 1000
    (upstream,) = [key for key in found if key[0] == "elevator_proxy_upstream_connections"]
    assert found[upstream] >= 1


@pytest.mark.parametrize("which", [1, 2])
def test_names_and_units_are_by_prometheus_s_conventions(programs, which):
    text = fetch(programs[which], "/metrics")[2]
    families = [one for one in text_string_to_metric_families(text) if one.name.startswith("elevator_")]
    assert len(families) > 10
    for family in families:
        assert re.fullmatch(r"elevator_[a-z]+(_[a-z]+)*", family.name)
        assert family.documentation.endswith(".")
        assert not re.search(r"_(ms|milliseconds|kb|mb|minutes)\b", family.name)
        if family.type == "counter":
            assert all(sample.name.endswith(("_total", "_created")) for sample in family.samples)
    assert "# TYPE elevator_requests_total counter" in text


@pytest.mark.parametrize("which", [1, 2])
def test_health_and_readiness_are_told(programs, which):
    port = programs[which]
    assert fetch(port, "/healthz")[::2] == fetch(port, "/readyz")[::2] == (200, "ok\n")
    assert fetch(port, "/")[0] == fetch(port, "/metrics/x")[0] == 404
    assert fetch(port, "/metrics")[1].startswith("text/plain; version=0.0.4")


def test_every_metric_of_the_dashboard_exists(programs):
    dashboard = json.loads(DASHBOARD.read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    assert len(expressions) > 8
    used = {name for each in expressions for name in re.findall(r"\b(?:elevator|process)_[a-z_]+", each)}
    known = {key[0] for port in programs[1:] for key in samples(port)}
    known |= {"elevator_database_tables"}  # there are none before the first compaction
    assert used - known == set()


class Stuck(Service):
    """A program whose loop does not turn."""

    urls: Sequence[str] = ()

    def serve_forever(self):
        raise NotImplementedError

    def _wake_up(self, probe):
        pass

    def probe(self, timeout):
        return False

    def metrics(self):
        return []


def test_a_stuck_program_is_not_healthy_and_a_stopping_one_not_ready():
    program = Stuck()
    with serving_metrics(program, "127.0.0.1:0") as url:
        port = int(unwrap(re.search(r":(\d+)/", unwrap(url)))[1])
        assert (fetch(port, "/healthz")[0], fetch(port, "/readyz")[0]) == (503, 503)
        program.probe = lambda timeout: True  # type: ignore[method-assign]
        assert (fetch(port, "/healthz")[0], fetch(port, "/readyz")[0]) == (200, 200)
        program.stop()
        assert (fetch(port, "/healthz")[0], fetch(port, "/readyz")[0]) == (200, 503)


def test_of_many_silent_connections_the_oldest_give_way(monkeypatch):
    """Each has a file, and the server's own clients and databases need those."""
    monkeypatch.setattr("pyelevator.cli.processes.metrics_server._Handler.timeout", None)
    with serving_metrics(Stuck(), "127.0.0.1:0") as url, ExitStack() as stack:
        port = int(unwrap(re.search(r":(\d+)/", unwrap(url)))[1])
        silent = [stack.enter_context(socket.create_connection(("127.0.0.1", port), WAIT)) for _ in range(40)]
        assert [connection.recv(1) for connection in silent[:8]] == 8 * [b""]
        assert fetch(port, "/metrics")[0] == 200


def test_an_address_that_is_taken_is_a_mistake():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(UsageError, match=f"--metrics {address}: "), serving_metrics(Stuck(), address):
            pass


# A service manager


class Manager:
    """The socket on which systemd listens."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        self.socket.settimeout(WAIT)

    def next(self):
        return self.socket.recv(4096).decode().split("\n")

    def until(self, state):
        while (reported := self.next()[0]) != state:
            pass
        return reported


@pytest.fixture
def manager(tmp_path):
    made = Manager(str(tmp_path / "notify"))
    yield made
    made.socket.close()


def test_a_service_manager_is_told_of_readiness_life_reloads_and_the_end(manager, tmp_path):
    env = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "300000"}
    with running("serve", "--engine", "memory", "--bind", "tcp://127.0.0.1:0", env=env) as (process, line):
        assert manager.next() == ["READY=1"]
        with Elevator.from_url(unwrap(re.search(r"tcp://\S+", line))[0], timeout=WAIT) as E:
            assert E.ping() == "PONG"
        assert manager.next() == ["WATCHDOG=1"]
        process.send_signal(signal.SIGHUP)
        manager.until("RELOADING=1")
        manager.until("READY=1")
        process.terminate()
        manager.until("STOPPING=1")
        assert process.wait(WAIT) == 0


def test_a_proxy_tells_the_same(manager, tmp_path):
    env = {"NOTIFY_SOCKET": str(tmp_path / "notify")}
    args = ("proxy", "--listen", "tcp://127.0.0.1:0", "--upstream", "tcp://127.0.0.1:9")
    with running(*args, env=env) as (process, _):
        assert manager.next() == ["READY=1"]
        process.send_signal(signal.SIGHUP)
        reported = manager.next()
        assert (reported[0], reported[1].split("=")[0]) == ("RELOADING=1", "MONOTONIC_USEC")
        assert manager.next() == ["READY=1"]
        process.terminate()
        assert manager.next() == ["STOPPING=1"]
        assert process.wait(WAIT) == 0


def test_a_name_in_the_abstract_namespace_is_a_socket_too():
    made = Manager(f"\0elevator-test-{os.getpid()}")
    Notifier.from_environment({"NOTIFY_SOCKET": f"@elevator-test-{os.getpid()}"}).ready()
    assert made.next() == ["READY=1"]
    made.socket.close()


@pytest.mark.parametrize(
    ("environment", "watchdog"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "2000000"}, None),
        ({"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "2000000"}, 2.0),
        ({"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "2000000", "WATCHDOG_PID": "7"}, 2.0),
        ({"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "2000000", "WATCHDOG_PID": "8"}, None),
    ],
)
def test_the_watchdog_is_that_of_this_process(environment, watchdog):
    notifier = Notifier.from_environment(environment, pid=7)
    assert notifier.watchdog == watchdog
    notifier.ready()  # nothing listens there, which is no error


@pytest.mark.parametrize(
    "environment", [{"NOTIFY_SOCKET": "relative"}, {"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "soon"}]
)
def test_a_value_that_makes_no_sense_is_a_mistake(environment):
    with pytest.raises(UsageError, match=r"NOTIFY_SOCKET|WATCHDOG_USEC"):
        Notifier.from_environment(environment)


# Logs


@pytest.mark.parametrize(
    "args", [("serve", "--engine", "memory", "--bind"), ("proxy", "--upstream", "tcp://127.0.0.1:9", "--listen")]
)
def test_ports_that_the_system_chose_are_printed_and_logged(args, tmp_path):
    log = tmp_path / "log"
    with running(*args, "tcp://[::1]:0", "--metrics", "[::1]:0", "--log-format", "json", "-v", log=log) as (_, line):
        found = unwrap(
            re.fullmatch(r"serving (tcp://\[::1\]:\d+) \(.*, metrics at (http://\[::1\]:\d+/metrics)\)\n", line)
        )
        assert urllib.request.urlopen(found[2], timeout=WAIT).status == 200
        records = [json.loads(line) for line in log.read_text().splitlines()]
    reported = {record["message"].partition(" at ")[0].partition(" on ")[0]: record.get("url") for record in records}
    assert (reported["listening"], reported["metrics"]) == (found[1], found[2])


def test_logs_of_json_name_the_database_the_client_and_the_sizes(tmp_path):
    log = tmp_path / "log"
    args = ("serve", "--engine", "memory", "--bind", "tcp://127.0.0.1:0", "--log-format", "json", "-vv")
    with running(*args, log=log) as (process, line):
        with Elevator.from_url(unwrap(re.search(r"tcp://\S+", line))[0], timeout=WAIT) as E:
            E.createdb("shop")
            E.connect("shop")
            E.Put("secret-key", "v" * 1000)
            uid = E.db_uid
        process.terminate()
        assert process.wait(WAIT) == 0
    records = [json.loads(line) for line in log.read_text().splitlines()]
    assert all({"time", "level", "logger", "message"} <= record.keys() for record in records)
    (put,) = [record for record in records if record.get("verb") == "PUT"]
    assert (put["database"], put["logger"], put["level"]) == ("shop", "pyelevator.requests", "DEBUG")
    assert put["client"].startswith("127.0.0.1:")
    assert 1000 < put["request_bytes"] < 1200
    assert 10 < put["response_bytes"] < 200
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", put["time"])
    assert uid not in log.read_text()
    assert "secret-key" not in log.read_text()


def test_a_slow_request_is_a_warning_in_either_format(tmp_path):
    for form in ("json", "text"):
        log = tmp_path / form
        args = ("serve", "--engine", "memory", "--bind", "tcp://127.0.0.1:0", "--log-format", form, "--slow", "0.0001")
        with running(*args, log=log) as (_, line), Elevator.from_url(unwrap(re.search(r"tcp://\S+", line))[0]) as E:
            E.Put("k", "v")
            E.ping()
        assert re.search(
            r"WARNING.* PUT in default of 127\.0\.0\.1:\d+ took |PUT in default of .*\"verb\": \"PUT\"", log.read_text()
        )
