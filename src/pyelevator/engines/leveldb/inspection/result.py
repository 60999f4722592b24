"""The result of an inspection."""

from collections.abc import Mapping

from attrs import field, frozen

from pyelevator.engines.leveldb.format.file_names import FileKind, FileName
from pyelevator.engines.leveldb.format.manifest import Manifest
from pyelevator.engines.leveldb.format.tables import SNAPPY


@frozen
class Inspection:
    """The contents of a directory. The texts are ready for an error that begins with the path.

    Attributes:
        path: of the directory.
        files: those that LevelDB takes for its own, in the order of their names.
        foreign: why these are not files for this LevelDB, although they may be sound; None if they may be.
        damage: why the database cannot be opened as it is: CURRENT or the manifest is missing or damaged; None if it
            can be opened.
        hidden: which damaged records of a log LevelDB would silently skip; None if there are none.
        incomplete: which files the manifest names that do not exist, or which table it is too old to name; None if the
            files match it.
        lookalikes: names that LevelDB would take for its own and delete, although they are not LevelDB's.
        manifest: the contents of the current manifest; None if it cannot be read.
        block_types: the types of blocks seen in its tables, each with its count: 0 is no compression, 1 Snappy.
        is_leveldb: True if something in the directory is certainly LevelDB's: a manifest, a table, or a log.
    """

    path: str
    files: tuple[FileName, ...] = ()
    foreign: str | None = None
    damage: str | None = None
    hidden: str | None = None
    incomplete: str | None = None
    lookalikes: tuple[str, ...] = ()
    manifest: Manifest | None = None
    block_types: Mapping[int, int] = field(factory=dict)
    is_leveldb: bool = False

    @property
    def is_valid(self) -> bool:
        """True if CURRENT names a manifest that can be read."""
        return self.manifest is not None and self.damage is None

    @property
    def missing_tables(self) -> set[int]:
        """The numbers of tables that the manifest names and that do not exist."""
        named = self.manifest.tables if self.manifest else set()
        return named - {file.number for file in self.files if file.kind is FileKind.TABLE}

    @property
    def compression(self) -> str | None:
        """The compression that its own tables show: "snappy", or None for none (also without tables)."""
        return "snappy" if SNAPPY in self.block_types else None
