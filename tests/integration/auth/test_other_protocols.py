"""A peer with another protocol is refused by every listener, and logged once with its address."""

import base64
import http.server
import logging
import shutil
import socket
import subprocess
import threading
from contextlib import ExitStack, closing, suppress
from urllib.parse import urlsplit

import pytest

from pyelevator.application import Application
from pyelevator.auth import ClientAuth
from pyelevator.client import Elevator
from pyelevator.codec import ClassicCodec, FlatCodec
from pyelevator.commands import DbCreate, DbDrop, Put
from pyelevator.messages import Request
from pyelevator.proxy import Proxy
from pyelevator.server import Server
from pyelevator.testing.servers import ANY_PORT
from pyelevator.transports.zmtp.frames import encode_message, frame_header_v1
from support.eventually import eventually
from support.optional import unwrap

MARK = "made-by-another-program"


def commands(application):
    """What must not be executed, harmless as it is: in both dialects, as messages of ZMTP 1."""
    uid = application.catalog.uid_of("default")
    requests = [Request(DbCreate(MARK), uid, 1), Request(DbDrop("victim"), uid, 2), Request(Put("k", "v"), uid, 3)]
    messages = [codec.encode_request(request) for codec in (ClassicCodec(), FlatCodec()) for request in requests[:2]]
    return b"".join(chunk for frames in messages for chunk in encode_message(frames, frame_header_v1))


def http_request(application, method=b"POST"):
    """A request whose first byte is the length of what comes before its body."""
    body = commands(application)
    head = method + b" /%s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n"
    size = method[0]  # the identity is as long as the first letter says, less its flags
    path = b"x" * (size + 1 - len(head % (b"", len(body))))
    return head % (path, len(body)) + body


REQUEST_PREFIXES = {
    "POST": http_request,
    "PUT": lambda application: http_request(application, b"PUT"),
    "a method of its own": lambda application: http_request(application, b"zAP"),
    "TLS": lambda application: b"\x16\x03\x01" + bytes(20) + commands(application),
    "a zero byte": lambda application: b"\x03\x00\x00\x13" + commands(application),
    "a flag": lambda application: b"\x05\x01name" + commands(application),
    "text": lambda application: b"\nPING\r\n" + b"x" * 4 + commands(application),
}
"""Name -> bytes that a listener which takes everything for ZMTP 1 would execute commands from."""


@pytest.fixture
def application():
    application = Application.in_memory()
    application.catalog.create("victim")
    return application


@pytest.fixture(params=["open", "open ipc", "keys", "ipc beside keys"])
def way(request, keys, tmp_path):
    """The URL to bind, and the auth, of each kind of listener."""
    url = f"ipc://{tmp_path}/socket" if "ipc" in request.param else ANY_PORT
    return url, ClientAuth.from_directory(keys.directory) if "keys" in request.param else None


@pytest.fixture(params=["server", "proxy"])
def place(request, application, way):
    """The URL where the application is reached."""
    url, auth = way
    with ExitStack() as stack:
        if request.param == "server":
            yield stack.enter_context(Server(application, [url], auth=auth)).urls[0]
        else:
            server = stack.enter_context(Server(application, [ANY_PORT]))
            curve = None if auth is None else auth.curve
            yield stack.enter_context(Proxy([url], server.urls[0], curve=curve)).urls[0]


def connect(url):
    target = urlsplit(url)
    if target.scheme == "tcp":
        return socket.create_connection((target.hostname, target.port), timeout=20)
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(20)
    connection.connect(target.path)
    return connection


def has_ended(connection):
    with suppress(ConnectionError):
        while connection.recv(1000):
            pass
    return True


def say(url, data):
    """Sends it, and waits until the other side has ended the connection."""
    with closing(connect(url)) as connection:
        with suppress(ConnectionError):
            connection.sendall(data)
        return has_ended(connection)


@pytest.mark.parametrize("opening", REQUEST_PREFIXES)
def test_another_protocol_gets_nothing_done_and_loses_its_connection(place, application, opening):
    assert say(place, REQUEST_PREFIXES[opening](application))
    assert application.catalog.names() == ["default", "victim"]


