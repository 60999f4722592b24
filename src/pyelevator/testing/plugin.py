"""The plugin for pytest: the fixtures ``elevator``, ``elevator_url`` and ``elevator_server``.

It is there wherever pyelevator is installed; nothing has to be imported. ``elevator_server`` runs on the engine that
``--elevator-engine`` or, in pytest's configuration, ``elevator_engine`` names: ``memory`` (the default) or ``leveldb``.
A test says it for itself with ``@pytest.mark.parametrize("elevator_server", ["memory", "leveldb"], indirect=True)``.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from pyelevator import Elevator
    from pyelevator.testing.servers import ServerProcess

ENGINES: Final = ("memory", "leveldb")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option and the setting for the engine."""
    parser.getgroup("pyelevator").addoption(
        "--elevator-engine", choices=ENGINES, help="the engine of the fixture elevator_server: memory or leveldb"
    )
    parser.addini("elevator_engine", "the engine of the fixture elevator_server", default=ENGINES[0])


@pytest.fixture
def elevator_url() -> Iterator[str]:
    """Yield the URL of a fresh fake, for programs that take a URL; any number of clients share it."""
    from pyelevator.testing.fakes import fake_server  # pytest loads this plugin in every run

    with fake_server() as url:
        yield url


@pytest.fixture
def elevator(elevator_url: str) -> "Iterator[Elevator[str]]":
    """Yield a client of a fresh fake, the one of ``elevator_url``."""
    from pyelevator import Elevator

    with Elevator.from_url(elevator_url) as client:
        yield client


@pytest.fixture
def elevator_server(request: pytest.FixtureRequest, tmp_path: "object") -> "Iterator[ServerProcess]":
    """Yield a real server in a process of its own, empty; its ``url`` connects to it, and ``kill`` ends it."""
    from pyelevator.testing.servers import ServerProcess

    engine = _engine(request)
    data = None if engine == "memory" else f"{tmp_path}/elevator-data"
    with ServerProcess(data, engine=engine) as server:
        yield server


def _engine(request: pytest.FixtureRequest) -> str:
    config = request.config
    engine = getattr(request, "param", None) or config.getoption("--elevator-engine")
    engine = str(engine or config.getini("elevator_engine"))
    if engine not in ENGINES:
        raise pytest.UsageError(
            f"there is no engine {engine!r} for elevator_server; choose one of {', '.join(ENGINES)}"
        )
    return engine
