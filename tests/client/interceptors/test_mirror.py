from pyelevator import Elevator
from pyelevator.client.interceptors.mirror import Mirror
from pyelevator.commands import DbConnect, Get, Put
from pyelevator.errors import ErrorCode
from pyelevator.flows import compose, drive
from pyelevator.messages import Request, Response
from pyelevator.transports import FakeTransport


def through(mirror, application, *requests):
    way = compose([mirror])

    def perform(effect):
        return application(effect.request)

    return [drive(way(request), perform) for request in requests]


def test_successful_writes_reach_the_second_server_by_database_name():
    main, second = FakeTransport(), FakeTransport()
    with Elevator(transport=main) as E:
        E.createdb("shop")
        with Mirror(second) as mirror:
            (connected,) = through(mirror, main.application, Request(DbConnect("shop")))
            uid = connected.payload.decode()
            through(mirror, main.application, Request(Put("k", "v"), uid), Request(Put("l", "w"), uid))
            mirror.flush()
            assert (mirror.copied, mirror.failed, mirror.dropped) == (2, 0, 0)
        with Elevator("shop", transport=second) as copy:
            assert copy.Range() == [["k", "v"], ["l", "w"]]


def test_reads_are_repeated_by_their_share_and_failures_are_counted():
    main, second = FakeTransport(), FakeTransport()
    with Mirror(second, reads=1.0) as mirror:
        (connected,) = through(mirror, main.application, Request(DbConnect("default")))
        uid = connected.payload.decode()
        through(mirror, main.application, Request(Put("k", "v"), uid))
        mirror.flush()
        with Elevator(transport=second) as copy:
            copy.Delete("k")
        through(mirror, main.application, Request(Get("k"), uid))
        mirror.flush()
        assert (mirror.copied, mirror.failed) == (1, 1)


def test_a_write_that_failed_is_not_copied():
    second = FakeTransport()
    with Mirror(second) as mirror:
        drive(compose([mirror])(Request(Put("k", "v"), "u")), lambda effect: Response.failure(ErrorCode.KEY, "no"))
        mirror.flush()
        assert mirror.copied == mirror.failed == 0


def test_the_second_server_gets_what_updates_have_written():
    main, second = FakeTransport(), FakeTransport()
    with Elevator(transport=second) as copy:
        copy.Put("n", "100")
        copy.Put("gone", "here")
    with Mirror(second) as mirror, Elevator(transport=main, interceptors=[mirror]) as E:
        E.Increment("n", 5)
        E.Put("gone", "there")
        E.GetAndDelete("gone")
        E.PutIfAbsent("a", "1")
        E.PutIfAbsent("a", "2")
        with E.WriteBatch() as batch:
            batch.Check("a", "1")
            batch.Put("b", "1")
            batch.Delete("n")
        with E.pipeline() as p:
            p.Increment("m", 7)
            p.CompareAndSet("m", "8", "9")
        mirror.flush()
        assert (mirror.copied, mirror.failed) == (6, 0)
        with Elevator(transport=second) as copy:
            assert copy.Range() == E.Range() == [["a", "1"], ["b", "1"], ["m", "7"]]


def test_the_second_server_loses_the_ranges_that_were_deleted():
    main, second = FakeTransport(), FakeTransport()
    with Mirror(second, reads=1.0) as mirror, Elevator(transport=main, interceptors=[mirror]) as E:
        with E.WriteBatch() as batch:
            for i in range(9000):
                batch.Put(f"k{i:05}", "v")
            batch.Put("l", "v")
        mirror.flush()
        with Elevator(transport=second) as copy:
            copy.Put("k00000+", "only here")
            copy.Put("k09999", "only here")
            assert copy.Count() == 9003
            assert E.DeleteRange(prefix="k") == 9000
            assert E.Count() == 1
            mirror.flush()
            assert (copy.Range(), mirror.failed) == ([["l", "v"]], 0)


class Stuck(FakeTransport):
    """Takes nothing until it is told."""

    def __init__(self, application=None, resume=None):
        import threading

        super().__init__(application)
        self.resume = resume or threading.Event()

    def send(self, frames, deadline):
        assert self.resume.wait(30)
        super().send(frames, deadline)

    def clone(self):
        return Stuck(self.application, self.resume)


def test_what_does_not_find_room_is_dropped_and_counted():
    second = Stuck()
    with Mirror(second, backlog=2) as mirror:
        through(mirror, lambda request: Response(), *[Request(Put(str(i), "v"), "u") for i in range(10)])
        assert mirror.dropped >= 7
        second.resume.set()


def test_a_forgotten_database_is_also_forgotten_by_the_second_server():
    main, second = FakeTransport(), FakeTransport()
    with Mirror(second) as mirror, Elevator(transport=main, interceptors=[mirror]) as E:
        E.createdb("shop")
        E.connect("shop")
        E.Put("k", "v")
        E.forgetdb("shop")
        mirror.flush()
        assert (mirror.failed, mirror.dropped) == (0, 0)
        with Elevator(transport=second) as other:
            assert other.listdb() == ["default"]
            other.createdb("shop")
            other.connect("shop")
            assert other.Get("k") == "v"
