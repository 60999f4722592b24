"""Manifests: which tables and logs a database consists of."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from attrs import define, field

from pyelevator.engines.leveldb.format import ForeignFormat, FormatError
from pyelevator.engines.leveldb.format.log_records import read_records
from pyelevator.engines.leveldb.format.varints import read_prefixed, read_varint

BYTEWISE: Final = "leveldb.BytewiseComparator"


@define
class Manifest:
    """The contents of a manifest.

    Attributes:
        comparator: the name of the order of the keys; empty if it names none.
        log_number: the oldest log whose records are not in tables; 0 for all logs.
        previous_log_number: one older log that is needed as well; 0 for none.
        next_file_number: numbers from this one on were not used when it was written.
        last_sequence: the sequence number of the last write at that time.
        tables: the numbers of the tables.
    """

    comparator: str = ""
    log_number: int = 0
    previous_log_number: int = 0
    next_file_number: int = 0
    last_sequence: int = 0
    tables: set[int] = field(factory=set)

    def needs_log(self, number: int) -> bool:
        """Return True if the records of the log of that number are not all in tables."""
        return number >= self.log_number or number == self.previous_log_number


def read_manifest(data: bytes) -> Manifest:
    """Read a manifest.

    Raises:
        ForeignFormat: it has a sound record that LevelDB would not write.
        FormatError: it is damaged, or not a manifest.
    """
    manifest = Manifest()
    empty = True
    for record in read_records(data):
        empty = False
        try:
            _apply(manifest, record.payload)
        except FormatError as error:
            raise (ForeignFormat if record.is_sound() else FormatError)(str(error)) from None
        except (IndexError, UnicodeDecodeError):
            raise FormatError("a record that ends early") from None
        if manifest.comparator not in ("", BYTEWISE) and not record.is_sound():
            raise FormatError("a record with a wrong checksum")
    if empty:
        raise FormatError("no record")
    return manifest


_Reader: TypeAlias = Callable[[bytes, int], tuple[int | bytes, int]]

_NUMBERS: Final[Mapping[int, str]] = {
    2: "log_number",
    3: "next_file_number",
    4: "last_sequence",
    9: "previous_log_number",
}
_COMPARATOR, _COMPACT_POINTER, _DELETED_FILE, _NEW_FILE = 1, 5, 6, 7
_VALUES: Final[Mapping[int, Sequence[_Reader]]] = {
    **dict.fromkeys(_NUMBERS, (read_varint,)),
    _COMPARATOR: (read_prefixed,),
    _COMPACT_POINTER: (read_varint, read_prefixed),
    _DELETED_FILE: (read_varint, read_varint),
    _NEW_FILE: (read_varint, read_varint, read_varint, read_prefixed, read_prefixed),
}
"""Tag -> what reads its values."""


def _apply(manifest: Manifest, edit: bytes) -> None:
    """Apply one version edit: tags, each with its values."""
    at = 0
    while at < len(edit):
        tag, at = read_varint(edit, at)
        if tag not in _VALUES:
            raise FormatError(f"an entry of kind {tag}")
        values: list[Any] = []
        for read in _VALUES[tag]:
            value, at = read(edit, at)
            values.append(value)
        if tag in _NUMBERS:
            setattr(manifest, _NUMBERS[tag], values[0])
        elif tag == _NEW_FILE:
            manifest.tables.add(values[1])
        elif tag == _DELETED_FILE:
            manifest.tables.discard(values[1])
        elif tag == _COMPARATOR:
            manifest.comparator = values[0].decode()
