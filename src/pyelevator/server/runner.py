"""The server: an application behind a ROUTER socket.

One thread owns the socket. It reads, and answers at once what is quick; what may be slow goes to a few workers, which
execute and encode, and whose frames come back through a queue. Every message gets exactly one answer, whatever it
holds and whatever happens to it.
"""

import logging
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Final, Self, TypeAlias

from pyelevator.application import Application
from pyelevator.codec import ClassicCodec, Limits
from pyelevator.conversation import Exchange, Reader
from pyelevator.deadlines import Deadline
from pyelevator.errors import ErrorCode
from pyelevator.messages import Response
from pyelevator.server.order import Order, is_tagged
from pyelevator.transports.zap import CurveServer
from pyelevator.transports.zmq import Listener

_LOG = logging.getLogger("pyelevator.server")

_FAILED: Final = "the server failed on this request; its log says more"

Done: TypeAlias = tuple[bytes, Exchange, list[bytes]]
"""Whom to answer, what was asked, and the frames of the answer."""


class Server:
    """Serves an application on one URL or several.

    In a program or a test, ``with`` runs it in a thread of its own; a process that is nothing but a server calls
    ``serve_forever``. Stopping is graceful: what was taken is answered, for as long as ``grace`` allows.

    Args:
        application: what answers; it is closed when the server has stopped.
        binds: URLs, ``tcp://127.0.0.1:4141`` or ``ipc:///run/elevator.sock``; port 0 lets the system choose.
        limits: what is taken from clients; a message of twice its frame size closes the connection that sent it.
        workers: threads for requests that may be slow.
        backlog: requests taken and not yet answered; above that nothing is taken until a worker is done.
        grace: seconds for the answers that are due when the server is stopped.
        curve: asks everybody who comes over TCP for a key; ``application`` is then a Guard, which sees who asks.
        ipc_mode: who may use the socket files.

    Attributes:
        urls: what is bound, with the ports that the system chose.
        unanswered: requests taken and not answered yet; above zero after the end if the grace period was too short.

    Raises:
        UsageError: a URL cannot be bound; the application stays open then.
    """

    def __init__(
        self,
        application: Application,
        binds: Sequence[str],
        *,
        limits: Limits | None = None,
        workers: int = 4,
        backlog: int = 10_000,
        grace: float = 10.0,
        curve: CurveServer | None = None,
        ipc_mode: int = 0o600,
    ) -> None:
        limits = limits or Limits()
        self._listener = Listener(*binds, max_message=2 * limits.frame_bytes, curve=curve, ipc_mode=ipc_mode)
        self.urls = self._listener.urls
        self.unanswered = 0
        self._application = application
        self._reader = Reader(limits)
        self._order = Order()
        self._workers = ThreadPoolExecutor(workers, "elevator-worker")
        self._done: SimpleQueue[Done | None] = SimpleQueue()
        self._backlog, self._grace = backlog, grace
        self._stopping = False
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self.serve_forever, name="elevator-server")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        if self._thread is not None:
            self._thread.join()

    def serve_forever(self) -> None:
        """Serves until ``stop`` is called, then answers what is due and closes the socket and the application."""
        try:
            self._loop()
        finally:
            self._finish()

    def stop(self) -> None:
        """Asks the server to stop, and returns at once; from any thread, and from signal handlers."""
        self._stopping = True
        self._done.put(None)
        self._listener.wake()

    def _loop(self) -> None:
        wait, take = self._listener.wait, self._take
        while not self._stopping:
            message = wait()
            if message is not None:
                take(*message)
            else:
                self._deliver()
            while self.unanswered >= self._backlog and not self._stopping:
                self._settle(self._done.get())

    def _take(self, identity: bytes, frames: Sequence[bytes]) -> None:
        exchange = self._read(frames)
        if self._order.queue(identity, exchange) or self._start(identity, exchange):
            self.unanswered += 1

    def _start(self, identity: bytes, exchange: Exchange) -> bool:
        """Answers a quick request, or hands a slow one to the workers; True if it is theirs now."""
        frames = self._answer_at_once(exchange)
        if frames is not None:
            self._listener.send(identity, frames)
            return False
        if not is_tagged(exchange):
            self._order.hold(identity)
        self._workers.submit(self._work, identity, exchange)
        return True

    def _read(self, frames: Sequence[bytes]) -> Exchange:
        try:
            return self._reader.read(frames, self._listener.peer)
        except Exception:  # noqa: BLE001 - a codec must not fail like this; if it does, the client still gets its answer
            _LOG.exception("a message could not be read")
            return Exchange(ClassicCodec(), None, Response.failure(ErrorCode.REQUEST, "the message cannot be read"))

    def _answer_at_once(self, exchange: Exchange) -> list[bytes] | None:
        if exchange.request is None:
            return exchange.encode(exchange.refusal or Response())
        try:
            response = self._application.at_once(exchange.request)
        except Exception:  # noqa: BLE001 - as above
            return self._failed(exchange)
        return None if response is None else exchange.encode(response)

    def _answer(self, exchange: Exchange) -> list[bytes]:
        try:
            return exchange.answer(self._application)
        except Exception:  # noqa: BLE001 - an application must not raise; if it does, the client still gets its answer
            return self._failed(exchange)

    def _failed(self, exchange: Exchange) -> list[bytes]:
        _LOG.exception("the application raised")
        request_id = exchange.request.id if exchange.request else None
        return exchange.encode(Response.failure(ErrorCode.RUNTIME, _FAILED, request_id))

    def _work(self, identity: bytes, exchange: Exchange) -> None:
        """What a worker does; it touches no socket."""
        self._done.put((identity, exchange, self._answer(exchange)))
        self._listener.wake()

    def _deliver(self) -> None:
        """Sends what the workers have finished."""
        with suppress(Empty):
            while True:
                self._settle(self._done.get_nowait())

    def _settle(self, done: Done | None) -> None:
        """Sends one finished answer, and goes on with what waited for it; None only ended a wait."""
        if done is None:
            return
        identity, exchange, frames = done
        self._listener.send(identity, frames)
        self.unanswered -= 1
        if is_tagged(exchange):
            return
        for waiting in self._order.release(identity):
            if self._start(identity, waiting):
                break
            self.unanswered -= 1

    def _finish(self) -> None:
        """Takes nothing more, answers what is due, and closes everything.

        The URLs stay bound meanwhile: to unbind one would cut the connections that the answers go out on.
        """
        deadline = Deadline.after(self._grace)
        with suppress(Empty):
            while self.unanswered:
                self._settle(self._done.get(timeout=deadline.remaining()))
        self._workers.shutdown(wait=not self.unanswered, cancel_futures=True)
        self._listener.close()
        if self.unanswered:  # a worker is still in the engine, which must not vanish under it
            _LOG.error("gave up on %d requests after %s s; the databases are left open", self.unanswered, self._grace)
        else:
            self._application.close()
