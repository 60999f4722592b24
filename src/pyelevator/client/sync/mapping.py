"""ElevatorMapping: a database as Python's dict-like MutableMapping."""

from collections.abc import ItemsView, Iterator, MutableMapping, ValuesView
from typing import Any, overload

from pyelevator.arguments.data import Data
from pyelevator.client.declaration import SyncMethods
from pyelevator.client.decoding import T
from pyelevator.client.mapping import MappingMethods
from pyelevator.client.options import UNSET
from pyelevator.codec.base import UnsupportedByDialect


class ElevatorMapping(SyncMethods, MappingMethods[T], MutableMapping[T, T]):  # type: ignore[misc]  # for other types
    """A database as a mapping: ``m["k"] = "v"``, ``"k" in m``, ``m.setdefault``, ``for key, value in m.items()``.

    Made by :meth:`Elevator.mapping <pyelevator.Elevator.mapping>`, for a database, a view or a snapshot. Keys come in
    order, page by page. ``setdefault``, ``pop``, ``popitem`` and ``del`` are atomic, ``update`` is one batch, written
    whole or not at all, ``clear`` deletes in chunks, and ``len`` counts on the server; ``list(m)`` asks for the length
    first. A missing key is a KeyError; the client's other errors are raised as they are.

    >>> from pyelevator import Elevator
    >>> with Elevator(transport="fake") as E:
    ...     m = E.mapping()
    ...     m["a"] = "1"
    ...     m.update(b="2", c="3")
    ...     m.pop("a"), m.setdefault("b", "x"), "a" in m, len(m), dict(m)
    ('1', '2', False, 2, {'b': '2', 'c': '3'})
    """

    def __getitem__(self, key: Data) -> T:
        value: T = self._client.Get(key)
        return value

    def __setitem__(self, key: Data, value: Data) -> None:
        self._client.Put(key, value)

    def __delitem__(self, key: Data) -> None:
        self._delete(key)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, Data) and bool(self._client.Exists(key))

    def __iter__(self) -> Iterator[T]:
        return iter(self._client.RangeIter(include_value=False))

    def __reversed__(self) -> Iterator[T]:
        return iter(self._client.RangeIter(include_value=False, reverse=True))

    def __len__(self) -> int:
        try:
            return int(self._client.Count())
        except UnsupportedByDialect:  # an old server
            return sum(1 for _ in self)

    def __bool__(self) -> bool:
        return bool(self._client.Slice(None, 1, include_value=False))

    def __ior__(self, other: Any) -> "ElevatorMapping[T]":
        self.update(other)
        return self

    @overload
    def get(self, key: Data, default: None = None) -> T | None: ...

    @overload
    def get(self, key: Data, default: Any) -> Any: ...

    def get(self, key: Data, default: Any = None) -> Any:
        """Return the value of ``key``.

        Args:
            key: to look up.
            default: returned if it is missing.
        """
        return self._client.Get(key, default)

    @overload
    def pop(self, key: Data) -> T: ...

    @overload
    def pop(self, key: Data, default: Any) -> Any: ...

    def pop(self, key: Data, default: Any = UNSET) -> Any:
        """Remove ``key`` and return its value, in one step.

        Args:
            key: to remove.
            default: returned if it is missing; without it, that is a KeyError.
        """
        return self._pop(key, default)

    def items(self) -> ItemsView[T, T]:
        """Return a view of the pairs, which are fetched page by page."""
        return _Items(self)

    def values(self) -> ValuesView[T]:
        """Return a view of the values, which are fetched page by page."""
        return _Values(self)


class _Items(ItemsView[T, T]):
    _mapping: ElevatorMapping[T]

    def __iter__(self) -> Iterator[tuple[T, T]]:
        return map(tuple, self._mapping._client.RangeIter())

    def __reversed__(self) -> Iterator[tuple[T, T]]:
        return map(tuple, self._mapping._client.RangeIter(reverse=True))


class _Values(ValuesView[T]):
    _mapping: ElevatorMapping[T]

    def __iter__(self) -> Iterator[T]:
        return iter(self._mapping._client.RangeIter(include_key=False))

    def __reversed__(self) -> Iterator[T]:
        return iter(self._mapping._client.RangeIter(include_key=False, reverse=True))

    def __contains__(self, value: object) -> bool:
        return any(found == value for found in self)
