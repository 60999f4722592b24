"""Inspection of a directory before LevelDB opens it.

It may hold a sound LevelDB, a damaged one, an incomplete copy, another program's database, or files that only have
LevelDB's names. Nothing is written and nothing is locked.
"""

from pyelevator.engines.leveldb.inspection.inspector import Inspection, inspect

__all__ = ["Inspection", "inspect"]
