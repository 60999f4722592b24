"""URLs: the transport, the address, the database and options of a client.

::

    tcp://host:4141/testdb?timeout=5
    ipc:///run/elevator.sock?db=testdb
    tcp://host/testdb?curve_key=/home/me/alice.key_secret&server_key=/home/me/server.key
    fake://
    fake://shop/testdb

Keys are named by their files, because URLs end up in process lists and logs.
"""

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from attrs import field, frozen

from pyelevator.errors import ArgumentTypeError, UsageError

if TYPE_CHECKING:
    from urllib.parse import SplitResult

DEFAULT_PORT: Final = 4141
SCHEMES: Final = ("tcp", "ipc", "fake")
FAKE_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,100}")
FAKE_NAME_RULE: Final = "a name has ASCII letters, digits, '.', '-' and '_', and 100 characters at most: fake://shop"
_OptionParsers: TypeAlias = Mapping[str, tuple[str, Callable[[str], object]]]


_NO_PORT: Final = r":(?![0-9]*(/|$))[^]/]*(?=/|$)"  # behind a host, and it may be a password

_KEY: Final = re.compile(r"(?=.*[:+=^!*?&<>()\[\]{}@%$#])[0-9A-Za-z.:+=^!/*?&<>()\[\]{}@%$#-]{40}")

_WORD: Final = re.compile(r"[a-z_]{1,20}")


def is_url(text: object) -> bool:
    """Return True if a text looks like a URL of any kind."""
    return isinstance(text, str) and re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", text) is not None


def looks_like_key(text: object) -> bool:
    """Return True if a text is as long as a key, and made of what keys are made of, so that it may be a secret one."""
    return isinstance(text, str) and _KEY.fullmatch(text) is not None


def _has_user(rest: str) -> bool:
    """Return True if what follows ``ipc://`` begins with a user; ``@name`` is a path."""
    return rest.find("@") > 0 and "/" not in rest[: rest.find("@")]


def shown(url: str) -> str:
    """Return a URL as messages may show it: without a user, a password, a query or a fragment.

    >>> shown("tcp://ann:secret@db.example:4141/testdb?timeout=5")
    'tcp://db.example:4141/testdb'
    """
    scheme, mark, rest = url.partition("://")
    if not mark:
        scheme, rest = "", "..." if looks_like_key(url) else url
    before, _, behind = rest.rpartition("@") if scheme != "ipc" or _has_user(rest) else ("", "", rest)
    if re.search("[?#]", before):  # it is unknown where the secret ends
        return f"{scheme}{mark}..."
    place = re.split("[?#]", behind, maxsplit=1)[0]
    return scheme + mark + (place if scheme == "ipc" else re.sub(_NO_PORT, "", place))


@frozen
class ParsedUrl:
    """The parts of a URL.

    Attributes:
        scheme: ``tcp``, ``ipc`` or ``fake``.
        address: ``host:port``, the path of a socket file, the name of a fake, or empty.
        options: keyword arguments of the client, ``db_name`` among them.
    """

    scheme: str
    address: str
    options: Mapping[str, Any] = field(factory=dict)

    @property
    def url(self) -> str:
        """The part that a socket connects to."""
        return f"{self.scheme}://{self.address}"


def parse_url(url: str, extra_options: Mapping[str, Callable[[str], object]] | None = None) -> ParsedUrl:
    """Parse a URL.

    >>> parse_url("tcp://db.example/testdb?timeout=5")
    ParsedUrl(scheme='tcp', address='db.example:4141', options={'db_name': 'testdb', 'timeout': 5.0})

    Args:
        url: the text.
        extra_options: further options that are allowed, with what converts the text of each.

    Raises:
        UsageError: the scheme, the address or an option is not understood, or a file of keys cannot be used.
    """
    if not isinstance(url, str):
        raise ArgumentTypeError(f"a URL is a str, not {type(url).__name__}")
    from urllib.parse import parse_qsl, urlsplit  # takes long to import, and few programs give URLs

    try:
        parts = urlsplit(url)
    except ValueError:  # no address in brackets; its text may show a password
        raise UsageError(f"{shown(url)!r} is no URL: its host cannot be one") from None
    if parts.scheme not in SCHEMES:
        raise UsageError(
            f"{shown(url)!r} is no URL of an Elevator server; it starts with one of tcp://, ipc:// and fake://"
        )
    address, database = _PLACES[parts.scheme](url, parts)
    options = {"db_name": database} if database else {}
    known = {**_OPTIONS, **{name: (name, read) for name, read in (extra_options or {}).items()}}
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        options |= _option(name, value, url, known)
    return ParsedUrl(parts.scheme, address, _load_keys(options, url))


