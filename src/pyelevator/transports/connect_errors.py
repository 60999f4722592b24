"""The errors for connections that fail: the reason, and what to do about it."""

import errno
import os
from collections.abc import Mapping
from typing import Final, TypeVar

from pyelevator.deadlines import Deadline
from pyelevator.errors import AuthenticationFailed, ConnectFailed, ConnectionLost, ConnectTimeout, ProtocolError
from pyelevator.transports.curve import Curve, connect_hint
from pyelevator.transports.zmtp.mechanism import HandshakeRefused, WrongMechanism

E = TypeVar("E", bound=ConnectFailed)

_START: Final = "; start one with `elevator serve`"

_REASONS: Final[Mapping[int, tuple[str, str]]] = {
    errno.ECONNREFUSED: ("connection refused", _START),
    errno.ENOENT: ("there is no such socket file", _START),
    errno.EACCES: ("permission denied", "; `elevator serve --ipc-mode` sets the permissions of a socket file"),
}
"""An errno of connect -> the reason, and what to do; for others the system's words are all there is to say."""

_MECHANISMS: Final[Mapping[str, tuple[str, str]]] = {
    "CURVE": ("asks for keys (CURVE)", "; give curve=Curve.from_files(...), or curve_key= and server_key= in a URL"),
    "PLAIN": ("asks for a user and a password (PLAIN)", ", which no Elevator server does; is the address right?"),
    "NULL": ("has no keys", "; leave curve= away, or start it with --curve-keys"),
}
"""A mechanism of ZMTP that is the server's and not the client's -> what that means, and what to do."""


class UnknownHost(OSError):
    """A name that the resolver does not know, or cannot look up now."""


def refused_error(url: str, error: HandshakeRefused, curve: Curve | None = None) -> AuthenticationFailed:
    """Return the error for a server that refuses this client, however often it tries."""
    if not isinstance(error, WrongMechanism):
        known = "" if curve is None else f"; the server has to know its public key {curve.public_key}"
        return _with_reason(
            str(error), AuthenticationFailed(f"the server at {url} refuses this client: {error}{known}")
        )
    text, advice = _MECHANISMS.get(
        error.mechanism, (f"asks for the mechanism {error.mechanism!r:.40}", ", which this client does not know")
    )
    return _with_reason(f"it {text}", AuthenticationFailed(f"the server at {url} {text}{advice}"))


def connect_timeout_error(
    url: str, cause: BaseException | None, tried: Deadline, curve: Curve | None = None
) -> ConnectTimeout:
    """Return the error for a connection that was not made in time; ``cause`` is why the last attempt failed."""
    if isinstance(cause, ProtocolError):
        text = f"what answers at {url} is no Elevator server: {cause}"
        return _with_reason("what answers is no Elevator server", ConnectTimeout(text))
    if isinstance(cause, OSError) and not isinstance(cause, TimeoutError):
        reason, advice = _reason_of(cause)
        text = f"cannot connect to the Elevator server at {url}: {reason} (tried for {tried}){advice}"
        return _with_reason(reason, ConnectTimeout(text))
    text = f"no Elevator server answered at {url} within {tried}; it is stopped or busy, or a firewall is between"
    return _with_reason("it does not answer", ConnectTimeout(text + connect_hint(curve)))


def _with_reason(reason: str, error: E) -> E:
    error.reason = reason
    return error


def _reason_of(cause: OSError) -> tuple[str, str]:
    """Return the reason, and what to do about it."""
    if isinstance(cause, UnknownHost):
        return str(cause), ""
    number = cause.errno or 0
    return _REASONS.get(number, ((cause.strerror or os.strerror(number)).lower(), ""))


def final_connect_error(
    url: str, cause: Exception, tried: float, connect_timeout: float | None, curve: Curve | None = None
) -> ConnectFailed | None:
    """Return the error for a connection that is not worth another attempt, by why the last one failed; None if it is.

    It was tried for some seconds (``tried``); a refused one is tried again for ``connect_timeout``, None for no end.
    """
    if isinstance(cause, HandshakeRefused):
        return refused_error(url, cause, curve)
    if isinstance(cause, OSError) and connect_timeout is not None and tried >= connect_timeout:
        return connect_timeout_error(url, cause, Deadline.after(connect_timeout), curve)
    return None


def connection_lost_error(url: str) -> ConnectionLost:
    """Return the error for a message whose answer had not come when the connection ended."""
    return ConnectionLost(
        f"the Elevator server at {url} closed the connection before it answered; "
        "whether it executed the request is not known"
    )
