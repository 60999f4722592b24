"""Key prefixes: a key space of its own for each tenant of a database, or for each part of a program."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, partial
from operator import add
from typing import Any, Final, TypeAlias, TypeVar

from attrs import evolve, field, fields, frozen

from pyelevator.arguments.data import Data, prefix_successor, to_bytes
from pyelevator.commands import Command, DeleteRange, Pipeline, Range, Slice
from pyelevator.flows import Flow, Forward
from pyelevator.messages import LazyPage, Request, Response

C = TypeVar("C", bound=Command)


def _convert_prefix(prefix: Data) -> bytes:
    return to_bytes(prefix, "prefix")


@frozen
class Prefix:
    """An interceptor that adds a prefix to the keys of requests and removes it from the keys of responses.

    Ranges return only keys with the prefix. Commands about databases pass unchanged: use ``read_only`` or the
    server's permissions as well where tenants must not drop a database. A program that wants a part of its own keys
    uses :meth:`Elevator.prefix <pyelevator.Elevator.prefix>`.

    Attributes:
        prefix: str or bytes.

    >>> from pyelevator import Elevator
    >>> from pyelevator.transports import FakeTransport
    >>> server = FakeTransport()
    >>> with Elevator(transport=server, interceptors=[Prefix("ann:")]) as ann, Elevator(transport=server) as plain:
    ...     ann.Put("k", "v")
    ...     ann.Range(), plain.Range()
    ([['k', 'v']], [['ann:k', 'v']])
    """

    prefix: bytes = field(converter=_convert_prefix)

    def __call__(self, request: Request, forward: Forward) -> Flow[Response]:
        command = self.add_to(request.command)
        if command is request.command:
            return (yield from forward(request))
        return self.remove_from(request.command, (yield from forward(evolve(request, command=command))))

    def wrap(self, forward: Forward) -> Forward:
        """Return a function that forwards requests under the prefix: pipelines too, and each as one request."""
        return partial(self, forward=forward)

    def add_to(self, command: C) -> C:
        """Return the command with the prefix before all of its keys; itself if it has none."""
        kind: Any = type(command)
        translate = _TRANSLATIONS.get(kind)
        if translate is not None:
            return translate(self, command)  # type: ignore[no-any-return]
        make, names, additions = _key_fields(kind)
        if not additions:
            return command
        values = [getattr(command, name) for name in names]
        for place, add_prefix in additions:
            values[place] = add_prefix(self.prefix, values[place])
        return make(*values)  # type: ignore[no-any-return]

    def remove_from(self, command: Command, response: Response) -> Response:
        """Return the response to a command of which ``add_to`` has changed the keys."""
        remove = _RESPONSES.get(type(command))
        return response if remove is None or response.code is not None else remove(self, command, response)

    def remove_from_outcome(self, command: Command, outcome: object) -> object:
        """Do the same for an outcome: a response, a bare payload, or an exception."""
        if type(command) not in _RESPONSES or isinstance(outcome, Exception):
            return outcome
        if isinstance(outcome, Response):
            return self.remove_from(command, outcome)
        return self.remove_from(command, Response(outcome)).payload


# Keys in commands: the fields that hold them have the same names in all of them.


def _entries(prefix: bytes, entries: Iterable[Any]) -> list[Any]:
    """Add the prefix to the keys of operations or checks: tuples of what to do, the key, and a value or none."""
    return [(kind, prefix + key, *value) for kind, key, *value in entries]


def _prefixed_end(prefix: bytes, end: bytes | None) -> bytes | None:
    """Add the prefix to an end of a range. An open one stays so: the prefix of the range limits it."""
    return None if end is None else prefix + end


def _prefixed_start(prefix: bytes, start: bytes | None) -> bytes:
    """Add the prefix to the start of a range, or to the range's own prefix; an open one becomes the prefix itself."""
    return prefix + (start or b"")


def _prefixed_stop(prefix: bytes, stop: bytes | None) -> bytes | None:
    """Add the prefix to the end of a range without a prefix; an open one becomes the key behind all keys with it."""
    return prefix_successor(prefix) if stop is None else prefix + stop


_Add: TypeAlias = Callable[[bytes, Any], Any]

KEY_FIELDS: Final[Mapping[str, _Add]] = {
    "key": add,
    "keys": lambda prefix, keys: [prefix + key for key in keys],
    "ops": _entries,
    "checks": _entries,
    "start": _prefixed_end,
    "stop": _prefixed_end,
    "prefix": _prefixed_start,
    "ranges": lambda prefix, ranges: [
        (_prefixed_start(prefix, start), _prefixed_stop(prefix, stop)) for start, stop in ranges
    ],
}
"""Names of the fields that hold keys, in every command -> what adds the prefix."""

