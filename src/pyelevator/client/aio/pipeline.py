"""AsyncPipeline: many commands in one message, awaited together."""

from typing import Any, Self

from pyelevator.client.aio.client import copy_docstrings
from pyelevator.client.decoding import T
from pyelevator.client.pipelines.builder import PipelineBuilder
from pyelevator.client.pipelines.execution import execute_pipeline
from pyelevator.client.sync.pipeline import Pipeline


@copy_docstrings(Pipeline)
class AsyncPipeline(PipelineBuilder[T]):
    """Commands that travel together; :class:`~pyelevator.client.sync.pipeline.Pipeline`, to be awaited.

    >>> import asyncio
    >>> from pyelevator import AsyncElevator
    >>> async def main():
    ...     async with AsyncElevator(transport="fake") as E:
    ...         async with E.pipeline() as p:
    ...             put = p.Put("a", "1")
    ...             a = p.Get("a")
    ...         return a.result(), p.results
    >>> asyncio.run(main())
    ('1', [None, '1'])
    """

    async def execute(self, *, timeout: float | None = None) -> list[Any]:
        await self._send_queued(self._timeout if timeout is None else timeout)
        return self.results

    async def _send_queued(self, timeout: float | None) -> None:
        with self._take() as results:
            flow = execute_pipeline(self._client._handle, [result.command for result in results])
            self._resolve(results, await self._client._execute(flow, timeout))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            await self._send_queued(self._timeout)
        self.Clear()
