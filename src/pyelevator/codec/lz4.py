"""Compressed content frames: a 4-byte little-endian size, then one raw LZ4 block (docs/protocol.md)."""

from functools import cache
from typing import Any

from pyelevator.codec.limits import Limits
from pyelevator.errors import LimitExceeded, MalformedMessage, MissingExtra


@cache
def _block() -> Any:
    """Load the library when it is first asked for; None where it is missing."""
    try:
        import lz4.block
    except ImportError:
        return None
    return lz4.block


# An LZ4 block cannot grow by more than this, so a larger claim is a lie (and would cost memory to find out).
_MAX_RATIO = 255


def available() -> bool:
    """Return whether the extra ``lz4`` is installed."""
    return _block() is not None


def require() -> None:
    """Raise MissingExtra if the extra ``lz4`` is not installed."""
    if not available():
        raise MissingExtra("compression=True needs lz4; install it with: pip install 'pyelevator[lz4]'")


def compress(content: bytes) -> bytes:
    """Compress a frame."""
    require()
    block: bytes = _block().compress(content, store_size=False)
    return len(content).to_bytes(4, "little") + block


def decompress(frame: bytes, limits: Limits) -> bytes:
    """Return the content of a compressed frame; its size prefix is checked before memory is taken.

    Raises:
        MalformedMessage: not a size and a block, or the block has another size.
        LimitExceeded: the claimed size is over ``limits.content_bytes``.
    """
    require()
    size = int.from_bytes(frame[:4], "little")
    if size > limits.content_bytes:
        raise LimitExceeded(f"compressed content of {size:,} bytes is over the limit of {limits.content_bytes:,}")
    if len(frame) < 5 or size > _MAX_RATIO * len(frame):
        raise MalformedMessage(f"{len(frame)} bytes are no lz4 block of {size:,} bytes")
    try:
        content: bytes = _block().decompress(frame[4:], uncompressed_size=size)
    except (_block().LZ4BlockError, ValueError, OverflowError) as error:
        raise MalformedMessage(f"not an lz4 block: {error}") from error
    if len(content) != size:
        raise MalformedMessage(f"an lz4 block of {len(content):,} bytes says that it has {size:,}")
    return content
