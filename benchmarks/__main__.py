"""`python -m benchmarks`: measures, prints the table, writes docs/benchmarks.md."""

import platform
import random
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import plyvel
import zmq

from benchmarks import memory, peers
from benchmarks.measure import Comparison, compare
from pyelevator import Elevator
from pyelevator.codec import ClassicCodec
from pyelevator.commands import Get
from pyelevator.messages import Request
from pyelevator.testing.servers import ServerProcess

PAIRS = 100_000
STREAMED = 2_000_000
REPORT = Path(__file__).parents[1] / "docs" / "benchmarks.md"


def key(number: int) -> bytes:
    return b"%016d" % number


VALUE = b"v" * 100


def fill(client: Elevator[bytes], first: int, count: int) -> None:
    for start in range(first, first + count, PAIRS):
        with client.WriteBatch(timeout=60) as batch:
            for number in range(start, start + PAIRS):
                batch.Put(key(number), VALUE)


def sync_get(client: Elevator[bytes], echo: "zmq.Socket[bytes]", requests: int = 5000) -> Comparison:
    frames = ClassicCodec().encode_request(Request(Get(key(7)), client.db_uid, 1))

    def ours() -> None:
        for _ in range(requests):
            client.Get(key(7))

    def theirs() -> None:
        for _ in range(requests):
            echo.send_multipart(frames)
            echo.recv_multipart()

    return compare("sync Get over TCP", "bare pyzmq echo", ours, theirs, requests, 0.85)


def bulk(client: Elevator[bytes], peer: plyvel.DB) -> Iterator[Comparison]:
    some = random.Random(1).sample(range(PAIRS), 10_000)
    keys = [key(number) for number in some]

    def write() -> None:
        with client.WriteBatch(timeout=60) as batch:
            for number in range(PAIRS):
                batch.Put(key(number), VALUE)

    def peer_write() -> None:
        with peer.write_batch() as batch:
            for number in range(PAIRS):
                batch.put(key(number), VALUE)

    def peer_mget() -> list[bytes | None]:
        with peer.snapshot() as snapshot:
            return [snapshot.get(key) for key in keys]

    yield compare("Range of 100,000", "plyvel", lambda: client.Range(timeout=60), lambda: list(peer), PAIRS, 0.55)
    yield compare("RangeIter over 100,000", "plyvel", lambda: list(client.RangeIter()), lambda: list(peer), PAIRS, 0.45)
    yield compare("WriteBatch of 100,000 puts", "plyvel", write, peer_write, PAIRS, 0.4)
    yield compare("MGet of 10,000 random keys", "plyvel", lambda: client.MGet(keys), peer_mget, len(keys), 0.4)


def report(rows: list[Comparison], streamed: tuple[int, int, int]) -> str:
    pairs, client, server = streamed
    table = "\n".join(row.row() for row in rows)
    return f"""# Benchmarks

Written by `make bench` on {platform.machine()}, Python {platform.python_version()}, pyzmq {zmq.__version__} (libzmq {zmq.zmq_version()}),
plyvel {plyvel.__version__}. Keys of 16 bytes, values of 100; client and server are processes of their own on one machine, over TCP on loopback.
Each line is the median of seven rounds in which ours and the peer ran in turn; the ratio is the median of the rounds' ratios (ours / peer, larger is
better), with the smallest and the largest beside it. Ratios carry over to other machines, absolute numbers do not.

| work | beside | ours | peer | ratio | range of ratios | at least |
|---|---|---|---|---|---|---|
{table}

`RangeIter` over {pairs:,} pairs of 116 bytes ({pairs * 116 >> 20} MB): the client's peak memory grew by {client / 2**20:.1f} MB, the server's by
{server / 2**20:.1f} MB.
"""


def main() -> None:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="elevator-bench-")))
        server = stack.enter_context(ServerProcess(data=folder / "data", binds=["tcp://127.0.0.1:0"]))
        address = server.urls[0].partition("://")[2]
        client = stack.enter_context(Elevator(endpoint=address, encoding=None, timeout=60))
        peer = stack.enter_context(plyvel.DB(str(folder / "peer"), create_if_missing=True))
        fill(client, 0, PAIRS)
        with peer.write_batch() as batch:
            for number in range(PAIRS):
                batch.put(key(number), VALUE)
        rows = [sync_get(client, stack.enter_context(peers.echo())), *bulk(client, peer)]
        fill(client, PAIRS, STREAMED - PAIRS)
        streamed = memory.range_iter_growth(server.urls[0], server.pid)
    text = report(rows, streamed)
    print(text)
    REPORT.write_text(text)


if __name__ == "__main__":
    main()
