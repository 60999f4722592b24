"""Requests to a database whose calls wait for a network: which of them wait for one another, and which go together.

The gets of many clients become one read of many keys, and their writes one batch, so that a round trip and a commit are
shared by all that were waiting.
"""

from collections.abc import Sequence
from itertools import chain
from typing import Any, Final

from attrs import frozen

from pyelevator.application.catalog import Catalog
from pyelevator.application.context import Context
from pyelevator.application.handlers import HANDLERS
from pyelevator.application.handlers.kinds import ReadHandler, WriteHandler, check_batch_size
from pyelevator.engines.base import EngineTooLarge
from pyelevator.errors import ServerError
from pyelevator.messages import Request, Response, split_uid

ONE_BY_ONE: Final = (EngineTooLarge, ServerError)
"""Errors that concern one request of a group and not the others."""


@frozen
class QueueSpec:
    """The queue in which a request waits.

    Attributes:
        key: what the requests of a spec have in common.
        width: workers that a queue has at most, so that a database that does not answer leaves some to others.
        group: requests that one worker may take at once.
    """

    key: tuple[str | None, ...]
    width: int
    group: int


def queue_for(catalog: Catalog, request: Request) -> QueueSpec | None:
    """Return the queue of a request; None if the engine's calls wait for no network."""
    if not catalog.is_remote:
        return None
    handler = HANDLERS.get(type(request.command))
    if request.uid is None or request.command.names_database:
        return QueueSpec((None, "catalog"), 4, 1)
    if isinstance(handler, WriteHandler):
        return QueueSpec((request.uid, "write"), 1, 256)
    if isinstance(handler, ReadHandler) and handler.from_value is not None:
        return QueueSpec((request.uid, "get", request.context.peer if split_uid(request.uid)[1] else None), 2, 64)
    return QueueSpec((request.uid, "other"), 3, 1)


def read_together(catalog: Catalog, requests: Sequence[Request], context: Context) -> list[Response]:
    """Answer requests for single keys of one database."""
    commands: list[Any] = [request.command for request in requests]
    with catalog.get_database(requests[0].uid, requests[0].context.peer) as engine:
        values = engine.multi_get([command.key for command in commands])
    responses = []
    for request, value in zip(requests, values, strict=True):
        handler: Any = HANDLERS[type(request.command)]
        try:
            responses.append(Response.ok(handler.from_value(request.command, value), request.id))
        except Exception as error:  # noqa: BLE001 - every request gets an answer
            responses.append(context.failure(error, request.command, request.id))
    return responses


def write_together(catalog: Catalog, requests: Sequence[Request], context: Context) -> list[Response]:
    """Execute writes to one database as one batch."""
    handlers: Any = HANDLERS
    batches = [handlers[type(request.command)].to_ops(request.command) for request in requests]
    for batch in batches:
        check_batch_size(len(batch), context)
    commands: list[Any] = [request.command for request in requests]
    sync = context.policy.sync or any(command.sync for command in commands)
    with catalog.get_database(requests[0].uid) as engine:
        engine.write(list(chain.from_iterable(batches)), sync=sync)
    return [Response.ok(None, request.id) for request in requests]
