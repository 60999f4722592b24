"""Long answers are written down piece by piece, with a look at what else is wanted between the pieces."""

import pytest

from pyelevator.application import Application, Policy
from pyelevator.application.context import Context
from pyelevator.application.courtesy import PIECE, CourteousRows, Courtesy
from pyelevator.codec.base import pack, pack_pieces
from pyelevator.commands import PUT, Batch, Range
from pyelevator.messages import Request


class Looks(Courtesy):
    """Counts how often somebody looked up."""

    count = 0

    def look_up(self) -> None:
        self.count += 1


@pytest.mark.parametrize(("size", "looks"), [(0, 0), (1, 0), (PIECE, 0), (PIECE + 1, 1), (3 * PIECE, 2)])
def test_who_writes_rows_down_looks_up_between_pieces_and_writes_each_row_once(size, looks):
    courtesy = Looks()
    rows = CourteousRows(courtesy)
    rows.extend((b"%d" % i, b"v") for i in range(size))
    written = bytes(pack_pieces(rows))
    assert courtesy.count == looks
    assert written == pack([(b"%d" % i, b"v") for i in range(size)])


@pytest.mark.parametrize(("size", "looks"), [(0, 0), (1, 0), (PIECE, 1), (PIECE + 1, 1), (3 * PIECE, 3)])
def test_who_reads_a_range_looks_up_after_each_full_piece(size, looks):
    courtesy = Looks()
    application = Application.in_memory()
    application._serve(
        application.catalog, Context(Policy(), application.cursors, application.catalog.is_named_by_path, courtesy)
    )
    uid = application.catalog.uid_of("default")
    application(Request(Batch([(PUT, b"%04d" % i, b"v") for i in range(size)]), uid))
    application(Request(Range(), uid, gather=list))
    assert courtesy.count == looks
