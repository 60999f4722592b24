"""Damaged files: what cannot be read is an error, whichever way it is asked for."""

from collections.abc import Callable
from itertools import chain
from typing import Any

import pytest

from pyelevator.commands import DELETE, PUT
from pyelevator.engines.base import (
    Bounds,
    Capability,
    Engine,
    EngineError,
    ReadView,
    Storage,
)
from pyelevator.testing.engines.fixtures import PAIRS, EngineFixtures


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
