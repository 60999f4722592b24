"""CurveZMQ: the mechanism of ZMTP that asks for keys and encrypts, without a socket (rfc.zeromq.org/spec/26).

Each side has a long-term pair (C of the client, S of the server), and makes a short-term one for each connection::

    client  HELLO     version, C', a box of zeros (C' -> S)
    server  WELCOME   a box (S -> C') with S' and a cookie
    client  INITIATE  the cookie, a box (C' -> S') with C, a vouch (C -> S') for C' and S, and properties
    server  READY     a box (S' -> C') with properties; or ERROR and a status
    both    MESSAGE   a box (C' <-> S') with flags and the content of one frame

The cryptography is libsodium's, by PyNaCl (extra ``curve``); what is here is the framing. Every box of a connection has
a nonce that grows, so nothing can be repeated.
"""

import os
from collections.abc import Callable, Sequence
from hmac import compare_digest
from typing import Final, Protocol, TypeAlias

from zmq.utils import z85

from pyelevator.errors import MalformedMessage, MissingExtra
from pyelevator.transports.zmtp import frames as zmtp
from pyelevator.transports.zmtp.frames import COMMAND, LARGE, MORE, Refused

try:
    from nacl.bindings import (
        crypto_box_beforenm,
        crypto_box_easy_afternm,
        crypto_box_open_easy_afternm,
        crypto_scalarmult_base,
    )
    from nacl.exceptions import CryptoError
except ImportError:
    raise MissingExtra("keys need PyNaCl; install it with: pip install 'pyelevator[curve]'") from None

NAME: Final = b"CURVE".ljust(20, b"\0")

Random: TypeAlias = Callable[[int], bytes]
"""So many bytes that nobody can guess."""

_KEY: Final = 32
_MAC: Final = 16
_SHORT: Final = 8  # bytes of a nonce that grows
_LONG: Final = 16  # bytes of a random one
_COOKIE: Final = 96
_VOUCH: Final = _LONG + 2 * _KEY + _MAC
_MESSAGE: Final = b"\x07MESSAGE"
_AT_BOX: Final = len(_MESSAGE) + _SHORT
OVERHEAD: Final = _AT_BOX + _MAC + 1
"""Bytes that a frame has more than its content."""

_FLAGS: Final = {0: 0, 1: MORE, 2: COMMAND}
"""The flags inside of a box -> those of a frame."""


class Cipher:
    """What seals and opens the frames of one connection once its handshake has ended.

    Args:
        key: that both sides have agreed on.
        ours, theirs: what the nonces of each side begin with.
        sent: the last nonce of ours.
        seen: the last nonce of theirs.
    """

    def __init__(self, key: bytes, ours: bytes, theirs: bytes, sent: int, seen: int) -> None:
        self._key, self._ours, self._theirs = key, ours, theirs
        self._sent, self._seen = sent, seen

    def encode(self, frames: Sequence[bytes]) -> list[bytes]:
        """A message in pieces to be sent one after the other, and after all that were encoded before."""
        pieces: list[bytes] = []
        small, last = b"", len(frames) - 1
        for index, content in enumerate(frames):
            head, box = self._sealed(content, MORE if index < last else 0)
            if len(box) < LARGE:
                small += head + box
            else:
                pieces += [small + head, box]
                small = b""
        return [*pieces, small] if small else pieces

    def command(self, name: bytes, data: bytes) -> bytes:
        """A command as a frame."""
        return b"".join(self._sealed(bytes([len(name)]) + name + data, 2))

    def _sealed(self, content: bytes, flags: int) -> tuple[bytes, bytes]:
        self._sent += 1
        nonce = self._sent.to_bytes(_SHORT, "big")
        box = crypto_box_easy_afternm(bytes((flags,)) + content, self._ours + nonce, self._key)
        return zmtp.head(_AT_BOX + len(box), 0) + _MESSAGE + nonce, box

    def open(self, body: bytes) -> tuple[int, bytes]:
        """The flags and the content of the frame that a MESSAGE holds.

        Raises:
            MalformedMessage: it is none, was changed, or came before.
        """
        if body[: len(_MESSAGE)] != _MESSAGE:
            raise MalformedMessage("a frame is not encrypted")
        nonce = body[len(_MESSAGE) : _AT_BOX]
        number = int.from_bytes(nonce, "big")
        if number <= self._seen:
            raise MalformedMessage("an encrypted frame came a second time")
        content = _opened(body[_AT_BOX:], self._theirs + nonce, self._key)
        self._seen = number
        if content[:1] not in (b"\0", b"\1", b"\2"):
            raise MalformedMessage("an encrypted frame has no flags")
        return _FLAGS[content[0]], content[1:]


