"""Clients that write and read through several servers while something is broken, and what they were told."""

import threading
from time import monotonic, sleep

from attrs import define, field

from pyelevator import DatabaseUnavailable, Elevator, OutcomeUnknown, WriteConflict
from pyelevator.errors import ConnectFailed, ElevatorError, RequestTimeout

KEYS = 8
TIMEOUT = 6.0
_NOTHING_DONE = (DatabaseUnavailable, WriteConflict, ConnectFailed)


@define
class Record:
    """What one writer or reader was told.

    Attributes:
        acknowledged, refused, unknown: numbers of batches.
        acknowledged_at: when each was acknowledged.
        reads, torn: how many reads of the keys that are always written together, and those that saw parts of two batches.
        slowest: seconds of the slowest call.
        errors: of other kinds.
    """

    acknowledged: list[int] = field(factory=list)
    acknowledged_at: list[float] = field(factory=list)
    refused: list[int] = field(factory=list)
    unknown: list[int] = field(factory=list)
    reads: int = 0
    torn: int = 0
    slowest: float = 0.0
    pings: list[float] = field(factory=list)
    errors: list[str] = field(factory=list)


class Clients:
    """Writers, readers and one that pings each server; as a context manager, they work in the block.

    Args:
        urls: the servers.
        writers: their number; each uses the next server after an error.
        prefix: of all keys.
    """

    def __init__(self, urls: list[str], writers: int, prefix: str) -> None:
        self._urls, self._prefix = urls, prefix
        self._stopping = threading.Event()
        self.writers = [Record() for _ in range(writers)]
        self.readers = [Record() for _ in range(2)]
        self.pingers = [Record() for _ in urls]
        works = (
            [(self._write, record, i) for i, record in enumerate(self.writers)]
            + [(self._read, record, i) for i, record in enumerate(self.readers)]
            + [(self._ping, record, i) for i, record in enumerate(self.pingers)]
        )
        self._threads = [threading.Thread(target=work, args=(record, i), daemon=True) for work, record, i in works]

    def __enter__(self) -> "Clients":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(60)

    @property
    def acknowledged(self) -> int:
        return sum(len(record.acknowledged) for record in self.writers)

    def first_acknowledgement_after(self, moment: float) -> float | None:
        """Return the seconds from a moment to the first write that was acknowledged after it and began after it."""
        times = [at for record in self.writers for at in record.acknowledged_at if at > moment + 0.5]
        return min(times) - moment if times else None

    def _client(self, number: int) -> Elevator:
        endpoint = self._urls[number % len(self._urls)].removeprefix("tcp://")
        return Elevator(endpoint=endpoint, timeout=TIMEOUT, connect_timeout=0.2, auto_connect=False)

    def _write(self, record: Record, index: int) -> None:
        server, number = index, 0
        client = self._client(server)
        while not self._stopping.is_set():
            number += 1
            started = monotonic()
            try:
                if client.db_name is None:
                    client.connect("default")
                started = monotonic()
                with client.WriteBatch(timeout=TIMEOUT) as batch:
                    for i in range(KEYS):
                        batch.Put(f"{self._prefix}/pair{index}/{i}", str(number))
                    batch.Put(f"{self._prefix}/log{index}/{number:08}", str(number))
                record.acknowledged.append(number)
                record.acknowledged_at.append(monotonic())
            except _NOTHING_DONE:
                record.refused.append(number)
            except (OutcomeUnknown, RequestTimeout):
                record.unknown.append(number)
            except ElevatorError as error:
                record.errors.append(f"{type(error).__name__}: {error}")
            record.slowest = max(record.slowest, monotonic() - started)
            if record.acknowledged[-1:] != [number]:
                server += 1
                client.disconnect()
                client = self._client(server)
                sleep(0.05)
        client.disconnect()

    def _read(self, record: Record, index: int) -> None:
        server, client, keys = index, self._client(index), []
        while not self._stopping.is_set():
            started = monotonic()
            try:
                if client.db_name is None:
                    client.connect("default")
                keys = [f"{self._prefix}/pair{record.reads % len(self.writers)}/{i}" for i in range(KEYS)]
                seen = (
                    client.MGet(keys) if record.reads % 2 else [value for _, value in client.Range(prefix=keys[0][:-1])]
                )
                record.reads += 1
                record.torn += len(set(seen)) > 1 or (bool(seen) and len(seen) != KEYS)
            except ElevatorError as error:
                if not isinstance(error, (*_NOTHING_DONE, OutcomeUnknown, RequestTimeout)):
                    record.errors.append(f"{type(error).__name__}: {error}")
                server += 1
                client.disconnect()
                client = self._client(server)
                sleep(0.05)
            record.slowest = max(record.slowest, monotonic() - started)
        client.disconnect()

    def _ping(self, record: Record, index: int) -> None:
        client = self._client(index)
        while not self._stopping.is_set():
            started = monotonic()
            try:
                client.ping()
                record.pings.append(monotonic() - started)
            except ElevatorError:
                client.disconnect()  # the server is dead, which is what is being tried
                client = self._client(index)
            sleep(0.01)
        client.disconnect()

    def check(self, client: Elevator) -> list[str]:
        """Return what is wrong with what is there in the end."""
        wrong = []
        for index, record in enumerate(self.writers):
            log = f"{self._prefix}/log{index}/"
            present = {int(value) for _, value in client.RangeIter(prefix=log)}
            lost, undead = set(record.acknowledged) - present, set(record.refused) & present
            if lost:
                wrong.append(f"writer {index}: {len(lost)} acknowledged writes are lost: {sorted(lost)[:5]}")
            if undead:
                wrong.append(f"writer {index}: {len(undead)} refused writes are there: {sorted(undead)[:5]}")
            pairs = client.MGet([f"{self._prefix}/pair{index}/{i}" for i in range(KEYS)])
            if len(set(pairs)) > 1 or (present and pairs[0] != str(max(present))):
                wrong.append(f"writer {index}: the pairs {pairs} are not those of the last batch, {max(present)}")
        return wrong
