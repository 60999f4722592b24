"""A console on a listening socket."""

import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import uvicorn

from pyelevator.console.app import make_app
from pyelevator.console.backend import Backend
from pyelevator.console.security import SecurityMiddleware, Sessions
from pyelevator.errors import UsageError
from pyelevator.transports.bind import bind_error, is_loopback, split_address

_SHUTDOWN_GRACE: Final = 1
_LISTEN_BACKLOG: Final = 128


class _Server(uvicorn.Server):
    """A server that a signal ends, and whose process then goes on to its own end."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class Console:
    """A console that listens, as :func:`open_console` has it; ``serve_forever`` answers.

    Attributes:
        url: to open in a browser, with the token.
        is_exposed: other machines can reach it.
    """

    def __init__(self, backend: Backend, listen: str, allowed_hosts: Sequence[str] = ()) -> None:
        try:
            host, port = split_address(f"*{listen}" if listen.startswith(":") else listen)
        except ValueError as error:
            raise UsageError(f"--listen takes HOST:PORT, such as 127.0.0.1:8141, not {listen!r}") from error
        self.is_exposed: Final = not is_loopback(f"tcp://{listen}")
        self._socket = _open_socket(listen, host, port)
        port = self._socket.getsockname()[1]
        sessions = Sessions()
        shown_host = "127.0.0.1" if host in _ANY_HOSTS else f"[{host}]" if ":" in host else host
        self.url: Final = f"http://{shown_host}:{port}/?token={sessions.token}"
        cookie = f"elevator_console_{port}"
        names = (host, *allowed_hosts)
        app = SecurityMiddleware(make_app(backend), sessions, cookie, names, loopback_only=not self.is_exposed)
        self._server = _Server(
            uvicorn.Config(
                app,
                loop="asyncio",
                http="h11",
                ws="none",
                log_level="warning",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=_SHUTDOWN_GRACE,
            )
        )

    def serve_forever(self) -> None:
        """Answer until SIGINT or SIGTERM, or until :meth:`stop`."""
        with self._socket:
            self._server.run(sockets=[self._socket])

    def stop(self) -> None:
        """Have ``serve_forever`` return; any thread may call it."""
        self._server.should_exit = True


_ANY_HOSTS: Final = frozenset({"*", "0.0.0.0", "::"})  # noqa: S104 - to tell them apart


def _open_socket(listen: str, host: str, port: int) -> socket.socket:
    name = "" if host in _ANY_HOSTS else host
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((name, port), family=family, backlog=_LISTEN_BACKLOG)
    except OSError as error:
        raise bind_error(f"http://{listen}", error.errno or 0) from error
