"""The policy of an application: its limits and rules."""

from attrs import frozen

from pyelevator.engines.options import WRITE_BUFFERS_BYTES
from pyelevator.engines.row_cache import ROW_CACHE_BYTES


@frozen
class Policy:
    """The limits and rules for every request and every database of an application.

    Attributes:
        sync: every write survives a crash of the machine before it is answered, not only those that ask for it.
        max_batch: operations in one batch.
        max_range: items in one answer to RANGE, SLICE or MGET.
        max_range_bytes: about how many bytes of keys and values one such answer may have; a single item may be larger.
        max_open: databases that are open at once; the least recently used one is closed to make room.
        idle_unmount: seconds after which an unused database is closed; None for never.
        idle_unmount_adopted: the same for a database that existed before this server, so that the program that created
            it can open it again.
        max_cursors: snapshots that are kept for clients that iterate with ``consistent=True``.
        cursor_idle: seconds that a cursor is kept between two requests.
        cursor_age: seconds that a cursor is kept at most.
        row_cache: about how many bytes of pairs an open LevelDB keeps in memory after they were read with
            ``fill_cache=True``; 0 for none.
        write_buffers: about how many bytes the write buffers of all open LevelDBs may take together.
        slow: seconds from which on a request is kept in the slow log; None for never.
        slow_entries: requests that the slow log keeps, the latest ones.
        slow_keys: the slow log shows the beginning of the first key of each request.
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
    write_buffers: int = WRITE_BUFFERS_BYTES
    slow: float | None = 0.1
    slow_entries: int = 128
    slow_keys: bool = False
