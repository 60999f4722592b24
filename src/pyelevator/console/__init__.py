"""The console: a web page on which people look at a server, its databases, keys and values.

``backend`` asks the server, ``app`` is the Starlette application, ``security`` stands in front of all of it, and
``static`` has the page itself: HTML, CSS and ES modules as the browser reads them.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pyelevator.errors import MissingExtra

if TYPE_CHECKING:
    from pyelevator.console.serving import Console


def open_console(
    url: str,
    options: Mapping[str, Any],
    *,
    listen: str = "127.0.0.1:8141",
    write: bool = False,
    allowed_hosts: Sequence[str] = (),
) -> "Console":
    """Return a console that listens.

    Args:
        url: of the server that it shows.
        options: further arguments of ``AsyncElevator.from_url``: timeout, curve...
        listen: ``host:port``; port 0 lets the system choose.
        write: False refuses to change anything.
        allowed_hosts: names under which browsers may reach it, beside addresses and ``localhost``.

    Raises:
        MissingExtra: Starlette or uvicorn is not installed.
        UsageError: the URL is not understood, or it cannot listen there.
    """
    try:
        from pyelevator.console.serving import Console
    except ModuleNotFoundError as error:
        raise MissingExtra(
            "the console needs Starlette and uvicorn; install them with: pip install 'pyelevator[console]'"
        ) from error
    from pyelevator.console.backend import Backend

    return Console(Backend(url, options, write=write), listen, allowed_hosts)
