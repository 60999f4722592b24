"""The conformance suites of transports, sync and async.

:class:`TransportConformance` checks that messages are complete, connections are independent, and a reset forgets what
was sent: subclass it and override the fixture ``transport``. :class:`DeadlineConformance` checks that deadlines are
kept whatever the peer does, and :class:`AsyncTransportConformance` that nothing waits: override ``server`` and
``connect``.
"""

from pyelevator.testing.transports.aio import AsyncTransportConformance, RecordingReceiver
from pyelevator.testing.transports.sync import DeadlineConformance, TransportConformance

__all__ = [
    "AsyncTransportConformance",
    "DeadlineConformance",
    "RecordingReceiver",
    "TransportConformance",
]
