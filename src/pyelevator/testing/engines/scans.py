"""Scans, as a whole and in chunks."""

from itertools import chain, product
from typing import TypeAlias

import pytest
from attrs import evolve

from pyelevator.commands import DELETE, PUT
from pyelevator.engines.base import Bounds, Engine
from pyelevator.testing.engines.fixtures import LETTERS, EngineFixtures

_Chunk: TypeAlias = tuple[list[object], int]
"""Rows, and the bytes that they count."""


class ScanConformance(EngineFixtures):
    """Tests of scans."""

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

    @pytest.mark.parametrize("backwards", [False, True])
    @pytest.mark.parametrize(("key", "value", "fill"), list(product([True, False], repeat=3)))
    def test_parts_can_be_left_out(self, letters: Engine, key: bool, value: bool, fill: bool, backwards: bool) -> None:
        expected: dict[tuple[bool, bool], list[object]] = {
            (True, True): [(b"a", b"1"), (b"b", b"2")],
            (True, False): [b"a", b"b"],
            (False, True): [b"1", b"2"],
            (False, False): [None, None],
        }
        bounds = Bounds(stop=b"b", include_key=key, include_value=value, fill_cache=fill, reverse=backwards)
        assert list(letters.scan(bounds)) == expected[key, value][:: -1 if backwards else 1]

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
        ("parts", "forwards", "backwards"),
        [
            (
                (True, True),
                [([(b"a", b"1"), (b"b", b"2"), (b"ba", b"3")], 7), ([(b"c", b"4")], 2)],
                [([(b"ba", b"3"), (b"b", b"2")], 5), ([(b"a", b"1")], 2)],
            ),
            ((True, False), [([b"a", b"b", b"ba"], 4), ([b"c"], 1)], [([b"ba", b"b", b"a"], 4), ([], 0)]),
            ((False, True), [([b"1", b"2", b"3"], 3), ([b"4"], 1)], [([b"3", b"2", b"1"], 3), ([], 0)]),
            ((False, False), [([None, None, None], 0), ([None], 0)], [([None, None, None], 0), ([], 0)]),
        ],
    )
    def test_chunks_count_the_parts_that_they_have(
        self, letters: Engine, parts: tuple[bool, bool], forwards: list[_Chunk], backwards: list[_Chunk]
    ) -> None:
        with letters.chunks(Bounds(None, b"c", None, *parts)) as chunks:
            assert [chunks.read(3, 1000), chunks.read(3, 1000)] == forwards
        for start in (None, b"a"):
            with letters.chunks(Bounds(start, b"ba", None, *parts, reverse=True)) as chunks:
                assert [chunks.read(9, 4), chunks.read(9, 4)] == backwards

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
