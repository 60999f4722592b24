"""Limits on what a codec takes from a peer."""

from typing import Final

from attrs import field, frozen

SMALL: Final = 1024
"""Bytes of a frame whose claims of many elements can do no harm (see ``packing``)."""


@frozen
class Limits:
    """Limits on what a codec takes from an untrusted peer; beyond them it raises LimitExceeded.

    Attributes:
        frame_bytes: of one frame, as it comes in.
        content_bytes: of a reply's content once decompressed; the claimed size is checked before memory is taken.
        elements: of one array or map.
        expansion: times its size that the value in a long frame may take in memory, counted before it is made.
        depth: of arrays and maps inside one another, in values that the codec passes on unread.
        harmless: bytes of a frame that cannot be over the first three, as it has no more elements than bytes.
    """

    frame_bytes: int = 128 << 20
    content_bytes: int = 512 << 20
    elements: int = 16_000_000
    expansion: int = 6
    depth: int = 16
    harmless: int = field(init=False, repr=False, eq=False)

    @harmless.default
    def _harmless(self) -> int:
        return min(SMALL, self.frame_bytes, self.content_bytes, self.elements)
