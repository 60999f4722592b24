"""The plugin for pytest, in real runs of pytest that find it by its entry point."""

import subprocess
import sys
import tomllib

import pytest

import pyelevator.testing
from support.pages import ROOT
from support.programs import WAIT_TIMEOUT

pytest_plugins = ["pytester"]


@pytest.fixture
def passes(pytester):
    """Runs pytest over a test file in a process of its own, with nothing but what is installed."""

    def run(program, *args, **outcomes):
        pytester.makepyfile(program)
        result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-W", "error", *args)
        result.assert_outcomes(**outcomes)
        return result

    return run


def test_the_plugin_is_an_entry_point_of_pytest():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"pyelevator": "pyelevator.testing.plugin"}


def test_elevator_is_a_fresh_fake_for_each_test(passes):
    passes(
        """
        import pytest

        @pytest.mark.parametrize("turn", [1, 2])
        def test_counts(elevator, turn):
            assert elevator.Range() == []
            elevator.Put("k", "v")
            assert elevator.Get("k") == "v"
        """,
        passed=2,
    )


def test_an_application_that_takes_a_url_shares_the_fake(passes):
    passes(
        """
        import asyncio
        from pyelevator import AsyncElevator, Elevator

        def test_sync(elevator, elevator_url):
            with Elevator.from_url(elevator_url) as application:
                application.Put("k", "v")
            assert elevator.Get("k") == "v"

        def test_async(elevator, elevator_url):
            async def application():
                async with AsyncElevator.from_url(elevator_url) as E:
                    return await E.Get("k")

            elevator.Put("k", "v")
            assert asyncio.run(application()) == "v"

        def test_environment(elevator, elevator_url, monkeypatch):
            monkeypatch.setenv("ELEVATOR_URL", elevator_url)
            with Elevator() as application:
                application.Put("k", "v")
            assert elevator.Get("k") == "v"
        """,
        passed=3,
    )


SERVER = """
import os
import pytest
from pyelevator import Elevator, TransportError

def test_is_a_process(elevator_server):
    assert elevator_server.pid != os.getpid()
    with Elevator.from_url(elevator_server.url) as E:
        assert E.Range() == []
        E.Put("k", "v")
        elevator_server.restart()
        print("kept" if E.Exists("k") else "lost")
        elevator_server.kill()
        with pytest.raises(TransportError):
            E.Get("k", timeout=1)
"""


@pytest.mark.parametrize(
    ("args", "ini", "printed"),
    [
        ((), "", "lost"),
        (("--elevator-engine", "leveldb"), "", "kept"),
        ((), "elevator_engine = leveldb", "kept"),
        (("--elevator-engine=memory",), "elevator_engine = leveldb", "lost"),
    ],
)
def test_elevator_server_is_a_process_on_the_engine_asked_for(pytester, passes, args, ini, printed):
    pytester.makeini(f"[pytest]\n{ini}\n")
    result = passes(SERVER, "-s", *args, passed=1)
    assert printed in result.stdout.str()


def test_a_test_says_itself_which_engines_it_takes(passes):
    mark = '@pytest.mark.parametrize("elevator_server", ["memory", "leveldb"], indirect=True)\ndef test_is'
    result = passes(SERVER.replace("def test_is", mark), "-s", passed=2)
    assert "lost" in result.stdout.str()
    assert "kept" in result.stdout.str()


def test_an_engine_that_does_not_exist_is_refused_with_the_choice(pytester, passes):
    pytester.makeini("[pytest]\nelevator_engine = postgres-11\n")
    result = passes(SERVER, errors=1)
    assert "there is no engine 'postgres-11' for elevator_server; choose one of memory, leveldb" in result.stdout.str()


def test_the_fixtures_are_listed_with_what_they_are(pytester):
    listed = pytester.runpytest_subprocess("--fixtures", "-p", "no:cacheprovider").stdout.str()
    for name in ("elevator --", "elevator_url --", "elevator_server --"):
        assert name in listed


def test_the_plugin_costs_a_run_without_it_no_import_of_the_client():
    program = (
        "import sys, pyelevator.testing.plugin\nprint([m for m in ('attrs', 'hypothesis', 'zmq') if m in sys.modules])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=WAIT_TIMEOUT
    )
    assert ran.stdout == "[]\n"


def test_every_name_of_the_package_can_be_imported():
    assert vars(pyelevator.testing)["__all__"] == sorted(vars(pyelevator.testing)["__all__"])
    assert all(getattr(pyelevator.testing, name) for name in vars(pyelevator.testing)["__all__"])
    with pytest.raises(ImportError):
        from pyelevator.testing import nothing_of_the_kind  # type: ignore[attr-defined]  # noqa: F401
