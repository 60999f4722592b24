"""The checksums of LevelDB's files: masked CRC-32C."""

from functools import cache


@cache
def _crc_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)  # noqa: PLW2901 - bit by bit
        table.append(value)
    return tuple(table)


def masked_crc(data: bytes) -> int:
    """Return the checksum of ``data`` as LevelDB stores it: CRC-32C, rotated, plus a constant.

    >>> hex(masked_crc(b"123456789"))
    '0xc78ab0e5'
    """
    table, crc = _crc_table(), 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 255] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def find_prefix_by_crc(data: bytes, masked: int) -> int | None:
    """Return the length of the shortest prefix of ``data`` with this checksum, as LevelDB stores it; None without one.

    >>> find_prefix_by_crc(b"123456789abc", 0xc78ab0e5), find_prefix_by_crc(b"abc", 0xc78ab0e5)
    (9, None)
    """
    rotated = (masked - 0xA282EAD8) & 0xFFFFFFFF
    unmasked = ((rotated >> 17) | (rotated << 15)) & 0xFFFFFFFF ^ 0xFFFFFFFF
    table, crc = _crc_table(), 0xFFFFFFFF
    for length, byte in enumerate(data, 1):
        crc = table[(crc ^ byte) & 255] ^ (crc >> 8)
        if crc == unmasked:
            return length
    return None
