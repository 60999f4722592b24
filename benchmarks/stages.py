"""Where the time of one Get goes: each stage measured on its own, in microseconds, and the whole against a server.

The stages run alone in a warm loop, so the sum is a lower limit; what the whole takes beyond it is the hand-over
between the two processes, the wire, and caches gone cold.
"""

import os
import select
import statistics
import threading
import timeit
from collections.abc import Callable, Sequence
from contextlib import closing
from itertools import repeat
from pathlib import Path
from time import perf_counter
from typing import Any, Final, Self

from attrs import frozen

from benchmarks.bed import PAIRS, Bed, cpu_seconds
from benchmarks.measure import table
from pyelevator import Elevator
from pyelevator.application import Application
from pyelevator.codec import ClassicCodec
from pyelevator.commands import Get
from pyelevator.commands.features import FEATURES
from pyelevator.deadlines import NEVER, Deadline
from pyelevator.loadtest.workloads import key, random_keys, value
from pyelevator.messages import Request, Response
from pyelevator.protocol import ClientProtocol, RequestDecoder
from pyelevator.transports import FakeTransport, Transport
from pyelevator.transports.sockets.listener.listener import ZmtpListener
from pyelevator.transports.sockets.transport import ZmtpTransport

_REPEATS: Final = 9
_LOOPS: Final = 1_000
_ID: Final = 1_000
_FOREVER: Final = Deadline.after(3600)


@frozen
class Stage:
    """One stage: where, what, and its microseconds."""

    side: str
    name: str
    micros: float


class Canned(Transport):
    """Answers every message with the same frames at once, and costs nothing."""

    def __init__(self, frames: Sequence[bytes]) -> None:
        self.frames = frames

    url = "canned://"

    def send(self, frames: Sequence[bytes], deadline: Deadline) -> None:
        pass

    def receive(self, deadline: Deadline) -> Sequence[bytes]:
        return self.frames

    def reset(self) -> None:
        pass

    def close(self) -> None:
        pass

    def clone(self) -> Self:
        return self


def micros(call: Callable[[], object]) -> float:
    """Microseconds of one call, in the quickest of some loops: what else the machine did is not ours."""
    timer = timeit.Timer(call)
    timer.timeit(_LOOPS)
    return min(timer.repeat(_REPEATS, _LOOPS)) / _LOOPS * 1e6


class Example:
    """One Get as it passes through all stages."""

    def __init__(self, uid: str) -> None:
        self.codec = ClassicCodec()
        self.command = Get(key(7))
        self.request = Request(self.command, uid, _ID)
        self.response = Response.ok(value(7), _ID)
        self.asked = self.codec.encode_request(self.request)
        self.answer = self.codec.encode_response(self.response, self.request)


def client_stages(example: Example) -> list[Stage]:
    """The client's part but for its socket: the whole over a transport that costs nothing, and its pieces."""
    client: Elevator[bytes] = Elevator(transport=Canned(example.answer), encoding=None, auto_connect=False)
    connection = client._session._pool.acquire(NEVER)
    connection.numbers = repeat(_ID)
    client._session._pool.release(connection)
    client._handle.set("default", example.request.uid, FEATURES)
    complete_get = micros(lambda: client.Get(b"0000000000000007"))
    command = micros(lambda: Get(b"0000000000000007"))
    result = micros(lambda: client._text.value(example.command.result(example.response.payload)))
    encode = micros(lambda: example.codec.encode_request(example.request))
    protocol = ClientProtocol(example.codec)
    decode = micros(lambda: _passed(protocol, example)) - encode
    connection = complete_get - command - result - encode - decode
    return [
        Stage("client", "command: arguments become a frozen Get", command),
        Stage("client", "session: deadline, request, a connection, and back", connection),
        Stage("client", "encode: id, msgpack", encode),
        Stage("client", "decode: header, content, which request", decode),
        Stage("client", "result: checked, as the caller wants it", result),
    ]


def _passed(protocol: ClientProtocol, example: Example) -> None:
    protocol.register(example.request)
    protocol.receive(example.answer)


def server_stages(example: Example, application: Application) -> list[Stage]:
    """The server's part but for its socket."""
    reader = RequestDecoder()
    incoming = reader.read(example.asked)
    with application.catalog.get_database(example.request.uid) as engine:
        found = micros(lambda: engine.get(example.command.key))
    answered = micros(lambda: application.try_handle(example.request))
    return [
        Stage("server", "decode: dialect, msgpack, command", micros(lambda: reader.read(example.asked))),
        Stage("server", "application: policy, handler, catalog", answered - found),
        Stage("server", "engine: LevelDB", found),
        Stage("server", "encode: header, content", micros(lambda: incoming.encode(example.response))),
    ]


