"""Fixtures of the suites of clients."""

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import pytest

from pyelevator import Elevator

Connect: TypeAlias = Callable[..., Any]
"""Makes a connected client of a class (Elevator or WriteBatch), its positional arguments and options."""


class SessionFixtures:
    """The clients that the tests use."""

    @pytest.fixture
    def connect(self) -> Connect:
        """Return a function that connects clients to one empty server: ``connect(Elevator, "db", timeout=3)``."""
        raise NotImplementedError("override the fixture connect")

    @pytest.fixture
    def E(self, connect: Connect) -> Iterator[Elevator[str]]:
        """Yield a client of the default database."""
        with connect(Elevator) as client:
            yield client

    @pytest.fixture
    def digits(self, E: Elevator[str]) -> Elevator[str]:
        """Return the same client, with the keys '0' to '9' in the database, each its own value."""
        for i in range(10):
            E.Put(str(i), str(i))
        return E
