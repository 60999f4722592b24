"""Long answers are read and encoded in chunks, with a checkpoint between them."""

import pytest

from pyelevator.application import Application
from pyelevator.application.fairness import CHUNK_ROWS, CheckpointedRows, Cooperation
from pyelevator.codec.packing import pack, pack_array
from pyelevator.commands import PUT, Batch, Range
from pyelevator.messages import CallContext, Request


class Counting(Cooperation):
    """Counts the checkpoints."""

    count = 0

    def checkpoint(self) -> None:
        self.count += 1


@pytest.mark.parametrize(
    ("size", "checkpoints"), [(0, 0), (1, 0), (CHUNK_ROWS, 0), (CHUNK_ROWS + 1, 1), (3 * CHUNK_ROWS, 2)]
)
def test_encoding_passes_a_checkpoint_between_chunks_of_rows(size, checkpoints):
    cooperation = Counting()
    rows = CheckpointedRows(cooperation)
    rows.extend((b"%d" % i, b"v") for i in range(size))
    written = bytes(pack_array(rows))
    assert cooperation.count == checkpoints
    assert written == pack([(b"%d" % i, b"v") for i in range(size)])


@pytest.mark.parametrize(
    ("size", "checkpoints"), [(0, 0), (1, 0), (CHUNK_ROWS, 1), (CHUNK_ROWS + 1, 1), (3 * CHUNK_ROWS, 3)]
)
def test_a_range_passes_a_checkpoint_after_each_full_chunk(size, checkpoints, monkeypatch):
    application, passed = Application.in_memory(), []

    def count(cooperation):
        passed.append(cooperation)

    monkeypatch.setattr(Cooperation, "checkpoint", count)
    uid = application.catalog.uid_of("default")
    application(Request(Batch([(PUT, b"%04d" % i, b"v") for i in range(size)]), uid))
    application(Request(Range(), uid, context=CallContext(row_sink=list)))
    assert len(passed) == checkpoints