@pytest.mark.parametrize(("opening", "protocol"), [("POST", "HTTP"), ("TLS", "TLS"), ("text", "some text protocol")])
@pytest.mark.parametrize("place", ["server", "proxy"], indirect=True)
@pytest.mark.parametrize("way", ["open", "keys"], indirect=True)
def test_the_log_says_once_a_minute_what_was_refused_and_nothing_of_it(place, application, caplog, opening, protocol):
    data = REQUEST_PREFIXES[opening](application)
    with caplog.at_level(logging.DEBUG):
        for _ in range(3):
            say(place, data)
    reported = [record.getMessage() for record in caplog.records if "refused" in record.getMessage()]
    assert reported == [f"refused a client at 127.0.0.1: it speaks {protocol}, not ZeroMQ"]


def test_a_client_of_zmtp_1_with_a_name_of_its_own_is_still_served(application):
    with Server(application, [ANY_PORT]) as server, closing(connect(server.urls[0])) as client:
        client.sendall(b"\x05\x00name" + commands(application))
        with Elevator(endpoint=server.urls[0].removeprefix("tcp://")) as E:
            eventually(lambda: MARK in E.listdb(), "its database")


# A real browser

CHROMIUM = shutil.which("chromium")

PAGE = """<!doctype html><script>
const url = "%(target)s/", commands = Uint8Array.from(atob("%(commands)s"), c => c.charCodeAt(0));
// The browser's own header is as long as it is: frames of three bytes each lead from anywhere to one of three places.
const bodies = [0, 1, 2].map(n => { const b = new Uint8Array(300 + n + commands.length).fill(2); b.set(commands, 300 + n); return b; });
const ask = (url, options) => fetch(url, {mode: "no-cors", ...options}).catch(() => {});
Promise.allSettled([
  ...bodies.flatMap(body => [
    ask(url, {method: "POST", body}),
    ask(url, {method: "POST", body: new Blob([body], {type: "text/plain"})}),
    ask(url, {method: "PUT", body}),
    navigator.sendBeacon(url, new Blob([body])),
  ]),
  ask(url), ask(url, {method: "HEAD"}),
  new Promise(done => { const w = new WebSocket("%(socket)s"); w.onerror = w.onopen = done; }),
  new Promise(done => { const i = new Image(); i.onerror = i.onload = done; i.src = url; }),
]).then(() => fetch("/done", {method: "POST"}));
</script>"""
"""All that a page may send to another origin without being asked."""


class _Site(http.server.ThreadingHTTPServer):
    """The other origin: serves one page; ``done`` is set when that has tried everything."""

    page = b""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _SiteHandler)
        self.done = threading.Event()


class _SiteHandler(http.server.BaseHTTPRequestHandler):
    server: _Site

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(self.server.page)

    def do_POST(self):
        self.send_response(204)
        self.end_headers()
        self.server.done.set()

    def log_message(self, *_):
        pass


@pytest.fixture
def site():
    server = _Site()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine (Debian: apt-get install chromium)")
@pytest.mark.parametrize("way", ["open", "keys"], indirect=True)
def test_a_page_in_a_real_browser_reaches_nothing(place, application, site, tmp_path):
    """A headless Chromium shows a page of another origin that sends harmless commands to the listener in every way."""
    target = place.replace("tcp", "http", 1)
    encoded = base64.b64encode(commands(application)).decode()
    site.page = (PAGE % {"commands": encoded, "target": target, "socket": target.replace("http", "ws", 1)}).encode()
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    flags += f" --disable-component-update --disable-sync --user-data-dir={tmp_path / 'profile'}"
    browser = subprocess.Popen(
        [unwrap(CHROMIUM), *flags.split(), f"http://127.0.0.1:{site.server_port}/"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert site.done.wait(120), "the page was never shown"
    finally:
        browser.terminate()
        browser.wait(30)
    assert application.catalog.names() == ["default", "victim"]
