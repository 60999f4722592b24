"""Abuse: peers that mean no good, one kind after the other, and what that costs the server and a good client beside it."""

import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from pyelevator.commands import Get
from pyelevator.deadlines import Deadline
from pyelevator.messages import Request
from pyelevator.transports.sockets.blocking import ConnectionClosed, DeadlineExceeded
from support.abused import CODEC, ENDLESS_HANDSHAKE, MB, Abused, connected, of_elements, send_without_end
from support.connections import socket_of
from torture.malformed import Beside, resident
from torture.report import Findings, megabytes


def unknown_clients_in_the_handshake(server: Any, _: ExitStack) -> None:
    """Five, 50 MB each."""
    for _number in range(5):
        with server.unknown_client() as client, suppress(OSError):
            client.settimeout(2)
            client.sendall(ENDLESS_HANDSHAKE + (50 * MB).to_bytes(8, "big") + bytes(50 * MB))


def silent_unknown_clients(server: Any, stack: ExitStack) -> None:
    """A hundred connections that say nothing, and three clients that want to come in."""
    for _number in range(100):
        stack.enter_context(server.unknown_client())
    for _number in range(3):
        stack.enter_context(server.client()).ping()


def endless_message(server: Any, _: ExitStack) -> None:
    """Frames of one message, one after the other."""
    line = server.line()
    with suppress(ConnectionClosed, DeadlineExceeded):
        send_without_end(line, Deadline.after(20))
    line.close()


def unread_answers(server: Any, stack: ExitStack) -> None:
    """Thirty clients that ask for 20 MB each and do not read."""
    with server.client() as client:
        client.Put("large", "v" * 20 * MB)
    for _number in range(30):
        line = server.line()
        stack.callback(line.close)
        line.send(CODEC.encode_request(Request(Get("large"), connected(line), id=2)), Deadline.after(20))
    threading.Event().wait(5)


def elements(element: bytes) -> Callable[[Any, ExitStack], None]:
    """Ten messages of 8 MB, one after the other."""

    def send(server: Any, _: ExitStack) -> None:
        line = server.line()
        for _number in range(10):
            line.send([of_elements(element, 8 * MB)], Deadline.after(30))
            line.receive(Deadline.after(60))
        line.close()

    return send


def half_messages(server: Any, _: ExitStack) -> None:
    """Eight connections with 40 MB each of a message that has 100."""
    lines = [server.line() for _number in range(8)]
    for line in lines:
        socket_of(line).setblocking(True)
        socket_of(line).sendall(b"\x02" + (100 * MB).to_bytes(8, "big") + bytes(40 * MB))
    for line in lines:
        line.close()


@frozen
class Attack:
    """What is done over which ways, and by how much the server may grow meanwhile, and stay grown."""

    do: Callable[[Any, ExitStack], None]
    ways: tuple[str, ...]
    growth: int
    args: tuple[str, ...] = ()
    stays: int = 100 * MB


ALL: Final = ("plain", "keys", "file")
SLACK: Final = 48 * MB
ATTACKS: Final = {
    "5 unknown clients, 50 MB of handshake each": Attack(unknown_clients_in_the_handshake, ("keys",), SLACK),
    "100 silent unknown clients, 60 places": Attack(
        silent_unknown_clients, ("keys",), SLACK, ("--max-connections", "60")
    ),
    "a message without end, --max-message 1 MB": Attack(endless_message, ALL, SLACK, ("--max-message", str(MB))),
    "30 clients that read none of 20 MB, --max-unread 64 MB": Attack(
        unread_answers,
        ALL,
        64 * MB + 20 * MB + 2 * 20 * MB + SLACK,
        ("--max-unread", str(64 * MB)),  # LevelDB has two
    ),
    "8 MB of empty arrays": Attack(elements(b"\x90"), ALL, 64 * MB + SLACK),
    "8 MB of empty maps": Attack(elements(b"\x80"), ALL, 64 * MB + SLACK),
    "8 MB of two-byte keys": Attack(elements(b"\xa2ab"), ALL, 64 * MB + SLACK),
    "8 halves of 40 MB of messages": Attack(half_messages, ALL, 2 * 320 * MB + SLACK),
}


def attempt(folder: Path, way: str, attack: Attack) -> tuple[tuple[str, ...], list[str]]:
    """The figures of one attack, and what must not have happened."""
    server = Abused(folder, way, *attack.args)
    with server.process, server.client() as client, ExitStack() as stack:
        client.Put("good", "value")
        before, most, over = resident(server.pid), [0], threading.Event()
        beside = Beside(client)

        def watch() -> None:
            while not over.wait(0.01):
                most[0] = max(most[0], resident(server.pid))

        threads = [threading.Thread(target=watch), threading.Thread(target=beside.run)]
        for thread in threads:
            thread.start()
        attack.do(server, stack)
        over.wait(1)
        beside.over.set()
        over.set()
        for thread in threads:
            thread.join()
        after = resident(server.pid)
    wrong = [f"{beside.wrong} wrong answers to another client"] if beside.wrong else []
    wrong += [] if beside.latencies else ["another client got no answer"]
    wrong += [f"grew by {megabytes(most[0] - before)}"] if most[0] - before > attack.growth else []
    wrong += [f"kept {megabytes(after - before)}"] if after - before > attack.stays else []
    memory = " / ".join(megabytes(size) for size in (before, most[0], after))
    return (memory, beside.quantiles() if beside.latencies else "none"), wrong


def run(folder: Path, only: str | None = None) -> Findings:
    """All attacks over all their ways, each on a server of its own."""
    figures, violations = {}, []
    for number, (name, attack) in enumerate(ATTACKS.items()):
        for way in attack.ways if only is None else (only,) if only in attack.ways else ():
            place = folder / f"{number}{way}"
            place.mkdir()
            figures[f"{name}, {way}"], wrong = attempt(place, way, attack)
            violations += [f"{name}, {way}: {what}" for what in wrong]
    how = (
        "Peers that mean no good, each kind on a server of its own: over TCP without keys (plain), with them (keys), and over a socket "
        "file beside keys (file). The server's memory is looked at every 10 ms; beside it another client makes sound requests."
    )
    columns = ("attack", "server's memory before / most / after", "GETs of another client: median, 99 %, longest")
    return Findings("Abuse", how, figures, violations, columns)
