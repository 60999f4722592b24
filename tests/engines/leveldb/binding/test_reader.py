"""Ends of iterators that lie: a stand-in for LevelDB's, which fails where the test says."""

import pytest

from pyelevator.commands import PUT
from pyelevator.engines.base import Bounds, EngineFileError
from pyelevator.engines.leveldb import LevelDbStorage
from pyelevator.engines.leveldb.binding.errors import ErrorTranslator
from pyelevator.engines.leveldb.binding.reader import LevelDbReader

PAIRS = [(b"%d" % i, b"v%d" % i) for i in range(6)]


class Iterator:
    """Gives some of the pairs and is at its end then; of a second walk it gives nothing, if it is ``spent``."""

    def __init__(self, pairs, *, spent=False):
        self.pairs, self.spent = pairs, spent
        self.rest = iter(pairs)
        self.closed = False

    def __next__(self):
        return next(self.rest)

    def __iter__(self):
        return self

    def seek(self, key):
        self.rest = iter(() if self.spent else [pair for pair in self.pairs if pair[0] >= key])

    def close(self):
        self.closed = True

    __enter__ = __iter__

    def __exit__(self, *_):
        self.close()


class Raw:
    """The iterator that always tells the truth."""

    def seek(self, key):
        self.found = [pair for pair in PAIRS if pair[0] >= key]

    def valid(self):
        return bool(self.found)

    def key(self):
        return self.found[0][0]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


class Source:
    """A database of ``PAIRS`` whose iterators are given."""

    def __init__(self, *iterators):
        self.left = list(iterators)
        self.closed = []

    def iterator(self, **_):
        return self.left.pop(0)

    def raw_iterator(self, **_):
        return Raw()

    def get(self, key, **_):
        return dict(PAIRS).get(key)


def reader(*iterators):
    return LevelDbReader(
        Source(*iterators),
        ErrorTranslator("/db"),
        verify=True,
        approximate_size=lambda *_: 0,
        check_tables=lambda: None,
    )


def test_an_end_without_a_readable_first_row_is_an_error():
    for read in (lambda source: list(source.scan(Bounds())), lambda source: source.chunks(Bounds()).read(9, 1000)):
        with pytest.raises(EngineFileError, match=r"^/db could not be read to its end; .*: try again$"):
            read(reader(Iterator(PAIRS[:3], spent=True)))


def test_an_end_with_a_readable_first_row_is_an_end():
    with reader(Iterator(PAIRS)).chunks(Bounds()) as chunks:
        assert chunks.read(9, 1000) == (PAIRS, 18)
        assert chunks.read(9, 1000) == ([], 0)
    assert list(reader(Iterator(PAIRS)).scan(Bounds())) == PAIRS


def test_a_scan_that_misses_an_existing_row_is_opened_again():
    blind = [Iterator([]) for _ in range(7)]
    assert list(reader(*blind, Iterator(PAIRS)).scan(Bounds())) == PAIRS
    assert all(iterator.closed for iterator in blind)


def test_a_scan_that_never_finds_what_is_there_is_an_error():
    with pytest.raises(EngineFileError, match="could not be read to its end"):
        reader(*[Iterator([]) for _ in range(8)]).scan(Bounds())


@pytest.mark.parametrize(
    "bounds",
    [
        Bounds(b"6"),
        Bounds(b"00", b"01"),
        Bounds(stop=b"0", include_stop=False),
        Bounds(prefix=b"33"),
        Bounds(b"4", b"2"),
    ],
    ids=str,
)
def test_a_scan_of_what_is_empty_for_certain_is_empty(bounds):
    assert list(reader(Iterator([])).scan(bounds)) == []


def test_keys_that_an_iterator_does_not_find_are_read_one_by_one():
    assert list(reader(Iterator([])).iter_values([b"1", b"2", b"9"])) == [[b"v1", b"v2", None]]
    assert list(reader(Iterator(PAIRS)).iter_values([b"4", b"5", b"9"])) == [[b"v4", b"v5", None]]


def test_keys_after_an_unreadable_end_are_an_error():
    class Failing(Iterator):
        def seek(self, key):
            super().seek(key)
            self.spent = key >= b"4"
            self.pairs = [] if self.spent else self.pairs

    with pytest.raises(EngineFileError, match="could not be read to its end"):
        list(reader(Failing(PAIRS)).iter_values([b"3", b"5", b"6"]))


@pytest.mark.parametrize(
    ("bounds", "expected"), [(Bounds(), True), (Bounds(b"00000", b"00001"), False), (Bounds(prefix=b"x"), False)]
)
def test_a_scan_is_large_from_2_mib_of_files_on(tmp_path, bounds, expected):
    with LevelDbStorage().open(str(tmp_path / "db"), {"compression": None}) as engine:
        engine.write([(PUT, b"%05d" % number, bytes(1000)) for number in range(3000)])
        engine.compact()
        assert engine.is_large(bounds) is expected
