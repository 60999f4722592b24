"""Checks before each page of the console: which requests are answered, and what a page may do in a browser.

- The ``Host`` header names an address, ``localhost`` or a host that was allowed, so that no other web site can make a
  browser ask under its own name (DNS rebinding).
- The first request brings the token of the printed URL, and gets a cookie for it; all others bring the cookie.
- What changes something brings the CSRF token of its session in a header, and comes from the console's own pages.
"""

import hashlib
import hmac
import ipaddress
import secrets
from collections.abc import Collection
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY: Final = 8 << 20
SAFE_METHODS: Final = frozenset({"GET", "HEAD"})

_CONTENT_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'none'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS: Final = {
    "Content-Security-Policy": _CONTENT_POLICY,
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Of every response."""


class Sessions:
    """The secrets of a console: the token in its URL, and the cookies and CSRF tokens that it has made."""

    def __init__(self) -> None:
        self.token: Final = secrets.token_urlsafe(32)
        self._key = secrets.token_bytes(32)

    def accepts_token(self, token: str) -> bool:
        """Return whether a token is the one of the URL."""
        return _is_same(token, self.token)

    def make_cookie(self) -> str:
        """Return the cookie of a new session."""
        name = secrets.token_urlsafe(16)
        return f"{name}.{self._sign('session', name)}"

    def accepts_cookie(self, cookie: str) -> bool:
        """Return whether a cookie is one of :meth:`make_cookie`."""
        name, _, signature = cookie.partition(".")
        return _is_same(signature, self._sign("session", name))

    def csrf_token(self, cookie: str) -> str:
        """Return the CSRF token of a session."""
        return self._sign("csrf", cookie)

    def accepts_csrf_token(self, cookie: str, token: str) -> bool:
        """Return whether a CSRF token is the one of the session."""
        return _is_same(token, self.csrf_token(cookie))

    def _sign(self, purpose: str, text: str) -> str:
        message = f"{purpose}:{text}".encode("utf-8", "replace")
        return hmac.new(self._key, message, hashlib.sha256).hexdigest()


class SecurityMiddleware:
    """An ASGI application that lets through to another one what may pass.

    Args:
        cookie_name: of the session's cookie; cookies do not tell ports apart, so it differs by console.
        allowed_hosts: names in ``Host`` that are no addresses, beside ``localhost``.
        loopback_only: of addresses, only those of loopback are its own.
    """

    def __init__(
        self,
        app: ASGIApp,
        sessions: Sessions,
        cookie_name: str,
        allowed_hosts: Collection[str] = (),
        *,
        loopback_only: bool = True,
    ) -> None:
        self._app = app
        self._sessions = sessions
        self._cookie_name = cookie_name
        self._loopback_only = loopback_only
        self._allowed_hosts = frozenset({"localhost", *map(_host_of, allowed_hosts)})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        request = Request(scope, receive)
        answer = self._refusal_of(request) or self._sign_in(request) or self._refusal_without_session(request)
        await (answer or self._app)(scope, receive, send_with_headers)

    def _refusal_of(self, request: Request) -> Response | None:
        """Refuse a request by where it goes to and how long it is."""
        host = _host_of(request.headers.get("host", ""))
        if host not in self._allowed_hosts and not self._is_own_address(host):
            return _deny(request, 403, "this console does not go by that name; open the address that it printed")
        length = request.headers.get("content-length", "0")
        if not length.isdecimal() or "transfer-encoding" in request.headers:
            return _deny(request, 411, "a request says by Content-Length how long its body is")
        if int(length) > MAX_BODY:
            return _deny(request, 413, f"a request of more than {MAX_BODY:,} bytes; use `elevator put` for such values")
        return None

    def _sign_in(self, request: Request) -> Response | None:
        """Give a cookie for the token, and have the browser forget the URL that holds it."""
        token = request.query_params.get("token")
        if request.method != "GET" or request.url.path != "/" or token is None:
            return None
        if not self._sessions.accepts_token(token):
            return _deny(request, 401, "this link is of another console, or of an earlier start; use the printed one")
        answer = RedirectResponse("/", 303)
        answer.set_cookie(self._cookie_name, self._sessions.make_cookie(), path="/", httponly=True, samesite="strict")
        return answer

    def _refusal_without_session(self, request: Request) -> Response | None:
        cookie = request.cookies.get(self._cookie_name, "")
        if not self._sessions.accepts_cookie(cookie):
            return _deny(request, 401, "open the link that `elevator console` printed when it started")
        is_for_page = request.url.path.startswith("/api/") or request.method not in SAFE_METHODS  # no link leads there
        if is_for_page and not self._is_own_page(request):
            return _deny(request, 403, "requests of other sites are refused")
        if request.method in SAFE_METHODS:
            request.scope["csrf_token"] = self._sessions.csrf_token(cookie)
            return None
        if not self._sessions.accepts_csrf_token(cookie, request.headers.get("x-csrf-token", "")):
            return _deny(request, 403, "the CSRF token is missing or wrong; reload the page")
        return None

    def _is_own_address(self, name: str) -> bool:
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return address.is_loopback or not self._loopback_only

    @staticmethod
    def _is_own_page(request: Request) -> bool:
        """Return whether the browser says that a page of this console asks, or says nothing."""
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return False
        origin = request.headers.get("origin")
        return origin is None or origin.partition("://")[2] == request.headers.get("host")


def _is_same(given: str, secret: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), secret.encode())


def _host_of(header: str) -> str:
    """Return the name or the address in a Host header, without the port."""
    if header.startswith("["):
        return header[1:].partition("]")[0]
    return header.partition(":")[0].lower().rstrip(".")


def _deny(request: Request, status: int, message: str) -> Response:
    if request.url.path.startswith("/api/"):
        return JSONResponse({"error": message}, status)
    return PlainTextResponse(f"{message}\n", status)
