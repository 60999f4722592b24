"""The conformance suite for engines.

Subclass it, give it a storage, and pytest runs it::

    class TestMyEngine(EngineConformance):
        @pytest.fixture
        def storage(self):
            return MyStorage()

        def damage(self, path):  # for a storage that is DURABLE
            ...

The suite checks capabilities, never an engine's name.
"""

from collections.abc import Callable, Iterator
from itertools import chain, product
from threading import Thread
from typing import Any

import pytest
from attrs import evolve

from pyelevator.commands import DELETE, PUT
from pyelevator.engines.base import (
    Bounds,
    Capability,
    Engine,
    EngineError,
    OptionTypeError,
    OptionValueError,
    ReadView,
    Storage,
)

PAIRS = [(b"%04d" % i, b"%d" % i * 100) for i in range(2000)]
"""What :meth:`EngineConformance.damage` damages."""

LETTERS = [(b"a", b"1"), (b"b", b"2"), (b"ba", b"3"), (b"c", b"4"), (b"\xff", b"5"), (b"\xff\xff", b"6")]


def _read_chunks(reader: ReadView, bounds: Bounds) -> list[Any]:
    with reader.chunks(bounds) as chunks:
        return list(chain.from_iterable(chunks.read(300, 1 << 30)[0] for _ in range(8)))


_READS: dict[str, tuple[Callable[[ReadView], Any], Any]] = {
    "get": (lambda reader: reader.get(b"1999"), PAIRS[-1][1]),
    "multi_get": (lambda reader: reader.multi_get([b"1999", b"1998"]), [PAIRS[-1][1], PAIRS[-2][1]]),
    "multi_get of many": (
        lambda reader: reader.multi_get([key for key, _ in PAIRS]),
        [value for _, value in PAIRS],
    ),
    "iter_values": (lambda reader: list(reader.iter_values([b"1998", b"1999"])), [[PAIRS[-2][1], PAIRS[-1][1]]]),
    "scan": (lambda reader: list(reader.scan(Bounds())), PAIRS),
    "scan of the last": (lambda reader: list(reader.scan(Bounds(b"1999"))), PAIRS[-1:]),
    "scan to the last": (lambda reader: list(reader.scan(Bounds(b"1990", b"1999"))), PAIRS[1990:]),
    "scan of a prefix": (lambda reader: list(reader.scan(Bounds(prefix=b"199"))), PAIRS[1990:]),
    "scan of keys": (lambda reader: list(reader.scan(Bounds(include_value=False))), [key for key, _ in PAIRS]),
    "scan of values": (lambda reader: list(reader.scan(Bounds(include_key=False))), [value for _, value in PAIRS]),
    "scan of nothing": (
        lambda reader: list(reader.scan(Bounds(include_key=False, include_value=False))),
        [None] * len(PAIRS),
    ),
    "scan backwards": (lambda reader: list(reader.scan(Bounds(reverse=True))), PAIRS[::-1]),
    "scan backwards to a start": (lambda reader: list(reader.scan(Bounds(b"1999", reverse=True))), PAIRS[-1:]),
    "chunks": (lambda reader: _read_chunks(reader, Bounds()), PAIRS),
    "chunks of keys": (lambda reader: _read_chunks(reader, Bounds(include_value=False)), [key for key, _ in PAIRS]),
    "chunks backwards": (lambda reader: _read_chunks(reader, Bounds(reverse=True)), PAIRS[::-1]),
}
"""Each way to read the last pair -> the call, and its result."""


