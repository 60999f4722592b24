"""A console in a thread, and a client that asks it as a browser does."""

import http.client
import json
import threading
from contextlib import contextmanager
from urllib.parse import urlencode, urlsplit

from pyelevator.console import open_console


@contextmanager
def running_console(url, options=None, **settings):
    """A console that answers in a thread, for the length of a block."""
    console = open_console(url, options or {}, listen=settings.pop("listen", "127.0.0.1:0"), **settings)
    thread = threading.Thread(target=console.serve_forever)
    thread.start()
    try:
        yield console
    finally:
        console.stop()
        thread.join()


class Reply:
    """What the console answered."""

    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def json(self):
        return json.loads(self.body)


class Client:
    """A browser's side of HTTP: it keeps the cookie and sends the CSRF token.

    Args:
        url: of the console, with the token.
    """

    def __init__(self, url):
        self.address = urlsplit(url)
        self.headers = {}
        self.sign_in = self.ask("GET", f"/?{self.address.query}")
        self.headers["Cookie"] = self.sign_in.headers["Set-Cookie"].partition(";")[0]
        self.session = self.get("/api/session").json
        self.headers["X-CSRF-Token"] = self.session["csrf"]

    def ask(self, method, path, body=None, **headers):
        """Ask; a header of None is left out."""
        sent = {**self.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        data = None
        if body is not None:
            data = json.dumps(body)
            sent = {"Content-Type": "application/json", **sent}
        connection = http.client.HTTPConnection(self.address.hostname, self.address.port, timeout=60)
        try:
            connection.request(method, path, data, {name: value for name, value in sent.items() if value is not None})
            return Reply(connection.getresponse())
        finally:
            connection.close()

    def get(self, path, **parameters):
        return self.ask("GET", path + (f"?{urlencode(parameters)}" if parameters else ""))

    def put(self, key, text, digest, db="default", format="text"):
        return self.ask("PUT", "/api/value", {"db": db, "key": key, "format": format, "text": text, "digest": digest})

    def digest(self, key, db="default"):
        return self.get("/api/value", db=db, key=key).json["digest"]
