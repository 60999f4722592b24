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
from typing import Any, Final, Protocol, TypeAlias

from zmq.utils import z85

from pyelevator.errors import MalformedMessage, MissingExtra
from pyelevator.transports.zmtp.frames import COMMAND, LARGE, MORE, encode_command, frame_header, read_command
from pyelevator.transports.zmtp.mechanism import (
    CLIENTS,
    SERVERS,
    HandshakeRefused,
    UnknownKey,
    check_properties,
    error_reason,
    socket_properties,
)

try:
    from nacl._sodium import ffi, lib
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
"""Returns so many bytes that cannot be guessed."""

_KEY: Final = 32
_MAC: Final = 16
_SHORT_NONCE: Final = 8  # bytes of a nonce that grows
_LONG_NONCE: Final = 16  # bytes of a random one
_COOKIE: Final = 96
_VOUCH: Final = _LONG_NONCE + 2 * _KEY + _MAC
_MESSAGE: Final = b"\x07MESSAGE"
_BOX_OFFSET: Final = len(_MESSAGE) + _SHORT_NONCE

_FLAGS: Final = {0: 0, 1: MORE, 2: COMMAND}
"""The flags in a box -> those of a frame."""


class Cipher:
    """Encrypts and decrypts the frames of one connection after its handshake.

    The nonces of each side have a beginning of its own (``ours``, ``theirs``), and grow from the last one that this
    side has ``sent``, and has ``seen``.
    """

    def __init__(self, key: bytes, ours: bytes, theirs: bytes, sent: int, seen: int) -> None:
        self._key, self._ours, self._theirs = key, ours, theirs
        self._sent, self._seen = sent, seen

    def encode_message(self, frames: Sequence[bytes]) -> list[bytes]:
        """Return a message as buffers to be sent one after the other, after all that were encoded before."""
        buffers: list[bytes] = []
        small, last = b"", len(frames) - 1
        for index, content in enumerate(frames):
            header, box = self._encrypt(content, MORE if index < last else 0)
            if len(box) < LARGE:
                small += header + box
            else:
                buffers += [small + header, box]
                small = b""
        return [*buffers, small] if small else buffers

    def encode_command(self, name: bytes, data: bytes) -> bytes:
        """Return a command as a frame."""
        return b"".join(self._encrypt(bytes([len(name)]) + name + data, 2))

    def _encrypt(self, content: bytes, flags: int) -> tuple[bytes, bytes]:
        self._sent += 1
        nonce = self._sent.to_bytes(_SHORT_NONCE, "big")
        box = _seal(flags, content, self._ours + nonce, self._key)
        return frame_header(_BOX_OFFSET + len(box), 0) + _MESSAGE + nonce, box

    def decrypt(self, body: bytes) -> tuple[int, bytes]:
        """Return the flags and the content of the frame in a MESSAGE."""
        if body[: len(_MESSAGE)] != _MESSAGE:
            raise MalformedMessage("a frame is not encrypted")
        nonce = body[len(_MESSAGE) : _BOX_OFFSET]
        number = int.from_bytes(nonce, "big")
        if number <= self._seen:
            raise MalformedMessage("an encrypted frame came a second time")
        flags, content = _unseal(body, self._theirs + nonce, self._key)
        self._seen = number
        if flags not in (b"\0", b"\1", b"\2"):
            raise MalformedMessage("an encrypted frame has no flags")
        return _FLAGS[flags[0]], content


def _seal(flags: int, content: bytes, nonce: bytes, key: bytes) -> Any:
    """Return a box with the flags of a frame and its content, made in place: PyNaCl's function takes three copies."""
    box = bytearray(_MAC + 1 + len(content))
    box[_MAC] = flags
    memoryview(box)[_MAC + 1 :] = content  # a bytearray itself would copy it first
    start = ffi.cast("unsigned char *", ffi.from_buffer(box))
    lib.crypto_box_easy_afternm(start, start + _MAC, len(box) - _MAC, nonce, key)
    return box


