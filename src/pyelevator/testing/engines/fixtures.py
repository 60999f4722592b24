"""Fixtures of the suites of engines: a storage, a database, and pairs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pyelevator.commands import PUT
from pyelevator.engines.base import Capability, Engine, Storage

PAIRS = [(b"%04d" % i, b"%d" % i * 100) for i in range(2000)]
"""What :meth:`EngineFixtures.damage` damages."""

LETTERS = [(b"a", b"1"), (b"b", b"2"), (b"ba", b"3"), (b"c", b"4"), (b"\xff", b"5"), (b"\xff\xff", b"6")]


class EngineFixtures:
    """The storage and the databases of the tests of engines.

    Override :meth:`storage`, and :meth:`path` if paths are not paths of this machine.
    """

    @pytest.fixture
    def storage(self) -> Storage:
        """Return the storage to test, a new and empty one for every test."""
        raise NotImplementedError("override the fixture 'storage'")

    @pytest.fixture
    def path(self, storage: Storage, tmp_path: Path) -> str:
        """Return the path of the test's database, where nothing exists yet."""
        return storage.resolve(str(tmp_path / "database"))

    @pytest.fixture
    def engine(self, storage: Storage, path: str) -> Iterator[Engine]:
        """Yield an open and empty database."""
        with storage.open(path, {}) as engine:
            yield engine

    @pytest.fixture
    def letters(self, engine: Engine) -> Engine:
        """Return the database with the pairs of ``LETTERS``."""
        engine.write([(PUT, key, value) for key, value in reversed(LETTERS)])
        return engine

    def reborn(self, storage: Storage) -> Storage:
        """Return the storage as another process would see it."""
        return type(storage)()

    def damage(self, path: str) -> None:
        """Damage the files of a closed database; override it for a storage that is DURABLE.

        Args:
            path: of the database, which has ``PAIRS``. At least the last of them must not be readable any more.
        """
        raise NotImplementedError("override 'damage': what a durable engine cannot read has to be an error")


def needs(storage: Storage, capability: Capability) -> None:
    """Skip the test if the storage lacks a capability."""
    if capability not in storage.capabilities:
        pytest.skip(f"this storage is not {capability.value}")