def socket_stages(example: Example, calls: int) -> list[Stage]:
    """The calls into the sockets alone: each receive begins when the message is there already."""
    taken: dict[str, list[float]] = {"send": [], "receive": [], "answer": [], "take": []}
    with closing(ZmtpListener("tcp://127.0.0.1:0")) as listener, closing(ZmtpTransport(listener.urls[0])) as connection:
        _shake_hands(connection, listener, example)
        for _ in range(calls):
            _timed(taken["send"], lambda: connection.send(example.asked, _FOREVER))
            line = connection._line
            select.select([listener.pollable], [], [])
            identity = _timed(taken["receive"], listener.wait)[0]
            _timed(taken["answer"], lambda to=identity: listener.send(to, example.answer))
            line._news.poll()
            _timed(taken["take"], lambda: connection.receive(_FOREVER))
    return [
        Stage("client", "send: into the socket", statistics.median(taken["send"])),
        Stage("server", "receive: out of the socket", statistics.median(taken["receive"])),
        Stage("server", "send: into the socket", statistics.median(taken["answer"])),
        Stage("client", "receive: out of the socket", statistics.median(taken["take"])),
    ]


def _shake_hands(connection: ZmtpTransport, listener: ZmtpListener, example: Example) -> None:
    """Both sides of it at once, with a first message behind it."""
    first = threading.Thread(target=connection.send, args=(example.asked, _FOREVER))
    first.start()
    while (message := listener.wait()) is None:
        pass
    first.join()
    listener.send(message[0], example.answer)
    connection.receive(_FOREVER)


def _timed(times: list[float], call: Callable[[], Any]) -> Any:
    start = perf_counter()
    result = call()
    times.append((perf_counter() - start) * 1e6)
    return result


@frozen
class CompleteGet:
    """One sync Get against a server process, in microseconds.

    Attributes:
        clock: from call to return, the median.
        client, server: processor time of each process, all threads.
    """

    clock: float
    client: float
    server: float


def complete_get(bed: Bed, calls: int) -> CompleteGet:
    """The same Get that the stages were measured on, over TCP."""
    times: list[float] = []
    get, keys = bed.reader.Get, random_keys(PAIRS, calls)
    pids = os.getpid(), bed.server.pid
    before = [cpu_seconds(pid) for pid in pids]
    for some in keys:
        start = perf_counter()
        get(some)
        times.append((perf_counter() - start) * 1e6)
    spent = [(cpu_seconds(pid) - earlier) / calls * 1e6 for pid, earlier in zip(pids, before, strict=True)]
    return CompleteGet(statistics.median(times), *spent)


_ORDER: Final = (
    "client: command",
    "client: session",
    "client: encode",
    "client: send",
    "server: receive",
    "server: decode",
    "server: application",
    "server: engine",
    "server: encode",
    "server: send",
    "client: receive",
    "client: decode",
    "client: result",
)


def stages(bed: Bed) -> tuple[list[Stage], CompleteGet]:
    """All stages in the order in which a Get passes them, and what the whole takes."""
    path = str(bed.copy(PAIRS))
    with (
        closing(Application.on_leveldb(str(bed.folder / "stages"))) as application,
        Elevator(transport=FakeTransport(application), encoding=None) as client,
    ):
        client.createdb(path)
        client.connect(path)
        example = Example(str(client.db_uid))
        found = client_stages(example) + server_stages(example, application)
    found += socket_stages(example, bed.plan.calls)
    found.sort(key=lambda stage: next(i for i, s in enumerate(_ORDER) if f"{stage.side}: {stage.name}".startswith(s)))
    return found, complete_get(bed, bed.plan.calls)


def section(bed: Bed, _folder: Path) -> str:
    """The table for docs/benchmarks.md."""
    found, total = stages(bed)
    known = sum(stage.micros for stage in found)
    rows = [(stage.side, stage.name, f"{stage.micros:.1f}") for stage in found]
    rows += [
        ("", "**all stages**", f"**{known:.1f}**"),
        ("", "hand-over between the processes, wire, cold caches: what is left", f"{total.clock - known:.1f}"),
        ("", "**one sync Get over TCP, median**", f"**{total.clock:.1f}**"),
        ("client", "processor time of one Get", f"{total.client:.1f}"),
        ("server", "processor time of one Get", f"{total.server:.1f}"),
    ]
    return f"{_INTRODUCTION}\n\n{table(('where', 'stage', 'µs'), rows)}\n"


_INTRODUCTION: Final = """## Where the time of one Get goes

Each stage was measured alone in a warm loop (`benchmarks/stages.py`), the calls into sockets with the message already there; the whole was measured
against a server process over TCP. The difference is time outside of any code here: threads that wake one another, the kernel, and cold caches."""
