"""The names of LevelDB's files."""

import enum
import errno
import os
import re
from collections.abc import Iterator, Mapping
from typing import Final

from attrs import frozen


class FileKind(enum.Enum):
    """The kinds of files that LevelDB distinguishes by their names."""

    CURRENT = "CURRENT"
    LOCK = "LOCK"
    INFO_LOG = "LOG"
    MANIFEST = "MANIFEST"
    TABLE = "table"
    LOG = "log"
    TEMPORARY = "temporary"


_FIXED: Final[Mapping[str, FileKind]] = {
    "CURRENT": FileKind.CURRENT,
    "LOCK": FileKind.LOCK,
    "LOG": FileKind.INFO_LOG,
    "LOG.old": FileKind.INFO_LOG,
}
_SUFFIXES: Final[Mapping[str, FileKind]] = {
    "log": FileKind.LOG,
    "sst": FileKind.TABLE,
    "ldb": FileKind.TABLE,
    "dbtmp": FileKind.TEMPORARY,
}
_NUMBERED: Final = re.compile(r"(MANIFEST-)?([0-9]+)(?:\.(log|sst|ldb|dbtmp))?")
_MAX_NUMBER: Final = (1 << 64) - 1


@frozen
class FileName:
    """A name that LevelDB takes for one of its own.

    Attributes:
        name: as it is in the directory.
        kind: of the file.
        number: the number in it; 0 without one.
        canonical: True if LevelDB itself would have written it so, with six digits or as many as it needs.
    """

    name: str
    kind: FileKind
    number: int = 0
    canonical: bool = True


def parse_file_name(name: str) -> FileName | None:
    """Return what LevelDB takes the file for; None for a name that it ignores.

    >>> parse_file_name("000012.ldb")
    FileName(name='000012.ldb', kind=<FileKind.TABLE: 'table'>, number=12, canonical=True)
    >>> parse_file_name("7.log").canonical
    False
    >>> parse_file_name("notes.txt")
    """
    if name in _FIXED:
        return FileName(name, _FIXED[name])
    match = _NUMBERED.fullmatch(name)
    if match is None or (match[1] is None) == (match[3] is None):
        return None
    number = int(match[2])
    if number > _MAX_NUMBER:
        return None
    return FileName(name, _SUFFIXES.get(match[3], FileKind.MANIFEST), number, match[2] == f"{number:06}")


def list_files(directory: str) -> Iterator[FileName]:
    """Return the files of a directory that LevelDB takes for its own."""
    return filter(None, map(parse_file_name, os.listdir(directory)))  # noqa: PTH208 - names are all that is needed


def missing_file(path: str) -> FileNotFoundError:
    """Return the error for a file that is missing."""
    return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
