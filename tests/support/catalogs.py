from typing import Any

import pytest

from pyelevator.application import Application, Catalog
from pyelevator.engines.leveldb import LevelDbStorage
from pyelevator.engines.memory import MemoryStorage
from pyelevator.messages import Request

STORAGES = {"memory": MemoryStorage, "leveldb": LevelDbStorage}


@pytest.fixture(params=STORAGES)
def catalog(request, tmp_path):
    catalog = Catalog(STORAGES[request.param](), str(tmp_path / "data"))
    yield catalog
    catalog.close()


@pytest.fixture
def application(catalog):
    return Application(catalog)


@pytest.fixture
def ask(application):
    """Answers a command on 'default'."""
    uid = application.catalog.uid_of("default")
    return lambda command, uid=uid: application(Request(command, uid, id=7))


@pytest.fixture
def reopened(tmp_path):
    """Opens catalogs on LevelDB in one data directory, one after the other: each call closes the one before."""
    opened: list[Any] = []

    def open_catalog(*, storage=None, **options):
        for catalog in opened:
            catalog.close()
        opened.append(Catalog(storage or LevelDbStorage(), str(tmp_path / "data"), **options))
        return opened[-1]

    yield open_catalog
    for catalog in opened:
        catalog.close()
