"""Transports as others write them by the how-to: a sound one of either kind, and one for each fault.

The table at the end says at which test of the public suites each of the bad ones has to fail.
"""

import asyncio
import socket
import struct
import threading
import time
from contextlib import suppress
from math import inf
from typing import Any

from pyelevator import TransportError
from pyelevator.deadlines import Deadline
from pyelevator.transports.base import AsyncTransport
from support.optional import unwrap
from support.pages import load

plain = load("docs/programs/transport.py")
PlainTransport: Any = plain.PlainTransport


class Good(PlainTransport):
    """The one of the how-to."""


class WaitsToReceive(Good):
    def receive(self, deadline):
        return super().receive(Deadline.after(None))


class WaitsForEachByte(Good):
    def _read(self, size, deadline):
        data = b""
        while len(data) < size:
            data += super()._read(1, Deadline.after(deadline.seconds))
        return data


class WaitsToSend(Good):
    def send(self, frames, deadline):
        super().send(frames, Deadline.after(None))


class WaitsToConnect(Good):
    def _connected(self, deadline):
        return super()._connected(Deadline.after(None))


class HasALongTimeout(Good):
    def receive(self, deadline):
        return super().receive(Deadline.after(5))


class HasAShortTimeout(Good):
    def receive(self, deadline):
        return super().receive(deadline.earlier(Deadline.after(0.3)))


class LingersAtTheEnd(Good):
    def _connected(self, deadline):
        made = super()._connected(deadline)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 600))
        return made

    def close(self):
        if self._socket is not None:
            self._socket.settimeout(None)
            with suppress(OSError):
                self._socket.sendall(bytes(1 << 20))
        super().close()


class WaitsForTheLastAnswer(Good):
    def close(self):
        if self._socket is not None:
            self._socket.settimeout(None)
            self._socket.shutdown(socket.SHUT_WR)
            while self._socket.recv(1 << 16):
                pass
        super().close()


class KeepsThePast(Good):
    def reset(self):
        pass


class SharesItsSocket(Good):
    def clone(self):
        return self


class IsAlwaysOpen(Good):
    is_open = True


class KnowsNoEnd(Good):
    def _within(self, deadline):
        self._socket.settimeout(deadline.remaining())
        return self._socket


class DoesNotWaitAtAll(Good):
    """To a socket, a timeout of 0 means not to wait, and to raise another error."""

    def _within(self, deadline):
        self._socket.settimeout(None if deadline.remaining() == inf else deadline.remaining())
        return self._socket


class RaisesErrorsOfTheSystem(Good):
    def _read(self, size, deadline):
        self._socket.settimeout(plain.seconds(deadline))
        data = b""
        while len(data) < size:
            chunk = self._socket.recv(size - len(data))
            if not chunk:
                raise ConnectionResetError("the connection ended")
            data += chunk
        return data


class TakesAnEndForATimeout(Good):
    """Raises what is no error of pyelevator's where nothing listens."""

    def _connected(self, deadline):
        made = socket.socket(socket.AF_UNIX)
        made.settimeout(plain.seconds(deadline))
        made.connect(self._path)
        return made


# On event loops


class AsyncGood(AsyncTransport, asyncio.Protocol):
    """Connects in the background, and refuses messages as long as there is no connection, or too much is unsent."""

    def __init__(self, path):
        self._path = path
        self._transport = self._receiver = self._connecting = None
        self._paused = False
        self._data = b""

    @property
    def url(self):
        return f"plain://{self._path}"

    @property
    def is_open(self):
        return self._receiver is not None

    def open(self, receiver):
        self._receiver = receiver
        self._connecting = asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self):
        try:
            await asyncio.get_running_loop().create_unix_connection(lambda: self, self._path)
        except OSError as error:
            self._lose(error)

    def send(self, frames):
        if self._transport is None or self._paused:
            return False
        self._transport.write(plain.pack(frames))
        return True

    def close(self):
        self._receiver = None
        if self._connecting is not None:
            self._connecting.cancel()
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport):
        self._transport = transport
        if self._receiver is None:
            transport.abort()
        else:
            unwrap(self._receiver).resume_writing()

    def pause_writing(self):
        self._paused = True

    def resume_writing(self):
        self._paused = False
        if self._receiver is not None:
            unwrap(self._receiver).resume_writing()

    def data_received(self, data):
        self._data += data
        try:
            while (message := self._message()) is not None:
                self._receive(message)
        except TransportError as error:
            self._lose(error)

    def _message(self):
        """The first message in what has come, which is taken out; None if its end has not come."""
        at, frames = 4, []
        if len(self._data) < at:
            return None
        (count,) = plain.NUMBER.unpack(self._data[:at])
        if count > plain.FRAMES:
            raise TransportError("that is no message")
        for _ in range(count):
            size = int.from_bytes(self._data[at : at + 4])
            if size > plain.MOST:
                raise TransportError("that is too large")
            if len(self._data) < at + 4 + size:
                return None
            frames.append(self._data[at + 4 : at + 4 + size])
            at += 4 + size
        self._data = self._data[at:]
        return frames

    def _receive(self, frames):
        if self._receiver is not None:
            self._receiver.message_received(frames)

    def connection_lost(self, error):
        self._transport = None
        self._lose(error or TransportError(f"{self.url} closed the connection"))

    def _lose(self, error):
        if self._receiver is not None:
            self._receiver.connection_lost(error)
        if self._transport is not None:
            self._transport.abort()