class EngineConformance:
    """Tests of what every engine does.

    Override :meth:`storage`, and :meth:`path` if paths are not paths of this machine.
    """

    @pytest.fixture
    def storage(self) -> Storage:
        """Return the storage to test, a new and empty one for every test."""
        raise NotImplementedError("override the fixture 'storage'")

    @pytest.fixture
    def path(self, storage: Storage, tmp_path: Any) -> str:
        """Return the path of the test's database, where nothing exists yet."""
        return storage.resolve(str(tmp_path / "database"))

    @pytest.fixture
    def engine(self, storage: Storage, path: str) -> Iterator[Engine]:
        """Yield an open and empty database."""
        with storage.open(path, {}) as engine:
            yield engine

    def test_figures_are_those_of_the_database(self, engine: Engine) -> None:
        engine.write([(PUT, b"%05d" % i, bytes(1000)) for i in range(100)])
        found = engine.stats()
        assert found.size > 0
        assert all(level.tables > 0 for level in found.levels)

    @pytest.fixture
    def letters(self, engine: Engine) -> Engine:
        """Return the database with the pairs of ``LETTERS``."""
        engine.write([(PUT, key, value) for key, value in reversed(LETTERS)])
        return engine

    def reborn(self, storage: Storage) -> Storage:
        """Return the storage as another process would see it."""
        return type(storage)()

    def damage(self, path: str) -> None:
        """Damage the files of a closed database; override it for a storage that is DURABLE.

        Args:
            path: of the database, which has ``PAIRS``. At least the last of them must not be readable any more.
        """
        raise NotImplementedError("override 'damage': what a durable engine cannot read has to be an error")

    # Reading and writing

    def test_a_missing_key_is_none(self, engine: Engine) -> None:
        assert engine.get(b"nokey") is None

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

    def test_deleting_a_missing_key_is_no_error(self, engine: Engine) -> None:
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

    # Scans

    @pytest.mark.parametrize(
        ("bounds", "keys"),
        [
            (Bounds(), [b"a", b"b", b"ba", b"c", b"\xff", b"\xff\xff"]),
            (Bounds(b"b", b"c"), [b"b", b"ba", b"c"]),
            (Bounds(b"aa", b"bb"), [b"b", b"ba"]),
            (Bounds(start=b"c"), [b"c", b"\xff", b"\xff\xff"]),
            (Bounds(stop=b"b"), [b"a", b"b"]),
            (Bounds(b"b", b"b"), [b"b"]),
            (Bounds(b"c", b"a"), []),
            (Bounds(b"", b""), []),
            (Bounds(b"d", b"z"), []),
            (Bounds(prefix=b"b"), [b"b", b"ba"]),
            (Bounds(prefix=b""), [b"a", b"b", b"ba", b"c", b"\xff", b"\xff\xff"]),
            (Bounds(prefix=b"\xff"), [b"\xff", b"\xff\xff"]),
            (Bounds(prefix=b"z"), []),
            (Bounds(b"ba", None, b"b"), [b"ba"]),
            (Bounds(None, b"b", b"b"), [b"b"]),
            (Bounds(b"a", b"c", b"b"), [b"b", b"ba"]),
            (Bounds(b"c", b"d", b"b"), []),
        ],
        ids=str,
    )
    def test_bounds_are_inclusive_and_meet_the_prefix(self, letters: Engine, bounds: Bounds, keys: list[bytes]) -> None:
        pairs = [pair for pair in LETTERS if pair[0] in keys]
        for reader in (letters, letters.snapshot()):
            assert list(reader.scan(bounds)) == pairs
        backwards = Bounds(bounds.start, bounds.stop, bounds.prefix, reverse=True)
        for reader in (letters, letters.snapshot()):
            assert list(reader.scan(backwards)) == pairs[::-1]

    @pytest.mark.parametrize(
        ("bounds", "keys"),
        [
            (Bounds(stop=b"b"), [b"a"]),
            (Bounds(b"b", b"c"), [b"b", b"ba"]),
            (Bounds(b"b", b"b"), []),
            (Bounds(stop=b"a"), []),
            (Bounds(stop=b""), []),
            (Bounds(stop=b"bb"), [b"a", b"b", b"ba"]),
            (Bounds(None, b"ba", b"b"), [b"b"]),
            (Bounds(None, b"z", b"b"), [b"b", b"ba"]),
            (Bounds(stop=b"\xff\xff\xff"), [b"a", b"b", b"ba", b"c", b"\xff", b"\xff\xff"]),
        ],
        ids=str,
    )
    def test_the_stop_can_be_left_out(self, letters: Engine, bounds: Bounds, keys: list[bytes]) -> None:
        pairs = [pair for pair in LETTERS if pair[0] in keys]
        assert list(letters.scan(evolve(bounds, include_stop=False))) == pairs
        assert list(letters.scan(evolve(bounds, include_stop=False, reverse=True))) == pairs[::-1]

    @pytest.mark.parametrize(("key", "value", "fill"), list(product([True, False], repeat=3)))
    def test_parts_of_a_scan_backwards_can_be_left_out(
        self, letters: Engine, key: bool, value: bool, fill: bool
    ) -> None:
        expected = {
            (True, True): [(b"b", b"2"), (b"a", b"1")],
            (True, False): [b"b", b"a"],
            (False, True): [b"2", b"1"],
            (False, False): [None, None],
        }
        bounds = Bounds(stop=b"b", include_key=key, include_value=value, fill_cache=fill, reverse=True)
        assert list(letters.scan(bounds)) == expected[key, value]

    @pytest.mark.parametrize(("key", "value", "fill"), list(product([True, False], repeat=3)))
    def test_parts_can_be_left_out(self, letters: Engine, key: bool, value: bool, fill: bool) -> None:
        expected = {
            (True, True): [(b"a", b"1"), (b"b", b"2")],
            (True, False): [b"a", b"b"],
            (False, True): [b"1", b"2"],
            (False, False): [None, None],
        }
        bounds = Bounds(stop=b"b", include_key=key, include_value=value, fill_cache=fill)
        assert list(letters.scan(bounds)) == expected[key, value]

    def test_a_scan_shows_the_moment_of_the_call(self, letters: Engine) -> None:
        untouched, started = letters.scan(Bounds()), letters.scan(Bounds())
        first = next(started)
        letters.write([(DELETE, b"a"), (PUT, b"aa", b"new"), (PUT, b"c", b"new"), (DELETE, b"\xff\xff")])
        assert list(untouched) == LETTERS
        assert [first, *started] == LETTERS
        assert next(letters.scan(Bounds())) == (b"aa", b"new")

    def test_a_scan_need_not_be_read_to_its_end(self, letters: Engine) -> None:
        scan = letters.scan(Bounds())
        assert next(scan) == (b"a", b"1")
        del scan
        letters.write([(DELETE, b"a")])
        assert next(letters.scan(Bounds())) == (b"b", b"2")

    # Scans in chunks

    def test_chunks_have_at_most_so_many_rows_and_count_their_bytes(self, letters: Engine) -> None:
        with letters.chunks(Bounds()) as chunks:
            assert chunks.read(2, 1000) == ([(b"a", b"1"), (b"b", b"2")], 4)
            assert chunks.read(1, 1000) == ([(b"ba", b"3")], 3)
            assert chunks.read(9, 1000) == ([(b"c", b"4"), (b"\xff", b"5"), (b"\xff\xff", b"6")], 7)
            assert chunks.read(9, 1000) == ([], 0)
            assert chunks.read(1, 1) == ([], 0)

    def test_a_chunk_ends_with_the_row_that_makes_it_large_enough(self, engine: Engine) -> None:
        rows = [(b"a", b"1"), (b"b", b"22"), (b"c", b"3" * 5000), (b"d", b"4"), (b"e", b"5")]
        engine.write([(PUT, *row) for row in rows])
        with engine.chunks(Bounds()) as chunks:
            assert chunks.read(9, 5) == (rows[:2], 5)
            assert chunks.read(9, 5) == (rows[2:3], 5001)
            assert chunks.read(9, 4) == (rows[3:], 4)
            assert chunks.read(9, 4) == ([], 0)

    @pytest.mark.parametrize(
        ("parts", "first", "second"),
        [
            ((True, True), ([(b"a", b"1"), (b"b", b"2"), (b"ba", b"3")], 7), ([(b"c", b"4")], 2)),
            ((True, False), ([b"a", b"b", b"ba"], 4), ([b"c"], 1)),
            ((False, True), ([b"1", b"2", b"3"], 3), ([b"4"], 1)),
            ((False, False), ([None, None, None], 0), ([None], 0)),
        ],
    )
    def test_chunks_count_the_parts_that_they_have(
        self, letters: Engine, parts: tuple[bool, bool], first: Any, second: Any
    ) -> None:
        with letters.chunks(Bounds(None, b"c", None, *parts)) as chunks:
            assert (chunks.read(3, 1000), chunks.read(3, 1000)) == (first, second)

    @pytest.mark.parametrize(
        ("parts", "first", "second"),
        [
            ((True, True), ([(b"ba", b"3"), (b"b", b"2")], 5), ([(b"a", b"1")], 2)),
            ((True, False), ([b"ba", b"b", b"a"], 4), ([], 0)),
            ((False, True), ([b"3", b"2", b"1"], 3), ([], 0)),
            ((False, False), ([None, None, None], 0), ([], 0)),
        ],
    )
    @pytest.mark.parametrize("start", [None, b"a"])
    def test_chunks_backwards_count_the_parts_that_they_have(
        self, letters: Engine, start: bytes | None, parts: tuple[bool, bool], first: Any, second: Any
    ) -> None:
        with letters.chunks(Bounds(start, b"ba", None, *parts, reverse=True)) as chunks:
            assert (chunks.read(9, 4), chunks.read(9, 4)) == (first, second)

    @pytest.mark.parametrize(("key", "value"), list(product([True, False], repeat=2)))
    @pytest.mark.parametrize(
        "bounds",
        [Bounds(), Bounds(b"b", b"c"), Bounds(b"c", b"a"), Bounds(prefix=b"b"), Bounds(None, b"c", include_stop=False)],
        ids=str,
    )
    def test_chunks_together_are_the_scan(self, letters: Engine, bounds: Bounds, key: bool, value: bool) -> None:
        for backwards in (False, True):
            asked = evolve(bounds, include_key=key, include_value=value, reverse=backwards)
            for reader in (letters, letters.snapshot()):
                with reader.chunks(asked) as chunks:
                    taken = [chunks.read(2, 1000)[0] for _ in range(4)]
                assert list(chain.from_iterable(taken)) == list(reader.scan(asked))

    def test_chunks_show_the_moment_of_the_call(self, letters: Engine) -> None:
        with letters.chunks(Bounds()) as untouched, letters.chunks(Bounds()) as started:
            assert started.read(1, 1) == ([(b"a", b"1")], 2)
            letters.write([(DELETE, b"a"), (PUT, b"aa", b"new"), (PUT, b"c", b"new"), (DELETE, b"\xff\xff")])
            assert untouched.read(9, 1000) == (LETTERS, 14)
            assert started.read(9, 1000) == (LETTERS[1:], 12)

    def test_chunks_need_not_be_read_to_the_end(self, letters: Engine) -> None:
        chunks = letters.chunks(Bounds())
        assert chunks.read(1, 1) == ([(b"a", b"1")], 2)
        chunks.close()
        chunks.close()
        assert chunks.read(1, 1) == ([], 0)
        letters.write([(DELETE, b"a")])
        assert next(letters.scan(Bounds())) == (b"b", b"2")

    # What cannot be read

    @pytest.mark.parametrize("read", _READS, ids=_READS)
    @pytest.mark.parametrize("of_snapshot", [False, True], ids=["engine", "snapshot"])
    def test_what_cannot_be_read_is_an_error_and_never_missing(
        self, storage: Storage, path: str, read: str, of_snapshot: bool
    ) -> None:
        call, expected = _READS[read]
        with storage.open(path, {}) as engine:
            engine.write([(PUT, *pair) for pair in PAIRS])
            engine.compact()
            assert call(engine.snapshot() if of_snapshot else engine) == expected
        if Capability.DURABLE not in storage.capabilities:
            return
        self.damage(path)
        with pytest.raises(EngineError), self.reborn(storage).open(path, {}) as engine:
            call(engine.snapshot() if of_snapshot else engine)

    def test_a_backup_of_what_cannot_be_read_is_an_error_or_as_unreadable(
        self, storage: Storage, path: str, tmp_path: Any
    ) -> None:
        if not {Capability.DURABLE, Capability.BACKUP} <= storage.capabilities:
            return
        with storage.open(path, {}) as engine:
            engine.write([(PUT, *pair) for pair in PAIRS])
            engine.compact()
        self.damage(path)
        target = storage.resolve(str(tmp_path / "backup"))
        with pytest.raises(EngineError), self.reborn(storage).open(path, {}) as engine:
            engine.backup(target)
            with storage.open(target, {}) as copy:
                list(copy.scan(Bounds()))

    def test_a_scan_that_begins_empty_stays_so(self, engine: Engine) -> None:
        for bounds in (Bounds(), Bounds(reverse=True), Bounds(b"a", b"z"), Bounds(b"a", b"z", reverse=True)):
            scan, chunks = engine.scan(bounds), engine.chunks(bounds)
            engine.write([(PUT, b"k", b"v")])
            assert list(scan) == []
            with chunks:
                assert chunks.read(9, 100) == ([], 0)
            engine.write([(DELETE, b"k")])

    # Snapshots

    def test_a_snapshot_does_not_move(self, storage: Storage, letters: Engine) -> None:
        _needs(storage, Capability.SNAPSHOT)
        with letters.snapshot() as snapshot:
            letters.write([(PUT, b"a", b"new"), (DELETE, b"b"), (PUT, b"d", b"new")])
            assert snapshot.get(b"a") == b"1"
            assert snapshot.multi_get([b"b", b"d"]) == [b"2", None]
            assert list(snapshot.scan(Bounds())) == LETTERS
        assert letters.multi_get([b"a", b"b", b"d"]) == [b"new", None, b"new"]

    def test_snapshots_keep_their_own_moments(self, storage: Storage, engine: Engine) -> None:
        _needs(storage, Capability.SNAPSHOT)
        snapshots: list[ReadView] = []
        for i in range(4):
            engine.write([(PUT, b"k", b"%d" % i)])
            snapshots.append(engine.snapshot())
        assert [snapshot.get(b"k") for snapshot in snapshots] == [b"0", b"1", b"2", b"3"]
        for snapshot in snapshots:
            snapshot.close()

    # Closing

    def test_a_closed_view_raises_engine_error(self, engine: Engine) -> None:
        for reader in (engine.snapshot(), engine):
            reader.close()
            reader.close()
            with pytest.raises(EngineError):
                reader.get(b"k")
            with pytest.raises(EngineError):
                reader.multi_get([b"k"])
            with pytest.raises(EngineError):
                list(reader.scan(Bounds()))
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
            with pytest.raises(EngineError, match="open already"):
                call()
        assert letters.get(b"a") == b"1"

    # Storages

    def test_exists_from_open_to_destroy(self, storage: Storage, path: str) -> None:
        assert not storage.exists(path)
        storage.open(path, {}).close()
        assert storage.exists(path)
        storage.destroy(path)
        storage.destroy(path)
        assert not storage.exists(path)

    def test_a_destroyed_database_is_empty_when_opened_again(
        self, storage: Storage, letters: Engine, path: str
    ) -> None:
        letters.close()
        storage.destroy(path)
        with storage.open(path, {}) as engine:
            assert list(engine.scan(Bounds())) == []

    def test_repair_keeps_a_sound_database(self, storage: Storage, letters: Engine, path: str) -> None:
        _needs(storage, Capability.REPAIRABLE)
        letters.close()
        storage.repair(path, {})
        with storage.open(path, {}) as engine:
            assert list(engine.scan(Bounds())) == LETTERS

    def test_repair_of_nothing_creates_nothing(self, storage: Storage, path: str) -> None:
        with pytest.raises(EngineError):
            storage.repair(path, {})
        assert not storage.exists(path)

    def test_compaction_keeps_the_data(self, letters: Engine) -> None:
        letters.write([(DELETE, b"c")])
        letters.compact()
        assert list(letters.scan(Bounds())) == [pair for pair in LETTERS if pair[0] != b"c"]

    def test_a_snapshot_is_taken_while_writes_are_held_up(self, engine: Engine) -> None:
        engine.write([(PUT, b"k", b"before")])
        writing = Thread(target=engine.write, args=([(PUT, b"k", b"after")],))
        try:
            holding = engine.holding_writes()
        except EngineError as error:
            assert "cannot hold writes up" in str(error)  # noqa: PT017 - an engine need not be able to
            return
        with holding:
            writing.start()
            snapshot = engine.snapshot()
            assert snapshot.get(b"k") == b"before"
        writing.join()
        with snapshot:
            assert (snapshot.get(b"k"), engine.get(b"k")) == (b"before", b"after")

    def test_the_size_grows_with_the_data(self, engine: Engine) -> None:
        before = engine.approximate_size()
        engine.write([(PUT, b"%d" % i, b"%d" % i * 100) for i in range(1000)])
        assert engine.approximate_size() > before + 1000

    def test_a_backup_is_a_database_of_that_moment(self, storage: Storage, letters: Engine, tmp_path: Any) -> None:
        target = storage.resolve(str(tmp_path / "backup"))
        if Capability.BACKUP not in storage.capabilities:
            with pytest.raises(EngineError):
                letters.backup(target)
            return
        letters.backup(target)
        letters.write([(DELETE, b"a")])
        with storage.open(target, {}) as engine:
            assert list(engine.scan(Bounds())) == LETTERS

    def test_a_backup_makes_the_directories_above_it(self, storage: Storage, letters: Engine, tmp_path: Any) -> None:
        _needs(storage, Capability.BACKUP)
        target = storage.resolve(str(tmp_path / "not" / "there" / "backup"))
        letters.backup(target)
        with storage.open(target, {}) as engine:
            assert list(engine.scan(Bounds())) == LETTERS

    def test_texts_are_there_and_say_which_database(self, storage: Storage, letters: Engine, path: str) -> None:
        assert letters.get(b"a") == b"1"
        with pytest.raises(EngineError) as caught:
            storage.open(path, {})
        assert path in str(caught.value)

    def test_a_backup_overwrites_nothing(self, letters: Engine, tmp_path: Any) -> None:
        (tmp_path / "mine").mkdir()
        with pytest.raises(EngineError):
            letters.backup(str(tmp_path / "mine"))
        assert list((tmp_path / "mine").iterdir()) == []

    # Options

    def test_the_options_of_the_old_protocol_are_accepted(self, storage: Storage, path: str) -> None:
        _needs(storage, Capability.OPTIONS)
        options = {"block_size": 8192, "lru_cache_size": 1 << 20, "write_buffer_size": 1 << 20, "foo": 1}
        with storage.open(path, storage.check_options(options)) as engine:
            engine.write([(PUT, b"k", b"v")])
            assert engine.get(b"k") == b"v"

    @pytest.mark.parametrize(("value", "error"), [("big", OptionTypeError), (-1, OptionValueError)])
    def test_wrong_options_create_nothing(
        self, storage: Storage, path: str, value: Any, error: type[EngineError]
    ) -> None:
        _needs(storage, Capability.OPTIONS)
        with pytest.raises(error, match="block_size"):
            storage.check_options({"block_size": value})
        with pytest.raises(error, match="block_size"):
            storage.open(path, {"block_size": value})
        assert not storage.exists(path)

    def test_options_without_an_effect_do_not_exist(self, storage: Storage) -> None:
        if Capability.OPTIONS in storage.capabilities:
            return
        assert storage.option_names is not None
        assert "block_size" not in storage.option_names
        assert {"create_if_missing", "error_if_exists"} <= storage.option_names


def _needs(storage: Storage, capability: Capability) -> None:
    if capability not in storage.capabilities:
        pytest.skip(f"this storage is not {capability.value}")
