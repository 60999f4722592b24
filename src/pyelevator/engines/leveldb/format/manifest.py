"""Manifests: which tables and logs a database consists of."""

from collections.abc import Mapping
from typing import Final

from attrs import define, field

from pyelevator.engines.leveldb.format import ForeignFormat, FormatError
from pyelevator.engines.leveldb.format.records import read_records
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


_NUMBERS: Final[Mapping[int, str]] = {
    2: "log_number",
    3: "next_file_number",
    4: "last_sequence",
    9: "previous_log_number",
}
_COMPARATOR, _COMPACT_POINTER, _DELETED_FILE, _NEW_FILE = 1, 5, 6, 7


def _apply(manifest: Manifest, edit: bytes) -> None:
    """Apply one version edit: tags, each with its values."""
    at, end = 0, len(edit)
    while at < end:
        tag, at = read_varint(edit, at)
        if tag in _NUMBERS:
            value, at = read_varint(edit, at)
            setattr(manifest, _NUMBERS[tag], value)
        elif tag == _NEW_FILE:
            at = _new_file(manifest, edit, at)
        elif tag == _DELETED_FILE:
            _, at = read_varint(edit, at)
            number, at = read_varint(edit, at)
            manifest.tables.discard(number)
        elif tag == _COMPARATOR:
            name, at = read_prefixed(edit, at)
            manifest.comparator = name.decode()
        elif tag == _COMPACT_POINTER:
            _, at = read_varint(edit, at)
            _, at = read_prefixed(edit, at)
        else:
            raise FormatError(f"an entry of kind {tag}")


def _new_file(manifest: Manifest, edit: bytes, at: int) -> int:
    _, at = read_varint(edit, at)
    number, at = read_varint(edit, at)
    _, at = read_varint(edit, at)
    _, at = read_prefixed(edit, at)
    _, at = read_prefixed(edit, at)
    manifest.tables.add(number)
    return at
