"""Opening, creating, destroying and repairing databases, their options; and damaged files."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from threading import Thread
from typing import Final

import pytest

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
from pyelevator.testing.engines.fixtures import LETTERS, PAIRS, EngineFixtures, needs


class StorageConformance(EngineFixtures):
    """Tests of a storage."""

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
        needs(storage, Capability.REPAIRABLE)
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

    def test_a_backup_is_a_database_of_that_moment(self, storage: Storage, letters: Engine, tmp_path: Path) -> None:
        targets = [storage.resolve(str(tmp_path / name)) for name in ("backup", "not/there/backup")]
        if Capability.BACKUP not in storage.capabilities:
            with pytest.raises(EngineError):
                letters.backup(targets[0])
            return
        for target in targets:
            letters.backup(target)
        letters.write([(DELETE, b"a")])
        for target in targets:
            with storage.open(target, {}) as engine:
                assert list(engine.scan(Bounds())) == LETTERS

    def test_a_backup_overwrites_nothing(self, letters: Engine, tmp_path: Path) -> None:
        (tmp_path / "mine").mkdir()
        with pytest.raises(EngineError):
            letters.backup(str(tmp_path / "mine"))
        assert list((tmp_path / "mine").iterdir()) == []

    def test_the_options_of_the_old_protocol_are_accepted(self, storage: Storage, path: str) -> None:
        needs(storage, Capability.OPTIONS)
        options = {"block_size": 8192, "lru_cache_size": 1 << 20, "write_buffer_size": 1 << 20, "foo": 1}
        with storage.open(path, storage.check_options(options)) as engine:
            engine.write([(PUT, b"k", b"v")])
            assert engine.get(b"k") == b"v"

    @pytest.mark.parametrize(("value", "error"), [("big", OptionTypeError), (-1, OptionValueError)])
    def test_wrong_options_create_nothing(
        self, storage: Storage, path: str, value: object, error: type[EngineError]
    ) -> None:
        needs(storage, Capability.OPTIONS)
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


def _scanned_rows(bounds: Bounds, reader: ReadView) -> list[object]:
    return list(reader.scan(bounds))


def _chunked_rows(bounds: Bounds, reader: ReadView) -> list[object]:
    with reader.chunks(bounds) as chunks:
        return list(chain.from_iterable(chunks.read(300, 1 << 30)[0] for _ in range(8)))


_PAIR_KEYS: Final = [key for key, _ in PAIRS]
_PAIR_VALUES: Final = [value for _, value in PAIRS]
_RANGES: Final[Mapping[str, tuple[Bounds, Sequence[object]]]] = {
    "everything": (Bounds(), PAIRS),
    "the last": (Bounds(b"1999"), PAIRS[-1:]),
    "some to the last": (Bounds(b"1990", b"1999"), PAIRS[1990:]),
    "a prefix": (Bounds(prefix=b"199"), PAIRS[1990:]),
    "keys": (Bounds(include_value=False), _PAIR_KEYS),
    "values": (Bounds(include_key=False), _PAIR_VALUES),
    "nothing": (Bounds(include_key=False, include_value=False), [None] * len(PAIRS)),
    "everything backwards": (Bounds(reverse=True), PAIRS[::-1]),
    "the last backwards": (Bounds(b"1999", reverse=True), PAIRS[-1:]),
}
_READS: Final[Mapping[str, tuple[Callable[[ReadView], object], object]]] = {
    "get": (lambda reader: reader.get(b"1999"), _PAIR_VALUES[-1]),
    "multi_get": (lambda reader: reader.multi_get([b"1999", b"1998"]), _PAIR_VALUES[:-3:-1]),
    "multi_get of many": (lambda reader: reader.multi_get(_PAIR_KEYS), _PAIR_VALUES),
    "iter_values": (lambda reader: list(reader.iter_values([b"1998", b"1999"])), [_PAIR_VALUES[-2:]]),
    **{f"scan of {name}": (partial(_scanned_rows, bounds), list(rows)) for name, (bounds, rows) in _RANGES.items()},
    **{f"chunks of {name}": (partial(_chunked_rows, bounds), list(rows)) for name, (bounds, rows) in _RANGES.items()},
}
"""Each way to read the last pair -> the call, and its result."""


class DamageConformance(EngineFixtures):
    """Tests of an engine whose files are damaged."""

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
        self, storage: Storage, path: str, tmp_path: Path
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
