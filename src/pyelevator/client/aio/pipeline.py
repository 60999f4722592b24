"""AsyncPipeline: many commands in one message, awaited together."""

from pyelevator.client.declaration import AsyncBlock
from pyelevator.client.decoding import T
from pyelevator.client.pipelines.builder import PipelineBuilder


class AsyncPipeline(AsyncBlock, PipelineBuilder[T]):
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
