"""Order: who waits behind whom."""

from pyelevator.codec import ClassicCodec
from pyelevator.commands import Get, Ping
from pyelevator.conversation import Exchange
from pyelevator.errors import ErrorCode
from pyelevator.messages import Request, Response
from pyelevator.server.order import Order, is_tagged

A, B = b"client a", b"client b"


def exchange(key: str = "k", id: int | None = None) -> Exchange:
    return Exchange(ClassicCodec(), Request(Get(key), id=id))


def test_the_id_counts_whether_the_request_could_be_read_or_not():
    refusal = Response.failure(ErrorCode.REQUEST, "what?", 0)
    assert is_tagged(exchange(id=0))
    assert not is_tagged(exchange())
    assert is_tagged(Exchange(ClassicCodec(), None, refusal))
    assert not is_tagged(Exchange(ClassicCodec(), None, Response.failure(ErrorCode.REQUEST, "what?")))


def test_nobody_waits_unless_held():
    assert not Order().queue(A, exchange())


def test_a_held_client_waits_and_others_do_not():
    order = Order()
    order.hold(A)
    assert order.queue(A, exchange())
    assert not order.queue(B, exchange())
    assert not order.queue(A, exchange(id=1))


def test_released_requests_come_in_order_and_end_the_wait():
    order, first, second = Order(), exchange("1"), exchange("2")
    order.hold(A)
    order.queue(A, first)
    order.queue(A, second)
    assert list(order.release(A)) == [first, second]
    assert not order.queue(A, exchange())


def test_a_release_that_stops_half_way_keeps_the_rest_waiting():
    order, first, second = Order(), exchange("1"), exchange("2")
    order.hold(A)
    order.queue(A, first)
    order.queue(A, second)
    assert next(order.release(A)) is first
    order.hold(A)
    assert order.queue(A, Exchange(ClassicCodec(), Request(Ping())))
    assert [waiting.request.command for waiting in order.release(A)] == [Get("2"), Ping()]