def _unseal(body: bytes, nonce: bytes, key: bytes) -> tuple[bytes, bytes]:
    """Return the flags in the box of a MESSAGE, and the content behind them, with no further copies."""
    size = len(body) - _BOX_OFFSET
    if size < _MAC:
        raise MalformedMessage("an encrypted frame is cut short")
    content = ffi.new("unsigned char[]", size - _MAC)
    box = ffi.cast("unsigned char *", ffi.from_buffer(body)) + _BOX_OFFSET
    if lib.crypto_box_open_easy_afternm(content, box, size, nonce, key):
        raise MalformedMessage("an encrypted frame cannot be opened")
    view = ffi.buffer(content)
    return view[:1], view[1:]


def _open_box(box: bytes, nonce: bytes, key: bytes) -> bytes:
    """Return the content of a box."""
    if len(box) < _MAC:
        raise MalformedMessage("an encrypted frame is cut short")
    try:
        content: bytes = crypto_box_open_easy_afternm(box, nonce, key)
    except CryptoError:
        raise MalformedMessage("an encrypted frame cannot be opened") from None
    return content


def _shared_key(theirs: bytes, ours: bytes) -> bytes:
    """Return the key for boxes between the owners of a public and of a secret key."""
    try:
        key: bytes = crypto_box_beforenm(theirs, ours)
    except CryptoError:
        raise MalformedMessage("a public key of the handshake is none") from None
    return key


def _decode_key(key: str) -> bytes:
    return bytes(z85.decode(key))


class CurveKeys(Protocol):
    """The keys of a client, as text: 40 characters of Z85 each."""

    @property
    def server_public_key(self) -> str: ...
    @property
    def public_key(self) -> str: ...
    @property
    def secret_key(self) -> str: ...


class _CurveMechanism:
    """The common base of both sides: each frame is the command that comes next."""

    name: Final = NAME

    def __init__(self, random: Random, step: Callable[[bytes], bytes], expected: bytes) -> None:
        self.cipher: Cipher | None = None
        self._random, self._step, self._expected = random, step, expected

    @property
    def is_done(self) -> bool:
        """True once messages may come."""
        return self.cipher is not None

    def receive_frame(self, flags: int, body: bytes) -> bytes:
        """Take a frame of the other side; return what to send.

        Raises:
            MalformedMessage: it is not what comes next, or belongs to other keys.
            HandshakeRefused: one side refuses the other; ``answer`` is what to send to it.
        """
        name, data = read_command(body)
        if name == b"ERROR":
            raise HandshakeRefused(f"its keys: {error_reason(data):.40}")
        if not flags & COMMAND or name != self._expected:
            raise MalformedMessage(f"the handshake goes on with {name!r:.40} and not {self._expected!r}")
        return self._step(data)


class CurveClientMechanism(_CurveMechanism):
    """The client's side of the mechanism."""

    as_server: Final = False
    peer: Final = None

    def __init__(self, keys: CurveKeys, random: Random = os.urandom) -> None:
        super().__init__(random, self._send_initiate, b"WELCOME")
        self._server = _decode_key(keys.server_public_key)
        self._public, self._secret = _decode_key(keys.public_key), _decode_key(keys.secret_key)
        self._short_secret = random(_KEY)
        self._key = b""

    def begin(self) -> bytes:
        """Return what to send after the greeting: HELLO."""
        nonce = (1).to_bytes(_SHORT_NONCE, "big")
        key = _shared_key(self._server, self._short_secret)
        box = crypto_box_easy_afternm(bytes(64), b"CurveZMQHELLO---" + nonce, key)
        public = crypto_scalarmult_base(self._short_secret)
        return encode_command(b"HELLO", b"\1\0" + bytes(72) + public + nonce + box)

    def _send_initiate(self, data: bytes) -> bytes:
        _check_size(data, _LONG_NONCE + _KEY + _COOKIE + _MAC)
        content = _open_box(
            data[_LONG_NONCE:], b"WELCOME-" + data[:_LONG_NONCE], _shared_key(self._server, self._short_secret)
        )
        server, cookie = content[:_KEY], content[_KEY:]
        self._key = _shared_key(server, self._short_secret)
        self._step, self._expected = self._finish, b"READY"
        vouch = self._vouch(server)
        nonce = (2).to_bytes(_SHORT_NONCE, "big")
        content = self._public + vouch + socket_properties(b"DEALER")
        box = crypto_box_easy_afternm(content, b"CurveZMQINITIATE" + nonce, self._key)
        return encode_command(b"INITIATE", cookie + nonce + box)

    def _vouch(self, server: bytes) -> bytes:
        """Return the proof that the owner of the long-term key made the short-term one for this server."""
        nonce = self._random(_LONG_NONCE)
        content = crypto_scalarmult_base(self._short_secret) + self._server
        return nonce + crypto_box_easy_afternm(content, b"VOUCH---" + nonce, _shared_key(server, self._secret))

    def _finish(self, data: bytes) -> bytes:
        nonce = data[:_SHORT_NONCE]
        check_properties(_open_box(data[_SHORT_NONCE:], b"CurveZMQREADY---" + nonce, self._key), SERVERS)
        seen = int.from_bytes(nonce, "big")
        self.cipher = Cipher(self._key, b"CurveZMQMESSAGEC", b"CurveZMQMESSAGES", 2, seen)
        return b""


