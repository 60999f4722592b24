"""The conformance suite of a client and the server it talks to: the documented API, whatever lies in between.

Subclass :class:`SessionConformance` and override the fixture ``connect``; pytest then runs all of it.
"""

from pyelevator.testing.sessions.batches import BatchConformance, PipelineConformance
from pyelevator.testing.sessions.databases import ClassicConformance, DatabaseConformance, FilesConformance
from pyelevator.testing.sessions.fixtures import Connect
from pyelevator.testing.sessions.keys import ClientConformance, KeyConformance
from pyelevator.testing.sessions.operating import StatsConformance, TasksConformance
from pyelevator.testing.sessions.ranges import CursorConformance, RangeConformance, ReverseConformance


class SessionConformance(
    DatabaseConformance, KeyConformance, RangeConformance, BatchConformance, PipelineConformance, ClientConformance
):
    """Tests of the documented API, and of details that its page leaves open."""


__all__ = [
    "ClassicConformance",
    "Connect",
    "CursorConformance",
    "FilesConformance",
    "ReverseConformance",
    "StatsConformance",
    "TasksConformance",
]
