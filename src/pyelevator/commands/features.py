"""The features of servers: the names with which they say, in the answer to DBCONNECT, what they can do."""

from collections.abc import Mapping
from typing import Final

PAGED_RANGES: Final = "ranges"
"""The feature of a server that answers a RANGE in pages."""

FEATURES: Final = (
    "pyelevator/1",
    "id",
    "pages",
    "sync",
    "reverse",
    "cursors",
    PAGED_RANGES,
    "forget",
    "repair",
    "bin",
    "pipeline",
    "snapshots",
    "stats",
    "slowlog",
    "conditionalbatch",
    "increment",
    "getanddelete",
    "tasks",
    "count",
    "deleterange",
)
"""What a server of this version can do, in the order of its answers. ``Command.feature`` is one of these."""

REQUIRED_FEATURES: Final[Mapping[str, tuple[str, str]]] = {
    "sync": ("sync", "does not know sync=True"),
    "reverse": ("reverse", "does not count downwards; Range(..., reverse=True) up to a key is understood"),
    "cursor": ("cursors", "keeps no snapshots, so consistent=True cannot be had"),
}
"""A field of ``Command.meta_fields`` -> the feature that it takes, and what to say of a server that lacks it."""