def _opened(box: bytes, nonce: bytes, key: bytes) -> bytes:
    """What is in a box.

    Raises:
        MalformedMessage: it is none of the two keys', or was changed.
    """
    if len(box) < _MAC:
        raise MalformedMessage("an encrypted frame is cut short")
    try:
        content: bytes = crypto_box_open_easy_afternm(box, nonce, key)
    except CryptoError:
        raise MalformedMessage("an encrypted frame cannot be opened") from None
    return content


def _shared(theirs: bytes, ours: bytes) -> bytes:
    """The key for boxes between the owners of a public and of a secret key.

    Raises:
        MalformedMessage: the public key is none that a secret one can belong to.
    """
    try:
        key: bytes = crypto_box_beforenm(theirs, ours)
    except CryptoError:
        raise MalformedMessage("a public key of the handshake is none") from None
    return key


def _decoded(key: str) -> bytes:
    return bytes(z85.decode(key))


class ClientKeys(Protocol):
    """The keys of a client, as text: 40 characters of Z85 each."""

    @property
    def server_public_key(self) -> str: ...
    @property
    def public_key(self) -> str: ...
    @property
    def secret_key(self) -> str: ...


class CurveClient:
    """The client's half of the handshake, as a mechanism of a :class:`~pyelevator.transports.zmtp.frames.Handshake`.

    Args:
        keys: the client's, and the server's public one.
        random: makes the short-term key and the nonces.
    """

    name: Final = NAME
    as_server: Final = False
    peer: Final = None

    def __init__(self, keys: ClientKeys, random: Random = os.urandom) -> None:
        self.cipher: Cipher | None = None
        self._random = random
        self._server = _decoded(keys.server_public_key)
        self._public, self._secret = _decoded(keys.public_key), _decoded(keys.secret_key)
        self._short = random(_KEY)
        self._step: Callable[[bytes], bytes] = self._welcomed
        self._key = b""

    @property
    def done(self) -> bool:
        """Whether the handshake has ended well."""
        return self.cipher is not None

    def begin(self) -> bytes:
        """What follows the greeting: HELLO."""
        nonce = (1).to_bytes(_SHORT, "big")
        key = _shared(self._server, self._short)
        box = crypto_box_easy_afternm(bytes(64), b"CurveZMQHELLO---" + nonce, key)
        public = crypto_scalarmult_base(self._short)
        return zmtp.command(b"HELLO", b"\1\0" + bytes(72) + public + nonce + box)

    def receive(self, flags: int, body: bytes) -> bytes:
        """Takes what the server says; what to send now.

        Raises:
            MalformedMessage: it is not what comes next.
            Refused: the server does not want this client.
        """
        return self._step(_data(flags, body, b"READY" if self._key else b"WELCOME"))

    def _welcomed(self, data: bytes) -> bytes:
        _check_size(data, _LONG + _KEY + _COOKIE + _MAC)
        content = _opened(data[_LONG:], b"WELCOME-" + data[:_LONG], _shared(self._server, self._short))
        server, cookie = content[:_KEY], content[_KEY:]
        self._key = _shared(server, self._short)
        self._step = self._let_in
        vouch = self._vouch(server)
        nonce = (2).to_bytes(_SHORT, "big")
        content = self._public + vouch + zmtp.properties(b"DEALER")
        box = crypto_box_easy_afternm(content, b"CurveZMQINITIATE" + nonce, self._key)
        return zmtp.command(b"INITIATE", cookie + nonce + box)

    def _vouch(self, server: bytes) -> bytes:
        """That the owner of the long-term key has made the short-term one for this server."""
        nonce = self._random(_LONG)
        content = crypto_scalarmult_base(self._short) + self._server
        return nonce + crypto_box_easy_afternm(content, b"VOUCH---" + nonce, _shared(server, self._secret))

    def _let_in(self, data: bytes) -> bytes:
        nonce = data[:_SHORT]
        zmtp.check_properties(_opened(data[_SHORT:], b"CurveZMQREADY---" + nonce, self._key), zmtp.SERVERS)
        seen = int.from_bytes(nonce, "big")
        self.cipher = Cipher(self._key, b"CurveZMQMESSAGEC", b"CurveZMQMESSAGES", 2, seen)
        return b""


