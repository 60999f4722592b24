"""Interceptors of clients, sync and async, alike."""

import asyncio

import pytest

from pyelevator import AsyncElevator, Elevator, KeyNotFound, RequestTimeout
from pyelevator.errors import ErrorCode
from pyelevator.flows import sleep
from pyelevator.interceptors import Cache, Fault, Faults, Prefix, hooks
from pyelevator.messages import Response
from pyelevator.transports import FakeTransport


def seen_by(interceptor, *calls):
    """What a sync and an async client give for the same calls, each with its own interceptor."""

    def sync():
        with Elevator(transport="fake", interceptors=[interceptor()]) as E:
            return [getattr(E, name)(*arguments) for name, *arguments in calls]

    async def later():
        async with AsyncElevator(transport="fake", interceptors=[interceptor()]) as E:
            return [await getattr(E, name)(*arguments) for name, *arguments in calls]

    answers = sync()
    assert asyncio.run(later()) == answers
    return answers


def test_requests_pass_through_them_sync_and_async():
    assert seen_by(lambda: Prefix("t:"), ("Put", "k", "v"), ("Get", "k"), ("Range",)) == [None, "v", [["k", "v"]]]
    assert seen_by(Cache, ("Put", "k", "v"), ("Get", "k"), ("Get", "k")) == [None, "v", "v"]


def test_they_may_wait_sync_and_async():
    def patient(request, forward):
        yield from sleep(0.01)
        return (yield from forward(request))

    assert seen_by(lambda: patient, ("Put", "k", "v"), ("Get", "k")) == [None, "v"]


def test_each_page_of_an_iteration_passes_through():
    pages = []
    with Elevator(transport="fake", interceptors=[hooks(lambda r: pages.append(r.command.verb))]) as E:
        for i in range(300):
            E.Put(f"{i:03}", "v")
        del pages[:]
        assert len(list(E.RangeIter())) == 300
    assert pages == ["SLICE", "SLICE"]


def test_a_batch_of_a_client_passes_through_too():
    transport = FakeTransport()
    with Elevator(transport=transport, interceptors=[Prefix("t:")]) as E, Elevator(transport=transport) as plain:
        with E.WriteBatch() as batch:
            batch.Put("k", "v")
        assert plain.Range() == [["t:k", "v"]]


def test_a_failure_that_one_answers_is_the_caller_s_error():
    def gone(request, forward):
        if request.command.verb == "GET":
            return Response.failure(ErrorCode.KEY, "not here")
        return (yield from forward(request))

    with Elevator(transport="fake", interceptors=[gone]) as E, pytest.raises(KeyNotFound, match="Key not found"):
        E.Get("k")


def test_an_error_reaches_the_inner_one_first_and_may_be_handled():
    handled = []

    def handler(request, forward):
        try:
            return (yield from forward(request))
        except RequestTimeout as error:
            handled.append(str(error))
            return Response(b"instead")

    faults = Faults([Fault("drop_response", ("GET",))])
    with Elevator(transport="fake", interceptors=[handler, faults]) as E:
        assert E.Get("k") == "instead"
    assert handled == ["the answer to GET was dropped by a fault on its way back"]


@pytest.mark.parametrize("wrong", [lambda request, forward: "text", lambda request, forward: iter(())])
def test_one_that_is_no_flow_is_a_clear_error(wrong):
    with pytest.raises(TypeError, match="interceptor"):
        Elevator(transport="fake", interceptors=[wrong])


def test_one_that_returns_no_response_is_a_clear_error():
    def forgetful(request, forward):
        yield from forward(request)

    with pytest.raises(TypeError, match="an interceptor must return a Response, not NoneType"):
        Elevator(transport="fake", interceptors=[forgetful])
