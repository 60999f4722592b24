"""What holds for all tests."""

import os
import signal
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from support.forking import warn_as_later_pythons_do

# With the reference, on plyvel, unless something else is asked for, as make native-test does.
os.environ.setdefault("PYELEVATOR_NATIVE", "0")

# The same examples in each run, so that a run fails for what was changed and not by chance; `--hypothesis-profile explore`
# draws others each time, as the fuzz targets do. No example has to be quick: on a loaded machine any may take long.
UNHURRIED = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow], "database": None}
settings.register_profile("explore", settings.default, **UNHURRIED)
settings.register_profile("repeatable", settings.default, **UNHURRIED, derandomize=True)
settings.load_profile("repeatable")

# A shell that runs the tests in the background has interrupts ignored, and so had every program that a test interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

warn_as_later_pythons_do()

TESTS = Path(__file__).parent

SLOW = [
    "application/catalog/test_open_limit.py",
    "auth",
    "cli",
    "client/sync/test_heartbeats.py",
    "client/sync/test_prefetch.py",
    "codec/classic/test_fast_path.py",
    "codec/test_elements.py",
    "codec/test_weight.py",
    "conformance",
    "console",
    "docs",
    "engines/leveldb/directories/test_lock.py",
    "engines/leveldb/directories/test_operations.py",
    "engines/leveldb/test_repair.py",
    "engines/postgresql",
    "engines/test_row_cache.py",
    "fuzz",
    "integration/auth",
    "integration/client/test_deadlines.py",
    "integration/client/test_exit.py",
    "integration/client/test_fork.py",
    "integration/client/test_green.py",
    "integration/client/test_interrupted_steps.py",
    "integration/client/test_interrupts.py",
    "integration/client/test_reconnect.py",
    "integration/client/test_reentrancy.py",
    "integration/client/test_threads.py",
    "integration/client/test_views.py",
    "integration/codec/test_properties.py",
    "integration/console",
    "integration/dumps/test_commands.py",
    "integration/engines/leveldb/test_damage_matrix.py",
    "integration/engines/postgresql",
    "integration/engines/test_model.py",
    "integration/legacy",
    "integration/proxy/test_faults.py",
    "integration/proxy/test_keys.py",
    "integration/proxy/test_slow_upstreams.py",
    "integration/server",
    "integration/test_async.py",
    "integration/test_connecting.py",
    "integration/test_cursors.py",
    "integration/test_foreign_sockets.py",
    "integration/test_forgotten.py",
    "integration/test_snapshots.py",
    "integration/test_tiny_elements.py",
    "integration/test_updates.py",
    "integration/transports/test_heartbeats.py",
    "native",
    "proxy/test_proxy.py",
    "server",
    "test_types.py",
    "testing/test_plugin.py",
    "testing/test_transports.py",
    "torture",
    "transports/sockets/test_aio.py",
    "transports/test_curve.py",
]
"""Directories and files whose tests start processes, wait for faults, or play long histories."""


@cache
def is_slow(path):
    """Whether a file of tests, or a directory, is marked slow."""
    return any(path.is_relative_to(TESTS / name) for name in SLOW)


def pytest_ignore_collect(collection_path, config):
    """Do not import slow tests where none of them runs: each process would, and that takes longer than many tests."""
    return True if config.option.markexpr == "not slow" and is_slow(collection_path) else None


def pytest_collection_modifyitems(items):
    """Mark the slow tests, so that ``pytest -m "not slow"`` leaves them out."""
    for item in items:
        if is_slow(item.path):
            item.add_marker(pytest.mark.slow)


def pytest_addoption(parser):
    """Say where pictures go."""
    parser.addoption("--screenshots", action="store_true", help="write the pictures of the console into docs/pictures")


@pytest.fixture(scope="session")
def postgresql():
    """Start the PostgreSQL of this process; without its programs the test is skipped."""
    from support.postgresql import PostgreSql

    with PostgreSql() as server:
        yield server
