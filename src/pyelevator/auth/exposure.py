"""Exposure: whether other machines can reach a server, and what it must ask for then."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from pyelevator.errors import UsageError
from pyelevator.transports.bind import is_loopback


def allowed_roots(binds: Iterable[str], allow_paths: Sequence[Path]) -> tuple[Path, ...] | None:
    """Return the directories under which clients may name databases by absolute path; None for every path.

    Directories that are named explicitly win. Otherwise a server that only its own machine can reach allows every
    path, and one that other machines can reach allows none.
    """
    if allow_paths or not all(map(is_loopback, binds)):
        return tuple(allow_paths)
    return None


def check_exposure(binds: Iterable[str], *, keys: bool, insecure: bool) -> None:
    """Refuse to expose a server to other machines without keys.

    Args:
        binds: URLs to listen on.
        keys: the server asks clients for keys.
        insecure: the user accepts that it does not.

    Raises:
        UsageError: the message says what to do.
    """
    exposed = [url for url in binds if not is_loopback(url)]
    if exposed and not keys and not insecure:
        raise UsageError(
            f"other machines can reach {exposed[0]}, and they would not be asked for a key; "
            "make keys with `elevator keygen DIR` and serve with --curve-keys DIR, bind tcp://127.0.0.1:4141 instead, "
            "or say --insecure if you trust every machine in that network"
        )
