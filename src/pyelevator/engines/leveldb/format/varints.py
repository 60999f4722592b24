"""The variable-length integers in manifests and tables."""


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the number at position ``at``, and where it ends.

    Raises:
        IndexError: it does not end in ``data``, or has more than 64 bits.
    """
    value = data[at]
    if value < 0x80:
        return value, at + 1
    value, shift = value & 0x7F, 7
    while True:
        at += 1
        byte = data[at]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at + 1
        shift += 7
        if shift > 63:
            raise IndexError(at)


def read_prefixed(data: bytes, at: int) -> tuple[bytes, int]:
    """Return the string at position ``at``, which its length precedes, and where it ends.

    Raises:
        IndexError: it does not end in ``data``.
    """
    length, at = read_varint(data, at)
    if at + length > len(data):
        raise IndexError(at)
    return data[at : at + length], at + length