def _unquote(text: str) -> str:
    from urllib.parse import unquote

    return unquote(text)


def _tcp(url: str, parts: "SplitResult") -> tuple[str, str]:
    try:
        port = parts.port
    except ValueError:
        raise UsageError(f"{shown(url)!r}: the port is not a number from 0 to 65535") from None
    if parts.username is not None or parts.fragment:
        raise UsageError(f"{shown(url)!r} has a user or a fragment, and an Elevator server knows neither")
    if not parts.hostname:
        raise UsageError(f"{shown(url)!r} names no host; a URL looks like tcp://127.0.0.1:{DEFAULT_PORT}/default")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{host}:{DEFAULT_PORT if port is None else port}", _unquote(parts.path[1:])


def _ipc(url: str, parts: "SplitResult") -> tuple[str, str]:
    path = _unquote(parts.netloc + parts.path)
    if _has_user(parts.netloc):
        raise UsageError(f"{shown(url)!r} has a user, and an Elevator server knows none; a path may begin with ./")
    if not path:
        raise UsageError(f"{shown(url)!r} names no socket file; a URL looks like ipc:///run/elevator.sock")
    return path, ""


def _fake(url: str, parts: "SplitResult") -> tuple[str, str]:
    if parts.netloc and not FAKE_NAME.fullmatch(parts.netloc):
        raise UsageError(f"{shown(url)!r} names no fake; {FAKE_NAME_RULE}")
    if parts.fragment:
        raise UsageError(f"{shown(url)!r} has a fragment, and an Elevator server knows none")
    return parts.netloc, _unquote(parts.path[1:])


_PLACES: Final = {"tcp": _tcp, "ipc": _ipc, "fake": _fake}
"""Scheme -> what finds the address and the database in a URL."""


def _boolean(text: str) -> bool:
    words = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    return words[text.lower()]


_OPTIONS: Final[_OptionParsers] = {
    "db": ("db_name", str),
    "timeout": ("timeout", lambda text: None if text.lower() == "none" else float(text)),
    "dialect": ("dialect", str),
    "encoding": ("encoding", lambda text: None if text.lower() in ("", "none", "bytes") else text),
    "auto_connect": ("auto_connect", _boolean),
    "create": ("create", _boolean),
    "max_connections": ("max_connections", int),
    "pool_timeout": ("pool_timeout", float),
    "connect_timeout": ("connect_timeout", lambda text: None if text.lower() == "none" else float(text)),
    "heartbeat": ("heartbeat", lambda text: None if text.lower() == "none" else float(text)),
    "curve_key": ("curve_key", str),
    "server_key": ("server_key", str),
}
"""Query parameter -> keyword argument and how its text is read."""


def _option(name: str, text: str, url: str, known: _OptionParsers) -> dict[str, Any]:
    if name not in known:
        unknown = f"there is no option {name!r}" if _WORD.fullmatch(name) else "an option is unknown"
        raise UsageError(f"{shown(url)!r}: {unknown}; there are {', '.join(known)}")
    keyword, read = known[name]
    try:
        return {keyword: read(text)}
    except (ValueError, KeyError):
        raise UsageError(f"{shown(url)!r}: what stands there is no value for {name}") from None


def _load_keys(options: dict[str, Any], url: str) -> dict[str, Any]:
    """Return the options, with the keys in place of the names of their files."""
    files = [options.pop(name) for name in ("curve_key", "server_key") if name in options]
    if len(files) == 1:
        raise UsageError(f"{shown(url)!r}: curve_key, the file of the client's keys, and server_key go together")
    if not files:
        return options
    from pyelevator.transports.curve import Curve  # few clients have keys

    return {**options, "curve": Curve.from_files(*files)}
