"""``elevator stats`` and ``elevator slowlog`` over a real server."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from pyelevator import Elevator
from pyelevator.application import Application, Policy
from pyelevator.cli.main import elevator
from pyelevator.cli.subcommands.stats import report
from pyelevator.monitoring import CacheStats, DatabaseStats, EngineStats, Latency, LevelStats, ServerStats, VerbStats
from pyelevator.server import Server
from pyelevator.testing.servers import ANY_PORT
from support.optional import unwrap


@pytest.fixture
def url():
    with Server(Application.in_memory(Policy(slow=1e-9, slow_keys=True)), [ANY_PORT]) as server:
        with Elevator.from_url(server.urls[0]) as E:
            E.Put("abc", "123")
        yield server.urls[0]


def run(*args):
    result = CliRunner().invoke(elevator, [*args])
    return result.exit_code, result.stdout, result.stderr


def test_figures_are_shown_as_text(url):
    code, out, err = run("stats", url)
    assert (code, err) == (0, "")
    assert out.startswith("pyelevator 1.0.0")
    assert [line.split()[0] for line in out.splitlines() if line] == [
        "pyelevator", "connections", "queues", "cursors", "process", "requests", "DBCONNECT", "PING", "PUT", "database", "default",
    ]  # fmt: skip


def test_figures_are_shown_as_json_under_the_names_of_the_documentation(url):
    code, out, _ = run("stats", "--url", url, "--json")
    reported = json.loads(out)
    assert (code, reported["requests"]["PUT"]["count"], reported["databases"][0]["name"]) == (0, 1, "default")


def test_watching_prints_again_and_again_until_interrupted(url):
    command = [sys.executable, "-m", "pyelevator", "stats", url, "--json", "--watch", "0.1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        lines = [json.loads(unwrap(process.stdout).readline()) for _ in range(3)]
        process.terminate()
    uptimes = [line["uptime"] for line in lines]
    assert uptimes == sorted(set(uptimes))


def test_the_slow_log_is_shown_as_text_and_as_json(url):
    code, out, _ = run("slowlog", url)
    head, *rows = out.splitlines()
    assert (code, head.split()) == (0, ["when", "took", "verb", "database", "client", "request", "answer", "key"])
    (put,) = [row for row in rows if " PUT " in row]
    assert put.split()[-1] == "abc"
    assert " default " in put
    code, out, _ = run("slowlog", url, "--json", "--limit", "1")
    (reported,) = [json.loads(line) for line in out.splitlines()]
    assert {"at", "seconds", "verb", "database", "client", "request_bytes", "response_bytes"} <= reported.keys()


def test_an_empty_slow_log_says_so_beside_the_output():
    with Server(Application.in_memory(Policy(slow=None)), [ANY_PORT]) as server:
        assert run("slowlog", server.urls[0]) == (0, "", "no request took long\n")
        assert run("slowlog", server.urls[0], "--json") == (0, "", "")


def test_without_a_server_it_is_the_exit_code_of_a_connection():
    code, out, err = run("stats", "tcp://127.0.0.1:9", "--connect-timeout", "0.1")
    assert (code, out) == (3, "")
    assert "cannot connect" in err


STATS = ServerStats(
    version="1.2",
    started_at=5.0,
    uptime=90.0,
    requests={"GET": VerbStats(300, {"key": 2}, Latency(0.0001, 0.002, 1.5, 0.0002), Latency(p99=0.003))},
    databases=(
        DatabaseStats("open", True, idle=7200.0, engine=EngineStats(5 << 20, levels=(LevelStats(1, 3, 5),),
                                                                    cache=CacheStats(3, 1))),
        DatabaseStats("closed\x1b[2J", idle=2.0),
    ),
)  # fmt: skip


def test_a_report_has_rates_latencies_and_databases():
    lines = list(report(STATS))
    assert lines[0] == "pyelevator 1.2, up 1.5 min, process 0"
    assert lines[7].split() == ["GET", "300", "3.3", "2", "key", "0.10", "ms", "2.00", "ms", "1.50", "s", "3.00", "ms"]
    assert lines[10].split() == ["open", "open", "5.0", "MiB", "1:3", "75.0%", "2.0", "h", "ago"]
    assert lines[11].split() == ["closed\\x1b[2J", "closed", "-", "-", "-", "2.0", "s", "ago"]


def test_rates_are_since_the_figures_before_unless_the_server_restarted():
    before = ServerStats(started_at=5.0, uptime=80.0, requests={"GET": VerbStats(100)})
    assert list(report(STATS, before))[7].split()[2] == "20.0"
    assert list(report(STATS, ServerStats(started_at=1.0, uptime=80.0)))[7].split()[2] == "3.3"
