"""A large Range comes in pages of one snapshot, which shows only in the time it takes."""

from collections.abc import Callable

import pytest
from attrs import evolve

from pyelevator import MalformedMessage
from pyelevator.application import Application, Policy
from pyelevator.client import paging
from pyelevator.codec import ClassicCodec
from pyelevator.commands import PUT, Batch, Range, Slice
from pyelevator.interceptors import hooks
from pyelevator.messages import CallContext, Request
from pyelevator.transports import FakeTransport
from support.applications import cursors_of
from support.connections import handle_of

PAIRS = [[f"{i:02}", "old"] for i in range(20)]


class Watched(Application):
    """Keeps the ranges that it was asked for, and lets something happen before it answers the next one."""

    names_cursors = True
    asked: list[Range]
    before: dict[int, Callable[["Watched"], None]]

    def __call__(self, request):
        if isinstance(request.command, Range):
            self.asked.append(request.command)
            if len(self.asked) in self.before:
                self.before[len(self.asked)](self)
        response = super().__call__(request)
        return response if self.names_cursors else evolve(response, cursor=None)

    def write(self, ops):
        super().__call__(Request(Batch(ops), self.catalog.uid_of("default")))

    def lose_cursors(self):
        for cursor in cursors_of(self):
            self.cursors.close(cursor.id, next(iter(cursor.views)), Request(Range(), context=CallContext(cursor.peer)))


@pytest.fixture(autouse=True)
def small_pages(monkeypatch):
    monkeypatch.setitem(paging.PAGE_BYTES, Range, 30)


@pytest.fixture
def application():
    application = Watched.in_memory(policy=Policy(max_cursors=2))
    application.asked, application.before = [], {}
    application.write([(PUT, key.encode(), value.encode()) for key, value in PAIRS])
    return application


@pytest.fixture
def client(application, make):
    with make(transport=FakeTransport(application)) as client:
        yield client


def starts(application):
    return [command.start for command in application.asked]


def test_pages_follow_one_another_and_have_the_rows_of_one_answer(application, client):
    assert client.Range() == PAIRS
    assert starts(application) == [None, b"05\0", b"11\0", b"17\0"]
    assert len({command.cursor for command in application.asked[1:]}) == 1
    assert len(application.cursors) == 0


def test_bytes_come_as_bytes(application, make):
    with make(transport=FakeTransport(application), encoding=None) as client:
        assert client.Range() == [[key.encode(), value.encode()] for key, value in PAIRS]


def test_what_fits_one_page_is_one_request(application, client):
    assert client.Range("03", "05") == PAIRS[3:6]
    assert client.Range("x") == []
    assert starts(application) == [b"03", b"x"]


def test_all_pages_are_of_one_moment(application, client):
    application.before[2] = lambda application: application.write([(PUT, b"19", b"new"), (PUT, b"20", b"new")])
    assert client.Range() == PAIRS
    assert client.Range("19") == [["19", "new"], ["20", "new"]]


@pytest.mark.parametrize("lost_at", [2, 3, 4])
def test_where_the_snapshot_is_lost_the_range_is_fetched_at_once(application, client, lost_at):
    application.before[lost_at] = Watched.lose_cursors
    assert client.Range() == PAIRS
    assert application.asked[-1] == Range()


def test_without_a_word_on_the_next_page_the_range_is_fetched_at_once(application, client):
    application.names_cursors = False
    assert client.Range() == PAIRS
    assert application.asked[-1] == Range()


def test_a_server_without_room_for_snapshots_answers_at_once(application, client):
    for _ in range(2):
        application(Request(Slice(None, 1, cursor=True), client.db_uid))
    assert client.Range() == PAIRS
    assert starts(application) == [None]


@pytest.mark.parametrize("how", [{"reverse": True}, {"include_key": False}, {"include_value": False}])
def test_ranges_of_another_kind_are_one_request(application, client, how):
    assert len(client.Range(**how)) == 20
    assert [command.cursor for command in application.asked] == [False]


def test_interceptors_see_one_request(application, make):
    with make(transport=FakeTransport(application), interceptors=[hooks(on_request=lambda r: r)]) as client:
        assert client.Range() == PAIRS
    assert application.asked == [Range()]


def test_a_server_without_the_feature_is_asked_for_all(application, client):
    handle_of(client).features = ("id", "pages", "cursors")
    assert client.Range() == PAIRS
    assert application.asked == [Range()]


def test_limits_hold_for_all_pages_together(make):
    with make(transport=FakeTransport(Application.in_memory(policy=Policy(max_range=19)))) as client:
        with client.WriteBatch() as batch:
            for key, value in PAIRS:
                batch.Put(key, value)
        with pytest.raises(ValueError, match="the answer is over the limit of 19 items"):
            client.Range()
        assert client.Range(None, "18") == PAIRS[:19]


def test_one_connection_is_enough(application, make):
    with make(transport=FakeTransport(application), max_connections=1) as client:
        assert client.Range() == PAIRS


def test_a_page_that_cannot_be_read_is_an_error_and_the_client_goes_on(application, client, monkeypatch):
    def refuse(*_, **__):
        raise MalformedMessage("damaged")

    with monkeypatch.context() as damaged:
        damaged.setattr(ClassicCodec, "_decode_page", refuse)
        with pytest.raises(MalformedMessage, match="damaged"):
            client.Range()
    assert client.Range() == PAIRS


@pytest.mark.parametrize("encoding", ["utf-8", None])
def test_a_page_that_cannot_be_read_is_fetched_again(monkeypatch, encoding, make):
    def refuse(*_, **__):
        raise MalformedMessage("damaged")

    keys = [f"{i:04}" for i in range(4000)]
    with make(transport="fake", encoding=encoding) as client:
        with client.WriteBatch() as batch:
            for key in keys:
                batch.Put(key, "v")
        rows = client.RangeIter()
        seen = [next(rows) for _ in range(128)]
        with monkeypatch.context() as damaged:
            damaged.setattr(ClassicCodec, "_decode_page", refuse)
            with pytest.raises(MalformedMessage, match="damaged"):
                seen.extend(rows)  # with those before the error
        seen += rows
    assert seen == [[key, "v"] if encoding else [key.encode(), b"v"] for key in keys]
