"""Clients, and what the tests put into databases."""

import pytest

from pyelevator import Elevator
from pyelevator.transports import FakeTransport


def fill(client, pairs):
    """Writes the pairs, some thousands at a time."""
    items = list(pairs.items())
    for first in range(0, len(items), 5000):
        with client.WriteBatch(timeout=60) as batch:
            for key, value in items[first : first + 5000]:
                batch.Put(key, value)


def content(client):
    return dict(client.RangeIter(timeout=60))


@pytest.fixture
def source():
    with Elevator(transport=FakeTransport(), encoding=None) as client:
        yield client


@pytest.fixture
def target():
    with Elevator(transport=FakeTransport(), encoding=None) as client:
        yield client