_WITHOUT_PREFIX: Final[Mapping[str, _Add]] = {**KEY_FIELDS, "start": _prefixed_start, "stop": _prefixed_stop}
"""The same for a command with a range that has no prefix."""


@cache
def _key_fields(kind: type[Command]) -> tuple[Callable[..., Any], Sequence[str], Sequence[tuple[int, _Add]]]:
    """Return what makes a command of its fields, their names, and the places of those that hold keys with what to add.

    This is several times as quick as ``evolve``, which asks for the fields at each call.
    """
    names = [each.name for each in fields(kind)]
    table = KEY_FIELDS if "prefix" in names else _WITHOUT_PREFIX
    return getattr(kind, "make", kind), names, [(at, table[name]) for at, name in enumerate(names) if name in table]


def _prefixed_range(translation: Prefix, command: Range) -> Range:
    prefix = translation.prefix
    start, stop = _prefixed_end(prefix, command.start), _prefixed_end(prefix, command.stop)
    return evolve(command, start=start, stop=stop, prefix=_prefixed_start(prefix, command.prefix))


def _prefixed_slice(translation: Prefix, command: Slice) -> Slice:
    """Request the keys in any case: a slice may leave the prefix at either end, and those rows are removed.

    One without a start begins with the prefix, or if it is reverse, before the first key after those with the prefix.
    """
    prefix = translation.prefix
    if command.start is not None:
        return evolve(command, include_key=True, start=prefix + command.start)
    start = prefix_successor(prefix) if command.reverse else prefix
    return evolve(command, include_key=True, start=start, exclusive=command.reverse)


_TRANSLATIONS: Final[Mapping[type, Callable[[Prefix, Any], Any]]] = {
    Pipeline: lambda translation, pipeline: Pipeline(list(map(translation.add_to, pipeline.commands))),
    Range: _prefixed_range,
    Slice: _prefixed_slice,
}
"""Commands that take more than a prefix before the keys in their fields, or are not made of these in their order."""


# Keys in responses


def _pipeline_outcomes(translation: Prefix, pipeline: Pipeline, response: Response) -> Response:
    pairs = zip(pipeline.commands, response.payload, strict=True)
    return evolve(response, payload=[translation.remove_from_outcome(command, outcome) for command, outcome in pairs])


def _deleted_chunk(translation: Prefix, _: DeleteRange, response: Response) -> Response:
    count, *last = response.payload
    return evolve(response, payload=[count, *_strip(translation.prefix, last, False)])


def _range_rows(translation: Prefix, command: Range, response: Response) -> Response:
    if not command.include_key:
        return response
    return evolve(response, payload=_strip(translation.prefix, response.payload, command.include_value))


def _slice_rows(translation: Prefix, command: Slice, response: Response) -> Response:
    prefix, rows = translation.prefix, response.payload
    if isinstance(rows, LazyPage) and not rows.last_key.startswith(prefix):
        rows = rows.decode_bytes()
    if isinstance(rows, LazyPage):
        return evolve(response, payload=_strip_page(prefix, rows))
    inside = [row for row in rows if (row[0] if command.include_value else row).startswith(prefix)]
    payload = _strip(prefix, inside, command.include_value)
    if not command.include_key:
        payload = [row[1] for row in inside] if command.include_value else [None] * len(inside)
    return evolve(response, payload=payload, more=response.more and len(inside) == len(rows))


def _strip(prefix: bytes, rows: Any, include_value: bool) -> Any:
    if isinstance(rows, LazyPage):
        return _strip_page(prefix, rows)
    size = len(prefix)
    return [[key[size:], value] for key, value in rows] if include_value else [key[size:] for key in rows]


def _strip_page(prefix: bytes, page: LazyPage) -> LazyPage:
    """Return a page of pairs whose keys lose the prefix when they are decoded."""

    def decode_bytes() -> list[list[bytes]]:
        return _cut(page.decode_bytes(), len(prefix))

    def decode_str() -> list[list[str]]:
        try:
            return _cut(page.decode_str(), len(prefix.decode()))
        except UnicodeDecodeError:  # it ends within a character, which the rest of a key may complete
            pairs = decode_bytes()
            return [[key.decode("utf-8", "surrogateescape"), v.decode("utf-8", "surrogateescape")] for key, v in pairs]

    return LazyPage(page.count, page.last_key[len(prefix) :], page.nbytes, decode_bytes, decode_str)


def _cut(pairs: list[Any], size: int) -> list[Any]:
    for pair in pairs:
        pair[0] = pair[0][size:]
    return pairs


_Remove: TypeAlias = Callable[[Prefix, Any, Response], Response]

_RESPONSES: Final[Mapping[type, _Remove]] = {
    Pipeline: _pipeline_outcomes,
    Range: _range_rows,
    Slice: _slice_rows,
    DeleteRange: _deleted_chunk,
}
"""Commands whose responses hold keys -> what removes the prefix."""
