"""How many databases are open at once where the process may not have many files open."""

import json
import logging
import resource
import subprocess
import sys

import pytest

from pyelevator.application.catalog.open_limit import OpenDatabases
from pyelevator.errors import DatabaseError


class Database:
    adopted = False
    open_databases: OpenDatabases

    def __init__(self, used_at=0.0, idle=True):
        self.used_at, self.idle = used_at, idle

    def close_if_idle(self, before):
        if self.idle:
            self.open_databases.remove(self)
        return self.idle


def add(open_databases, database):
    database.open_databases = open_databases
    open_databases.add(database)
    return database


@pytest.fixture
def limited(monkeypatch):
    def limit(files):
        monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))

    return limit


@pytest.mark.parametrize(
    ("files", "max_open", "expected"),
    [
        (1024, 256, 72),
        (256, 256, 15),
        (4096, 256, 256),
        (64, 256, 1),
        (8, 256, 1),
        (1024, 10, 10),
        (resource.RLIM_INFINITY, 256, 256),
    ],
)
def test_the_limit_of_files_bounds_the_open_databases(limited, files, max_open, expected):
    limited(files)
    open_databases = OpenDatabases(max_open, 4)
    for _ in range(expected):
        add(open_databases, Database(idle=False))
    with pytest.raises(DatabaseError, match=f"^{expected} databases are in use already; try again, or raise "):
        open_databases.add(Database())


def test_the_error_names_the_limit_that_was_reached(limited):
    limited(64)
    open_databases = OpenDatabases(256, 4)
    add(open_databases, Database(idle=False))
    with pytest.raises(DatabaseError, match=r"or raise the limit of open files \(ulimit -n\)$"):
        open_databases.add(Database())
    open_databases = OpenDatabases(1, 4)
    add(open_databases, Database(idle=False))
    with pytest.raises(DatabaseError, match=r"or raise --max-open$"):
        open_databases.add(Database())


def test_a_storage_without_files_is_not_bounded_by_them(limited):
    limited(8)
    open_databases = OpenDatabases(3)
    for _ in range(3):
        add(open_databases, Database(idle=False))
    with pytest.raises(DatabaseError, match=r"^3 databases are in use already"):
        open_databases.add(Database())


def test_that_fewer_are_open_than_wanted_is_logged_once(limited, caplog):
    limited(256)
    open_databases = OpenDatabases(256, 4)
    with caplog.at_level(logging.WARNING, "pyelevator.catalog"):
        for _ in range(40):
            add(open_databases, Database())
    assert [record.getMessage() for record in caplog.records] == [
        "no more than 15 databases are open at once, as this process may open 256 files"
    ]


PROGRAM = """
import json, os, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))
from pyelevator import Elevator
from pyelevator.application import Application
from pyelevator.transports import FakeTransport
most = 0
with Elevator(transport=FakeTransport(Application.on_leveldb(sys.argv[1]))) as E:
    names = [f"db{i}" for i in range(60)]
    for name in names:
        E.createdb(name)
    for _ in range(2):
        for name in names:
            E.connect(name)
            E.Put("k", name)
            most = max(most, len(os.listdir("/proc/self/fd")))
    values = []
    for name in names:
        E.connect(name)
        values.append(E.Get("k"))
print(json.dumps([values == names, most]))
"""


def test_sixty_databases_are_used_where_128_files_may_be_open(tmp_path):
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    right, most = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=300).stdout)
    assert right
    assert most < 128
