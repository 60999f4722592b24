"""``elevator bench``: a short run against a real server, what is printed, and that nothing is left behind."""

import json
from io import StringIO

import pytest
from click.testing import CliRunner
from rich.console import Console

from pyelevator import Elevator
from pyelevator.cli.main import elevator
from pyelevator.cli.subcommands import bench
from pyelevator.cli.subcommands.bench import Result, duration, run_step
from pyelevator.errors import UsageError
from pyelevator.loadtest import workloads
from pyelevator.loadtest.processes import LoadProcesses, Measurement, measure_steps, merge, percentile
from pyelevator.testing.servers import ServerProcess


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    with ServerProcess(data=tmp_path_factory.mktemp("bench") / "data") as server:
        yield server.urls[0]


def run(*args):
    result = CliRunner().invoke(elevator, ["bench", *args])
    return result.exit_code, result.stdout, result.stderr


def names_on(url):
    with Elevator.from_url(url) as client:
        return client.listdb()


def test_a_short_run_prints_a_line_for_every_work_and_drops_its_database(url):
    code, out, err = run(url, "--pairs", "100", "--seconds", "0", "--clients", "2")
    assert code == 0, err
    for line in (
        "Put",
        "Get",
        "WriteBatch of 100 puts",
        "MGet of 10 random keys",
        "Range of 100",
        "RangeIter over 100",
    ):
        assert f"│{line} " in out
    assert "│2 client processes, 4 Gets to a Put " in out
    assert f"{url}: 100 pairs of 116 bytes, 0 s each" in out
    assert names_on(url) == ["default"]


def test_a_work_that_fails_is_told_in_its_line_and_by_the_exit_code(url, monkeypatch):
    def refused(client, dataset):
        raise UsageError("not today")
        yield 0

    monkeypatch.setattr(bench, "WORKLOADS", {"Get": workloads.gets, "Nothing": refused})
    code, out, _ = run(url, "--pairs", "10", "--seconds", "0", "--clients", "0")
    assert code == 1
    assert "not today" in " ".join(out.split())
    code, out, _ = run(url, "--pairs", "10", "--seconds", "0", "--clients", "0", "--json")
    get, nothing = [json.loads(line) for line in out.splitlines()]
    assert (code, nothing) == (1, {"workload": "Nothing", "failure": "not today"})
    assert (get["workload"], sorted(get)) == ("Get", ["calls", "p50", "p99", "rate", "workload"])
    assert names_on(url) == ["default"]


def test_without_a_server_it_says_what_to_do(tmp_path):
    code, out, err = run(f"ipc://{tmp_path}/socket?timeout=0.05")
    assert (code, out) == (3, "")
    assert err.startswith("elevator: cannot connect to the Elevator server at ipc://")


def test_what_is_no_url_is_exit_code_2():
    assert run("here")[0] == 2


def test_a_result_reads_as_a_line():
    measurement = Measurement(operations=3000, seconds=1.5, latencies=[0.000_05] * 98 + [0.002] * 2)
    assert Result("Get", measurement).cells() == ("Get", "2,000", "50 µs", "2.0 ms", "100")


def test_no_figure_is_cut_off_where_the_output_is_narrow():
    measurement = Measurement(operations=123_456_789, seconds=1.0, latencies=[1.5] * 12_500)
    plan = bench.BenchmarkPlan("tcp://127.0.0.1:1", "bench", 100_000, 2.0, 8)
    console = Console(file=StringIO(), width=40)
    bench.print_full_width(bench.results_table(plan, [Result("Range of 100,000, by 8 clients", measurement)]), console)
    assert all(cell in console.file.getvalue() for cell in ("123,456,789", "1,500.0 ms", "12,500"))  # type: ignore[attr-defined]


def test_a_failure_is_one_line():
    def fail():
        raise UsageError("no\nluck")

    assert run_step("Get", fail).cells() == ("Get", "failed: no luck", "", "", "")


@pytest.mark.parametrize(("seconds", "text"), [(0.000_085_4, "85 µs"), (0.0123, "12.3 ms"), (1.5, "1,500.0 ms")])
def test_durations_are_for_people(seconds, text):
    assert duration(seconds) == text


def test_at_least_one_step_is_taken_whatever_the_clock_says():
    measurement = measure_steps(iter([10, 20]), begin=0.0, end=0.0)
    assert (measurement.operations, len(measurement.latencies)) == (10, 1)


def test_shares_of_the_same_time_add_up():
    assert merge([Measurement(10, 2.0, [0.1]), Measurement(20, 2.0, [0.2])]) == Measurement(30, 2.0, [0.1, 0.2])


@pytest.mark.parametrize(("measurement", "latency"), [(0.5, 3), (0.99, 5), (0.0, 1), (1.0, 5)])
def test_a_quantile_is_one_of_the_latencies(measurement, latency):
    assert percentile([5, 1, 4, 2, 3], measurement) == latency


def test_a_process_that_fails_is_told_of():
    with (
        LoadProcesses(1) as processes,
        pytest.raises(RuntimeError, match="a client process failed: UsageError: 'here' is no"),
    ):
        processes.measure(workloads.mixed_workload, "here", "default", 10, seconds=0)


def test_values_are_equal_in_every_run_and_compress_to_a_half():
    value = workloads.value(7)
    assert len(value) == 100
    assert value[:50] == value[50:]
    assert value == workloads.value(7) != workloads.value(8)
    assert [len(workloads.value(1, size)) for size in (1, 10, 11, 1_000_000)] == [1, 10, 11, 1_000_000]


def test_random_keys_are_distinct_while_there_are_enough():
    assert sorted(workloads.random_keys(5, 5)) == [workloads.key(number) for number in range(5)]
    assert set(workloads.random_keys(2, 50)) == {workloads.key(0), workloads.key(1)}
