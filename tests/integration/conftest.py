"""Clients, sync and async, for tests of what is the same for both."""

from functools import partial

import pytest

from pyelevator import Elevator
from pyelevator.testing.portals import Portal


@pytest.fixture(params=["sync", "async"])
def make(request):
    """Return what makes clients: sync ones, or async ones that are called like them."""
    if request.param == "sync":
        yield Elevator
        return
    with Portal() as portal:
        yield partial(portal.connect, Elevator)
