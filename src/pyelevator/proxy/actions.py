"""Actions: what the core of a proxy wants done, as data."""

from collections.abc import Sequence
from typing import TypeAlias

from pyelevator._attrs import hot_value


@hot_value
class Reply:
    """Answer a client."""

    identity: bytes
    frames: Sequence[bytes]


@hot_value
class Forward:
    """Send to an upstream, on one of its connections; not after ``expires_at``, when the request has failed."""

    upstream: str
    connection: int
    frames: Sequence[bytes]
    expires_at: float


@hot_value
class Reset:
    """Close a connection and open it anew: what still comes over the old one is ignored."""

    upstream: str
    connection: int


@hot_value
class Rest:
    """Read nothing more from a connection: it is all for clients that do not read."""

    upstream: str
    connection: int


@hot_value
class Resume:
    """Read from a connection again."""

    upstream: str
    connection: int


Action: TypeAlias = Reply | Forward | Reset | Rest | Resume
