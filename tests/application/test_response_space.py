"""Requests whose responses find no space are given up, without a trace, and can be executed again."""

from typing import Any

import pytest

from pyelevator.application import Application, Policy
from pyelevator.application.context import Context
from pyelevator.application.handlers.keys import multi_get
from pyelevator.application.response_space import OutOfSpace, ResponseSpace, limited_to
from pyelevator.codec import ClassicCodec
from pyelevator.commands import PUT, Batch, Get, MGet, Pipeline, Range, Slice
from pyelevator.engines.base import PackedValues
from pyelevator.messages import PackedRows, Request

KEYS = [b"%02d" % number for number in range(20)]
SIZE = 100_000
MB = 1 << 20
CODEC = ClassicCodec()


class Space(ResponseSpace):
    """Space for so many bytes."""

    available = 0

    def __init__(self, size):
        self.available = size

    def add(self, size, *, is_all=False):
        self.available -= size
        if self.available < 0:
            raise OutOfSpace


@pytest.fixture
def application(catalog):
    application = Application(catalog)
    application(Request(Batch([(PUT, key, bytes(SIZE)) for key in KEYS]), catalog.uid_of("default")))
    return application


def as_it_comes(command, uid):
    """The request with all that a codec adds to it."""
    return CODEC.decode_request(CODEC.encode_request(Request(command, uid, 7)))


@pytest.mark.parametrize(
    "command",
    [
        Range(),
        Range(cursor=True, max_bytes=2 * SIZE * 10),
        Slice(None, 20),
        Slice(None, 20, cursor=True),
        MGet(KEYS),
        MGet([KEYS[0]] * 20),
        Pipeline([Range()]),
        Pipeline([Get(key) for key in KEYS]),
        Pipeline([Get(KEYS[0])] * 300),
        Pipeline([MGet(KEYS)]),
    ],
    ids=lambda command: f"{command.verb} {len(getattr(command, 'commands', ''))}",
)
def test_a_response_without_space_is_given_up_and_leaves_nothing(application, command):
    request = as_it_comes(command, application.catalog.uid_of("default"))
    with limited_to(Space(SIZE * 10)):
        for execute in (application, application.try_handle):
            try:
                assert execute(request) is None  # it is for a worker
            except OutOfSpace:
                continue
        with pytest.raises(OutOfSpace):
            application(request)
    assert len(application.cursors) == 0
    with limited_to(Space(SIZE * 1000)):
        assert application(request).code is None


def test_a_page_that_was_given_up_is_read_later(application):
    uid = application.catalog.uid_of("default")
    first = application(Request(Range(cursor=True, max_bytes=SIZE), uid))
    following = Range(first.payload[-1][0] + b"\0", None, cursor=first.cursor, max_bytes=SIZE * 10)
    with limited_to(Space(SIZE)), pytest.raises(OutOfSpace):
        application(Request(following, uid))
    assert [key for key, _ in application(Request(following, uid)).payload] == KEYS[1:11]


def test_values_that_find_more_space_meanwhile_are_read_again(application):
    class Growing(Space):
        def add(self, size, *, is_all=False):
            self.available = SIZE * 100

    with limited_to(Growing(SIZE)):
        response = application(as_it_comes(MGet(KEYS), application.catalog.uid_of("default")))
    assert (response.code, len(response.payload)) == (None, 20)


class PackingEngine:
    """Packs the values of an MGET, of so many bytes, and notes for how many there was space taken each time."""

    packs_values = True

    def __init__(self, size, space):
        self._size, self._space, self._all = size, space, space.available
        self.attempts = []

    def pack_values(self, keys, layout, max_bytes, *, fill_cache=False):
        self.attempts.append((max_bytes, self._all - self._space.available))
        rows = PackedRows(bytes(self._size), len(keys)) if max_bytes >= self._size else None
        return PackedValues(rows, 0)


@pytest.mark.parametrize(
    ("size", "attempts"),
    [
        (2 * MB, [(2 * MB, 0)]),
        (3 * MB, [(2 * MB, 0), (16 * MB, 16 * MB)]),
        (40 * MB, [(2 * MB, 0), (16 * MB, 16 * MB), (100 * MB, 100 * MB)]),
    ],
)
def test_space_for_many_packed_values_is_taken_before_they_are_packed(catalog, size, attempts):
    space = Space(100 * MB)
    engine: Any = PackingEngine(size, space)
    request = as_it_comes(MGet(KEYS), catalog.uid_of("default"))
    with limited_to(space):
        multi_get(engine, request.command, request, Context(Policy(), lambda *_: False))
    assert engine.attempts == attempts
    assert space.available == 100 * MB - size
