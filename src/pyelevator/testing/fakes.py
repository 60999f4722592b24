"""Fakes with a name: for programs that take only a URL."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from secrets import token_hex

from pyelevator.application import Application
from pyelevator.flows import Interceptor
from pyelevator.interceptors import Fault
from pyelevator.transports import FakeTransport
from pyelevator.transports.fake import add_fake, remove_fake


@contextmanager
def fake_server(
    name: str | None = None,
    *,
    application: Application | None = None,
    interceptors: Sequence[Interceptor] = (),
    faults: Sequence[Fault] = (),
) -> Iterator[str]:
    """Yield the URL of a new fake, which every client of this process that is given the URL shares.

    After the block the fake is forgotten; clients that are still connected to it keep it.

    Args:
        name: of the fake, for ``fake://name``; by default one that nothing else has.
        application, interceptors, faults: as of a :class:`~pyelevator.transports.FakeTransport`.

    >>> from pyelevator import Elevator
    >>> with fake_server() as url:
    ...     with Elevator.from_url(url) as one, Elevator.from_url(url) as another:
    ...         one.Put("abc", "123")
    ...         another.Get("abc")
    '123'

    Raises:
        UsageError: there is a fake of that name.
    """
    name = f"test-{token_hex(8)}" if name is None else name
    add_fake(name, FakeTransport(application, interceptors=interceptors, faults=faults))
    try:
        yield f"fake://{name}"
    finally:
        remove_fake(name)
