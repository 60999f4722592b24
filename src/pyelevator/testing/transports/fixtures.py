"""Fixtures of the suites of transports: messages, deadlines and a relay that misbehaves."""

from collections.abc import Iterator, Sequence

import pytest

from pyelevator.codec import ClassicCodec
from pyelevator.commands import Ping
from pyelevator.deadlines import Deadline
from pyelevator.errors import Id
from pyelevator.messages import Request
from pyelevator.testing.unruly import UnrulyRelay
from pyelevator.transports import Transport

CODEC = ClassicCodec()

BRIEF = 0.5
"""Seconds of the deadlines that must be kept."""

LARGE = bytes(1 << 20)
MAX_UNREAD = 64
"""The number of such messages that may be sent to a peer that takes nothing: more than any system keeps for it."""


def ping(number: int) -> list[bytes]:
    """Return the frames of a PING with an id."""
    return CODEC.encode_request(Request(Ping(), id=number))


def reply_id(frames: Sequence[bytes]) -> Id | None:
    """Return the id of a reply."""
    return CODEC.decode_response(frames, Request(Ping())).id


def soon() -> Deadline:
    """Return a deadline that is long enough for a loaded machine."""
    return Deadline.after(30)


def roundtrip(transport: Transport, number: int, seconds: float | None = 30.0) -> Id | None:
    """Send a PING and receive its reply within one deadline; return the reply's id."""
    deadline = Deadline.after(seconds)
    transport.send(ping(number), deadline)
    return reply_id(transport.receive(deadline))


class RelayFixtures:
    """The fixtures of both suites on unruly peers."""

    @pytest.fixture
    def server(self) -> str:
        """Return the URL of a running pyelevator server: ``tcp://host:port`` or ``ipc://path``."""
        raise NotImplementedError("override the fixture server")

    @pytest.fixture
    def oversized(self) -> bytes:
        """Return the beginning of a message that is larger than allowed, in the transport's protocol.

        By default it is bytes without a meaning in most protocols.
        """
        return b"\xff" * (64 << 10)

    @pytest.fixture
    def relay(self, server: str, oversized: bytes) -> Iterator[UnrulyRelay]:
        """Yield a relay before the server."""
        with UnrulyRelay(server) as relay:
            relay.replacement = oversized
            yield relay
