"""The server: an application behind a ROUTER socket.

One thread owns the socket. It reads, and answers at once what is quick; what may be slow goes to a few workers, which
execute and encode, and whose frames come back through a queue. Every message gets exactly one answer, whatever it
holds and whatever happens to it, if its sender reads answers at all.
"""

import logging
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Final, Self, TypeAlias

from pyelevator.application import Application, InterceptedApplication
from pyelevator.auth import ClientAuth
from pyelevator.codec import Codec, Limits
from pyelevator.commands import Access
from pyelevator.conversation import Exchange, Reader
from pyelevator.deadlines import Deadline
from pyelevator.flows import Interceptor
from pyelevator.server.limits import ServerLimits
from pyelevator.server.responder import Responder
from pyelevator.server.response_budget import ResponseBudget
from pyelevator.server.scheduler import Job, Scheduler
from pyelevator.transports.listeners import open_listener

_LOG = logging.getLogger("pyelevator.server")

_LARGE: Final = 64 << 10
"""Bytes of a message from which on a worker reads it."""

_FLUSH: Final = 0.005
"""Seconds between two looks at answers that have not left."""

_PATIENCE: Final = 1.0
"""Seconds at the end for a client that does not read its answers."""

Done: TypeAlias = tuple[bytes, Job, list[bytes]]
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
        server_limits: what is in memory at once.
        grace: seconds for the answers that are due when the server is stopped.
        auth: asks everybody who comes over TCP for a key, and lets each client do what it may; None for everybody.
        ipc_mode: who may use the socket files.
        interceptors: what stands around each request that may be executed, outermost first; with any, the workers
            answer everything.
        codecs: of dialects that it reads beside the two, see :meth:`Codec.recognizes`.

    Attributes:
        urls: what is bound, with the ports that the system chose.

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
        server_limits: ServerLimits | None = None,
        grace: float = 10.0,
        auth: ClientAuth | None = None,
        ipc_mode: int = 0o600,
        interceptors: Sequence[Interceptor] = (),
        codecs: Sequence[Codec] = (),
    ) -> None:
        application = InterceptedApplication(application, interceptors) if interceptors else application
        refuses = None
        if auth is not None:  # outermost, so that no interceptor (a cache...) answers whom the guard would refuse
            application = guard = auth.wrap(application)
            refuses = guard.refuses
        limits, self._limits = limits or Limits(), server_limits or ServerLimits()
        self._listener = open_listener(
            binds,
            None if auth is None else auth.curve,
            max_message=2 * limits.frame_bytes,
            ipc_mode=ipc_mode,
            max_unread=self._limits.max_unsent_bytes,
            max_connections=self._limits.max_connections,
        )
        self.urls = self._listener.urls
        self._auth = auth
        self._application = application
        self._responder = Responder(application, Reader(limits, codecs, refuses))
        self._order = Scheduler(self._answer_at_once, self._submit, workers)
        self._workers = ThreadPoolExecutor(workers, "elevator-worker")
        self._done: SimpleQueue[Done | None] = SimpleQueue()
        self._unsent, self._resting = self._listener.send_queues.peers, self._order.resting
        self._flush_at = 0.0
        self._room = ResponseBudget(self._listener.send_queues, self._limits.max_unsent_bytes)
        self._running = 0
        self._ready: deque[tuple[bytes, Job]] = deque()
        self._postponed: dict[bytes, None] = {}
        self._tick_seconds = application.maintenance_interval
        self._tick_at = monotonic()
        self._ticking: Future[None] | None = None
        self._grace = grace
        self._stopping = False
        self._thread: threading.Thread | None = None

    @property
    def unanswered(self) -> int:
        """Requests taken and not answered yet; above zero after the end if the grace period was too short."""
        return self._order.pending

    def __repr__(self) -> str:
        count = self._listener.connection_count
        return f"<Server at {' '.join(self.urls)}: {count} connections, {self.unanswered} unanswered>"

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
        self._listener.wakeup()

    def reload_keys(self) -> None:
        """Read keys and permissions again; from any thread."""
        if self._auth is not None:
            self._auth.clients.reload()

    def _loop(self) -> None:
        wait, take, ticks = self._listener.wait, self._take, self._tick_seconds is not None
        unsent, resting, ended = self._unsent, self._resting, self._listener.disconnected
        self._listener.timeout = self._tick_seconds
        while not self._stopping:
            message = wait()
            if message is not None:
                take(*message)
            else:
                self._deliver()
            while ended:
                self._application.connection_ended(ended.popleft())
            if (unsent or resting or ticks) and not self._stopping:
                self._look_around(monotonic())
            while self._is_full() and not self._stopping:
                self._wait_for_room()

    def _wait_for_room(self) -> None:
        """Takes nothing until a worker is done; what is on its way to others goes on meanwhile."""
        self._listener.flush()
        with suppress(Empty):
            self._settle(self._done.get(timeout=_FLUSH if self._unsent or self._resting else None))
        if self._unsent or self._resting:
            self._look_around(monotonic())

    def _is_full(self) -> bool:
        return self._order.pending >= self._limits.max_requests or self._order.load >= self._limits.max_request_bytes

    # One message

    def _take(self, identity: bytes, frames: Sequence[bytes]) -> None:
        """Responder a message, or lets it wait for its turn; the first half is the short way of most requests."""
        peer, exchange = self._listener.peer, None
        if len(frames[-1]) < _LARGE:
            exchange = self._responder.decode(frames, peer, identity)
            if identity not in self._order:
                answer = self._responder.try_respond(exchange)
                if answer is not None and (len(answer[-1]) < _LARGE or self._room.takes(answer)):
                    self._send(identity, answer)
                    return
        self._order.add(identity, Job(frames, peer, exchange), tried=identity not in self._order)
        if self._order.parked(identity) > self._limits.max_blocked_bytes:
            self._cut(identity)

    def _answer_at_once(self, identity: bytes, job: Job) -> bool:
        answer = None if job.exchange is None else self._responder.try_respond(job.exchange)
        if answer is None or not (len(answer[-1]) < _LARGE or self._room.takes(answer)):
            return False
        self._send(identity, answer)
        return True

    def _submit(self, identity: bytes, job: Job) -> None:
        self._ready.append((identity, job))
        self._start()

    def _start(self) -> None:
        """Has the workers begin what there is room for."""
        while self._ready and self._room.starts(self._running):
            self._running += 1
            self._workers.submit(self._work, *self._ready.popleft())

    def _work(self, identity: bytes, job: Job) -> None:
        """What a worker does; it touches no socket."""
        exchange = job.exchange or self._responder.decode(job.frames, job.peer, identity)
        if not _can_be_repeated(job, exchange):
            job.frames = ()  # they may be large, and the answer as well
        job.exchange = None
        self._done.put((identity, job, self._responder.respond(exchange)))
        self._listener.wakeup()

    # Responder

    def _deliver(self) -> None:
        """Sends what the workers have finished."""
        with suppress(Empty):
            while True:
                self._settle(self._done.get_nowait())

    def _settle(self, done: Done | None) -> None:
        """Sends one finished answer, and goes on with what waited for it; None only ended a wait."""
        if done is not None:
            identity, job, frames = done
            self._running -= 1
            if self._room.takes(frames) or not job.frames:
                self._send(identity, frames)
                self._order.finished(identity, job)
            else:  # it is made anew when there is room for it
                self._postponed[identity] = None
                self._order.put_back(identity, job)
            self._start()
            if self._resting:
                self._listener.timeout = _FLUSH

    def _send(self, identity: bytes, frames: Sequence[bytes]) -> None:
        if self._listener.send(identity, frames):
            self._order.block(identity)
        if self._unsent:
            self._listener.timeout = _FLUSH

    def _cut(self, identity: bytes) -> None:
        """Gives up on a client that sends and does not read."""
        _LOG.warning("closed a connection: its client sends requests and does not read the answers")
        if identity in self._order:
            self._order.drop(identity)
        self._postponed.pop(identity, None)
        self._listener.disconnect(identity)

    # What comes round

    def _look_around(self, now: float) -> None:
        if (self._unsent or self._resting) and now >= self._flush_at:
            self._flush(now + _FLUSH)
            self._flush_at = monotonic() + _FLUSH
        if self._tick_seconds is not None and now >= self._tick_at and (not self._ticking or self._ticking.done()):
            self._tick_at = now + self._tick_seconds
            self._ticking = self._workers.submit(self._tick)

    def _flush(self, until: float) -> None:
        """Sends what can be sent by now, and serves those again who have read, for a while: then others come first."""
        send_queues, order = self._listener.send_queues, self._order
        send_queues.flush()
        for identity in self._room.idlers(bool(self._postponed), monotonic()):
            self._cut(identity)
        free = self._room.free
        for identity in order.blocked():
            if not self._listener.is_connected(identity):
                order.drop(identity)
                self._postponed.pop(identity, None)
            elif identity in self._postponed:
                if free:  # one at a time
                    free = False
                    del self._postponed[identity]
                    order.unblock(identity)
            elif not send_queues.is_blocked(identity):
                order.unblock(identity)
        while self._resting:
            order.resume()
            if monotonic() >= until:
                break
        if not self._unsent and not self._resting:
            self._listener.timeout = self._tick_seconds

    def _tick(self) -> None:
        try:
            self._application.run_maintenance()
        except Exception:  # noqa: BLE001 - an application must not raise; the next tick tries again
            _LOG.exception("the application raised")

    # The end

    def _finish(self) -> None:
        """Takes nothing more, answers what is due, and closes everything.

        The URLs stay bound meanwhile: to unbind one would cut the connections that the answers go out on.
        """
        for message in self._listener.drain():
            self._take(*message)
        self._listener.flush()
        self._answer_the_rest(Deadline.after(self._grace))
        self._workers.shutdown(wait=not self.unanswered, cancel_futures=True)
        self._listener.close()
        if self.unanswered:  # a worker is still in the engine, which must not vanish under it
            _LOG.error("gave up on %d requests after %s s; the databases are left open", self.unanswered, self._grace)
        else:
            self._application.close()

    def _answer_the_rest(self, deadline: Deadline) -> None:
        """Until all is answered and has left, or the time is over; a client that does not read is not waited for."""
        left, patience = -1, deadline
        while (self.unanswered or self._unsent or self._resting) and not deadline.expired():
            with suppress(Empty):
                soon = self._unsent or self._resting
                self._settle(self._done.get(timeout=_FLUSH if soon else deadline.remaining()))
            self._flush(monotonic() + _FLUSH)
            unsent = self._listener.send_queues.unsent_bytes
            if unsent != left or self.unanswered:
                left, patience = unsent, Deadline.after(_PATIENCE)
            elif patience.expired():
                return


def _can_be_repeated(job: Job, exchange: Exchange) -> bool:
    """Whether a request that was executed may be executed once more: it only reads, and is kept for little."""
    reads = exchange.request is not None and exchange.request.command.access is Access.READ
    return reads and sum(map(len, job.frames)) < _LARGE
