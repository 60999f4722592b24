"""The suite of transports that call back."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from typing import TypeAlias

import pytest

from pyelevator.testing import unruly
from pyelevator.testing.transports.fixtures import BRIEF, LARGE, MAX_UNREAD, RelayFixtures, ping, reply_id
from pyelevator.testing.unruly import (
    PROMPT,
    UnrulyRelay,
    best_of_tries,
    call_in_time,
    duration,
    full_listener,
    refusing_listener,
)
from pyelevator.transports.base import AsyncTransport

Connect: TypeAlias = Callable[[str], AsyncTransport]
"""Makes a new transport, not opened, to a URL like that of ``server``."""


class RecordingReceiver:
    """A receiver that records its events, and whether they came as they should."""

    def __init__(self) -> None:
        self.messages: list[Sequence[bytes]] = []
        self.errors: list[Exception] = []
        self.changed = asyncio.Event()
        self.sending = False
        self.wrong: set[str] = set()
        self._thread = threading.get_ident()

    def _note(self, call: str) -> None:
        if threading.get_ident() != self._thread:
            self.wrong.add(f"{call} was called in another thread than the event loop's")
        elif self.sending:
            self.wrong.add(f"{call} was called within send, and not in a later turn of the event loop")
        self.changed.set()

    def message_received(self, frames: Sequence[bytes]) -> None:
        """Record a message."""
        self.messages.append(frames)
        self._note("message_received")

    def resume_writing(self) -> None:
        """Record that sending may continue."""
        self._note("resume_writing")

    def connection_lost(self, error: Exception) -> None:
        """Record the error."""
        self.errors.append(error)
        self._note("connection_lost")

    def send(self, transport: AsyncTransport, frames: Sequence[bytes]) -> bool:
        """Send a message; events meanwhile are wrong."""
        self.sending = True
        try:
            return transport.send(frames)
        finally:
            self.sending = False

    async def wait(self, event: str, is_done: Callable[[], bool] = lambda: False) -> None:
        """Wait until something is so, or the connection is lost.

        Args:
            event: the call that would tell, for the error.
            is_done: returns True if it is so; by default only the loss of the connection is waited for.

        Raises:
            AssertionError: nothing was called for ``HANG_TIMEOUT`` seconds.
        """
        while True:
            self.changed.clear()
            if self.errors or is_done():
                return
            try:
                await asyncio.wait_for(self.changed.wait(), unruly.HANG_TIMEOUT)
            except TimeoutError:
                raise AssertionError(f"{event} was not called within {unruly.HANG_TIMEOUT} s") from None


async def _send_ping(transport: AsyncTransport, receiver: RecordingReceiver, number: int) -> None:
    """Send a PING as soon as the transport accepts it, and wait for its answer, which is that many together."""
    await receiver.wait("send refused a message, and resume_writing", lambda: receiver.send(transport, ping(number)))
    assert receiver.errors == []
    await receiver.wait("message_received", lambda: len(receiver.messages) >= number)


class AsyncTransportConformance(RelayFixtures):
    """Tests of what an async client relies on: nothing waits, whatever the peer does, and events are reported.

    A transport whose ``open``, ``send`` or ``close`` waits for an unruly peer cannot pass, nor can one that keeps the
    end of its connection to itself.
    """

    @pytest.fixture
    def connect(self) -> Connect:
        """Return a function that makes a new transport, not opened, to a URL like that of ``server``."""
        raise NotImplementedError("override the fixture connect")

    def _run(
        self,
        main: Callable[[AsyncTransport, RecordingReceiver], Coroutine[object, None, None]],
        transport: AsyncTransport,
        answers: int = 0,
    ) -> None:
        """Run a test with a transport, after so many PINGs have been answered."""

        async def run() -> None:
            receiver = RecordingReceiver()
            transport.open(receiver)
            try:
                for number in range(1, answers + 1):
                    await _send_ping(transport, receiver, number)
                await main(transport, receiver)
            finally:
                transport.close()
            assert receiver.wrong == set()

        call_in_time(lambda: asyncio.run(run()))

    def _longest(self, make: Callable[[], AsyncTransport]) -> float:
        """Return the longest time of ``open``, a ``send`` or ``close``, in seconds, in the best of some tries."""

        async def tried() -> float:
            transport, receiver = make(), RecordingReceiver()
            opening = duration(lambda: transport.open(receiver))
            await asyncio.sleep(BRIEF)
            sending = 0.0 if receiver.errors else duration(lambda: transport.send([LARGE]))
            await asyncio.sleep(0)
            return max(opening, sending, duration(transport.close))

        return best_of_tries(lambda: call_in_time(lambda: asyncio.run(tried())))

    def test_neither_open_nor_close_waits_for_a_peer_that_does_not_accept(self, server: str, connect: Connect) -> None:
        with full_listener(server) as url:
            assert self._longest(lambda: connect(url)) < PROMPT

    def test_neither_open_nor_close_waits_for_a_peer_that_says_nothing(
        self, relay: UnrulyRelay, connect: Connect
    ) -> None:
        relay.answer = "stalled"
        assert self._longest(lambda: connect(relay.url)) < PROMPT

    def test_send_does_not_wait_for_a_peer_that_takes_nothing(self, relay: UnrulyRelay, connect: Connect) -> None:
        async def main(transport: AsyncTransport, receiver: RecordingReceiver) -> None:
            relay.reads = False
            for _ in range(MAX_UNREAD):
                if receiver.errors or not receiver.send(transport, [LARGE]):
                    break
                await asyncio.sleep(0)

        self._run(main, connect(relay.url), answers=1)

    @pytest.mark.parametrize("answer", ["closed", "died"])
    def test_the_end_of_a_connection_is_reported(self, relay: UnrulyRelay, connect: Connect, answer: str) -> None:
        async def main(transport: AsyncTransport, receiver: RecordingReceiver) -> None:
            relay.answer = answer
            receiver.send(transport, ping(2))
            await receiver.wait("connection_lost")
            assert len(receiver.messages) == 1

        self._run(main, connect(relay.url), answers=1)

    def test_answers_are_pushed(self, relay: UnrulyRelay, connect: Connect) -> None:
        async def main(_: AsyncTransport, receiver: RecordingReceiver) -> None:
            assert [reply_id(frames) for frames in receiver.messages] == [1, 2, 3]

        self._run(main, connect(relay.url), answers=3)

    def test_nothing_waits_for_a_refused_connection(self, server: str, connect: Connect) -> None:
        async def main(transport: AsyncTransport, receiver: RecordingReceiver) -> None:
            transport.send(ping(1))
            await asyncio.sleep(BRIEF)
            assert receiver.messages == []

        with refusing_listener(server) as url:
            self._run(main, connect(url))

    @pytest.mark.parametrize("answers", [0, 1])
    @pytest.mark.parametrize("answer", ["stalled", "dripped", "closed", "died", "replaced"])
    def test_no_answer_is_waited_for_or_made_of_a_peer_that_gives_none(
        self, relay: UnrulyRelay, connect: Connect, answer: str, answers: int
    ) -> None:
        async def main(transport: AsyncTransport, receiver: RecordingReceiver) -> None:
            relay.answer = answer
            transport.send(ping(2))
            await asyncio.sleep(BRIEF)
            assert len(receiver.messages) == answers

        self._run(main, connect(relay.url), answers)

    def test_after_close_nothing_is_reported_and_close_twice_is_fine(
        self, relay: UnrulyRelay, connect: Connect
    ) -> None:
        async def main(transport: AsyncTransport, receiver: RecordingReceiver) -> None:
            await _send_ping(transport, receiver, 1)
            transport.close()
            transport.close()
            before = len(receiver.messages), len(receiver.errors)
            await asyncio.sleep(BRIEF)
            assert (len(receiver.messages), len(receiver.errors)) == before

        self._run(main, connect(relay.url))
