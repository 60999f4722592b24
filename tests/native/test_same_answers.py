"""The engine in C++ and the one on plyvel give the same bytes for the same request."""

import shutil
from contextlib import closing
from itertools import chain

import pytest
from hypothesis import given, settings, strategies as st

from pyelevator.application import Application, Policy
from pyelevator.codec import ClassicCodec
from pyelevator.commands import DELETE, PUT, Batch, Count, MGet, Pipeline, Range, Slice
from pyelevator.engines.base import Bounds
from pyelevator.engines.leveldb import LevelDbStorage
from pyelevator.engines.leveldb.engine import LevelDbEngine
from pyelevator.engines.leveldb.native_engine import NativeEngine
from pyelevator.messages import Request
from support.optional import unwrap

LENGTHS = (0, 1, 31, 32, 255, 256, 65_535, 65_536)
"""At which msgpack's strings have another head."""

KEYS = [
    b"",
    *[b"%03d" % number for number in range(300)],
    *[b"k" * length for length in LENGTHS[2:]],
    b"\xff",
    b"\xff\xff",
]
KEY = st.sampled_from(KEYS) | st.binary(max_size=4)
OPTIONAL_KEY = st.none() | KEY
POLICY = Policy(max_range=250, max_range_bytes=400_000)

CODEC = ClassicCodec()


def value(number):
    return bytes([number % 256]) * LENGTHS[number % len(LENGTHS)]


@pytest.fixture(scope="module")
def sides(tmp_path_factory):
    """The application on plyvel, and the one in C++, on copies of one database."""
    folder = tmp_path_factory.mktemp("sides")
    with pytest.MonkeyPatch.context() as patch:
        plain = opened(patch, "0", folder / "plain")
        execute(plain, Batch([(PUT, key, value(number)) for number, key in enumerate(KEYS)]))
        execute(plain, Batch([(DELETE, key) for key in KEYS[5:200:7]]))
        plain.close()
        shutil.copytree(folder / "plain", folder / "native")
        both = opened(patch, "0", folder / "plain"), opened(patch, "1", folder / "native")
    with closing(both[0]), closing(both[1]):
        yield both


def opened(patch, wanted, folder):
    patch.setenv("PYELEVATOR_NATIVE", wanted)
    return Application.on_leveldb(str(folder), policy=POLICY)


def execute(application, command, **stated):
    """The frames of the answer, as a server sends them to a client of ours."""
    request = Request(command, application.catalog.uid_of("default"), 7, **stated)
    read = CODEC.decode_request([bytes(frame) for frame in CODEC.encode_request(request)])
    response = application(read)
    return [bytes(frame) for frame in CODEC.encode_response(response, read)]


def assert_same(sides, command, **stated):
    expected, found = [execute(application, command, **stated) for application in sides]
    assert found == expected


def test_the_sides_have_different_engines(sides):
    kinds = []
    for application in sides:
        with application.catalog.get_database(application.catalog.uid_of("default")) as engine:
            kinds.append(type(engine))
    assert kinds == [LevelDbEngine, NativeEngine]


@settings(max_examples=100)
@given(start=OPTIONAL_KEY, stop=OPTIONAL_KEY, prefix=OPTIONAL_KEY)
def test_counts_are_the_same(sides, start, stop, prefix):
    assert_same(sides, Count(start, stop, prefix))


flags = st.fixed_dictionaries({"include_key": st.booleans(), "include_value": st.booleans(), "reverse": st.booleans()})


@settings(max_examples=300)
@given(start=OPTIONAL_KEY, stop=OPTIONAL_KEY, prefix=OPTIONAL_KEY, flags=flags, bin=st.booleans())
def test_ranges_are_the_same_bytes(sides, start, stop, prefix, flags, bin):
    assert_same(sides, Range(start, stop, prefix=prefix, **flags), bin=bin)


@settings(max_examples=200)
@given(
    start=OPTIONAL_KEY,
    count=st.integers(-1, 300),
    flags=flags,
    exclusive=st.booleans(),
    max_bytes=st.none() | st.integers(0, 500_000),
    bin=st.booleans(),
)
def test_slices_are_the_same_bytes(sides, start, count, flags, exclusive, max_bytes, bin):
    assert_same(sides, Slice(start, count, max_bytes=max_bytes, exclusive=exclusive, **flags), bin=bin)


@settings(max_examples=200)
@given(keys=st.lists(KEY, max_size=300), fill_cache=st.booleans(), bin=st.booleans())
def test_values_of_many_keys_are_the_same_bytes(sides, keys, fill_cache, bin):
    assert_same(sides, MGet(keys, fill_cache=fill_cache and len(keys) % 2 == 0), bin=bin)


