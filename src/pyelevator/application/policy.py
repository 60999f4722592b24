"""Policy: what an application is told of its work, beside the databases themselves."""

from attrs import frozen

from pyelevator.engines.row_cache import ROW_CACHE_BYTES


@frozen
class Policy:
    """What holds for every request and every database of an application.

    Attributes:
        sync: every write survives a crash of the machine before it is answered, not only those that ask for it.
        max_batch: operations in one batch.
        max_range: items in one answer to RANGE, SLICE or MGET.
        max_range_bytes: bytes of keys and values in one such answer, about; a single item may be larger.
        max_open: databases that are open at once; the one unused for longest makes room.
        idle_unmount: seconds after which an unused database is closed; None for never.
        idle_unmount_adopted: the same for a database that was there before this server, so that the program that made
            it can open it again.
        max_cursors: snapshots that are kept for clients that iterate with ``consistent=True``.
        cursor_idle: seconds that one is kept between two requests.
        cursor_age: seconds that one is kept altogether.
        row_cache: bytes of pairs that an open database on LevelDB keeps in memory of what was read with
            ``fill_cache=True``, about; 0 for none.
    """

    sync: bool = False
    max_batch: int = 1_000_000
    max_range: int = 1_000_000
    max_range_bytes: int = 100 << 20
    max_open: int = 256
    idle_unmount: float | None = None
    idle_unmount_adopted: float | None = 60.0
    max_cursors: int = 256
    cursor_idle: float = 60.0
    cursor_age: float = 3600.0
    row_cache: int = ROW_CACHE_BYTES