class ConnectsAtOnce(AsyncGood):
    def open(self, receiver):
        self._receiver = receiver
        made = socket.socket(socket.AF_UNIX)
        made.connect(self._path)
        self._connecting = asyncio.get_running_loop().create_task(self._take(made))

    async def _take(self, made):
        await asyncio.get_running_loop().create_unix_connection(lambda: self, sock=made)


class SendsAtOnce(AsyncGood):
    def send(self, frames):
        if self._transport is None:
            return False
        made = socket.socket(fileno=socket.dup(self._transport.get_extra_info("socket").fileno()))
        with made:
            for chunk in (plain.pack(frames)[at : at + 4096] for at in range(0, 1 << 30, 4096)):
                if not chunk:
                    break
                while True:
                    try:
                        made.sendall(chunk)
                        break
                    except BlockingIOError:
                        time.sleep(0.01)
        return True


class WaitsAtTheEnd(AsyncGood):
    def close(self):
        if self._receiver is not None and self._transport is None:
            time.sleep(60)
        super().close()


class KeepsItsLossToItself(AsyncGood):
    def _lose(self, error):
        pass


class NeverResumes(AsyncGood):
    def connection_made(self, transport):
        self._transport = transport


class TellsWithinSend(AsyncGood):
    def send(self, frames):
        unwrap(self._receiver).resume_writing()
        return super().send(frames)


class TellsInAnotherThread(AsyncGood):
    def _receive(self, frames):
        thread = threading.Thread(target=super()._receive, args=(frames,))
        thread.start()
        thread.join()


class TellsAfterTheEnd(AsyncGood):
    def close(self):
        receiver = self._receiver
        super().close()
        if receiver is not None:
            asyncio.get_running_loop().call_later(0.1, receiver.connection_lost, TransportError("closed"))


BASIC, DEADLINES, ASYNC = "TransportConformance", "DeadlineConformance", "AsyncTransportConformance"

FAULTS = (
    (WaitsToReceive, DEADLINES, "test_no_answer_is_an_error_in_time_and_a_reset_brings_nothing_old[stalled]"),
    (WaitsForEachByte, DEADLINES, "test_no_answer_is_an_error_in_time_and_a_reset_brings_nothing_old[dripped]"),
    (WaitsToSend, DEADLINES, "test_a_peer_that_takes_nothing_holds_up_no_call"),
    (WaitsToConnect, DEADLINES, "test_a_peer_that_accepts_no_connection_is_an_error_in_time[full_listener]"),
    (HasALongTimeout, DEADLINES, "test_a_call_ends_with_its_own_deadline_and_no_other"),
    (HasAShortTimeout, DEADLINES, "test_an_answer_that_takes_its_time_is_received"),
    (LingersAtTheEnd, DEADLINES, "test_close_does_not_wait_for_a_peer_that_takes_nothing"),
    (WaitsForTheLastAnswer, DEADLINES, "test_close_does_not_wait_for_the_peer[stalled]"),
    (KeepsThePast, BASIC, "test_a_reset_connection_never_receives_earlier_replies"),
    (SharesItsSocket, BASIC, "test_siblings_share_nothing_but_the_server"),
    (IsAlwaysOpen, BASIC, "test_a_closed_connection_is_not_open"),
    (KnowsNoEnd, BASIC, "test_a_call_may_have_no_end"),
    (DoesNotWaitAtAll, DEADLINES, "test_a_deadline_that_is_over_is_kept_as_well"),
    (RaisesErrorsOfTheSystem, DEADLINES, "test_no_answer_is_an_error_in_time_and_a_reset_brings_nothing_old[closed]"),
    (TakesAnEndForATimeout, DEADLINES, "test_a_peer_that_accepts_no_connection_is_an_error_in_time[refusing_listener]"),
    (ConnectsAtOnce, ASYNC, "test_neither_open_nor_close_waits_for_a_peer_that_does_not_accept"),
    (WaitsAtTheEnd, ASYNC, "test_neither_open_nor_close_waits_for_a_peer_that_does_not_accept"),
    (SendsAtOnce, ASYNC, "test_send_does_not_wait_for_a_peer_that_takes_nothing"),
    (KeepsItsLossToItself, ASYNC, "test_the_end_of_a_connection_is_reported[closed]"),
    (NeverResumes, ASYNC, "test_answers_are_pushed"),
    (TellsWithinSend, ASYNC, "test_answers_are_pushed"),
    (TellsInAnotherThread, ASYNC, "test_answers_are_pushed"),
    (TellsAfterTheEnd, ASYNC, "test_after_close_nothing_is_reported_and_close_twice_is_fine"),
)
"""A transport, the suite that it cannot pass, and the test that names its fault."""
