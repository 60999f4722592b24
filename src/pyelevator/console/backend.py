"""Clients of the console, one for each database that is looked at, evicted when unused."""

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

from attrs import frozen

from pyelevator.client.aio import AsyncElevator
from pyelevator.commands import MISSING, Progress, SlowLog, Stats
from pyelevator.errors import CheckFailed, KeyNotFound, PermissionDenied, UnknownCommand, UsageError
from pyelevator.flows import Flow, Forward
from pyelevator.interceptors import read_only
from pyelevator.messages import Request, Response
from pyelevator.monitoring import DatabaseStats
from pyelevator.transports import parse_url
from pyelevator.transports.url import shown

MAX_CLIENTS: Final = 64


def digest_of(value: bytes) -> str:
    """Return what tells one value of a key from another."""
    return hashlib.sha256(value).hexdigest()


@frozen
class KeyPage:
    """A page of keys in ascending order, and whether there are keys before and after it."""

    keys: list[bytes]
    has_previous: bool
    has_next: bool


_FIGURES: Final = (Stats, SlowLog, Progress)
"""What takes admin access and changes nothing."""


def look_only(request: Request[Any], forward: Forward) -> Flow[Response]:
    """Refuse what changes something, as ``read_only`` does, but let the figures of a server through."""
    return (yield from (forward(request) if isinstance(request.command, _FIGURES) else read_only(request, forward)))


class Backend:
    """The server behind a console.

    Args:
        url: of the server; shown without what belongs to the client.
        options: further arguments of ``from_url``.
        write: False sends nothing that writes.

    Attributes:
        server: the client for what needs no database.
    """

    def __init__(self, url: str, options: Mapping[str, Any], *, write: bool) -> None:
        self.url: Final = shown(url)
        self.write: Final = write
        self._url = url
        interceptors = (*options.get("interceptors", ()), *(() if write else (look_only,)))
        self._options = {**options, "interceptors": interceptors, "encoding": None}
        self._clients: OrderedDict[str, AsyncElevator[bytes]] = OrderedDict()
        self.server = self.make_client(None)
        self.default_database: Final = parse_url(url).options.get("db_name") or "default"

    def make_client(self, database: str | None) -> AsyncElevator[bytes]:
        """Return a new client; None is for what needs no database."""
        target = {} if database is None else {"db_name": database}
        client: AsyncElevator[bytes] = AsyncElevator.from_url(
            self._url, **{**self._options, **target, "auto_connect": database is not None}
        )
        return client

    async def close(self) -> None:
        """Close all connections."""
        for client in (self.server, *self._clients.values()):
            await client.disconnect()

    async def client(self, database: str) -> AsyncElevator[bytes]:
        """Return the client of a database."""
        if database not in self._clients:
            self._clients[database] = self.make_client(database)
        self._clients.move_to_end(database)
        while len(self._clients) > MAX_CLIENTS:
            _, unused = self._clients.popitem(last=False)
            await unused.disconnect()
        return self._clients[database]

    async def databases(self) -> list[DatabaseStats | str]:
        """Return what the server says of each database: at least its name.

        Figures take admin access, and a server that knows STATS.
        """
        names = await self.server.listdb()
        try:
            known = {each.name: each for each in (await self.server.stats()).databases}
        except (PermissionDenied, UnknownCommand, UsageError):
            known = {}
        return [known.get(name, name) for name in names]

    async def page(self, database: str, prefix: bytes, start: bytes, count: int) -> KeyPage:
        """Return at most ``count`` keys of a prefix from ``start`` on."""
        client = await self.client(database)
        keys = await client.Slice(max(start, prefix), count + 1, include_value=False, prefix=prefix)
        return KeyPage(keys[:count], await self._has_before(client, prefix, start), len(keys) > count)

    async def page_before(self, database: str, prefix: bytes, end: bytes | None, count: int) -> KeyPage:
        """Return the last keys of a prefix before the key ``end``; None for the end."""
        client = await self.client(database)
        keys = await self._down(client, prefix, end, count + 1)
        has_next = end is not None and bool(await client.Slice(end, 1, include_value=False, prefix=prefix))
        return KeyPage(keys[:count][::-1], len(keys) > count, has_next)

    async def _has_before(self, client: AsyncElevator[bytes], prefix: bytes, start: bytes) -> bool:
        """Return whether there are keys before ``start``; of an old server, whether there may be."""
        try:
            return start > prefix and bool(await self._down(client, prefix, start, 1))
        except UsageError:
            return True

    async def _down(self, client: AsyncElevator[bytes], prefix: bytes, end: bytes | None, count: int) -> list[bytes]:
        """Return keys before ``end``, from the last one down."""
        keys = await client.Slice(end, count + 1, include_value=False, prefix=prefix, reverse=True)
        return [key for key in keys if key != end][:count]

    async def read(self, database: str, key: bytes) -> bytes | None:
        """Return the value of a key, or None."""
        try:
            return await (await self.client(database)).Get(key)
        except KeyNotFound:
            return None

    async def change(self, database: str, key: bytes, expected: bytes | None, value: bytes | None) -> bool:
        """Set the value of a key, or delete it for None, if its value is still the expected one; None expects none.

        Return False, and write nothing, if it is another one by now.
        """
        batch = (await self.client(database)).WriteBatch()
        batch.Check(key, MISSING if expected is None else expected)
        if value is None:
            batch.Delete(key)
        else:
            batch.Put(key, value)
        try:
            await batch.Write()
        except CheckFailed:
            return False
        finally:
            batch.Clear()
        return True
