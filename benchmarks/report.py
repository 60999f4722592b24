"""docs/benchmarks.md: the goal table, how it was measured, and the parts of the other modules."""

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import zmq

from benchmarks import cluster, connections, curves, handover, idle, spread, stages
from benchmarks.bed import Bed, Plan
from benchmarks.measure import HEADINGS, Row, table
from pyelevator.engines.leveldb.binding.library import DISTRIBUTIONS, load_binding
from pyelevator.native import load_native

DOCUMENT: Final = Path(__file__).parents[1] / "docs" / "benchmarks.md"
_START, _END, _KEPT = "<!-- goals -->", "<!-- end of goals -->", "<!-- end of what make bench keeps -->"

SECTIONS: Final[Mapping[str, Callable[[Bed, Path], str]]] = {
    "stages": stages.section,
    "spread": spread.section,
    "plots": curves.section,
    "handover": handover.section,
    "connections": connections.section,
    "idle": idle.section,
    "cluster": cluster.section,
}
"""Name on the command line -> what measures the part and writes it down; the folder is for plots."""


def document(rows: Sequence[Row], texts: Mapping[str, str], plan: Plan) -> str:
    """The whole document."""
    shown = table(HEADINGS, [row.cells for row in rows])
    _, start, rest = DOCUMENT.read_text().partition(_START)
    goals = f"{start}{rest.partition(_KEPT)[0]}{_KEPT}"  # which is measured on its own, see ``goals``
    head = _HEAD.format(machine=machine(), summary=summary(rows), table=shown, rounds=plan.rounds, goals=goals)
    return "\n".join([head, *texts.values()])


def goals_section(text: str) -> str:
    """The part between the marks, with these; all of a text without them, put between them."""
    _, start, rest = text.partition(_START)
    inside = rest.partition(_END)[0] if start else f"\n\n{text}\n\n"
    return f"{_START}{inside}{_END}"


def summary(rows: Sequence[Row]) -> str:
    """What the table means, a line for each thing that users do; a row that was not measured leaves its line out."""
    found = {(row.name, row.peer): row for row in rows if not row.failure}
    lines = []
    for sentence, *wanted in _SUMMARY:
        if all((name, peer) in found for name, peer in wanted):
            lines.append("- " + sentence.format(*[f"**{found[name, peer].shown}**" for name, peer in wanted]))
    return "\n".join(lines)


_SUMMARY: Final = (
    (
        "A sync Get reaches {} of the rate of a bare pyzmq echo, and {} of redis-py's GET, which answers from memory.",
        ("sync Get over TCP", "bare pyzmq echo"),
        ("sync Get over TCP", "redis-py GET"),
    ),
    (
        "A sync Put reaches {} of redis-py's SET, although it is written to a log on disk.",
        ("sync Put over TCP", "redis-py SET"),
    ),
    (
        "A pipeline of 20,000 Gets reaches {} of redis-py's.",
        ("pipeline of 20,000 Gets", "redis-py pipeline"),
    ),
    (
        "A WriteBatch of 100,000 puts reaches {} of redis-py's MSET, and {} of plyvel in the same process.",
        ("WriteBatch of 100,000 puts, building included", "redis-py MSET"),
        ("WriteBatch of 100,000 puts, building included", "plyvel in process"),
    ),
    (
        "An MGet of 10,000 random keys reaches {} of redis-py's, and {} with `fill_cache=True` for keys read before.",
        ("MGet of 10,000 random keys", "redis-py MGET"),
        ("MGet of 10,000 random keys, read before with fill_cache=True", "redis-py MGET"),
    ),
    (
        "A Range of 100,000 pairs over the network reaches {} of plyvel's rate in the same process, a RangeIter {}.",
        ("Range of 100,000", "plyvel in process"),
        ("RangeIter over 100,000", "plyvel in process"),
    ),
    (
        "Awaited Gets, 128 at once, reach {} times the rate of a bare zmq.asyncio client.",
        ("Get on asyncio, 128 tasks", "zmq.asyncio, bare echo"),
    ),
    (
        "Eight client processes that read and write reach {} of the rate of the same on redis-server.",
        ("8 client processes, 4 Gets to a Put", "the same on redis-server"),
    ),
    (
        "Beside endless scans of another client, the 99th percentile of a Get is {} what it is on an idle server.",
        ("p99 of GET beside endless full scans", "idle p99"),
    ),
    (
        "A proxy in between leaves {} of the direct rate.",
        ("pass-through proxy, Gets with 1000 in flight", "direct"),
    ),
)
"""Sentence, and the rows (name and peer) whose ratios stand in it."""


