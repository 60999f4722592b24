"""Closing: the ``with`` block of what has a method ``close``."""

from typing import Self


class Closing:
    """The base of what is closed at the end of its ``with`` block."""

    __slots__ = ()

    def close(self) -> None:
        """Close it; each class says what that is."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
