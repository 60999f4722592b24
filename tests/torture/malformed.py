"""A flood of malformed messages: each is answered exactly once, and no other client notices."""

import multiprocessing
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgpack
import zmq
from attrs import define, field, frozen

from pyelevator import Elevator
from pyelevator.errors import ErrorCode
from pyelevator.testing.servers import ServerProcess
from torture.grammar import FIRST_ID, LAST_ID, Grammar, pack
from torture.report import Findings, count, megabytes, ms, percentile

WINDOW: Final = 200
"""Messages of one client that may wait for their answer."""

WAIT: Final = 30_000
"""Milliseconds to wait for an answer before it counts as missing."""

SILENCE: Final = 300
"""Milliseconds in which nothing more may come after the last answer."""

MEMORY_BOUND: Final = 64 << 20
LATENCY_BOUND: Final = 5.0


@frozen
class Tally:
    """What one flooding client sent, and what it got.

    Attributes:
        sent, answered: messages and their answers.
        outcomes: the failure code of the answer (None for success) -> how often.
        faults: what must not have happened.
    """

    sent: int
    answered: int
    outcomes: Counter[int | None]
    faults: Sequence[str]


@define
class Client:
    """A DEALER that sends whatever the grammar gives, and reads the answers at the same time."""

    socket: "zmq.Socket[bytes]"
    grammar: Grammar
    outcomes: Counter[int | None] = field(factory=Counter)
    faults: list[str] = field(factory=list)
    ids: set[int] = field(factory=set)
    sent: int = 0
    answered: int = 0

    def flood(self, messages: int) -> Tally:
        """Sends so many, and counts the answers."""
        for frames in islice(self.grammar, messages):
            self.socket.send_multipart(frames)
            self.sent += 1
            while self.sent - self.answered >= WINDOW and self._receive():
                pass
        while self.answered < self.sent and self._receive():
            pass
        self._expect_silence()
        return Tally(self.sent, self.answered, self.outcomes, self.faults[:5])

    def _receive(self) -> bool:
        """Takes one answer; False if none comes."""
        try:
            frames = self.socket.recv_multipart()
        except zmq.Again:
            if not self.faults:
                self.faults.append(f"{self.sent - self.answered} of {self.sent} messages got no answer")
            self.answered = self.sent
            return False
        self.answered += 1
        self._note(frames)
        return True

    def _note(self, frames: Sequence[bytes]) -> None:
        while b"" in frames:  # the envelope that came, as REQ sockets have it, stands before the answer
            frames = frames[frames.index(b"") + 1 :]
        header: Any = msgpack.unpackb(frames[0], raw=True, strict_map_key=False)
        if len(frames) == 2 and isinstance(header, dict) and b"status" in header:
            self.outcomes[header[b"err_code"]] += 1
            self._note_id(header.get(b"id"))
        elif len(frames) == 1 and isinstance(header, list) and len(header) >= 3:
            self.outcomes[header[1] if header[0] == -1 else None] += 1
        else:
            self.faults.append(f"an answer of {len(frames)} frames that is none of either dialect")

    def _note_id(self, number: int | bytes | None) -> None:
        if type(number) is not int or not FIRST_ID <= number <= LAST_ID:
            return
        if number in self.ids:
            self.faults.append(f"the message with the id {number} was answered twice")
        if self.grammar.next_id <= number < LAST_ID:
            self.faults.append(f"an answer carries the id {number}, which no message had")
        self.ids.add(number)

    def _expect_silence(self) -> None:
        """A last sound request gets the last answer, and then there is nothing more."""
        self.socket.send(pack({"cmd": "PING", "meta": {"id": LAST_ID}, "uid": None, "args": []}, False))
        self._receive()
        self.answered -= 1
        if LAST_ID not in self.ids or self.socket.poll(SILENCE):
            self.faults.append("there were more answers than messages")


def flood(url: str, uids: Sequence[str], seed: int, messages: int) -> Tally:
    """Sends so many messages from one client; for a process of its own."""
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.set(zmq.LINGER, 0)
        socket.set(zmq.RCVTIMEO, WAIT)
        socket.set(zmq.SNDTIMEO, WAIT)
        socket.connect(url)
        return Client(socket, Grammar(seed, uids)).flood(messages)


@define
class Beside:
    """A client with sound requests, in a thread, and how long each took."""

    client: Elevator[str]
    latencies: list[float] = field(factory=list)
    wrong: int = 0
    over: threading.Event = field(factory=threading.Event)

    def run(self) -> None:
        """Gets one key again and again, with a little pause, until ``over`` is set, and twice at the least."""
        while len(self.latencies) < 2 or not self.over.wait(0.001):
            start = time.perf_counter()
            right = self.client.Get("good", timeout=30) == "value"
            self.latencies.append(time.perf_counter() - start)
            self.wrong += not right

    def quantiles(self) -> str:
        return f"{ms(percentile(self.latencies, 50))}, {ms(percentile(self.latencies, 99))}, {ms(max(self.latencies))}"


