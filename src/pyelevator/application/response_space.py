"""The space for the response that a thread is making, for handlers that make large ones a part at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final


class OutOfSpace(BaseException):
    """There is no space for the response now: the request, which only reads, is to be executed again later.

    It is no ``Exception``, so that nothing makes a response of it.
    """


class ResponseSpace:
    """The space for one response: without a limit here, with one in subclasses."""

    @property
    def available(self) -> int:
        """Bytes that may certainly be added."""
        return 1 << 62

    def add(self, size: int, *, is_all: bool = False) -> None:
        """Report that the response has so many bytes more; or fewer, if more were reported than it has.

        Args:
            size: bytes.
            is_all: nothing else will follow.

        Raises:
            OutOfSpace: there is no space for them.
        """


MAX_INLINE_BYTES: Final = 512 << 10
"""Bytes of a response that a server's own loop makes a part at a time, for about half a millisecond."""


class InlineSpace(ResponseSpace):
    """The space for a response that is made while all other clients wait: a larger one is left to another thread.

    Args:
        space: that there is for it in any thread.

    Attributes:
        is_exceeded: True once the response has become too large.
    """

    def __init__(self, space: ResponseSpace) -> None:
        self._space, self._left = space, MAX_INLINE_BYTES
        self.is_exceeded = False

    @property
    def available(self) -> int:
        """Bytes that may certainly be added."""
        return min(self._left, self._space.available)

    def add(self, size: int, *, is_all: bool = False) -> None:
        """Report that the response has so many bytes more.

        Raises:
            OutOfSpace: there is no space for them here, or anywhere.
        """
        self._left -= size
        if self._left < 0:
            self.is_exceeded = True
            raise OutOfSpace
        self._space.add(size, is_all=is_all)


UNLIMITED: Final = ResponseSpace()
_SPACE: Final[ContextVar[ResponseSpace]] = ContextVar("response_space", default=UNLIMITED)


def response_space() -> ResponseSpace:
    """Return the space for the response that this thread is making."""
    return _SPACE.get()


@contextmanager
def limited_to(space: ResponseSpace) -> Iterator[None]:
    """Have the responses that are made in the block take their space from ``space``."""
    token = _SPACE.set(space)
    try:
        yield
    finally:
        _SPACE.reset(token)
