"""Large ranges are compacted in parts, so that others see how far it is."""

import os
from itertools import pairwise

from hypothesis import given, strategies as st

from pyelevator.commands import DELETE, PUT
from pyelevator.engines.base import Bounds
from pyelevator.engines.leveldb import LevelDbStorage, engine as engines
from pyelevator.engines.leveldb.splitting import split_keys
from pyelevator.engines.progress import reporting


@given(st.lists(st.binary(max_size=12), min_size=2, unique=True), st.integers(1, 5))
def test_the_keys_that_split_a_range_are_within_it_and_in_order(keys, most):
    keys.sort()
    cuts = split_keys(keys[0], keys[-1], most, lambda start, stop: sum(start <= key < stop for key in keys))
    assert cuts == sorted(set(cuts))
    assert all(keys[0] < cut < keys[-1] for cut in cuts)


def test_a_range_of_even_keys_has_parts_of_about_one_size():
    keys = [b"user:%06d" % number for number in range(100_000)]

    def size(start, stop):
        return sum(start <= key < stop for key in keys[::100]) * 100

    ends = [keys[0], *split_keys(keys[0], keys[-1], 20_000, size), keys[-1]]
    parts = [size(start, stop) for start, stop in pairwise(ends)]
    assert max(parts) <= 20_000
    assert len(parts) <= 16


def test_a_large_compaction_reports_each_part_and_keeps_the_pairs(tmp_path, monkeypatch):
    monkeypatch.setattr(engines, "_COMPACTION_BYTES", 1 << 18)
    keys = [b"%06d" % number for number in range(4000)]
    with LevelDbStorage().open(str(tmp_path / "db"), {"compression": None, "write_buffer_size": 1 << 18}) as engine:
        for first in range(0, len(keys), 100):
            engine.write([(PUT, key, os.urandom(1000)) for key in keys[first : first + 100]])
        engine.compact()
        before = engine.range_size(None, None)
        engine.write([(DELETE, key) for key in keys[1000:]])
        reported = []
        with reporting(lambda *report: reported.append(report)):
            engine.compact()
        assert len(reported) > 6
        assert reported[0][0] == 0
        assert reported[-1][0] == reported[-1][1] > 0
        assert engine.range_size(None, None) < before / 2
        assert list(engine.scan(Bounds(include_value=False))) == keys[:1000]
