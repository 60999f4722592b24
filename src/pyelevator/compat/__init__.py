"""Requests that old servers do not take: asked in other words, or answered without them.

There is one table for the client and the proxy.

Outside of what they take, the Python server (PyPI's 0.5, and its repository's last state) loses a worker thread for
ever, and the Go server (0.7) the whole process (source: docs/protocol.md, "Who has what"). So nothing else is ever sent
to one.

An adapter wraps the sending of a request: a :data:`~pyelevator.flows.Forward` made of another.
"""

from collections.abc import Callable

from pyelevator.codec import Codec, FlatCodec
from pyelevator.compat.classic import classic
from pyelevator.compat.flat import FlatServer, flat
from pyelevator.compat.requests import tell_missing
from pyelevator.flows import Forward


def adapt(codec: Codec, forward: Forward, is_old: Callable[[], bool | None], server: FlatServer) -> Forward:
    """Make the adapter for a server that is spoken to in ``codec``.

    ``is_old`` tells whether a classic server is an old one; None before the first reply.
    """
    if isinstance(codec, FlatCodec):
        return flat(forward, server)
    if codec.name == "classic":
        forward = classic(forward, is_old)
    return forward if codec.tells_missing else tell_missing(forward)


__all__ = [
    "FlatServer",
    "classic",
    "flat",
]
