"""CURVE: the keys that encrypt TCP and tell who a client is, and the files that they are kept in.

A key is 32 bytes, written as 40 characters of Z85. A pair is kept in the two files that pyzmq and czmq write:
``NAME.key`` has the public key, and ``NAME.key_secret``, which nobody but its owner may read, has both.
"""

import os
import re
import shlex
import stat
import struct
from pathlib import Path
from typing import Any, Final, Self, TypeAlias

import zmq
from attrs import field, frozen
from zmq.utils import z85

from pyelevator.errors import ArgumentTypeError, UsageError
from pyelevator.transports.zmtp import Handshake

KEY_LENGTH: Final = 40
PUBLIC: Final = ".key"
PRIVATE: Final = ".key_secret"

FilePath: TypeAlias = str | os.PathLike[str]

_FIELD: Final = re.compile(r"""^\s*(public|secret)-key\s*=\s*["']?([^\s"']+)""", re.MULTILINE)


def is_key(text: str) -> bool:
    """Whether ``text`` is a key: 40 characters of Z85 that stand for 32 bytes."""
    try:
        return len(text) == KEY_LENGTH and bool(z85.decode(text))
    except (ValueError, KeyError, struct.error):
        return False


def _text(value: Any) -> Any:
    return value.decode("ascii", "replace") if isinstance(value, bytes) else value


def _is_key(_: Any, attribute: Any, value: Any) -> None:
    """Says what is wrong with a key, without showing it."""
    if not isinstance(value, str):
        raise ArgumentTypeError(f"{attribute.name} must be str or bytes, not {type(value).__name__}")
    if not is_key(value):
        raise UsageError(f"{attribute.name} is no CURVE key; that is {KEY_LENGTH} characters of Z85")


@frozen
class Pair:
    """A public key and the secret one that belongs to it, as text.

    Raises:
        UsageError: they are no keys, or do not belong together.
    """

    public_key: str = field(converter=_text, validator=_is_key)
    secret_key: str = field(converter=_text, validator=_is_key, repr=False)

    def __attrs_post_init__(self) -> None:
        if zmq.curve_public(self.secret_key.encode()).decode() != self.public_key:
            raise UsageError(f"the secret key does not belong to the public key {self.public_key}")

    @classmethod
    def generate(cls) -> Self:
        """A new pair."""
        return cls(*zmq.curve_keypair())

    @classmethod
    def read(cls, path: FilePath) -> Self:
        """The pair in a ``.key_secret`` file.

        Raises:
            UsageError: it cannot be read, has no pair, or others can read it too.
        """
        keys = _keys_in(path, _read_private(path))
        if keys.keys() != {"public", "secret"}:
            raise UsageError(f"{path} does not hold a public and a secret key; the file that does ends in {PRIVATE}")
        return cls(keys["public"], keys["secret"])

    def write(self, directory: Path, name: str, *, force: bool = False) -> None:
        """Writes ``name.key`` and ``name.key_secret``.

        Raises:
            UsageError: one of them exists, and ``force`` was not said.
            OSError: they cannot be written.
        """
        files = {PRIVATE: 0o600, PUBLIC: 0o644}
        taken = [directory / (name + suffix) for suffix in files if os.path.lexists(directory / (name + suffix))]
        if taken and not force:
            raise UsageError(f"{taken[0]} exists; whoever uses that key would be locked out; to replace it say --force")
        for path in taken:
            path.unlink()
        for suffix, mode in files.items():
            secret = f'    secret-key = "{self.secret_key}"\n' if suffix == PRIVATE else ""
            _write_new(directory / (name + suffix), f'curve\n    public-key = "{self.public_key}"\n{secret}', mode)


def read_public_key(key: FilePath) -> str:
    """A public key, from a file (of either kind) or as it is.

    Raises:
        UsageError: neither a file with a key, nor a key.
    """
    text = os.fspath(key)
    if not Path(text).exists() and is_key(text):
        return text
    keys = _keys_in(text, _read(text))
    if not is_key(keys.get("public", "")):
        raise UsageError(f"{text} does not hold a public key")
    return keys["public"]


def _read(path: FilePath) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path}: {getattr(error, 'strerror', None) or 'it is not text'}") from error


def _read_private(path: FilePath) -> str:
    """The text of a file, if nobody but its owner can do anything with it."""
    try:
        mode = stat.S_IMODE(Path(path).stat().st_mode)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    if mode & 0o077:
        command = f"chmod 600 {shlex.quote(os.fspath(path))}"
        raise UsageError(f"{path} holds a secret key, and others can use it (mode {mode:04o}); run: {command}")
    return _read(path)


def _keys_in(path: FilePath, text: str) -> dict[str, str]:
    keys = dict(_FIELD.findall(text))
    if not keys:
        raise UsageError(f"{path} is no key file; `elevator keygen` writes such")
    return keys


def _write_new(path: Path, text: str, mode: int) -> None:
    """Creates a file that has its mode from the first moment on."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="ascii") as file:
        file.write(text)


@frozen
class Curve:
    """What a client needs for a server that asks for keys: the server's public key, and a pair of its own.

    Args:
        server_public_key: of the server; a connection to any other server never comes up.
        public_key: of this client, which the server must know.
        secret_key: that belongs to it; shown nowhere.

    Raises:
        UsageError: they are no keys, or do not belong together.
    """

    server_public_key: str = field(converter=_text, validator=_is_key)
    public_key: str = field(converter=_text, validator=_is_key)
    secret_key: str = field(converter=_text, validator=_is_key, repr=False)

    def __attrs_post_init__(self) -> None:
        Pair(self.public_key, self.secret_key)

    @classmethod
    def from_files(cls, key: FilePath, server_key: FilePath) -> Self:
        """The keys in files.

        Args:
            key: this client's ``.key_secret`` file.
            server_key: the server's ``.key`` file, or its public key.

        Raises:
            UsageError: a file cannot be read, holds no key, or holds a secret that others can read.
        """
        pair = Pair.read(key)
        return cls(read_public_key(server_key), pair.public_key, pair.secret_key)

    def handshake(self) -> Handshake:
        """The client's half of a new handshake with these keys.

        Raises:
            MissingExtra: PyNaCl is missing.
        """
        from pyelevator.transports.curvezmq import CurveClient  # clients without keys have no use for it

        return Handshake(CurveClient(self))

    @property
    def hint(self) -> str:
        """What to look at when no connection comes up: nobody tells a client that its keys are refused."""
        return (
            "; if one runs there, then a key does not fit: the server has to know this client's public key "
            f"{self.public_key}, and its own has to be {self.server_public_key}"
        )


def handshake(curve: Curve | None) -> Handshake:
    """The client's half of a new handshake, with keys or without."""
    return Handshake() if curve is None else curve.handshake()


def hint(curve: Curve | None) -> str:
    """What the error for a connection that does not come up says beside that; nothing without keys."""
    return "" if curve is None else curve.hint
