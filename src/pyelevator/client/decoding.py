"""Decoding: keys and values as str, or left as bytes."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Generic

from attrs import frozen

from pyelevator.errors import CheckFailed, ElevatorError, KeyNotFound, UsageError
from pyelevator.messages import LazyPage

if TYPE_CHECKING:
    from typing_extensions import TypeVar  # of type checkers; Python's own takes no default before 3.13

    T = TypeVar("T", str, bytes, default=str)
else:
    from typing import TypeVar

    T = TypeVar("T", str, bytes)


@frozen
class ResultDecoder(Generic[T]):
    """Decodes keys and values as str, or leaves them bytes.

    Attributes:
        value: one key or value.
        values: a list of them, None for a missing one.
        pairs: ``[[key, value], ...]``, or a page that is still packed.
    """

    value: Callable[[bytes], T]
    values: Callable[[list[bytes | None]], list[T | None]]
    pairs: Callable[[list[list[bytes]] | LazyPage], list[list[T]]]

    def decode_keys_of(self, error: ElevatorError) -> None:
        """Decode the keys of an error as the caller sees keys."""
        if isinstance(error, KeyNotFound) and isinstance(error.key, bytes):
            error.key = self.value(error.key)
        elif isinstance(error, CheckFailed):
            error.keys = tuple([self.value(key) if isinstance(key, bytes) else key for key in error.keys])  # type: ignore[assignment]


def _decode(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _decode_values(values: list[bytes | None]) -> list[str | None]:
    return [None if value is None else value.decode("utf-8", "surrogateescape") for value in values]


def _decode_pairs(pairs: list[list[bytes]] | LazyPage) -> list[list[str]]:
    if isinstance(pairs, LazyPage):
        return pairs.decode_str()
    return [[key.decode("utf-8", "surrogateescape"), value.decode("utf-8", "surrogateescape")] for key, value in pairs]


def same(data: Any) -> Any:
    """Return what needs no decoding."""
    return data


UTF8: Final[ResultDecoder[str]] = ResultDecoder(_decode, _decode_values, _decode_pairs)
BYTES: Final[ResultDecoder[bytes]] = ResultDecoder(
    same, same, lambda pairs: pairs.decode_bytes() if isinstance(pairs, LazyPage) else pairs
)


def decoder_for(encoding: str | None) -> ResultDecoder[Any]:
    """Return the decoder for an ``encoding`` argument, which is UTF-8 or None."""
    if encoding is None:
        return BYTES
    if isinstance(encoding, str) and encoding.lower().replace("-", "").replace("_", "") == "utf8":
        return UTF8
    raise UsageError(f"encoding must be 'utf-8', or None for bytes, not {encoding!r}")
