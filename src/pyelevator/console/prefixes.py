"""The biggest prefixes of a database: a scan that counts keys, and samples values; of very large prefixes, both."""

import asyncio
import heapq
import logging
import re
import secrets
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, TypeAlias

from attrs import define, field

from pyelevator.client.aio import AsyncElevator
from pyelevator.console.escapes import escape
from pyelevator.errors import ElevatorError, UsageError, WrongValue

PAGE: Final = 2000
SAMPLE: Final = 16
"""Values of a page that are read."""

MIN_SAMPLED_BYTES: Final = 32 << 20
"""Of a prefix with so much left on the disk, the rest is sampled and not counted."""

RUNS: Final = 16
"""Pages that are read of such a prefix."""

MAX_GROUPS: Final = 200
MAX_SCANS: Final = 8
MAX_RUNNING: Final = 2
UNWATCHED: Final = 60.0
"""Seconds after which a scan stops that no page asks about."""

_FRACTION_BYTES: Final = 8

_LOG: Final = logging.getLogger("pyelevator.console")

_Client: TypeAlias = AsyncElevator[bytes]


@define
class Group:
    """The keys with one prefix.

    Attributes:
        name: the prefix; empty for what has none in common.
        keys: how many there are.
        key_bytes: of all of them together.
        sampled: how many of their values were read.
        sampled_bytes: of those.
        is_estimate: the keys were not all counted.
    """

    name: bytes = b""
    keys: int = 0
    key_bytes: int = 0
    sampled: int = 0
    sampled_bytes: int = 0
    is_estimate: bool = False

    def add(self, other: "Group") -> None:
        """Count the keys of another group, too."""
        self.keys += other.keys
        self.key_bytes += other.key_bytes
        self.sampled += other.sampled
        self.sampled_bytes += other.sampled_bytes
        self.is_estimate |= other.is_estimate

    def scaled(self, keys: int) -> "Group":
        """Return a group of so many keys of which this one is a sample."""
        return Group(self.name, keys, keys * self.key_bytes // self.keys, self.sampled, self.sampled_bytes, True)

    def estimate(self, mean: float) -> int:
        """Return about how many bytes its keys and values have, by a ``mean`` where none of its values was read."""
        return round(self.key_bytes + self.keys * (self.sampled_bytes / self.sampled if self.sampled else mean))


class Fraction:
    """The share of the way from a first key to a last one at which a key is, as if keys were spread evenly."""

    def __init__(self, first: bytes, last: bytes) -> None:
        common = next((at for at, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), None)
        self._start = min(len(first), len(last)) if common is None else common
        self._prefix = first[: self._start]
        self._first, self._last = self._number(first), self._number(last)

    def __call__(self, key: bytes) -> float:
        """Return the fraction, from 0 to 1."""
        length = self._last - self._first
        return min(1.0, max(0.0, (self._number(key) - self._first) / length)) if length else 1.0

    def points(self, count: int) -> list[bytes]:
        """Return so many keys on the way, evenly spread, the first one among them."""
        steps = (self._first + (self._last - self._first) * step // count for step in range(count))
        return [self._prefix + number.to_bytes(_FRACTION_BYTES, "big") for number in steps]

    def _number(self, key: bytes) -> int:
        part = key[self._start : self._start + _FRACTION_BYTES]
        return int.from_bytes(part.ljust(_FRACTION_BYTES, b"\0"), "big")


@define
class PrefixScan:
    """A scan of the keys with a prefix, by what comes up to the first separator behind it.

    Attributes:
        separators: the bytes that end a prefix.
        state: ``running``, ``done``, ``stopped`` or ``failed``.
        fraction: about how far it is, from 0 to 1; None if that is not known.
        total: of all keys so far.
        watched_at: when it was asked about last, by the event loop's time.
    """

    database: str
    prefix: bytes
    separators: bytes
    id: str = field(factory=lambda: secrets.token_urlsafe(8))
    state: str = "running"
    error: str | None = None
    fraction: float | None = 0.0
    total: Group = field(factory=Group)
    watched_at: float = 0.0
    _finished: list[tuple[int, bytes, Group]] = field(factory=list)
    _rest: Group = field(factory=Group)
    _groups: int = 0
    _current: Group | None = None
    _alone: Group = field(factory=Group)
    _asked: bytes | None = None
    _sizes: dict[bytes, int] = field(factory=dict)

    async def run(self, client: _Client) -> None:
        """Scan to the end, and close the client."""
        self.watched_at = asyncio.get_running_loop().time()
        try:
            await self._scan(client)
        except ElevatorError as error:
            self.state, self.error = "failed", str(error)
        except asyncio.CancelledError:
            self.state = "stopped"
        except Exception:  # noqa: BLE001 - a task's error would be lost
            self.state, self.error = "failed", "the scan failed; the console's log says why"
            _LOG.exception("a scan failed")
        finally:
            await client.disconnect()

    async def _scan(self, client: _Client) -> None:
        separator = re.compile(b"[" + re.escape(self.separators) + b"]") if self.separators else re.compile(b"(?!)")
        start, position = self.prefix, None
        loop = asyncio.get_running_loop()
        while keys := await client.Slice(start, PAGE, include_value=False, prefix=self.prefix):
            position = position or await self._position(client, keys[0])
            self._count(keys, await self._sample(client, keys), separator)
            last = await self._skip(client, keys) or keys[-1]
            start = last + b"\0"
            self.fraction = position(last) if position else None
            if loop.time() - self.watched_at > UNWATCHED:
                self.state = "stopped"
                return
        await self._ask_sizes(client)
        self.state, self.fraction = "done", 1.0

    async def _skip(self, client: _Client, keys: Sequence[bytes]) -> bytes | None:
        """Sample the rest of a very large prefix instead of counting it; return its last key, or None to count on.

        The sample says how many bytes of the disk a key takes, with its value and compressed; the server, how many
        there are, if it is no old one.
        """
        group = self._current
        if group is None or group.name == self._asked or not keys[0].startswith(group.name):
            return None
        self._asked = group.name
        try:
            (last,) = await client.Slice(None, 1, include_value=False, prefix=group.name, reverse=True)
            (rest,) = await client.sizes([(keys[-1], last)])
        except UsageError:  # an old server
            return None
        if rest < MIN_SAMPLED_BYTES:
            return None
        sample, size = await self._sample_runs(client, group.name, Fraction(keys[-1], last).points(RUNS))
        if not size:
            return None
        found = sample.scaled(rest * sample.keys // size)
        group.add(found)
        self.total.add(found)
        return last

    async def _sample_runs(self, client: _Client, name: bytes, starts: Sequence[bytes]) -> tuple[Group, int]:
        """Return the keys of pages that begin at some keys, and about how many bytes of the disk they take."""
        sample, size = Group(name), 0
        for start in starts:
            keys = await client.Slice(start, PAGE, include_value=False, prefix=name)
            if len(keys) == PAGE:
                self._add(sample, keys, await self._sample(client, keys))
                size += (await client.sizes([(keys[0], keys[-1])]))[0]
        return sample, size

    @staticmethod
    def _add(group: Group, keys: Sequence[bytes], sizes: dict[bytes, int]) -> None:
        group.add(Group(b"", len(keys), sum(map(len, keys)), len(sizes), sum(sizes.values())))

    async def _ask_sizes(self, client: _Client) -> None:
        """Ask how much of the disk the biggest prefixes take, where the server knows that."""
        names = [group.name for group in self._biggest()]
        with suppress(UsageError):
            self._sizes = dict(zip(names, await client.sizes(names), strict=True)) if names else {}

    async def _position(self, client: _Client, first: bytes) -> Fraction | None:
        try:
            last = await client.Slice(None, 1, include_value=False, prefix=self.prefix, reverse=True)
        except UsageError:  # an old server
            return None
        return Fraction(first, last[0] if last else first)

    @staticmethod
    async def _sample(client: _Client, keys: Sequence[bytes]) -> dict[bytes, int]:
        """Return the sizes of some values, by their keys."""
        chosen = keys[:: max(1, -(-len(keys) // SAMPLE))]
        try:
            values = await client.MGet(chosen)
        except WrongValue:  # together they are over the server's limit for an answer
            values = await client.MGet(chosen[:1])
        return {key: len(value) for key, value in zip(chosen, values, strict=False) if value is not None}

    def _count(self, keys: Sequence[bytes], sizes: dict[bytes, int], separator: re.Pattern[bytes]) -> None:
        for key in keys:
            found = separator.search(key, len(self.prefix))
            group = self._alone if found is None else self._group(key[: found.end()])
            size = sizes.get(key)
            group.add(Group(b"", 1, len(key), size is not None, size or 0))
        self._add(self.total, keys, sizes)

    def _group(self, name: bytes) -> Group:
        """Return the group of a prefix; as keys come in order, another one ends the one before."""
        if self._current is None or self._current.name != name:
            self._finish()
            self._groups += 1
            self._current = Group(name)
        return self._current

    def _finish(self) -> None:
        """Keep the group that has ended if it is one of the biggest, or else add it to the rest."""
        if self._current is None:
            return
        entry = (self._current.estimate(self._mean()), self._current.name, self._current)
        if len(self._finished) < MAX_GROUPS:
            heapq.heappush(self._finished, entry)
        else:
            self._rest.add(heapq.heappushpop(self._finished, entry)[2])

    def _mean(self) -> float:
        return self.total.sampled_bytes / self.total.sampled if self.total.sampled else 0.0

    def _biggest(self) -> list[Group]:
        """Return the biggest groups so far, the biggest one first."""
        mean = self._mean()
        groups = [group for _, _, group in self._finished] + ([self._current] if self._current else [])
        return sorted(groups, key=lambda group: group.estimate(mean), reverse=True)

    def report(self) -> dict[str, object]:
        """Return what the page shows of it."""
        mean, groups = self._mean(), self._biggest()

        def shown(group: Group) -> dict[str, object]:
            return {
                "prefix": escape(group.name) if group.name else None,
                "keys": group.keys,
                "bytes": group.estimate(mean),
                "sampled": group.sampled,
                "is_estimate": group.is_estimate,
                "on_disk": self._sizes.get(group.name),
            }

        size = sum(group.estimate(mean) for group in (*groups, self._alone, self._rest))
        return {
            "id": self.id,
            "database": self.database,
            "prefix": escape(self.prefix),
            "state": self.state,
            "error": self.error,
            "fraction": self.fraction,
            "groups": [shown(group) for group in groups],
            "group_count": self._groups,
            "without_separator": shown(self._alone),
            "smaller": shown(self._rest),
            "total": {**shown(self.total), "bytes": size},
        }


class PrefixScans:
    """The scans of a console."""

    def __init__(self) -> None:
        self._scans: OrderedDict[str, PrefixScan] = OrderedDict()
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(self, client: _Client, scan: PrefixScan) -> PrefixScan:
        """Start a scan; raise a UsageError if too many are running."""
        if len(self._tasks) >= MAX_RUNNING:
            raise UsageError(f"{MAX_RUNNING} scans are running; stop one, or wait for its end")
        self._scans[scan.id] = scan
        while len(self._scans) > MAX_SCANS:
            self._scans.popitem(last=False)
        task = asyncio.get_running_loop().create_task(scan.run(client))
        self._tasks[scan.id] = task
        task.add_done_callback(lambda _: self._tasks.pop(scan.id))
        return scan

    def get(self, scan_id: str) -> PrefixScan:
        """Return a scan, and note that it is watched."""
        if scan_id not in self._scans:
            raise UsageError("there is no such scan any more; start it again")
        scan = self._scans[scan_id]
        scan.watched_at = asyncio.get_running_loop().time()
        return scan

    async def stop(self, scan_id: str) -> None:
        """Stop a scan, and wait for its end."""
        task = self._tasks.get(scan_id)
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def close(self) -> None:
        """Stop all scans."""
        for scan_id in list(self._tasks):
            await self.stop(scan_id)
