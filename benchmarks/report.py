"""docs/benchmarks.md: the goal table, how it was measured, and the parts of the other modules."""

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import zmq

from benchmarks import curves, handover, idle, lanes, spread, stages
from benchmarks.bed import Bed, Plan
from benchmarks.measure import HEADINGS, Row, table
from pyelevator.engines.binding import DISTRIBUTIONS, load_binding

SECTIONS: Final[Mapping[str, Callable[[Bed, Path], str]]] = {
    "stages": stages.section,
    "spread": spread.section,
    "plots": curves.section,
    "handover": handover.section,
    "lanes": lanes.section,
    "idle": idle.section,
}
"""Name on the command line -> what measures the part and writes it down; the folder is for plots."""


def document(rows: Sequence[Row], texts: Mapping[str, str], plan: Plan) -> str:
    """The whole document."""
    head = _HEAD.format(machine=machine(), table=table(HEADINGS, [row.cells for row in rows]), rounds=plan.rounds)
    return "\n".join([head, *texts.values()])


def machine() -> str:
    """What was measured on, in words."""
    parts = [
        f"{name} {installed(name)}"
        for name in ("pyzmq", "msgpack", DISTRIBUTIONS[load_binding().__name__], "redis", "hiredis")
    ]
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

Written by `make bench` on {machine}.
Ratios carry over to other machines, absolute numbers do not. `elevator bench URL` measures a server of your own.

{table}

How this was measured:

- Ours and the peer run in turn in the same minutes, {rounds} rounds after one to warm up, and who goes first changes from round to round. The ratio is the
  median of the rounds' ratios, with the smallest and the largest beside it; the rates are medians. Ours by the peer's: larger is better, except where the unit
  is x (then the time by the peer's) or MB.
- Keys have 16 bytes, values 100: 50 random bytes, twice. All reads are from compacted table files. plyvel in process has the same files as our server and the
  same options, checksums verified on both sides.
- Client, server and peers are processes of their own on this one machine, over TCP on loopback. Our client gives bytes (`encoding=None`); redis-py is used as
  its documentation shows it, with hiredis, and redis-server runs without persistence, while our server writes every Put to LevelDB's log. Each run begins
  when our server computes no more (LevelDB compacts in the background after large writes), so that its compaction is not in the peer's time, nor in ours.
- Get over FakeTransport: 500 keys again and again for the row with a goal, which LevelDB keeps in its cache; then random keys of all 100,000.
- The fake's ratios depend on how Python was built, as all of our side is Python and little of plyvel's is: where the interpreter has its library linked in, as Debian's,
  ours is a tenth quicker than on a build with `--enable-shared`, where the row with the goal gave 0.09 to 0.097.
- The bare echo is a pyzmq DEALER and a ROUTER that answer with frames of the same lengths and do nothing else.
- WriteBatch and MSET: 100,000 pairs go one by one into a batch, or into a dict, and then out in one request.
- The mix of the client processes: 4 Gets of random keys, then a Put, each waiting for its answer.
- Awaited Gets: 20,000 with 128 in flight, as 128 tasks, as a task for each Get and as gathers of 128, and all at once, on asyncio and on uvloop. The peer is a window of 128 on a bare
  zmq.asyncio DEALER, whose answers nobody reads, towards the bare echo and towards our server.
- The pass-through proxy stands in a process of its own between the same bare client and our server. Its latency is what a Get takes longer through it, by
  what it takes longer through a loop in Python between a ROUTER and a DEALER that looks into nothing.
- p99 beside full scans: a second process asks for Range over 100,000 pairs again and again and throws the answers away undecoded.
- Memory of the long RangeIter: the client's peak resident memory, and the server's own (anonymous) memory sampled every 10 ms; table files that LevelDB maps
  belong to the system's cache and are not counted.
- Imports: fresh processes, timed inside. `import pyelevator` and its dependencies load the same compiled files from the system's cache.
"""
