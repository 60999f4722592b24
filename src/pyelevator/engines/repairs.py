"""How a LevelDB is repaired so that nothing wrong comes back.

LevelDB's own repair does not look at the checksums of a log, and takes over what a machine that was killed has left of
its end; opening a database does look at them. So the logs are kept aside while the tables are repaired, and are read by
an opening then.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

KEPT: Final = "repair"
"""The directory of the logs meanwhile; while it is there the database is not whole."""

LOST: Final = "lost"
"""Where LevelDB's repair leaves what it has read, and what it could not."""


def unfinished(path: str) -> bool:
    """Whether a repair was interrupted, so that the logs are still aside."""
    return Path(path, KEPT).is_dir()


def repair(path: str, repair_tables: Callable[[], None], read_logs: Callable[[], None]) -> None:
    """Repairs the tables, and then the logs. If it is interrupted, the next call begins anew.

    Args:
        path: of the database.
        repair_tables: LevelDB's repair of the directory.
        read_logs: opens the database and closes it.
    """
    kept, lost = Path(path, KEPT), Path(path, LOST)
    kept.mkdir(exist_ok=True)
    _move(Path(path), kept)
    repair_tables()
    for log in kept.glob("*.log"):
        shutil.copyfile(log, Path(path, log.name))
    read_logs()
    lost.mkdir(exist_ok=True)
    _move(kept, lost)
    kept.rmdir()


def _move(source: Path, target: Path) -> None:
    for log in source.glob("*.log"):
        log.replace(target / log.name)
