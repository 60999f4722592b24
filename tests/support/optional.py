"""Values that may be None in general and are there in a test."""

from typing import TypeVar

T = TypeVar("T")


def unwrap(value: T | None) -> T:
    """Return ``value``; the test fails if it is None."""
    assert value is not None
    return value
