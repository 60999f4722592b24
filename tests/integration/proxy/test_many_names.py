"""Long lists of databases, long names and long texts of errors, through proxies."""

from contextlib import ExitStack

import pytest

from pyelevator import DatabaseError, Elevator, ServerRuntimeError
from pyelevator.auth.authorizing_interceptor import AuthorizingInterceptor
from pyelevator.auth.permissions import Grant, Permissions
from pyelevator.commands import Access
from pyelevator.messages import Response
from pyelevator.proxy import Proxy, Upstream
from pyelevator.testing.servers import ANY_PORT
from support.eventually import SECONDS
from support.puppets import Puppet

NAMES = [f"tenant-{number:05}" for number in range(10_000)]
LONG = "n" * 5000  # which no client of ours may ask for, and an old server may have
PATH = "/" + "/".join(["p" * 200] * 20)
TEXT = "because of \N{SNOWMAN} " * 140  # nearly 2,000 characters


class Listing(Puppet):
    """Lists databases, and refuses every other request with a long text."""

    def __init__(self, names):
        self._response = {"DBLIST": Response([name.encode() for name in names])}
        super().__init__(lambda request, reply: [reply])

    def execute(self, request):
        listed = self._response.get(request.command.verb)
        if listed is not None:
            return Response(listed.payload, id=request.id)
        return Response.from_error(ServerRuntimeError(TEXT), request.id)


@pytest.fixture(scope="module")
def through():
    """Gives the URL of a proxy before servers with so many names, each asked for some patterns."""
    with ExitStack() as stack:

        def proxy(*names_and_patterns, interceptors=()):
            upstreams = [
                Upstream(stack.enter_context(Listing(names)).url, patterns, name=f"server-{at}")
                for at, (names, patterns) in enumerate(names_and_patterns)
            ]
            return stack.enter_context(Proxy([ANY_PORT], upstreams, interceptors)).urls[0]

        yield proxy


def listed_through(url, **options):
    with Elevator.from_url(url, auto_connect=False, timeout=SECONDS, **options) as E:
        return E.listdb()


@pytest.mark.parametrize("dialect", ["classic", "flat"])
def test_10_000_names_pass_a_proxy(through, dialect):
    assert listed_through(through((NAMES, ("*",))), dialect=dialect) == NAMES


def test_10_000_names_of_two_servers_are_those_of_their_patterns(through):
    url = through((NAMES, ("tenant-0[0-4]*", "*-09999")), (NAMES, ("tenant-*",)))
    assert listed_through(url) == [*NAMES[:5000], NAMES[9999], *NAMES[5000:9999]]


def test_a_client_sees_the_names_of_10_000_that_its_patterns_allow(through):
    grants = tuple(Grant(Access.READ, f"tenant-{number}*") for number in ("0001", "07", "09999"))
    allowed = {"": Permissions(grants)}
    url = through((NAMES, ("*",)), interceptors=[AuthorizingInterceptor(lambda: allowed)])
    assert listed_through(url) == [*NAMES[10:20], *NAMES[7000:8000], NAMES[9999]]


@pytest.mark.parametrize("servers", [1, 2])
def test_a_name_longer_than_any_hides_no_other(through, servers):
    names = ["before", LONG, "behind"]
    assert listed_through(through(*[(names, ("*",)), (["x"], ("x",))][:servers])) == names


@pytest.mark.parametrize("dialect", ["classic", "flat"])
@pytest.mark.parametrize("servers", [1, 2])
def test_long_names_and_long_texts_pass_a_proxy(through, servers, dialect):
    url = through(*[([], ("*",)), ([], ("x",))][:servers])
    with Elevator.from_url(url, auto_connect=False, timeout=SECONDS, dialect=dialect) as E:
        for call in (lambda: E.createdb("d" * 255), lambda: E.connect(PATH), lambda: E.dropdb(PATH)):
            with pytest.raises((ServerRuntimeError, DatabaseError)) as failed:
                call()
            assert TEXT in str(failed.value)
