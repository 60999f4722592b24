"""Both engines against a dict: whatever the operations, the same answers."""

import shutil
import tempfile
from functools import partial
from itertools import chain
from typing import cast

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule, run_state_machine_as_test

from pyelevator.commands import DELETE, PUT
from pyelevator.engines.base import Bounds
from pyelevator.engines.leveldb import LevelDbStorage
from pyelevator.engines.memory import MemoryStorage

KEYS = st.binary(max_size=2) | st.sampled_from([b"", b"a", b"aa", b"b", b"\xff", b"\xff\xff"])
OPS = st.lists(st.tuples(st.just(PUT), KEYS, st.binary(max_size=3)) | st.tuples(st.just(DELETE), KEYS), max_size=30)
ENDS = st.none() | KEYS
BOUNDS = st.builds(Bounds, ENDS, ENDS, ENDS, st.booleans(), st.booleans(), st.booleans())


def apply(model, ops):
    for op in ops:
        if op[0] == PUT:
            model[op[1]] = op[2]
        else:
            model.pop(op[1], None)


def expected(model, bounds):
    keys = [
        key
        for key in sorted(model, reverse=bounds.reverse)
        if (bounds.start is None or key >= bounds.start)
        and (bounds.stop is None or key <= bounds.stop)
        and key.startswith(bounds.prefix or b"")
    ]
    item = {
        (True, True): lambda key: (key, model[key]),
        (True, False): lambda key: key,
        (False, True): lambda key: model[key],
        (False, False): lambda key: None,
    }[bounds.include_key, bounds.include_value]
    return [item(key) for key in keys]


class EngineMachine(RuleBasedStateMachine):
    snapshots = Bundle("snapshots")
    scans = Bundle("scans")

    def __init__(self, storage):
        super().__init__()
        self.directory = tempfile.mkdtemp()
        self.storage = storage()
        self.path = self.storage.resolve(self.directory + "/db")
        self.engine = self.storage.open(self.path, {})
        self.model = {}

    @rule(ops=OPS)
    def write(self, ops):
        self.engine.write(ops)
        apply(self.model, ops)

    @rule(keys=st.lists(KEYS, max_size=5), fill=st.booleans())
    def multi_get(self, keys, fill):
        assert self.engine.multi_get(keys, fill_cache=fill) == [self.model.get(key) for key in keys]
        ordered = sorted(set(keys))
        assert list(chain.from_iterable(self.engine.iter_values(ordered))) == [self.model.get(key) for key in ordered]

    @rule(bounds=BOUNDS)
    def scan(self, bounds):
        assert list(self.engine.scan(bounds)) == expected(self.model, bounds)
        with self.engine.chunks(bounds) as chunks:
            taken = iter(lambda: chunks.read(3, 10)[0], [])
            assert list(chain.from_iterable(taken)) == expected(self.model, bounds)

    @rule(target=scans, bounds=BOUNDS)
    def start_scan(self, bounds):
        return self.engine.scan(bounds), expected(self.model, bounds)

    @rule(scan=consumes(scans))
    def finish_scan(self, scan):
        assert list(scan[0]) == scan[1]

    @rule(target=snapshots)
    def take_snapshot(self):
        return self.engine.snapshot(), dict(self.model)

    @rule(snapshot=snapshots, bounds=BOUNDS, key=KEYS)
    def read_snapshot(self, snapshot, bounds, key):
        reader, model = snapshot
        assert list(reader.scan(bounds)) == expected(model, bounds)
        assert reader.get(key) == model.get(key)

    @rule()
    def compact(self):
        self.engine.compact()

    @invariant()
    def first_key_is_the_smallest(self):
        smallest = min(self.model, default=None)
        assert next(self.engine.scan(Bounds(include_value=False)), None) == smallest

    def teardown(self):
        self.engine.close()
        with self.storage.open(self.path, {}) as engine:
            assert list(engine.scan(Bounds())) == sorted(self.model.items())
        shutil.rmtree(self.directory)


@pytest.mark.parametrize("storage", [MemoryStorage, LevelDbStorage, partial(LevelDbStorage, row_cache=2000)])
def test_an_engine_answers_as_a_dict_would(storage):
    run_state_machine_as_test(
        cast(type[EngineMachine], lambda: EngineMachine(storage)),
        settings=settings(max_examples=25, stateful_step_count=20, deadline=None),
    )
