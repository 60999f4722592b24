"""What is said of a connection that did not come up: the reason, and what to do about that one."""

import errno
import os
from collections.abc import Mapping
from typing import Final, TypeVar

from pyelevator.deadlines import Deadline
from pyelevator.errors import AuthenticationFailed, ConnectFailed, ConnectionLost, ConnectTimeout, ProtocolError
from pyelevator.transports.curve import Curve, hint
from pyelevator.transports.zmtp.frames import Refused, WrongMechanism

CONNECT_TIMEOUT: Final = 1.0
"""Seconds for which a connection that is refused is tried again by default: a server may just be starting."""

E = TypeVar("E", bound=ConnectFailed)

_START: Final = "; start one with `elevator serve`"

_REASONS: Final[Mapping[int, tuple[str, str]]] = {
    errno.ECONNREFUSED: ("connection refused", _START),
    errno.ENOENT: ("there is no such socket file", _START),
    errno.EACCES: ("permission denied", "; `elevator serve --ipc-mode` says who may use a socket file"),
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


def refused(url: str, error: Refused, curve: Curve | None = None) -> AuthenticationFailed:
    """The error for a server that does not let this client in, however often it tries."""
    if not isinstance(error, WrongMechanism):
        known = "" if curve is None else f"; the server has to know its public key {curve.public_key}"
        return _because(str(error), AuthenticationFailed(f"the server at {url} refuses this client: {error}{known}"))
    said, advice = _MECHANISMS.get(
        error.mechanism, (f"asks for the mechanism {error.mechanism!r:.40}", ", which this client does not know")
    )
    return _because(f"it {said}", AuthenticationFailed(f"the server at {url} {said}{advice}"))


def connect_timeout_error(
    url: str, cause: BaseException | None, tried: Deadline, curve: Curve | None = None
) -> ConnectTimeout:
    """The error for a connection that did not come up within ``tried``, because of ``cause`` if that is known."""
    if isinstance(cause, ProtocolError):
        said = f"what answers at {url} is no Elevator server: {cause}"
        return _because("what answers is no Elevator server", ConnectTimeout(said))
    if isinstance(cause, OSError) and not isinstance(cause, TimeoutError):
        reason, advice = _reason(cause)
        said = f"cannot connect to the Elevator server at {url}: {reason} (tried for {tried}){advice}"
        return _because(reason, ConnectTimeout(said))
    said = f"no Elevator server answered at {url} within {tried}; it is stopped or busy, or a firewall is between"
    return _because("it does not answer", ConnectTimeout(said + hint(curve)))


def _because(reason: str, error: E) -> E:
    error.reason = reason
    return error


def _reason(cause: OSError) -> tuple[str, str]:
    """Why, and what to do about it."""
    if isinstance(cause, UnknownHost):
        return str(cause), ""
    number = cause.errno or 0
    return _REASONS.get(number, ((cause.strerror or os.strerror(number)).lower(), ""))


def given_up(
    url: str, cause: Exception, tried: float, connect_timeout: float | None, curve: Curve | None = None
) -> ConnectFailed | None:
    """The error for a connection that is not worth a further attempt; None if it is.

    Args:
        url: where to.
        cause: why the last attempt failed.
        tried: seconds since the first one.
        connect_timeout: seconds for which one is tried that fails at once; None for no end.
        curve: the client's keys.
    """
    if isinstance(cause, Refused):
        return refused(url, cause, curve)
    if isinstance(cause, OSError) and connect_timeout is not None and tried >= connect_timeout:
        return connect_timeout_error(url, cause, Deadline.after(connect_timeout), curve)
    return None


def connection_lost_error(url: str) -> ConnectionLost:
    """The error for a message whose answer was still to come when the connection ended."""
    return ConnectionLost(
        f"the Elevator server at {url} closed the connection before it answered; "
        "whether it executed the request is not known"
    )
