"""What stands in front of the console: token, cookie, CSRF, Host, read-only, and the headers of every response."""

import re
from http.client import HTTPConnection

import pytest

from pyelevator.application import Application
from pyelevator.console.security import MAX_BODY, Sessions
from pyelevator.errors import UsageError
from pyelevator.testing.servers import serve
from support.web_console import Client, running_console

CHANGES = [
    ("PUT", "/api/value", {"db": "default", "key": "k", "format": "text", "text": "other", "digest": None}),
    ("DELETE", "/api/value", {"db": "default", "key": "k", "digest": None}),
]
PATHS = ["/", "/static/main.js", "/static/style.css", "/api/session", "/api/databases", "/api/keys?db=default", "/none"]


@pytest.fixture(scope="module")
def server():
    with serve(Application.in_memory()) as running:
        yield running


@pytest.fixture(scope="module")
def console(server):
    """One for all tests of this file: they differ in what they send."""
    with running_console(server.urls[0], write=True) as running:
        yield running


@pytest.fixture
def database(database):
    yield database
    database.Delete("k")


def bare(console):
    """A client without cookie and CSRF token."""
    client = Client(console.url)
    client.headers = {}
    return client


def test_the_link_of_the_start_gives_a_cookie_and_leaves_the_address(client):
    assert client.sign_in.status == 303
    assert client.sign_in.headers["Location"] == "/"
    name, _, attributes = client.sign_in.headers["Set-Cookie"].partition("=")
    assert re.fullmatch(r"elevator_console_\d+", name)
    assert {each.strip().lower() for each in attributes.split(";")[1:]} == {"httponly", "path=/", "samesite=strict"}


@pytest.mark.parametrize("path", PATHS)
def test_without_the_cookie_nothing_is_answered(console, path):
    reply = bare(console).get(path)
    assert reply.status == 401
    assert b"elevator console" in reply.body
    assert "Set-Cookie" not in reply.headers


@pytest.mark.parametrize("token", ["", "x", "\u00e9", "a" * 10_000])
def test_a_wrong_token_gives_no_cookie(console, token):
    reply = bare(console).get("/", token=token)
    assert reply.status == 401
    assert "Set-Cookie" not in reply.headers


def test_the_token_is_taken_on_the_first_page_only(console):
    query = Client(console.url).address.query
    assert bare(console).get(f"/api/databases?{query}").status == 401


@pytest.mark.parametrize("cookie", ["", "x.y", "x", ".", "\u00e9.\u00e9"])
def test_a_made_up_cookie_is_refused(console, cookie):
    name = Client(console.url).headers["Cookie"].partition("=")[0]
    assert bare(console).ask("GET", "/api/databases", Cookie=f"{name}={cookie}".encode()).status == 401


def test_the_cookie_of_another_console_is_refused(server, client):
    with running_console(server.urls[0]) as other:
        value = client.headers["Cookie"].partition("=")[2]
        name = Client(other.url).headers["Cookie"].partition("=")[0]
        assert bare(other).ask("GET", "/api/databases", Cookie=f"{name}={value}").status == 401


def test_each_session_has_secrets_of_its_own():
    sessions = Sessions()
    cookies = [sessions.make_cookie() for _ in range(2)]
    assert len({*cookies, *map(sessions.csrf_token, cookies)}) == 4
    assert not sessions.accepts_csrf_token(cookies[0], sessions.csrf_token(cookies[1]))


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8141", "127.0.0.1.evil.example", "", "8.8.8.8", "[::2]", "localhost.evil"]
)
@pytest.mark.parametrize("path", ["/", "/api/databases"])
def test_another_host_is_refused_with_the_right_cookie(client, host, path):
    assert client.ask("GET", path, Host=host).status == 403


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST:1", "[::1]:8141", "127.0.0.2:80"])
def test_the_own_hosts_are_answered_by_any_port_as_through_a_tunnel(client, host):
    assert client.ask("GET", "/api/databases", Host=host).status == 200


def test_a_host_is_allowed_by_its_name(server):
    with running_console(server.urls[0], allowed_hosts=["Db.example:443"]) as console:
        client = Client(console.url)
        assert client.ask("GET", "/api/databases", Host="db.example:8141").status == 200
        assert client.ask("GET", "/api/databases", Host="other.example").status == 403


