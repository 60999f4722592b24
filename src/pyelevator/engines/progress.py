"""Progress of long work: the caller says where reports go, and engines report without knowing where.

>>> reported = []
>>> with reporting(lambda done, total: reported.append((done, total))):
...     report(1, 2)
>>> report(2, 2)
>>> reported
[(1, 2)]
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, TypeAlias

OnReport: TypeAlias = Callable[[int, int], object]
"""Called with how many bytes are done, and of how many, about."""

_on_report: Final[ContextVar[OnReport | None]] = ContextVar("on_report", default=None)


@contextmanager
def reporting(on_report: OnReport) -> Iterator[None]:
    """Have ``on_report`` called by every ``report`` of this thread within the block."""
    token = _on_report.set(on_report)
    try:
        yield
    finally:
        _on_report.reset(token)


def report(done: int, total: int) -> None:
    """Report how far the work of this thread has come; it does nothing without a listener.

    Args:
        done: bytes, about.
        total: of so many.
    """
    on_report = _on_report.get()
    if on_report is not None:
        on_report(done, total)
