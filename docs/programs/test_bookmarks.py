"""The tutorial's tests of bookmarks.py, without a server."""

from bookmarks import add, tagged

from pyelevator import Elevator
from pyelevator.transports import FakeTransport


def test_a_bookmark_is_found_by_each_of_its_tags() -> None:
    with Elevator(transport=FakeTransport()) as db:
        add(db, "https://leveldb.example", "LevelDB", "database", "c++")
        add(db, "https://zeromq.example", "ZeroMQ", "network", "c++")
        assert tagged(db, "database") == [("https://leveldb.example", "LevelDB")]
        assert [title for _, title in tagged(db, "c++")] == ["LevelDB", "ZeroMQ"]


def test_a_bookmark_that_is_added_twice_has_the_later_title() -> None:
    with Elevator(transport=FakeTransport()) as db:
        for title in ("Elevator", "pyelevator"):
            add(db, "https://elevator.example", title, "database")
        assert tagged(db, "database") == [("https://elevator.example", "pyelevator")]
