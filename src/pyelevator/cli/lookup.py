"""Lookups for completion: the keys and databases of a server that begin with what is typed."""

import os
from collections.abc import Sequence
from typing import Final

from pyelevator.client import Elevator
from pyelevator.errors import ElevatorError

_LOOKUP_TIMEOUT: Final = 1.0
_MAX_KEYS: Final = 100


def list_keys(client: Elevator[bytes], typed: str) -> Sequence[bytes]:
    """Return the first keys that begin with what is typed; none if the server does not say them at once."""
    prefix = os.fsencode(typed)
    try:
        keys: list[bytes] = client.Range(None, _MAX_KEYS, prefix=prefix, include_value=False, timeout=_LOOKUP_TIMEOUT)
    except ElevatorError:
        return []
    return keys


def list_databases(client: Elevator[bytes], typed: str) -> Sequence[bytes]:
    """Return the names of databases that begin with what is typed; none if the server does not say them at once."""
    try:
        return [os.fsencode(name) for name in client.listdb(timeout=_LOOKUP_TIMEOUT) if name.startswith(typed)]
    except ElevatorError:
        return []
