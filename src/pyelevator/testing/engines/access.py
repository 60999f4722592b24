"""Reading and writing, snapshots, and the end of an engine."""

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Final

import pytest

from pyelevator.commands import DELETE, PUT, BatchOp
from pyelevator.engines.base import Bounds, Capability, Engine, EngineError, ReadView, Storage
from pyelevator.testing.engines.fixtures import LETTERS, EngineFixtures, needs

_VIEW_CALLS: Final[Sequence[Callable[[ReadView], object]]] = (
    lambda view: view.get(b"k"),
    lambda view: view.multi_get([b"k"]),
    lambda view: list(view.scan(Bounds())),
)


class AccessConformance(EngineFixtures):
    """Tests of reads and writes, of snapshots, and of what is left when an engine is closed."""

    def test_a_key_has_the_value_put_last(self, engine: Engine) -> None:
        engine.write([(PUT, b"k", b"1")])
        engine.write([(PUT, b"k", b"2")])
        assert engine.get(b"k") == b"2"

    def test_empty_keys_and_values_are_keys_and_values(self, engine: Engine) -> None:
        engine.write([(PUT, b"", b"nothing"), (PUT, b"k", b"")])
        assert engine.get(b"") == b"nothing"
        assert engine.get(b"k") == b""
        assert list(engine.scan(Bounds())) == [(b"", b"nothing"), (b"k", b"")]
        assert list(engine.scan(Bounds(b"", b""))) == [(b"", b"nothing")]

    def test_an_only_key_is_found_from_itself_down_to_itself(self, engine: Engine) -> None:
        for key in (b"", b"k"):
            engine.write([(DELETE, b""), (PUT, key, b"v")])
            assert list(engine.scan(Bounds(key, key, reverse=True))) == [(key, b"v")]
            assert list(engine.scan(Bounds(key, reverse=True))) == [(key, b"v")]

    def test_any_bytes_survive(self, engine: Engine) -> None:
        data = bytes(range(256)) * 300
        engine.write([(PUT, data[:256], data)])
        assert engine.get(data[:256]) == data

    def test_operations_are_executed_in_their_order(self, engine: Engine) -> None:
        engine.write([(PUT, b"a", b"1"), (DELETE, b"a"), (DELETE, b"b"), (PUT, b"b", b"2"), (PUT, b"b", b"3")])
        assert list(engine.scan(Bounds())) == [(b"b", b"3")]

    def test_of_one_key_the_last_operation_of_a_large_batch_counts(self, engine: Engine) -> None:
        keys = [b"key:%03d" % (number * number % 977) for number in range(20_000)]
        ops: list[BatchOp] = [
            (DELETE, key) if number % 3 == 1 else (PUT, key, b"%d" % number) for number, key in enumerate(keys)
        ]
        engine.write(ops)
        last = {op[1]: op for op in ops}
        assert list(engine.scan(Bounds())) == sorted(op[1:] for op in last.values() if op[0] == PUT)

    def test_operations_may_be_lists(self, engine: Engine) -> None:
        engine.write([[PUT, b"a", b"1"], [DELETE, b"b"]])  # type: ignore[list-item]
        assert engine.get(b"a") == b"1"

    def test_no_operations_are_no_error(self, engine: Engine) -> None:
        engine.write([])
        engine.write([], sync=True)
        assert list(engine.scan(Bounds())) == []

    def test_a_faulty_batch_writes_nothing(self, engine: Engine) -> None:
        with pytest.raises(Exception):  # noqa: B017, PT011
            engine.write([(PUT, b"a", b"1"), (PUT, b"b")])
        assert list(engine.scan(Bounds())) == []

    def test_a_missing_key_is_none_and_deleting_it_no_error(self, engine: Engine) -> None:
        assert engine.get(b"nokey") is None
        engine.write([(DELETE, b"nokey")])
        assert engine.get(b"nokey") is None

    @pytest.mark.parametrize("fill_cache", [True, False])
    def test_multi_get_answers_in_the_order_of_the_keys(self, letters: Engine, fill_cache: bool) -> None:
        keys = [b"c", b"nokey", b"a", b"c"]
        assert letters.multi_get(keys, fill_cache=fill_cache) == [b"4", None, b"1", b"4"]
        assert letters.multi_get([]) == []

    @pytest.mark.parametrize("fill_cache", [False, True])
    def test_iter_values_yields_the_values_of_ordered_keys(self, letters: Engine, fill_cache: bool) -> None:
        keys = [b"", b"a", b"a0", b"d", b"e", b"zz"]
        expected = letters.multi_get(keys)
        assert list(chain.from_iterable(letters.iter_values(keys, fill_cache=fill_cache))) == expected
        assert expected[1] == b"1"
        assert list(letters.iter_values([])) == []

    def test_a_snapshot_does_not_move(self, storage: Storage, letters: Engine) -> None:
        needs(storage, Capability.SNAPSHOT)
        with letters.snapshot() as snapshot:
            letters.write([(PUT, b"a", b"new"), (DELETE, b"b"), (PUT, b"d", b"new")])
            assert snapshot.get(b"a") == b"1"
            assert snapshot.multi_get([b"b", b"d"]) == [b"2", None]
            assert list(snapshot.scan(Bounds())) == LETTERS
        assert letters.multi_get([b"a", b"b", b"d"]) == [b"new", None, b"new"]

    def test_snapshots_keep_their_own_moments(self, storage: Storage, engine: Engine) -> None:
        needs(storage, Capability.SNAPSHOT)
        snapshots: list[ReadView] = []
        for i in range(4):
            engine.write([(PUT, b"k", b"%d" % i)])
            snapshots.append(engine.snapshot())
        assert [snapshot.get(b"k") for snapshot in snapshots] == [b"0", b"1", b"2", b"3"]
        for snapshot in snapshots:
            snapshot.close()

    def test_a_closed_view_raises_engine_error(self, engine: Engine) -> None:
        for reader in (engine.snapshot(), engine):
            reader.close()
            reader.close()
            for read in _VIEW_CALLS:
                with pytest.raises(EngineError):
                    read(reader)
            with pytest.raises(EngineError), reader.chunks(Bounds()) as chunks:
                chunks.read(1, 1)

    def test_a_closed_engine_refuses_everything(self, engine: Engine) -> None:
        engine.close()
        for call in (engine.snapshot, engine.compact, lambda: engine.write([(PUT, b"k", b"v")])):
            with pytest.raises(EngineError):
                call()

    def test_what_was_written_is_there_after_close_and_open(self, storage: Storage, letters: Engine, path: str) -> None:
        letters.close()
        with storage.open(path, {}) as engine:
            assert list(engine.scan(Bounds())) == LETTERS

    def test_durable_means_for_another_process_too(self, storage: Storage, letters: Engine, path: str) -> None:
        letters.close()
        with self.reborn(storage).open(path, {}) as engine:
            durable = Capability.DURABLE in storage.capabilities
            assert list(engine.scan(Bounds())) == (LETTERS if durable else [])

    def test_a_database_is_open_once(self, storage: Storage, letters: Engine, path: str) -> None:
        for call in (lambda: storage.open(path, {}), lambda: storage.destroy(path), lambda: storage.repair(path, {})):
            with pytest.raises(EngineError, match="open already") as caught:
                call()
            assert path in str(caught.value)
        assert letters.get(b"a") == b"1"

    def test_figures_are_those_of_the_database(self, engine: Engine) -> None:
        engine.write([(PUT, b"%05d" % i, bytes(1000)) for i in range(100)])
        found = engine.stats()
        assert found.size > 0
        assert all(level.tables > 0 for level in found.levels)
