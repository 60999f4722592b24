"""CURVE: the keys that encrypt TCP and identify clients, and the files that they are kept in.

A key is 32 bytes, written as 40 characters of Z85. A pair is kept in the two files that pyzmq and czmq write:
``NAME.key`` has the public key, and ``NAME.key_secret``, which only its owner may read, has both.
"""

import errno
import os
import re
import stat
import struct
from typing import TYPE_CHECKING, Any, Final, NoReturn, Self, TypeAlias

from attrs import field, frozen

from pyelevator.errors import ArgumentTypeError, UsageError
from pyelevator.transports.zmtp.mechanism import Mechanism
from pyelevator.transports.zmtp.protocol import Protocol, Role

KEY_LENGTH: Final = 40
PUBLIC_SUFFIX: Final = ".key"
SECRET_SUFFIX: Final = ".key_secret"  # noqa: S105 - of a file

_MAX_FILE: Final = 1 << 20
"""Characters of a file that are read; one of keys has some hundred."""

if TYPE_CHECKING:
    from pathlib import Path  # few clients read keys, and it takes long to import

FilePath: TypeAlias = str | os.PathLike[str]

_FIELD: Final = re.compile(r"""^\s*(public|secret)-key\s*=\s*["']?([^\s"']+)""", re.MULTILINE)


def is_key(text: str) -> bool:
    """Return True if ``text`` is a key: 40 characters of Z85 that stand for 32 bytes."""
    from zmq.utils import z85  # only needed with keys

    try:
        return len(text) == KEY_LENGTH and bool(z85.decode(text))
    except (ValueError, KeyError, struct.error):
        return False


def derive_public_key(secret_key: str) -> str:
    """Return the public key that belongs to a secret one."""
    import zmq  # only needed with keys

    return zmq.curve_public(secret_key.encode()).decode()


def _text(value: Any) -> Any:
    return value.decode("ascii", "replace") if isinstance(value, bytes) else value


class Secret:
    """A secret key that is not shown in texts, copies as data, or pickles."""

    __slots__ = ("_text",)

    def __init__(self, text: Any) -> None:
        self._text: Any = text.reveal() if isinstance(text, Secret) else _text(text)

    def reveal(self) -> str:
        """Return the key, as text."""
        return self._text  # type: ignore[no-any-return]  # checked by the class that holds it

    def __repr__(self) -> str:
        return "<secret key>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _: Any) -> Self:
        return self

    def __reduce__(self) -> NoReturn:
        raise ArgumentTypeError("a secret key is not pickled; read it from its file where it is needed")


class HoldsSecret:
    """The base of what has a secret key."""

    __slots__ = ()
    _secret: Secret

    @property
    def secret_key(self) -> str:
        """The secret key, as text."""
        return self._secret.reveal()


def _is_key(_: Any, attribute: Any, value: Any) -> None:
    """Check a key, without showing it in the error."""
    text = value.reveal() if isinstance(value, Secret) else value
    if not isinstance(text, str):
        raise ArgumentTypeError(f"{attribute.alias} must be str or bytes, not {type(text).__name__}")
    if not is_key(text):
        raise UsageError(f"{attribute.alias} is no CURVE key; that is {KEY_LENGTH} characters of Z85")


@frozen
class KeyPair(HoldsSecret):
    """A public key and the secret one that belongs to it, as text.

    Raises:
        UsageError: they are no keys, or do not belong together.
    """

    public_key: str = field(converter=_text, validator=_is_key)
    _secret: Secret = field(converter=Secret, validator=_is_key, repr=False, alias="secret_key")

    def __attrs_post_init__(self) -> None:
        if derive_public_key(self.secret_key) != self.public_key:
            raise UsageError("the secret key does not belong to the public key; are the two in each other's place?")

    @classmethod
    def generate(cls) -> Self:
        """Return a new pair."""
        import zmq  # only needed with keys

        return cls(*zmq.curve_keypair())

    @classmethod
    def read(cls, path: FilePath) -> Self:
        """Return the pair in a file.

        Args:
            path: of a ``.key_secret`` file.

        Raises:
            UsageError: it cannot be read, has no pair, or others can read it too.
        """
        keys = _parse_keys(path, _read_private(path))
        if keys.keys() != {"public", "secret"}:
            raise UsageError(
                f"{path} does not hold a public and a secret key; the file that does ends in {SECRET_SUFFIX}"
            )
        return cls(keys["public"], keys["secret"])

    def write(self, directory: "Path", name: str, *, force: bool = False) -> None:
        """Write ``name.key`` and ``name.key_secret``.

        Args:
            directory: where to.
            name: of the files.
            force: replace files that exist.

        Raises:
            UsageError: one of them exists, without ``force``.
            OSError: they cannot be written.
        """
        files = {SECRET_SUFFIX: 0o600, PUBLIC_SUFFIX: 0o644}
        existing = [directory / (name + suffix) for suffix in files if os.path.lexists(directory / (name + suffix))]
        if existing and not force:
            raise UsageError(
                f"{existing[0]} exists; what uses that key would be locked out; to replace it, add --force"
            )
        for path in existing:
            path.unlink()
        for suffix, mode in files.items():
            secret = f'    secret-key = "{self.secret_key}"\n' if suffix == SECRET_SUFFIX else ""
            _write_exclusive(
                directory / (name + suffix), f'curve\n    public-key = "{self.public_key}"\n{secret}', mode
            )


