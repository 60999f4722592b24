"""Mappings: what those of the sync and the async client have in common."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Generic

from pyelevator.arguments.batches import PRESENT
from pyelevator.arguments.data import Data
from pyelevator.client.declaration import Steps, shared_steps
from pyelevator.client.decoding import T
from pyelevator.client.options import UNSET, Unset
from pyelevator.errors import CheckFailed, KeyNotFound

Pairs = Mapping[Any, Any] | Iterable[Any]


class MappingMethods(Generic[T]):
    """The methods of a mapping that take several calls of its client."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._client!r}>"

    @shared_steps
    def _delete(self, key: Data) -> Steps[None]:
        batch = self._client.WriteBatch(timeout=self._client.timeout)
        batch.Check(key, PRESENT)
        batch.Delete(key)
        try:
            yield batch.Write()
        except CheckFailed as error:
            missing = KeyNotFound("Key not found")
            missing.key = error.keys[0] if error.keys else None
            raise missing from None
        finally:
            batch.Clear()

    @shared_steps
    def setdefault(self, key: Data, default: Data = "") -> Steps[T]:
        """Return the value of ``key``; if it is missing, set it to ``default`` first. No other write comes between.

        Args:
            key: to look up.
            default: its value from then on, if it is missing.
        """
        while True:
            yield self._client.PutIfAbsent(key, default)
            value: T | Unset = yield self._client.Get(key, UNSET)
            if not isinstance(value, Unset):
                return value

    @shared_steps
    def _pop(self, key: Data, default: object = UNSET) -> Steps[Any]:
        try:
            return (yield self._client.GetAndDelete(key))
        except KeyNotFound:
            if default is UNSET:
                raise
            return default

    @shared_steps
    def popitem(self) -> Steps[tuple[T, T]]:
        """Remove the first key, and return it with its value.

        Raises:
            KeyError: there is no key.
        """
        while keys := (yield self._client.Slice(None, 1, include_value=False)):
            value = yield self._pop(keys[0], None)
            if value is not None:  # else another client has removed it meanwhile
                return keys[0], value
        raise KeyError("the mapping is empty")

    @shared_steps
    def update(self, other: Pairs = (), /, **values: Data) -> Steps[None]:
        """Set many values, in one batch: all of them or none.

        Args:
            other: a mapping, or an iterable of pairs.
            values: further keys and values.
        """
        batch = self._client.WriteBatch(timeout=self._client.timeout)
        try:
            for key, value in _pairs(other, values):
                batch.Put(key, value)
            yield batch.Write()
        finally:
            batch.Clear()

    @shared_steps
    def clear(self) -> Steps[None]:
        """Delete every key, in chunks."""
        yield self._client.DeleteRange()


def _pairs(other: Pairs, values: Mapping[str, Data]) -> Iterator[Any]:
    """Return the pairs that ``update`` of a mapping is called with."""
    yield from other.items() if isinstance(other, Mapping) else other
    yield from values.items()
