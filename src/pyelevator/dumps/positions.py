"""Positions: how far a load has come, in small files, so that an interrupted one goes on from there."""

import json
import re
from pathlib import Path
from typing import Final

from attrs import asdict, evolve, frozen

from pyelevator.dumps.records import DumpError
from pyelevator.paths import replacing_file

_SUFFIX: Final = ".loading"


@frozen
class Position:
    """A point in a database of a dump, up to which it has been loaded and has reached the server's disk.

    Attributes:
        dump: the id of the dump.
        database: its name in the dump.
        uid: of the database that it is loaded into.
        prefix: of the keys that are loaded, in hexadecimal digits.
        pairs: how many of its pairs are there.
        checksum: of the dump up to there.
    """

    dump: str
    database: str
    uid: str
    prefix: str
    pairs: int
    checksum: int


class PositionFiles:
    """The files that keep the positions of one dump, one for each database that it is loaded into.

    Args:
        directory: that they are in.
        name: what their names begin with: that of the dump's file.
    """

    def __init__(self, directory: Path, name: str) -> None:
        self._directory, self._name = directory, name
        self._written: set[Path] = set()

    def path(self, uid: str) -> Path:
        """Return the path of the file for a database."""
        return self._directory / f"{self._name}.{re.sub('[^0-9A-Za-z]', '', uid)[:12]}{_SUFFIX}"

    def read(self, start: Position) -> Position | None:
        """Return how far a load has come; None if it was not begun, or is of another dump or other keys.

        Args:
            start: the beginning of the same load, which a position has to fit.

        Raises:
            DumpError: the file is damaged.
        """
        path = self.path(start.uid)
        try:
            position = Position(**json.loads(path.read_bytes()))
            is_same = evolve(start, pairs=int(position.pairs), checksum=position.checksum) == position
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            raise DumpError(f"{path} is damaged; remove it to load the dump from its beginning") from error
        self._written.add(path)
        return position if is_same else None

    def write(self, position: Position) -> None:
        """Record a position: afterwards the file has either the old one or this one, whatever happens."""
        path = self.path(position.uid)
        with replacing_file(path) as file:
            file.write(json.dumps(asdict(position)).encode("ascii"))
        self._written.add(path)

    def remove(self) -> None:
        """Remove the files, when all is loaded."""
        for path in self._written:
            path.unlink(missing_ok=True)
