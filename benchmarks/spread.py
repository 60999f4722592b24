"""MGet by one iterator or by point reads: what each costs by how far apart the keys are."""

import random
import statistics
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from benchmarks.bed import PAIRS, Bed
from benchmarks.measure import in_turn, rate, table
from pyelevator.engines.leveldb import LevelDbStorage
from pyelevator.engines.leveldb.binding import reader
from pyelevator.loadtest.workloads import key

_MOST: Final = 10_000
_SHARES: Final = (1, 2, 4, 10, 20, 40, 60, 100, 300)
_ALWAYS: Final = {"one iterator": 1 << 40, "point reads": -1, "as chosen": reader.SCAN_MAX_GAP}


def section(bed: Bed, _folder: Path) -> str:
    """The table for docs/benchmarks.md: one key of so many, in the same database."""
    storage = LevelDbStorage()
    with closing(storage.open(str(bed.copy(PAIRS)), {})) as engine:
        rows = [_measured(engine, share, bed.plan.rounds) for share in _SHARES]
    return f"{_INTRODUCTION.format(far=reader.SCAN_MAX_GAP)}\n\n{table(('keys', 'bytes of files from one to the next', *_ALWAYS), rows)}\n"


def _measured(engine: Any, share: int, rounds: int) -> Sequence[str]:
    among = min(PAIRS, _MOST * share)
    keys = sorted(map(key, random.Random(1).sample(range(among), among // share)))

    def timed(far: int) -> float:
        reader.SCAN_MAX_GAP = far  # type: ignore[misc]
        try:
            return 1e6 / rate(lambda: list(engine.iter_values(keys)), len(keys))
        finally:
            reader.SCAN_MAX_GAP = _ALWAYS["as chosen"]  # type: ignore[misc]

    times = in_turn([lambda far=far: timed(far) for far in _ALWAYS.values()], rounds)
    apart = engine._spread(keys[0], keys[-1]) / len(keys)
    return f"1 of {share}", f"{apart:,.0f}", *[f"{statistics.median(some):.1f}" for some in times]


_INTRODUCTION: Final = """## MGet: one iterator or point reads

Microseconds for each key of a sorted MGet, which is how the server reads one, without the blocks being kept in LevelDB's cache (`fill_cache=False`). One
iterator seeks from key to key and looks at each block once; a point read looks at the block anew for each key. The server takes point
reads where more than {far:,} bytes of table files lie from one key to the next, on average."""
