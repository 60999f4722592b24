"""The files of a LevelDB directory as bytes: names, log records, manifests and tables.

These modules only read, and they need no library. So a directory can be judged before LevelDB opens it, which rotates
its LOG, rewrites its logs and deletes what it considers obsolete.
"""


class FormatError(ValueError):
    """The bytes are not LevelDB's: damaged, truncated, or another program's."""


class ForeignFormat(FormatError):
    """The bytes are sound, and another program's."""
