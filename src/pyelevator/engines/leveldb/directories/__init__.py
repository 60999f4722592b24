"""Directories of LevelDBs: their lock, handles of open ones, and what may be done to their files."""
