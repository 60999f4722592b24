"""Walk: from wanted key to wanted key over ordered pairs, by steps or by jumps."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

_STEPS: Final = 4
"""Steps that cost about as much as one jump."""

_PROBE: Final = 16
"""Of so many jumps in a row, the last is tried as steps first."""


class Walk:
    """Finds keys in an iterator over pairs in key order that can ``seek`` forward to a key.

    Steps are for keys that follow one another closely, jumps for others. Which they are is told by the last ones:
    while a few steps reach the next key it goes on so, and after steps in vain it jumps, and tries steps now and then.

    Args:
        pairs: the iterator; ``seek(key)`` lets it go on from the first pair at or behind ``key``.
    """

    def __init__(self, pairs: Any) -> None:
        self._pairs = pairs
        self._at: bytes | None = None  # None behind the last pair
        self._value: bytes | None = None
        self._jumps = 0

    def values(self, keys: Sequence[bytes]) -> Iterator[bytes | None]:
        """The values of ``keys``, which are in order and none twice; None where there is no such pair."""
        for key in keys[:1]:
            self._jump(key)
        for key in keys:
            if self._at is not None and self._at < key and (self._jumps or not self._stepped(key)):
                self._jump(key)
            yield self._value if self._at == key else None

    def _stepped(self, key: bytes) -> bool:
        for _ in range(_STEPS):
            self._at, self._value = next(self._pairs, _END)
            if self._at is None or self._at >= key:
                return True
        self._jumps = _PROBE
        return False

    def _jump(self, key: bytes) -> None:
        self._jumps = max(0, self._jumps - 1)
        self._pairs.seek(key)
        self._at, self._value = next(self._pairs, _END)


_END: Final = (None, None)
