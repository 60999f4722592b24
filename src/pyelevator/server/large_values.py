"""Large values: the keys whose values were large when they were last read."""

from typing import Final

from pyelevator.commands import Exists, Get
from pyelevator.protocol import IncomingRequest
from pyelevator.server.response_budget import LARGE

_MAX_KEYS: Final = 1024


class LargeValues:
    """The sizes of the large values that were read last, by which the next reads of them are expected to be large."""

    def __init__(self) -> None:
        self._sizes: dict[int, int] = {}

    def record(self, key: int, size: int) -> None:
        """Report the size of a response by its ``key_of``; above a thousand large ones, the oldest are forgotten."""
        self._sizes.pop(key, None)
        if key and size >= LARGE:
            self._sizes[key] = size
        if len(self._sizes) > _MAX_KEYS:
            del self._sizes[next(iter(self._sizes))]

    def expected_bytes(self, key: int) -> int:
        """Return the size of the response; 0 if it was small, or is not known."""
        return self._sizes.get(key, 0)


def key_of(incoming: IncomingRequest | None) -> int:
    """Return what requests for the same value have in common; 0 for requests that are not for one value."""
    request = None if incoming is None else incoming.request
    return hash((request.uid, request.command.key)) if request and isinstance(request.command, (Exists, Get)) else 0
