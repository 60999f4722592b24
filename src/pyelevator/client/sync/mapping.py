"""ElevatorMapping: a database as Python's dict-like MutableMapping."""

from collections.abc import ItemsView, Iterable, Iterator, Mapping, MutableMapping, ValuesView
from typing import Any, overload

from pyelevator.arguments.batches import PRESENT
from pyelevator.arguments.data import Data
from pyelevator.client.decoding import T
from pyelevator.client.options import UNSET
from pyelevator.client.sync.client import SyncClient
from pyelevator.codec.base import UnsupportedByDialect
from pyelevator.errors import CheckFailed, KeyNotFound


def missing_key(error: CheckFailed) -> KeyNotFound:
    """Return the KeyError for a deletion whose check that the key is there has failed."""
    missing = KeyNotFound("Key not found")
    missing.key = error.keys[0] if error.keys else None
    return missing


def pairs_of(other: Mapping[Any, Any] | Iterable[Any], values: Mapping[str, Data]) -> Iterator[Any]:
    """Return the pairs that ``update`` of a mapping is called with."""
    yield from other.items() if isinstance(other, Mapping) else other
    yield from values.items()


class ElevatorMapping(MutableMapping[T, T]):
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

    def __init__(self, client: SyncClient[T]) -> None:
        self._client: Any = client

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._client!r}>"

    def __getitem__(self, key: Data) -> T:
        value: T = self._client.Get(key)
        return value

    def __setitem__(self, key: Data, value: Data) -> None:
        self._client.Put(key, value)

    def __delitem__(self, key: Data) -> None:
        batch = self._client.WriteBatch(timeout=self._client.timeout)
        batch.Check(key, PRESENT)
        batch.Delete(key)
        try:
            batch.Write()
        except CheckFailed as error:
            raise missing_key(error) from None
        finally:
            batch.Clear()

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
        """Return the value of ``key``, or ``default`` if it is missing."""
        return self._client.Get(key, default)

    def setdefault(self, key: Data, default: Data = "") -> T:
        """Return the value of ``key``; if it is missing, set it to ``default`` first. No other write comes between."""
        while True:
            self._client.PutIfAbsent(key, default)
            value = self._client.Get(key, UNSET)
            if value is not UNSET:
                return value  # type: ignore[no-any-return]

    @overload
    def pop(self, key: Data) -> T: ...

    @overload
    def pop(self, key: Data, default: Any) -> Any: ...

    def pop(self, key: Data, default: Any = UNSET) -> Any:
        """Remove ``key`` and return its value, in one step; ``default``, or KeyError, if it is missing."""
        try:
            return self._client.GetAndDelete(key)
        except KeyNotFound:
            if default is UNSET:
                raise
            return default

    def popitem(self) -> tuple[T, T]:
        """Remove the first key, and return it with its value.

        Raises:
            KeyError: there is no key.
        """
        while keys := self._client.Slice(None, 1, include_value=False):
            value = self.pop(keys[0], None)
            if value is not None:  # else another client has removed it meanwhile
                return keys[0], value
        raise KeyError("the mapping is empty")

    def update(  # type: ignore[override]  # it takes more types
        self, other: Mapping[Any, Any] | Iterable[Any] = (), /, **values: Data
    ) -> None:
        """Set many values, in one batch: all of them or none.

        Args:
            other: a mapping, or an iterable of pairs.
            values: further keys and values.
        """
        with self._client.WriteBatch(timeout=self._client.timeout) as batch:
            for key, value in pairs_of(other, values):
                batch.Put(key, value)

    def clear(self) -> None:
        """Delete every key, in chunks."""
        self._client.DeleteRange()

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