@settings(max_examples=100)
@given(keys=st.lists(KEY, max_size=20), start=OPTIONAL_KEY, count=st.integers(0, 20))
def test_pipelines_are_the_same_bytes(sides, keys, start, count):
    assert_same(sides, Pipeline([MGet(keys), Slice(start, count), Range(start, None)]))


@pytest.mark.parametrize("max_bytes", [1, 1000, 100_000, 300_000])
def test_pages_of_a_range_are_the_same_rows(sides, max_bytes):
    read = []
    for application in sides:
        read.append(list(chain.from_iterable(pages(application, max_bytes))))
    assert read[0] == read[1] != []


def pages(application, max_bytes):
    """The pages of a range, each of which is asked for behind the one before."""
    start: bytes = b"100"
    cursor: bytes | bool | None = True  # which asks for one; then its name
    while cursor:
        request = Request(
            Range(start, b"115", max_bytes=max_bytes, cursor=cursor), application.catalog.uid_of("default"), 7
        )
        read = CODEC.decode_request(CODEC.encode_request(request))
        answer = CODEC.decode_response(
            [bytes(frame) for frame in CODEC.encode_response(application(read), read)], request
        )
        assert answer.code is None, answer.message
        yield answer.payload
        cursor, start = answer.cursor, answer.payload[-1][0] + b"\0"


@pytest.mark.parametrize("count", [1, 3, 25_000, 140_000])
def test_a_batch_is_the_same_database(tmp_path, monkeypatch, count):
    """From 20,000 operations on, they stay packed until they are written; at most 131,072 are put into order at once."""
    ops = [
        (DELETE, b"%d" % (number // 2)) if number % 3 == 2 else (PUT, b"%d" % number, value(number)[:300])
        for number in range(count)
    ]
    contents = []
    for wanted in "01":
        with closing(opened(monkeypatch, wanted, tmp_path / wanted)) as application:
            answer = execute(application, Batch(ops))
            assert b"err_msg\xc0" in answer[0]
            with application.catalog.get_database(application.catalog.uid_of("default")) as engine:
                contents.append(list(engine.scan(Bounds())))
    assert contents[0] == contents[1] != []


RANDOM_OPS = st.lists(
    st.tuples(st.just(DELETE), KEY) | st.tuples(st.just(PUT), KEY, st.binary(max_size=3)), min_size=1, max_size=40
)


@settings(max_examples=8)
@given(some=RANDOM_OPS)
def test_a_batch_in_any_order_is_the_same_database(tmp_path_factory, some):
    """It is repeated until it stays packed."""
    folder, ops = tmp_path_factory.mktemp("order"), some * (21_000 // len(some))
    contents = []
    for wanted in "01":
        with pytest.MonkeyPatch.context() as patch, closing(opened(patch, wanted, folder / wanted)) as application:
            assert b"err_msg\xc0" in execute(application, Batch(ops))[0]
            with application.catalog.get_database(application.catalog.uid_of("default")) as engine:
                contents.append(list(engine.scan(Bounds())))
    last = {op[1]: op for op in ops}
    assert contents[0] == contents[1] == sorted(op[1:] for op in last.values() if op[0] == PUT)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("parts", [(True, True), (True, False), (False, True), (False, False)])
def test_chunks_are_the_same(sides, parts, reverse):
    both = []
    include_key, include_value = parts
    bounds = Bounds(b"010", b"\xff", None, include_key, include_value, reverse)
    for application in sides:
        with (
            application.catalog.get_database(application.catalog.uid_of("default")) as engine,
            engine.chunks(bounds) as scan,
        ):
            both.append([scan.read(*size) for size in ((3, 10**9), (100, 1), (10**6, 70_000), (10**6, 10**9), (1, 1))])
    assert both[0] == both[1]


def test_the_storage_of_either_side_opens_the_others_files(tmp_path, monkeypatch):
    seen: list[list[bytes]] = []
    for wanted in "0101":
        monkeypatch.setenv("PYELEVATOR_NATIVE", wanted)
        with LevelDbStorage().open(str(tmp_path / "db"), {"bloom_filter_bits": 10}) as engine:
            engine.write([(PUT, b"%d" % len(seen), wanted.encode() * 1000)])
            engine.compact()
            seen.append([unwrap(engine.get(b"%d" % number))[:1] for number in range(len(seen) + 1)])
    assert seen[-1] == [b"0", b"1", b"0", b"1"]
