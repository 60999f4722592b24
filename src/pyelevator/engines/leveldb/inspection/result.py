"""The result of an inspection."""

from collections.abc import Mapping

from attrs import field, frozen

from pyelevator.engines.leveldb.format.file_names import FileKind, FileName
from pyelevator.engines.leveldb.format.manifest import Manifest
from pyelevator.engines.leveldb.format.tables import SNAPPY


@frozen
class Inspection:
    """What a directory is. The texts are ready for an error that begins with the path.

    Attributes:
        path: of the directory.
        files: what LevelDB would take for its own, in the order of their names.
        foreign: why these are not files for this LevelDB, though they may be sound; None if they may be.
        damage: why it cannot be opened as it is: CURRENT or the manifest is missing or damaged; None if it can.
        hidden: which records of a log LevelDB would pass over without a word, as it is damaged; None if none.
        incomplete: which files the manifest counts on that are not there, or which table it is too old to name; None if
            it fits.
        strangers: names that LevelDB would take for its own and delete, and that are not.
        manifest: what the current manifest says; None if it cannot be read.
        block_types: the types of blocks seen in its tables, each with how often: 0 is no compression, 1 Snappy.
        proven: whether something in the directory is certainly LevelDB's: a manifest, a table, or a log.
    """

    path: str
    files: tuple[FileName, ...] = ()
    foreign: str | None = None
    damage: str | None = None
    hidden: str | None = None
    incomplete: str | None = None
    strangers: tuple[str, ...] = ()
    manifest: Manifest | None = None
    block_types: Mapping[int, int] = field(factory=dict)
    proven: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether LevelDB would find nothing here, and begin a new database."""
        return not self.files

    @property
    def is_valid(self) -> bool:
        """Whether CURRENT names a manifest that can be read."""
        return self.manifest is not None and self.damage is None

    @property
    def missing_tables(self) -> set[int]:
        """The numbers of tables that the manifest counts on and that are not there."""
        named = self.manifest.tables if self.manifest else set()
        return named - {file.number for file in self.files if file.kind is FileKind.TABLE}

    @property
    def compression(self) -> str | None:
        """The compression that its own tables show: "snappy", or None for none (also where there are no tables)."""
        return "snappy" if SNAPPY in self.block_types else None
