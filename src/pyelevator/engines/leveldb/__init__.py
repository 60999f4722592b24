"""LevelDB: its engine and storage on plyvel or plyvel-next, and what keeps its directories safe."""

from pyelevator.engines.leveldb.engine import LevelDbEngine
from pyelevator.engines.leveldb.storage import LevelDbStorage

__all__ = ["LevelDbEngine", "LevelDbStorage"]