class CurveListener:
    """The server's half of the handshake, as a mechanism of a :class:`~pyelevator.transports.zmtp.handshake.Welcome`.

    Args:
        secret_key: of the server, as text.
        allows: whether the client with this public key (as text) may connect.
        random: makes the short-term key, the cookie and the nonces.

    Attributes:
        peer: the client's public key as text, once it has proved that it has the secret one.
    """

    name: Final = NAME
    as_server: Final = True

    def __init__(self, secret_key: str, allows: Callable[[str], bool], random: Random = os.urandom) -> None:
        self.cipher: Cipher | None = None
        self.peer: str | None = None
        self._secret, self._allows, self._random = _decoded(secret_key), allows, random
        self._step: Callable[[bytes], bytes] = self._greeted
        self._short = self._client = self._cookie = b""

    @property
    def done(self) -> bool:
        """Whether the handshake has ended well."""
        return self.cipher is not None

    def begin(self) -> bytes:
        """What follows the greeting: nothing; the client begins."""
        return b""

    def receive(self, flags: int, body: bytes) -> bytes:
        """Takes what the client says; what to send now.

        Raises:
            MalformedMessage: it is not what comes next, or of other keys.
            Refused: the client is not let in; ``answer`` is what it is told.
        """
        return self._step(_data(flags, body, b"INITIATE" if self._cookie else b"HELLO"))

    def _greeted(self, data: bytes) -> bytes:
        _check_size(data, 2 + 72 + _KEY + _SHORT + 64 + _MAC)
        if data[:2] != b"\1\0":
            raise Refused(f"CurveZMQ {data[0]}.{data[1]}")
        self._client, nonce, box = data[74:106], data[106:114], data[114:]
        key = _shared(self._client, self._secret)
        if _opened(box, b"CurveZMQHELLO---" + nonce, key) != bytes(64):
            raise MalformedMessage("a HELLO says something else")
        self._short, self._cookie, nonce = self._random(_KEY), self._random(_COOKIE), self._random(_LONG)
        self._step = self._initiated
        content = crypto_scalarmult_base(self._short) + self._cookie
        return zmtp.command(b"WELCOME", nonce + crypto_box_easy_afternm(content, b"WELCOME-" + nonce, key))

    def _initiated(self, data: bytes) -> bytes:
        cookie, nonce, box = data[:_COOKIE], data[_COOKIE : _COOKIE + _SHORT], data[_COOKIE + _SHORT :]
        if not compare_digest(cookie, self._cookie):
            raise MalformedMessage("an INITIATE has another cookie")
        key = _shared(self._client, self._short)
        content = _opened(box, b"CurveZMQINITIATE" + nonce, key)
        public, vouch = content[:_KEY], content[_KEY : _KEY + _VOUCH]
        _check_size(vouch, _VOUCH)
        vouched = _opened(vouch[_LONG:], b"VOUCH---" + vouch[:_LONG], _shared(public, self._short))
        if not compare_digest(vouched, self._client + crypto_scalarmult_base(self._secret)):
            raise MalformedMessage("an INITIATE vouches for something else")
        zmtp.check_properties(content[_KEY + _VOUCH :], zmtp.CLIENTS)
        self.peer = z85.encode(public).decode()
        if not self._allows(self.peer):
            raise zmtp.UnknownKey(self.peer)
        return self._let_in(key, int.from_bytes(nonce, "big"))

    def _let_in(self, key: bytes, seen: int) -> bytes:
        nonce = (1).to_bytes(_SHORT, "big")
        box = crypto_box_easy_afternm(zmtp.properties(b"ROUTER"), b"CurveZMQREADY---" + nonce, key)
        self.cipher = Cipher(key, b"CurveZMQMESSAGES", b"CurveZMQMESSAGEC", 1, seen)
        return zmtp.command(b"READY", nonce + box)


def _data(flags: int, body: bytes, expected: bytes) -> bytes:
    """The data of the command that comes next."""
    name, data = zmtp.read_command(body)
    if name == b"ERROR":
        raise Refused(f"its keys: {zmtp.reason_in(data):.40}")
    if not flags & COMMAND or name != expected:
        raise MalformedMessage(f"the handshake goes on with {name!r:.40} and not {expected!r}")
    return data


def _check_size(data: bytes, size: int) -> None:
    if len(data) != size:
        raise MalformedMessage(f"{len(data)} bytes of the handshake should be {size}")
