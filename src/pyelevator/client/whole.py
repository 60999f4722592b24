"""Whole: one range in one list, which comes in pages, so that the server reads while the client unpacks."""

from collections.abc import Callable
from typing import Any, Final, Self, TypeVar

from attrs import frozen

from pyelevator.client.ranges import Page, Scan
from pyelevator.client.sync.prefetch import Ahead
from pyelevator.commands import Range
from pyelevator.errors import MalformedMessage
from pyelevator.messages import Sealed

T = TypeVar("T")

PAGE_BYTES: Final = 3 << 20
"""How large a page is. Smaller ones overlap better, and cost more hand-overs between threads."""

FEATURE: Final = "ranges"
"""Of a server that gives a RANGE in pages."""


class Unfinished(Exception):
    """There are more pages, and nobody says where: an interceptor of the server's has changed the answer. What is
    asked for as a whole is not cut."""


def comes_in_pages(command: Scan, features: tuple[str, ...]) -> bool:
    """Whether a range can be had so: forwards, with keys and values, from a server that knows how."""
    return (
        isinstance(command, Range)
        and FEATURE in features
        and not command.reverse
        and command.include_key
        and command.include_value
    )


@frozen
class WholePager:
    """How far one RANGE is, sans-I/O; the server holds to its limits across all pages.

    Attributes:
        command: what to ask next.
        done: True once no page is left.
    """

    command: Range
    done: bool = False

    @classmethod
    def of(cls, command: Range) -> Self:
        """The pages of a RANGE."""
        return cls(_page_of(command, command.start, True))

    def next_command(self) -> Range:
        """The command that fetches the next page."""
        return self.command

    def take(self, page: Page, *, more: bool, cursor: bytes | None = None) -> "tuple[Page, WholePager]":
        """The pairs of a fetched page, and the pager for the page behind it.

        Raises:
            Unfinished: the answer does not say how to go on.
            MalformedMessage: the page does not lie behind the one before it.
        """
        if not more:
            return page, WholePager(self.command, True)
        if not isinstance(page, Sealed) or cursor is None:
            raise Unfinished
        if self.command.start is not None and page.last < self.command.start:
            raise MalformedMessage("the page holds what came before it, so the range would never end")
        return page, WholePager(_page_of(self.command, page.last + b"\0", cursor))


def _page_of(command: Range, start: bytes | None, cursor: bytes | bool) -> Range:
    return Range(start, command.stop, True, True, command.prefix, False, PAGE_BYTES, cursor, sealed=True)


def gathered(
    first: tuple[Any, WholePager],
    begin: Callable[[WholePager], Ahead[tuple[Any, WholePager]]],
    texts: Callable[[Any], list[T]],
) -> list[T]:
    """All rows: while one page is unpacked, the next one comes."""
    page, pager = first
    rows: list[T] = []
    while not pager.done:
        ahead = begin(pager)
        try:
            rows += texts(page)
            page, pager = ahead.finish()
        finally:
            ahead.abandon()
    return rows + texts(page) if rows else texts(page)