def resident(pid: int) -> int:
    """Bytes of memory that a process holds (proc(5), VmRSS)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith("VmRSS:")]
    return int(line.split()[1]) * 1024


def _beside(client: Elevator[str], work: Any) -> tuple[Beside, Any]:
    """Does the work while sound requests are made beside it."""
    beside = Beside(client)
    thread = threading.Thread(target=beside.run)
    thread.start()
    try:
        return beside, work()
    finally:
        beside.over.set()
        thread.join()


def run(folder: Path, *, messages: int, clients: int = 2, seed: int = 1) -> Findings:
    """Floods a server.

    Args:
        folder: for the data; empty.
        messages: how many, of all clients together.
        clients: processes that send; each has one connection.
        seed: of the messages.
    """
    (folder / "allowed").mkdir(parents=True)
    spawn = multiprocessing.get_context("spawn")
    with (
        ServerProcess(folder / "data", args=["--allow-path", str(folder / "allowed"), "--quiet"]) as server,
        ProcessPoolExecutor(clients, spawn) as pool,
        Elevator(endpoint=server.urls[0].partition("://")[2]) as client,
    ):
        uids = _prepare(client)

        def all_floods(messages: int, seed: int) -> list[Tally]:
            each = messages // clients
            return list(
                pool.map(
                    flood, [server.urls[0]] * clients, [uids] * clients, range(seed, seed + clients), [each] * clients
                )
            )

        idle, _ = _beside(client, lambda: time.sleep(1))
        warm = all_floods(max(messages // 20, clients), seed)
        before, start = resident(server.pid), time.monotonic()
        beside, tallies = _beside(client, lambda: all_floods(messages, seed + clients))
        seconds, after = time.monotonic() - start, resident(server.pid)
        noise = [line for line in server.output.splitlines() if "Traceback" in line]
    return _findings([*warm, *tallies], idle, beside, before, after, sum(t.sent for t in tallies) / seconds, noise)


def _prepare(client: Elevator[str]) -> list[str]:
    """The sound requests' database, which the grammar has no name for, and the uids of those that it may have."""
    client.createdb("victim")
    client.connect("victim")
    uids = [str(client.db_uid)]
    client.connect("default")
    uids.append(str(client.db_uid))
    client.createdb("beside the flood")
    client.connect("beside the flood")
    client.Put("good", "value")
    return uids


def _findings(
    tallies: Sequence[Tally], idle: Beside, beside: Beside, before: int, after: int, rate: float, noise: list[str]
) -> Findings:
    sent, answered = sum(t.sent for t in tallies), sum(t.answered for t in tallies)
    outcomes = sum((t.outcomes for t in tallies), Counter())
    growth = after - before
    violations = [fault for tally in tallies for fault in tally.faults]
    checks = (
        (sent != answered, f"{sent:,} messages, {answered:,} answers"),
        (beside.wrong > 0, f"{beside.wrong} sound requests got a wrong answer"),
        (growth > MEMORY_BOUND, f"the server grew by {megabytes(growth)}"),
        (percentile(beside.latencies, 99) > LATENCY_BOUND, f"sound requests took {beside.quantiles()}"),
        (bool(noise), f"{len(noise)} tracebacks in the server's log"),
    )
    return Findings(
        "Malformed messages",
        "Clients on real sockets send messages from a seeded grammar (skeletons of both dialects with wrong types, "
        "numbers of arguments, nestings, sizes and claims, dialects mixed, noise; some turn out sound) and recordings "
        "with changed bytes, up to 200 in flight each, while another client makes sound requests. Every message must "
        "be answered exactly once: the answers are counted, ids must come back at most once, and after a last request "
        "nothing more may come.",
        {
            "messages, answers": f"{count(sent)}, {count(answered)}",
            "answers by code": ", ".join(
                f"{'success' if code is None else ErrorCode(code).name} {count(number)}"
                for code, number in outcomes.most_common()
            ),
            "messages per second": count(round(rate)),
            "server's memory before, after (after a twentieth of the messages to warm up)": (
                f"{megabytes(before)}, {megabytes(after)}"
            ),
            "sound GETs alone: median, 99 %, longest": idle.quantiles(),
            "sound GETs beside the flood: median, 99 %, longest": beside.quantiles(),
            "sound GETs beside it, wrong answers": f"{count(len(beside.latencies))}, {beside.wrong}",
        },
        [*violations, *(text for wrong, text in checks if wrong)],
    )
