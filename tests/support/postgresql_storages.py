"""A schema of the PostgreSQL of this process for each test, and its storage."""

import pytest


@pytest.fixture
def url(postgresql):
    return postgresql.new_url()


@pytest.fixture
def open_storage():
    """Return a function that opens the storage of a URL; all are closed in the end."""
    from pyelevator.engines.postgresql import PostgreSqlStorage

    opened = []

    def open_url(url):
        opened.append(PostgreSqlStorage.from_url(url))
        return opened[-1]

    yield open_url
    for storage in opened:
        storage.close()


@pytest.fixture
def storage(url, open_storage):
    return open_storage(url)
