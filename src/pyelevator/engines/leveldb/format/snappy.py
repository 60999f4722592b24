"""Snappy, as far as LevelDB uses it: decompression of a block or of its beginning."""

from pyelevator.engines.leveldb.format.varints import read_varint


def decompress_prefix(data: bytes, min_bytes: int | None) -> bytes:
    """Return the content of a Snappy block, or at least its first ``min_bytes``, up to the first damage.

    >>> decompress_prefix(bytes([6, 4, 97, 98, 1, 2]), None)
    b'ababab'
    """
    out = bytearray()
    try:
        length, at = read_varint(data, 0)
        target = length if min_bytes is None else min(min_bytes, length)
        while len(out) < target and at < len(data):
            at = _read_element(data, at, out)
    except IndexError:
        pass
    return bytes(out)


def _read_element(data: bytes, at: int, out: bytearray) -> int:
    """Read one literal or copy, and return the offset of its end."""
    tag = data[at]
    kind, high = tag & 3, tag >> 2
    at += 1
    if kind == 0:
        extra = max(0, high - 59)
        length = (int.from_bytes(data[at : at + extra], "little") if extra else high) + 1
        out += data[at + extra : at + extra + length]
        return at + extra + length
    if kind == 1:
        length, offset, at = (high & 7) + 4, (high >> 3) << 8 | data[at], at + 1
    else:
        width = 2 if kind == 2 else 4
        length, offset, at = high + 1, int.from_bytes(data[at : at + width], "little"), at + width
    if not 0 < offset <= len(out):
        raise IndexError(offset)
    source = bytes(out[-offset:])
    out += (source * (length // offset + 1))[:length]
    return at
