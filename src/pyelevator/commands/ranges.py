"""The commands about ranges of keys."""

from typing import Any

import attrs
from attrs import field

from pyelevator import arguments
from pyelevator._attrs import command
from pyelevator.commands.base import Access, Command, PayloadKind, Writing, check_type, to_count
from pyelevator.errors import MalformedMessage


@command
class _RangeCommand(Command[list[Any]]):
    """The base of RANGE and SLICE. Their result is ``[[key, value], ...]``, or a flat list if one part is left out."""

    @property
    def payload_kind(self) -> PayloadKind:  # type: ignore[override]
        return PayloadKind.PAIRS if self.include_key and self.include_value else PayloadKind.LIST

    include_key: bool
    include_value: bool
    lazy: bool = field(default=False, converter=arguments.flag, kw_only=True, eq=False, repr=False)
    """Whether a page may stay packed for now (see :class:`~pyelevator.messages.LazyPage`); it never travels."""

    def result(self, payload: object) -> list[Any]:
        if self.lazy and type(payload) is not list:
            return payload  # type: ignore[return-value]
        rows = check_type(payload, list, self.verb)
        if self.include_key is not self.include_value and None in rows:
            raise MalformedMessage(f"the answer to {self.verb} holds nil in the place of a key or a value")
        return rows


@command
class Range(_RangeCommand):
    """The pairs from ``start`` to ``stop``, both inclusive, None for an open end, under ``prefix`` if given.

    ``reverse`` asks for the same pairs in the opposite order, of a server with the feature of that name.

    With the feature ``ranges``, ``max_bytes`` and ``cursor=True`` ask for the pairs in pages of one snapshot, forwards
    and with keys and values: an answer with ``more`` says the ``cursor`` for the next page, which starts behind the
    last key. The last page ends the cursor. A server without room for a snapshot answers with all pairs.
    """

    verb = "RANGE"
    access = Access.READ
    meta_fields = ("reverse", "max_bytes", "cursor")
    start: bytes | None = field(default=None, converter=arguments.optional_bytes)
    stop: bytes | None = field(default=None, converter=arguments.optional_bytes)
    include_key: bool = field(default=True, converter=arguments.flag)
    include_value: bool = field(default=True, converter=arguments.flag)
    prefix: bytes | None = field(default=None, converter=arguments.optional_bytes)
    reverse: bool = field(default=False, converter=arguments.flag)
    max_bytes: int | None = field(default=None, converter=arguments.optional_integer)
    # not shown: a client that knows the cursor of another one may use it
    cursor: bytes | bool = field(default=False, converter=arguments.cursor, repr=False)


@command
class Slice(_RangeCommand):
    """The first ``count`` pairs from ``start`` on; none if ``count`` is below one.

    ``max_bytes`` lets a server with the feature ``pages`` cut the answer after about so many bytes (never before
    the first pair); it says so with ``more``.

    With the feature ``reverse``, ``reverse`` goes from ``start`` down (from the end, if it is None), and ``exclusive``
    leaves ``start`` itself out: keys have no predecessor that a page could go on from.

    With the feature ``cursors``, ``cursor=True`` asks the server to keep the snapshot that it reads from; the answer
    says the ``cursor`` under which further slices read from the same one, unless nothing is left to be read. A
    ``count`` below one gives the cursor back; that there is none is no error then. CursorExpired if it is gone.
    """

    verb = "SLICE"
    access = Access.READ
    meta_fields = ("max_bytes", "reverse", "exclusive", "cursor")
    start: bytes | None = field(default=None, converter=arguments.optional_bytes)
    count: int = field(default=0, converter=arguments.integer)
    include_key: bool = field(default=True, converter=arguments.flag)
    include_value: bool = field(default=True, converter=arguments.flag)
    max_bytes: int | None = field(default=None, converter=arguments.optional_integer)
    reverse: bool = field(default=False, converter=arguments.flag)
    exclusive: bool = field(default=False, converter=arguments.flag)
    # not shown: a client that knows the cursor of another one may use it
    cursor: bytes | bool = field(default=False, converter=arguments.cursor, repr=False)

    def result(self, payload: object) -> list[Any]:
        rows = _RangeCommand.result(self, payload)
        if len(rows) > max(self.count, 0):
            raise MalformedMessage(f"the answer to a SLICE of {self.count} holds {len(rows)} rows")
        return rows


@command
class Count(Command[int]):
    """The number of keys that a :class:`Range` with these bounds would give, all of one moment."""

    verb = "COUNT"
    feature = "count"
    access = Access.READ
    payload_kind = PayloadKind.SCALAR
    start: bytes | None = field(default=None, converter=arguments.optional_bytes)
    stop: bytes | None = field(default=None, converter=arguments.optional_bytes)
    prefix: bytes | None = field(default=None, converter=arguments.optional_bytes)

    def result(self, payload: object) -> int:
        return to_count(payload, self.verb)


@command
class DeleteRange(Writing, Command["DeletedChunk"]):
    """Remove the first keys of those that a :class:`Range` with these bounds would give: a chunk, in one step.

    The server says how many they are, and the last one if more may follow; the next chunk starts behind that. It is not
    idempotent: executed twice, it removes the chunk after this one as well.
    """

    verb = "DELETERANGE"
    feature = "deleterange"
    payload_kind = PayloadKind.LIST
    idempotent = False
    start: bytes | None = field(default=None, converter=arguments.optional_bytes)
    stop: bytes | None = field(default=None, converter=arguments.optional_bytes)
    prefix: bytes | None = field(default=None, converter=arguments.optional_bytes)
    sync: bool = field(default=False, converter=arguments.flag)

    def result(self, payload: object) -> "DeletedChunk":
        parts = check_type(payload, list, self.verb)
        if not 1 <= len(parts) <= 2:
            raise MalformedMessage(f"the answer to {self.verb} is a number and a key, not {len(parts)} values")
        last_key = check_type(parts[1], bytes, self.verb) if len(parts) == 2 else None
        count = to_count(parts[0], self.verb)
        if last_key is not None and (not count or last_key < (self.start or b"")):
            raise MalformedMessage("the chunk of a DELETERANGE ends before it begins, so the range would never end")
        return DeletedChunk(count, last_key)


@attrs.frozen
class DeletedChunk:
    """A chunk of a range that has been deleted.

    Attributes:
        count: how many keys it had.
        last_key: the last of them; None if nothing is left of the range.
    """

    count: int
    last_key: bytes | None
