"""Actions: what the core of a proxy wants done, as data."""

from collections.abc import Sequence
from typing import TypeAlias

from pyelevator._attrs import hot_value


@hot_value
class SendToClient:
    """Answer a client."""

    identity: bytes
    frames: Sequence[bytes]


@hot_value
class SendToUpstream:
    """Send to an upstream, on one of its connections; not after ``expires_at``, when the request has failed.

    If it ``is_alone``, nothing else is in flight there, and what comes next is taken to answer it: where something has
    come already, another connection takes the place of that one.
    """

    upstream: str
    connection: int
    frames: Sequence[bytes]
    expires_at: float
    is_alone: bool = False


@hot_value
class ResetConnection:
    """Close a connection and open it again: what still comes over the old one is ignored."""

    upstream: str
    connection: int


@hot_value
class PauseReading:
    """Stop reading from a connection, all of whose answers are for clients that do not read."""

    upstream: str
    connection: int


@hot_value
class ResumeReading:
    """Read from a connection again."""

    upstream: str
    connection: int


Action: TypeAlias = SendToClient | SendToUpstream | ResetConnection | PauseReading | ResumeReading
