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
    """Send to an upstream, on one of its lanes; not after ``until``, when nobody waits for the answer any more."""

    upstream: str
    lane: int
    frames: Sequence[bytes]
    until: float


@hot_value
class Renew:
    """Replace the connection of a lane: what still comes over the old one is for nobody."""

    upstream: str
    lane: int


@hot_value
class Rest:
    """Read nothing more from a lane: it is all for clients who do not read."""

    upstream: str
    lane: int


@hot_value
class Resume:
    """Read from a lane again."""

    upstream: str
    lane: int


Action: TypeAlias = Reply | Forward | Renew | Rest | Resume
