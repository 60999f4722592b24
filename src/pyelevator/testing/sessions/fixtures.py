"""Fixtures of the suites of clients."""

from collections.abc import Callable, Iterator
from typing import Any, Final, TypeAlias

import pytest

from pyelevator import Elevator

Connect: TypeAlias = Callable[..., Any]
"""Makes a connected client of a class (Elevator or WriteBatch), its positional arguments and options."""


MANY: Final = [f"{i:05}" for i in range(1500)]
"""More keys than a page has."""


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

    @pytest.fixture
    def unconnected(self, connect: Connect) -> Iterator[Elevator[str]]:
        """Yield a client that is connected to no database."""
        client: Elevator[str] = connect(Elevator, auto_connect=False)
        yield client
        client.disconnect()

    @pytest.fixture
    def many(self, E: Elevator[str]) -> Elevator[str]:
        """Return the client of the default database, with the keys of ``MANY`` in it, each with ten times itself."""
        with E.WriteBatch() as batch:
            for key in MANY:
                batch.Put(key, key * 10)
        return E