class CurveServerMechanism(_CurveMechanism):
    """The server's side of the mechanism.

    Attributes:
        peer: the client's public key as text, once it has proved that it has the secret one.
    """

    as_server: Final = True

    def __init__(self, secret_key: str, is_allowed: Callable[[str], bool], random: Random = os.urandom) -> None:
        super().__init__(random, self._on_hello, b"HELLO")
        self.peer: str | None = None
        self._secret, self._is_allowed = _decode_key(secret_key), is_allowed
        self._short_secret = self._client = self._cookie = b""

    def begin(self) -> bytes:
        """Return what to send after the greeting: nothing, as the client begins."""
        return b""

    def _on_hello(self, data: bytes) -> bytes:
        _check_size(data, 2 + 72 + _KEY + _SHORT_NONCE + 64 + _MAC)
        if data[:2] != b"\1\0":
            raise HandshakeRefused(f"CurveZMQ {data[0]}.{data[1]}")
        self._client, nonce, box = data[74:106], data[106:114], data[114:]
        key = _shared_key(self._client, self._secret)
        if _open_box(box, b"CurveZMQHELLO---" + nonce, key) != bytes(64):
            raise MalformedMessage("a HELLO says something else")
        self._short_secret, self._cookie, nonce = self._random(_KEY), self._random(_COOKIE), self._random(_LONG_NONCE)
        self._step, self._expected = self._on_initiate, b"INITIATE"
        content = crypto_scalarmult_base(self._short_secret) + self._cookie
        return encode_command(b"WELCOME", nonce + crypto_box_easy_afternm(content, b"WELCOME-" + nonce, key))

    def _on_initiate(self, data: bytes) -> bytes:
        cookie, nonce, box = data[:_COOKIE], data[_COOKIE : _COOKIE + _SHORT_NONCE], data[_COOKIE + _SHORT_NONCE :]
        if not compare_digest(cookie, self._cookie):
            raise MalformedMessage("an INITIATE has another cookie")
        key = _shared_key(self._client, self._short_secret)
        content = _open_box(box, b"CurveZMQINITIATE" + nonce, key)
        public, vouch = content[:_KEY], content[_KEY : _KEY + _VOUCH]
        _check_size(vouch, _VOUCH)
        vouched = _open_box(
            vouch[_LONG_NONCE:], b"VOUCH---" + vouch[:_LONG_NONCE], _shared_key(public, self._short_secret)
        )
        if not compare_digest(vouched, self._client + crypto_scalarmult_base(self._secret)):
            raise MalformedMessage("an INITIATE vouches for something else")
        check_properties(content[_KEY + _VOUCH :], CLIENTS)
        self.peer = z85.encode(public).decode()
        if not self._is_allowed(self.peer):
            raise UnknownKey(self.peer)
        return self._send_ready(key, int.from_bytes(nonce, "big"))

    def _send_ready(self, key: bytes, seen: int) -> bytes:
        nonce = (1).to_bytes(_SHORT_NONCE, "big")
        box = crypto_box_easy_afternm(socket_properties(b"ROUTER"), b"CurveZMQREADY---" + nonce, key)
        self.cipher = Cipher(key, b"CurveZMQMESSAGES", b"CurveZMQMESSAGEC", 1, seen)
        return encode_command(b"READY", nonce + box)


def _check_size(data: bytes, size: int) -> None:
    if len(data) != size:
        raise MalformedMessage(f"{len(data)} bytes of the handshake should be {size}")
