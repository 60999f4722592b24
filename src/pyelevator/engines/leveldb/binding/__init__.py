"""The binding to LevelDB's library: which one is loaded, reads by its objects, its errors and its properties."""