def machine() -> str:
    """What was measured on, in words."""
    parts = [
        f"{name} {installed(name)}"
        for name in ("pyzmq", "msgpack", DISTRIBUTIONS[load_binding().__name__], "redis", "hiredis")
    ]
    parts.append("without the extension" if load_native("leveldb") is None else "with the extension in C++")
    return (
        f"{platform.machine()} with {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"libzmq {zmq.zmq_version()}, {', '.join(parts)}"
    )


def installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "(missing)"


_HEAD: Final = """# Benchmarks

![Requests per second by client processes, 4 Gets to a Put](plots/clients.svg)

What it means, in ratios to the peer of the same minutes (1 is as fast; where it says "what it is", smaller is better):

{summary}

## All figures

Written by `make bench` on {machine}.
Ratios carry over to other machines, absolute numbers do not. `elevator bench URL` measures a server of your own.

{table}

How this was measured:

- Ours and the peer run in turn in the same minutes, {rounds} rounds after one to warm up, and the order changes from round to round. The ratio is the
  median of the rounds' ratios, with the smallest and the largest beside it; the rates are medians. Ours by the peer's: larger is better, except where the unit
  is x (then the time by the peer's) or MB.
- Keys have 16 bytes, values 100: 50 random bytes, twice. All reads are from compacted table files. plyvel in process has the same files as our server and the
  same options, checksums verified on both sides.
- Client, server and peers are separate processes on the same machine, over TCP on loopback. Our client gives bytes (`encoding=None`); redis-py is used as
  its documentation shows it, with hiredis, and redis-server runs without persistence, while our server writes every Put to LevelDB's log. Each run begins
  when our server is idle (LevelDB compacts in the background after large writes), so that its compaction is in neither measurement.
- Get over FakeTransport: the same 500 keys, which LevelDB keeps in its cache, for the row with a goal; then random keys of all 100,000.
- The fake's ratios depend on how Python was built, as all of our side is Python and little of plyvel's is: where the interpreter has its library linked in, as Debian's,
  ours is a tenth quicker than on a build with `--enable-shared`, where the row with the goal gave 0.09 to 0.097.
- The bare echo is a pyzmq DEALER and a ROUTER that answer with frames of the same lengths and do nothing else.
- WriteBatch and MSET: 100,000 pairs go one by one into a batch, or into a dict, and then out in one request.
- The mix of the client processes: 4 Gets of random keys, then a Put, each waiting for its answer.
- Awaited Gets: 20,000 with 128 in flight, as 128 tasks, as a task for each Get and as gathers of 128, and all at once, on asyncio and on uvloop. The peer is a window of 128 on a bare
  zmq.asyncio DEALER, whose answers are not read, towards the bare echo and towards our server.
- The pass-through proxy stands in a process of its own between the same bare client and our server. Its latency is what a Get takes longer through it, by
  what it takes longer through a loop in Python between a ROUTER and a DEALER that looks into nothing.
- p99 beside full scans: a second process asks for Range over 100,000 pairs again and again and throws the answers away undecoded.
- Memory of the long RangeIter: the client's peak resident memory, and the server's own (anonymous) memory sampled every 10 ms; table files that LevelDB maps
  belong to the system's cache and are not counted.
- Imports: fresh processes, timed inside. `import pyelevator` and its dependencies find their files compiled, as those of installed packages are.

## The goals, without the extension and with it

{goals}
"""
