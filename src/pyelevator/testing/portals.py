"""Async clients in sync tests: an event loop in a thread, and clients on it that look like sync ones.

::

    with Portal() as portal:
        E = portal.connect(AsyncElevator, transport="fake")
        E.Put("abc", "123")              # awaited on the portal's loop
        assert list(E.RangeIter()) == [["abc", "123"]]

The conformance suites run over async clients like this: override the fixture ``connect`` with :meth:`Portal.connect`.
"""

import asyncio
import inspect
import threading
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final, Self, TypeVar

from pyelevator import AsyncElevator, AsyncRangeIter, AsyncWriteBatch, Elevator, WriteBatch
from pyelevator._closing import Closing
from pyelevator.client.aio.client import AsyncClient
from pyelevator.client.aio.pipeline import AsyncPipeline

R = TypeVar("R")

ASYNC: Final[Mapping[type, type]] = {Elevator: AsyncElevator, WriteBatch: AsyncWriteBatch}
"""Sync class -> its async counterpart."""


class Portal(Closing):
    """An event loop that runs in a thread of its own until it is closed.

    Args:
        new_loop: makes the loop, ``uvloop.new_event_loop`` for example.
    """

    def __init__(self, new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop) -> None:
        self.loop = new_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="portal")
        self._thread.start()

    def run(self, coroutine: Coroutine[object, None, R]) -> R:
        """Run a coroutine on the portal's loop, and return its result or raise its error."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()

    def connect(self, kind: type, *args: Any, **options: Any) -> "Driven":
        """Make an async client that looks like a sync one.

        Args:
            kind: of the client; ``Elevator`` and ``WriteBatch`` stand for their async counterparts.
            args: of its constructor.
            options: of its constructor; it is connected unless ``auto_connect`` is False.
        """
        return self.run(self._open(ASYNC.get(kind, kind)(*args, **options), options.get("auto_connect", True)))

    async def _open(self, client: Any, is_connected: bool) -> "Driven":
        if is_connected:
            await client.__aenter__()
        return Driven(self, client)

    def close(self) -> None:
        """Stop the loop and close it."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


class Driven:
    """An async client, pipeline or range that looks like a sync one: what its methods return is awaited on the loop."""

    def __init__(self, portal: Portal, client: Any) -> None:
        vars(self).update(_portal=portal, _client=client)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        return self._drive(found) if callable(found) else found

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self._client, name, value)

    def _drive(self, method: Callable[..., object]) -> Callable[..., object]:
        async def call(*args: object, **options: object) -> object:
            result = method(*args, **options)
            return await result if inspect.isawaitable(result) else result

        return lambda *args, **options: self._wrap(self._portal.run(call(*args, **options)))

    def _wrap(self, result: object) -> object:
        is_async = isinstance(result, (AsyncClient, AsyncPipeline, AsyncRangeIter))
        return Driven(self._portal, result) if is_async else result

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> object:
        for row in self._portal.run(self._step()):
            return row
        raise StopIteration

    async def _step(self) -> list[object]:
        """Return the next row in a list; an empty one at the end, as futures cannot raise StopAsyncIteration."""
        try:
            return [await anext(self._client)]
        except StopAsyncIteration:
            return []

    def __len__(self) -> int:
        return len(self._client)

    def __repr__(self) -> str:
        return repr(self._client)

    def __enter__(self) -> Self:
        self._portal.run(self._client.__aenter__())
        return self

    def __exit__(self, *failure: object) -> None:
        self._portal.run(self._client.__aexit__(*failure))
