"""Unit tests of an application with the fake: no server, no files, and yet the real client, codec and application.

Run them with ``pytest examples/test_visits.py``.
"""

from collections.abc import Iterator

import pytest

from pyelevator import Elevator, KeyNotFound, RequestTimeout, Retry
from pyelevator.interceptors import Fault, Faults, hooks
from pyelevator.transports import FakeTransport

# The application: it counts visits, by page and by day.


class Visits:
    def __init__(self, db: Elevator[str]) -> None:
        self.db = db

    def count(self, day: str, page: str) -> int:
        """Counts one more visit of a page, and says which it is."""
        key = f"{day}/{page}"
        try:
            number = int(self.db.Get(key)) + 1
        except KeyNotFound:
            number = 1
        self.db.Put(key, str(number))
        return number

    def of_day(self, day: str) -> dict[str, int]:
        """Page -> visits."""
        return {key.removeprefix(f"{day}/"): int(number) for key, number in self.db.RangeIter(prefix=f"{day}/")}

    def forget(self, day: str) -> None:
        """Removes a day, all of it or nothing."""
        with self.db.WriteBatch() as batch:
            for key in self.db.RangeIter(prefix=f"{day}/", include_value=False):
                batch.Delete(key)


# Its tests.


@pytest.fixture
def server() -> FakeTransport:
    """A server of its own for each test, and an empty one."""
    return FakeTransport()


@pytest.fixture
def visits(server: FakeTransport) -> Iterator[Visits]:
    with Elevator(transport=server) as db:
        yield Visits(db)


def test_visits_are_counted_by_page_and_day(visits: Visits) -> None:
    assert [visits.count("monday", "/home") for _ in range(3)] == [1, 2, 3]
    assert visits.count("monday", "/about") == 1
    assert visits.count("tuesday", "/home") == 1
    assert visits.of_day("monday") == {"/about": 1, "/home": 3}


def test_two_clients_of_one_server_count_together(server: FakeTransport, visits: Visits) -> None:
    visits.count("monday", "/home")
    with Elevator(transport=server) as db:
        assert Visits(db).count("monday", "/home") == 2


def test_a_forgotten_day_leaves_the_others(visits: Visits) -> None:
    for day in ("monday", "tuesday"):
        visits.count(day, "/home")
    visits.forget("monday")
    assert visits.of_day("monday") == {}
    assert visits.of_day("tuesday") == {"/home": 1}


def test_a_day_is_forgotten_in_one_write_however_many_pages_it_has(server: FakeTransport, visits: Visits) -> None:
    for page in range(100):
        visits.count("monday", f"/{page}")
    seen: list[str] = []
    watch = hooks(on_request=lambda request: seen.append(request.command.verb))
    with Elevator(transport=server, interceptors=[watch]) as db:
        Visits(db).forget("monday")
    assert seen.count("BATCH") == 1
    assert "DELETE" not in seen


def test_a_lost_answer_reaches_the_caller_and_the_visit_may_be_counted(server: FakeTransport, visits: Visits) -> None:
    """What a timeout means: the outcome is unknown. Here the write was executed, and only its answer was lost."""
    faults = Faults([Fault("drop_response", verbs=("PUT",))])
    with Elevator(transport=server, interceptors=[faults]) as db, pytest.raises(RequestTimeout):
        Visits(db).count("monday", "/home")
    assert visits.of_day("monday") == {"/home": 1}


def test_reads_are_tried_again(server: FakeTransport) -> None:
    """Half of all reads get lost, and a retry policy hides it. The seed makes every run of the test the same."""
    faults = Faults([Fault("drop_request", verbs=("GET", "SLICE"), probability=0.5)], seed=7)
    retry = Retry(attempts=20, backoff=0.001)
    with Elevator(transport=server, interceptors=[retry, faults]) as db:
        visits = Visits(db)
        assert [visits.count("monday", "/home") for _ in range(10)] == list(range(1, 11))


def test_bytes_that_are_no_text_do_no_harm(server: FakeTransport, visits: Visits) -> None:
    with Elevator(transport=server, encoding=None) as db:
        db.Put(b"monday/\xff", b"2")
    assert visits.of_day("monday") == {"\udcff": 2}
