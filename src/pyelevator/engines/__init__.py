"""Engines: ordered bytes keys, in memory or in LevelDB, behind one seam."""
