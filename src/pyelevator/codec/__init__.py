"""Codecs: messages to frames and back, one class per dialect, and the only owners of msgpack and lz4."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from pyelevator._lazy import lazy_names
from pyelevator.codec.base import Codec, Frames, Reply, UnsupportedByDialect
from pyelevator.codec.limits import Limits
from pyelevator.errors import ArgumentTypeError, UsageError

if TYPE_CHECKING:
    from pyelevator.codec.classic import ClassicCodec
    from pyelevator.codec.flat import FlatCodec


def _classic(limits: Limits | None = None) -> Codec:
    from pyelevator.codec.classic.fast_path import classic_codec  # each dialect is loaded with its first codec

    return classic_codec(limits)


def _flat(limits: Limits | None = None) -> Codec:
    from pyelevator.codec.flat import FlatCodec  # as above

    return FlatCodec(limits)


DIALECTS: Final[Mapping[str, Callable[..., Codec]]] = {"classic": _classic, "flat": _flat}
"""Dialect -> what makes a codec of it."""


_MAX_NAME_LENGTH: Final = 20


def name_of_unknown(dialect: object) -> str:
    """Return a dialect that does not exist as an error names it: only a short word, as anything else may be a secret.

    >>> name_of_unknown("rest"), name_of_unknown("tcp://ann:secret@db.example")
    ("'rest'", 'of that name')
    """
    is_word = isinstance(dialect, str) and dialect.isidentifier() and len(dialect) <= _MAX_NAME_LENGTH
    return repr(dialect) if is_word else "of that name"


def codec_for(dialect: str | Codec, limits: Limits | None = None) -> Codec:
    """Return a codec of the dialect; a codec, of any dialect, is its own.

    Args:
        dialect: ``classic``, ``flat``, or a codec.
        limits: what it takes from a peer; the default ones if None.

    Raises:
        UsageError: there is no such dialect, or a codec comes with limits, as it has its own.
    """
    if limits is not None and not isinstance(limits, Limits):
        raise ArgumentTypeError(f"limits must be Limits, not {type(limits).__name__}")
    if isinstance(dialect, Codec):
        if limits is not None:
            raise UsageError("limits= goes with the name of a dialect; a Codec has its own")
        return dialect
    if not isinstance(dialect, str) or dialect not in DIALECTS:
        raise UsageError(
            f"there is no dialect {name_of_unknown(dialect)}; choose one of {', '.join(DIALECTS)}, or give a Codec"
        )
    return DIALECTS[dialect](limits)


def dialect_of(frames: Frames) -> str:
    """Return the dialect of a request, by its first byte: an array is flat; the classic codec judges everything else.

    Args:
        frames: a message, which may hold anything.

    >>> dialect_of([b"\\x92\\xa0\\xa6DBLIST"])
    'flat'
    """
    return "flat" if len(frames) == 1 and frames[0][:1] in _ARRAY else "classic"


_ARRAY: Final = frozenset(bytes([first]) for first in (*range(0x90, 0xA0), 0xDC, 0xDD))
"""The first byte of each way to write an array."""


__all__ = [
    "DIALECTS",
    "ClassicCodec",
    "Codec",
    "FlatCodec",
    "Frames",
    "Limits",
    "Reply",
    "UnsupportedByDialect",
    "codec_for",
    "dialect_of",
]

_LAZY = {"classic": ("ClassicCodec",), "flat": ("FlatCodec",)}
"""Module -> the names in it that are loaded when they are first used."""

if not TYPE_CHECKING:
    __getattr__, _ = lazy_names(globals(), _LAZY)