def read_public_key(key: FilePath) -> str:
    """Return a public key.

    Args:
        key: the key as text, or the path of a file of either kind.

    Raises:
        UsageError: it is neither a file with a key, nor a key.
    """
    text = os.fspath(key)
    if is_key(text) and not os.path.exists(text):  # noqa: PTH110 - see above
        return text
    keys = _parse_keys(text, _read(text))
    if not is_key(keys.get("public", "")):
        raise UsageError(f"{text} does not hold a public key")
    return keys["public"]


def _read(path: FilePath) -> str:
    try:
        return read_file(path)
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not text"
        raise UsageError(f"cannot read {_shown_path(path)}: {why}") from error


def _shown_path(path: FilePath) -> str:
    """Return the path for an error; not if it is a key, which may be a secret one."""
    text = os.fspath(path)
    return f"a file called like a key (of {KEY_LENGTH} characters)" if is_key(text) else text


def read_file(path: FilePath) -> str:
    """Return the text of a regular file; reading a pipe or a device might never end.

    Raises:
        OSError: it cannot be read, or is no regular file.
        UnicodeDecodeError: it is no text.
    """
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), encoding="utf-8") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file")
        return file.read(_MAX_FILE)


def _read_private(path: FilePath) -> str:
    """Return the text of a file that only its owner can access."""
    try:
        mode = stat.S_IMODE(os.stat(path).st_mode)  # noqa: PTH116 - see above
    except OSError as error:
        raise UsageError(f"cannot read {_shown_path(path)}: {error.strerror}") from error
    if mode & 0o077:
        import shlex

        command = f"chmod 600 {shlex.quote(os.fspath(path))}"
        raise UsageError(f"{path} holds a secret key, and others can use it (mode {mode:04o}); run: {command}")
    return _read(path)


def _parse_keys(path: FilePath, text: str) -> dict[str, str]:
    keys = dict(_FIELD.findall(text))
    if not keys:
        raise UsageError(f"{path} is no key file; `elevator keygen` writes such")
    return keys


def _write_exclusive(path: "Path", text: str, mode: int) -> None:
    """Create a file that has its mode from the first moment on."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="ascii") as file:
        file.write(text)


@frozen
class Curve(HoldsSecret):
    """The keys of a client for a server that asks for them: the server's public key, and a pair of its own.

    Args:
        server_public_key: of the server; a connection to any other server never comes up.
        public_key: of this client, which the server must know.
        secret_key: that belongs to it; shown nowhere.

    Raises:
        UsageError: they are no keys, or do not belong together.
    """

    server_public_key: str = field(converter=_text, validator=_is_key)
    public_key: str = field(converter=_text, validator=_is_key)
    _secret: Secret = field(converter=Secret, validator=_is_key, repr=False, alias="secret_key")

    def __attrs_post_init__(self) -> None:
        KeyPair(self.public_key, self.secret_key)
        if derive_public_key(self.server_public_key) == self.public_key:
            raise UsageError(
                "server_public_key is this client's own secret key; the server's .key file has its public one"
            )

    @classmethod
    def from_files(cls, key: FilePath, server_key: FilePath) -> Self:
        """Return the keys in files.

        Args:
            key: this client's ``.key_secret`` file.
            server_key: the server's ``.key`` file, or its public key.

        Raises:
            UsageError: a file cannot be read, holds no key, or holds a secret that others can read.
        """
        pair = KeyPair.read(key)
        return cls(read_public_key(server_key), pair.public_key, pair.secret_key)

    def mechanism(self) -> Mechanism:
        """Return what uses these keys in one connection.

        Raises:
            MissingExtra: PyNaCl is missing.
        """
        from pyelevator.transports.zmtp.curvezmq import CurveClientMechanism  # only needed with keys

        return CurveClientMechanism(self)


def client_protocol(curve: Curve | None, max_message: int) -> Protocol:
    """Return a client's side of a new connection, with keys or without."""
    return Protocol(Role.CLIENT, None if curve is None else curve.mechanism(), max_message)


def connect_hint(curve: Curve | None) -> str:
    """Return the checks to make when no connection is made with keys: libzmq does not say that they are refused."""
    if curve is None:
        return ""
    return (
        "; if one runs there, then a key does not fit: the server has to know this client's public key "
        f"{curve.public_key}, and server_key has to be what the server's own server.key holds"
    )
