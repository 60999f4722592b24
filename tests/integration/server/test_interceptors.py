import logging

import pytest

from pyelevator import Elevator, PermissionDenied, ServerRuntimeError
from pyelevator.application import Application
from pyelevator.interceptors import Prefix, RateLimit, RequestLog, read_only
from pyelevator.messages import Response
from pyelevator.server import Server
from pyelevator.testing.servers import ANY_PORT
from support.applications import application_of


def server_with(*interceptors):
    return Server(Application.in_memory(), [ANY_PORT], interceptors=interceptors)


def test_a_server_s_interceptors_stand_around_every_request(caplog):
    with caplog.at_level(logging.DEBUG, "pyelevator.requests"):
        with server_with(RequestLog(), Prefix("t:")) as server, Elevator.from_url(server.urls[0]) as E:
            E.Put("k", "v")
            assert E.Range() == [["k", "v"]]
            assert application_of(server).catalog.names() == ["default"]
    logged = [record for record in caplog.records if record.module == "request_log"]
    assert [record.getMessage().split()[0] for record in logged] == ["DBCONNECT", "PUT", "RANGE"]


def test_what_they_refuse_reaches_the_client_as_its_error():
    with server_with(read_only) as server, Elevator.from_url(server.urls[0]) as E:
        with pytest.raises(PermissionDenied, match="PUT where only reading is"):
            E.Put("k", "v")
        assert E.Range() == []


def test_they_may_wait_without_holding_up_the_server():
    limit = RateLimit(rate=5, burst=2, max_wait=10)
    with server_with(limit) as server, Elevator.from_url(server.urls[0]) as E:
        for i in range(4):
            E.Put(str(i), "v", timeout=20)
        assert len(E.Range(timeout=20)) == 4


def test_one_that_fails_or_answers_nonsense_costs_only_its_request():
    def broken(request, forward):
        if request.command.verb == "PUT":
            raise ZeroDivisionError
        if request.command.verb == "GET":
            return "nonsense"
        return (yield from forward(request))

    with server_with(broken) as server, Elevator.from_url(server.urls[0]) as E:
        with pytest.raises(ServerRuntimeError, match="internal error: ZeroDivisionError"):
            E.Put("k", "v")
        with pytest.raises(ServerRuntimeError, match="internal error: TypeError"):
            E.Get("k")
        assert E.Range() == []


def test_one_may_answer_by_itself():
    def canned(request, forward):
        if request.command.verb == "GET":
            return Response(b"canned")
        return (yield from forward(request))

    with server_with(canned) as server, Elevator.from_url(server.urls[0]) as E:
        assert E.Get("anything") == "canned"
