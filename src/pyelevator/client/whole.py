"""Whole: one range in one list, which comes in pages, so that the server reads while the client unpacks."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

from attrs import define, field

from pyelevator.client.ahead import Ahead
from pyelevator.client.ranges import Scan
from pyelevator.commands import Range
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


@define
class WholePager:
    """The pages of one RANGE, sans-I/O; the server holds to its limits across all of them.

    Attributes:
        command: what to ask next.
        done: True once no page is left.
    """

    command: Range
    done: bool = field(init=False, default=False)

    def __attrs_post_init__(self) -> None:
        self._go_on(self.command.start, True)

    def _go_on(self, start: bytes | None, cursor: bytes | bool) -> None:
        stop, prefix = self.command.stop, self.command.prefix
        self.command = Range(start, stop, True, True, prefix, False, PAGE_BYTES, cursor, sealed=True)

    def next_command(self) -> Range:
        """The command that fetches the next page."""
        return self.command

    def take(self, pairs: list[list[bytes]] | Sealed, *, more: bool, cursor: bytes | None = None) -> Any:
        """The pairs of a fetched page.

        Raises:
            Unfinished: the answer does not say how to go on.
        """
        self.done = not more
        if more:
            if not isinstance(pairs, Sealed) or cursor is None:
                raise Unfinished
            self._go_on(pairs.last + b"\0", cursor)
        return pairs


def gathered(
    pager: WholePager,
    first: Any,
    begin: Callable[[], Ahead[Any]],
    texts: Callable[[Any], list[T]],
) -> list[T]:
    """All rows: while one page is unpacked, the next one comes."""
    page = first
    rows: list[T] = []
    while not pager.done:
        ahead = begin()
        try:
            rows += texts(page)
            page = ahead.finish()
        finally:
            ahead.abandon()
    return rows + texts(page) if rows else texts(page)
