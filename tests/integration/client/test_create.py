"""create=True: the race of two clients, what a server refuses, and the environment."""

import pytest

from pyelevator import Elevator, PermissionDenied
from pyelevator.application import Application
from pyelevator.auth.authorizing_application import AuthorizingApplication
from pyelevator.auth.permissions import Grant, Permissions
from pyelevator.commands import Access, DbConnect, DbCreate
from pyelevator.interceptors import hooks
from pyelevator.messages import CallContext
from pyelevator.testing import fake_server
from pyelevator.transports import FakeTransport


def test_a_database_that_another_client_creates_meanwhile_is_connected_to():
    server = FakeTransport()
    other = Elevator(transport=server)

    def create_before(request):
        if isinstance(request.command, DbCreate):
            other.createdb("testdb")

    with Elevator("testdb", transport=server, create=True, interceptors=[hooks(on_request=create_before)]) as E:
        assert E.db_name == "testdb"


def test_a_database_that_is_there_costs_one_request():
    seen = []
    with Elevator(
        transport="fake", create=True, interceptors=[hooks(on_request=lambda request: seen.append(request.command))]
    ):
        assert seen == [DbConnect("default")]


def test_who_may_not_create_is_told_so():
    class UnknownClient(AuthorizingApplication):
        def __call__(self, request):
            return super().__call__(request.with_context(CallContext("ann")))

        def try_handle(self, request):
            return None

    application = UnknownClient(Application.in_memory(), lambda: {"ann": Permissions((Grant(Access.READ, "*"),))})
    with pytest.raises(PermissionDenied, match="DBCREATE needs admin access"):
        Elevator("testdb", transport=FakeTransport(application), create=True)


@pytest.mark.parametrize("stated", [{}, {"create": True}])
def test_the_environment_says_it_as_well(monkeypatch, stated):
    with fake_server() as url:
        monkeypatch.setenv("ELEVATOR_URL", f"{url}/testdb" + ("" if stated else "?create=1"))
        with Elevator(**stated) as E:
            assert (E.db_name, E.listdb()) == ("testdb", ["default", "testdb"])
