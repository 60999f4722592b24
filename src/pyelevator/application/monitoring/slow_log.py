"""The slow log: the latest requests that took long."""

from collections import deque
from collections.abc import Sequence
from logging import Logger
from math import inf
from time import time
from typing import Final

from attrs import evolve

from pyelevator.commands import Command, Pipeline
from pyelevator.messages import Request
from pyelevator.monitoring import SlowRequest

_KEY_SHOWN: Final = 32
"""Bytes of a key that are shown."""

_NAME_SHOWN: Final = 255
"""Characters of a database's name that are kept: clients may send longer ones, of databases that are not there."""


class SlowRequestLog:
    """Keeps the latest requests that took long; each addition is one operation on a deque, from any thread.

    Args:
        threshold: seconds from which on a request is kept; None for never, which the attribute has as infinity.
        max_entries: how many to keep.
        shows_keys: show the beginning of the first key of each.
    """

    def __init__(self, threshold: float | None, max_entries: int, shows_keys: bool) -> None:
        self.threshold: Final = inf if threshold is None else threshold
        self._shows_keys = shows_keys
        self._entries: deque[SlowRequest] = deque(maxlen=max_entries)

    def add(self, entry: SlowRequest) -> None:
        """Add a request that took long."""
        self._entries.append(entry)

    def describe(
        self, request: Request, seconds: float, database: str | None, client: str = "", sizes: tuple[int, int] = (0, 0)
    ) -> SlowRequest:
        """Return what is kept of a request, with the address it came from and the bytes of both messages."""
        entry = SlowRequest(
            at=time() - seconds,
            seconds=seconds,
            verb=request.command.verb[:_KEY_SHOWN],
            database=database and database[:_NAME_SHOWN],
            client=client,
            user=request.context.peer,
            request_bytes=sizes[0],
            response_bytes=sizes[1],
        )
        return evolve(entry, key=_shown_key(request.command)) if self._shows_keys else entry

    def latest(self, limit: int | None = None) -> Sequence[SlowRequest]:
        """Return the requests, the latest first, at most ``limit`` of them."""
        found = list(self._entries)[::-1]
        return found if limit is None else found[: max(0, limit)]


def log_request(logger: Logger, level: int, entry: SlowRequest) -> None:
    """Log a request: as text, and with its parts as ``fields`` of the record for logs of JSON."""
    fields = {name: value for name, value in entry.to_dict().items() if value not in (None, "")}
    logger.log(
        level,
        "%s%s%s took %.1f ms (%d bytes, %d bytes answered)",
        entry.verb,
        f" in {entry.database}" if entry.database else "",
        f" of {entry.client}" if entry.client else "",
        1000 * entry.seconds,
        entry.request_bytes,
        entry.response_bytes,
        extra={"fields": fields},
    )


def _shown_key(command: Command) -> str | None:
    """Return the beginning of the first key that a command names; None if it names none."""
    key = _first_key(command)
    if key is None:
        return None
    return key[:_KEY_SHOWN].decode("utf-8", "backslashreplace") + ("..." if len(key) > _KEY_SHOWN else "")


def _first_key(command: Command) -> bytes | None:
    if isinstance(command, Pipeline):
        return _first_key(command.commands[0]) if command.commands else None
    for name in ("key", "start", "prefix"):
        if isinstance(key := getattr(command, name, None), bytes):
            return key
    for name, place in (("keys", None), ("ops", 1)):
        many = getattr(command, name, None)
        if many:
            first = next(iter(many))
            return bytes(first if place is None else first[place])
    return None