@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
@pytest.mark.parametrize("token", [None, "", "wrong", "\u00ff"])
def test_a_change_without_the_csrf_token_is_refused(client, database, method, path, body, token):
    database.Put("k", "v")
    body = {**body, "digest": client.digest("k")}
    assert client.ask(method, path, body, X_CSRF_Token=token).status == 403
    assert database.Get("k") == b"v"
    assert client.ask(method, path, body).status == 200


@pytest.mark.parametrize("headers", [
    {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": "http://127.0.0.1:1"},
    {"Sec_Fetch_Site": "cross-site"}, {"Sec_Fetch_Site": "same-site"},
])  # fmt: skip
def test_a_change_that_another_site_asks_for_is_refused(client, database, headers):
    assert client.ask("PUT", "/api/value", CHANGES[0][2], **headers).status == 403
    assert not database.Exists("k")


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_site_reads_nothing_either_with_the_right_cookie(client, site):
    """A page at another port of this machine is of the same site, and its requests bring the cookie."""
    assert client.ask("GET", "/api/databases", Sec_Fetch_Site=site).status == 403
    assert client.ask("GET", "/api/databases", Sec_Fetch_Site="none").status == 200
    assert client.ask("GET", "/", Sec_Fetch_Site=site).status == 200


def test_a_change_of_an_own_page_is_written(client, database):
    origin = f"http://{client.address.netloc}"
    assert client.ask("PUT", "/api/value", CHANGES[0][2], Origin=origin, Sec_Fetch_Site="same-origin").status == 200
    assert database.Get("k") == b"other"


@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
def test_a_console_that_only_reads_refuses_every_change(reader, database, method, path, body):
    database.Put("k", "v")
    reply = reader.ask(method, path, {**body, "digest": reader.digest("k")})
    assert reply.status == 403
    assert "--write" in reply.json["error"]
    assert database.Get("k") == b"v"
    assert reader.session["write"] is False


def test_a_console_that_only_reads_sends_nothing_that_writes(server):
    """Whatever its pages ask for: its client refuses, too."""
    import asyncio

    from pyelevator.console.backend import Backend

    async def main():
        backend = Backend(server.urls[0], {}, write=False)
        try:
            await (await backend.client("default")).Put("k", "v")
        finally:
            await backend.close()

    with pytest.raises(PermissionError):
        asyncio.run(main())


@pytest.mark.parametrize("path", [*PATHS, "/?token=wrong"])
def test_every_response_has_the_headers_that_protect_the_page(client, path):
    headers = client.get(path).headers
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["X-Frame-Options"] == "DENY"
    assert "Server" not in headers


def test_the_page_has_no_inline_scripts_nor_styles(client):
    page = client.get("/").body.decode()
    assert re.findall(r"<script(?![^>]*\bsrc=)", page) == re.findall(r"\s(?:style|on\w+)=|<style", page) == []
    assert re.findall(r'(?:src|href)="(?!/static/|#)', page) == []


def test_a_long_body_is_refused_before_it_is_read(client):
    connection = HTTPConnection(client.address.hostname, client.address.port, timeout=60)
    connection.putrequest("PUT", "/api/value")
    for name, value in {**client.headers, "Content-Length": str(MAX_BODY + 1)}.items():
        connection.putheader(name, value)
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_a_body_of_unknown_length_is_refused(client):
    connection = HTTPConnection(client.address.hostname, client.address.port, timeout=60)
    connection.request("PUT", "/api/value", iter([b"{}"]), client.headers, encode_chunked=True)
    assert connection.getresponse().status == 411
    connection.close()


@pytest.mark.parametrize(
    "listen", ["8141", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", "http://127.0.0.1:1", "::1:8141"]
)
def test_what_is_no_address_is_refused_with_an_example(server, listen):
    with (
        pytest.raises(UsageError, match=r"takes HOST:PORT, such as 127\.0\.0\.1:8141"),
        running_console(server.urls[0], listen=listen),
    ):
        pass


def test_a_port_in_use_is_named(server, console):
    listen = console.url.partition("//")[2].partition("/")[0]
    with (
        pytest.raises(UsageError, match="another program listens there"),
        running_console(server.urls[0], listen=listen),
    ):
        pass


def test_only_loopback_is_not_exposed(server):
    with running_console(server.urls[0]) as console:
        assert not console.is_exposed
    with running_console(server.urls[0], listen="0.0.0.0:0") as console:
        assert console.is_exposed
        assert console.url.startswith("http://127.0.0.1:")
        assert Client(console.url).ask("GET", "/api/databases", Host="192.0.2.7:80").status == 200
        assert Client(console.url).ask("GET", "/api/databases", Host="evil.example").status == 403
