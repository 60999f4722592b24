"""The documented session on a cluster, through a real server: the suites that memory and LevelDB pass."""

import pytest

from pyelevator.application import Application
from pyelevator.testing.bulk_ranges import BulkRangeConformance
from pyelevator.testing.servers import serve
from pyelevator.testing.sessions import (
    ClassicConformance,
    CursorConformance,
    ReverseConformance,
    SessionConformance,
    StatsConformance,
)
from pyelevator.testing.snapshots import SnapshotConformance
from pyelevator.testing.updates import UpdateConformance
from pyelevator.transports import TcpTransport


class TestSessions(
    SessionConformance,
    ClassicConformance,
    ReverseConformance,
    CursorConformance,
    SnapshotConformance,
    StatsConformance,
    UpdateConformance,
    BulkRangeConformance,
):
    # What a cluster refuses, and says why (test_catalog.py, test_limits.py): long keys, LevelDB's options, files.
    test_long_keys_are_deleted_in_smaller_chunks = None  # type: ignore[assignment]
    test_database_options_are_taken = None  # type: ignore[assignment]
    test_repair_keeps_the_data = None  # type: ignore[assignment]
    test_a_forgotten_database_is_off_the_list_and_keeps_its_data = None  # type: ignore[assignment]
    test_a_database_that_was_there_before_is_dropped_only_on_demand = None  # type: ignore[assignment]
    test_forgetting_needs_a_database_and_no_connected_one = None  # type: ignore[assignment]

    @pytest.fixture
    def application(self, url):
        application = Application.on_url(f"{url}&call_timeout=20")  # a loaded machine is no conflict
        yield application
        application.close()

    @pytest.fixture
    def connect(self, application):
        with serve(application, "tcp://127.0.0.1:0") as server:
            transport = TcpTransport(server.urls[0].removeprefix("tcp://"))
            yield lambda kind, *args, **options: kind(*args, **{"transport": transport, "timeout": 30, **options})
