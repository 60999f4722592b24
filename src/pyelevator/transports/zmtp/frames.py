"""ZMTP: what ZeroMQ writes on a connection, without a socket or a clock (rfc.zeromq.org/spec/23).

It is the part that DEALERs and ROUTERs need, here with the mechanism NULL, which asks for no keys (CURVE is in
``curvezmq``)::

    both    signature: ff 00 00 00 00 00 00 00 01 7f     10 bytes, which an old peer reads as an empty identity
    both    revision, minor, mechanism, as-server, zeros 54 bytes more, once the peer's revision is known
    both    READY, a command with properties             after which messages go either way
    frame   flags (1: more follow, 2: long, 4: command), size (1 byte, or 8 if long), so many bytes

Servers of ZMTP 1 and 2, as the old ones are, begin otherwise (``welcome`` shows how), and are spoken with as well.

Whatever bytes come in, what is read here gives messages, or raises MalformedMessage, LimitExceeded or Refused, and
never holds much more than has come in.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from math import ceil, inf
from typing import Final, Protocol, TypeAlias

from pyelevator.errors import LimitExceeded, MalformedMessage

SIGNATURE: Final = b"\xff" + (1).to_bytes(8, "big") + b"\x7f"
MORE: Final = 1
LONG: Final = 2
COMMAND: Final = 4
LARGE: Final = 1 << 16
"""Bytes of a frame from which on it is neither joined with others on its way out, nor collected in one piece."""

MAX_MESSAGE: Final = 256 << 20
"""Bytes of a message, as a server takes them from us by default."""

ReadHead: TypeAlias = Callable[[bytes, int, int], tuple[int, int, int] | None]
"""Data, a place in it and a limit -> the flags of the frame there, and where its content starts and stops."""

GREETING: Final = 64
_MECHANISM_END: Final = 32  # where that stands in a greeting
REVISION: Final = 3
_OLD_REVISION: Final = 1
_OLD_DEALER: Final = 5
_MAX_IDENTITY: Final = 255
MINOR: Final = 1
"""The version is 3.1, from which on peers understand PING."""

NULL: Final = b"NULL".ljust(20, b"\0")
SERVERS: Final = (b"ROUTER", b"DEALER", b"REP")
CLIENTS: Final = (b"DEALER", b"REQ", b"ROUTER")
"""The types of sockets that may be at the other end."""

_FRAME: Final = 64  # what a frame, or a piece of one, counts beside its bytes, as empty ones take memory, too
MAX_COMMAND: Final = 1 << 16
_MAX_REASON: Final = 255  # characters of why a peer refuses us; it counts them in one byte
_MAX_CONTEXT: Final = 16  # bytes of a PING that its PONG repeats
_TTL_SECONDS: Final = 0.1  # what its time to live counts
_MAX_TTL: Final = 0xFFFF
_MAX_PONGS: Final = 4096  # bytes of PONGs at once; to a peer that asks so often they say enough


class Refused(Exception):
    """One side speaks ZMTP 3 and wants no such connection: another mechanism, or a reason of its own.

    Args:
        reason: why.
        answer: what to tell the peer before the connection ends.
    """

    def __init__(self, reason: str, answer: bytes = b"") -> None:
        super().__init__(reason)
        self.answer = answer


class UnknownKey(Refused):
    """The peer has proved to have a key, and it is none that may connect.

    Args:
        key: the public one, as text.
    """

    def __init__(self, key: str) -> None:
        super().__init__(f"its public key {key} is not among the server's clients", error(b"400"))


class Foreign(Refused):
    """The peer speaks no ZMTP at all.

    Args:
        protocol: what it speaks instead, as far as its first bytes tell.
    """

    def __init__(self, protocol: str) -> None:
        super().__init__(f"it speaks {protocol}, not ZeroMQ")


class WrongMechanism(Refused):
    """The peer has another mechanism than we.

    Args:
        mechanism: the peer's, such as CURVE.
    """

    def __init__(self, mechanism: str) -> None:
        super().__init__(f"mechanism {mechanism!r:.40}")
        self.mechanism = mechanism


def check_mechanism(greeting: bytes, ours: bytes = NULL) -> None:
    """Refuses a peer of another mechanism, once so much of its greeting has come.

    Raises:
        WrongMechanism: it has another.
    """
    theirs = greeting[12:_MECHANISM_END]
    if len(greeting) >= _MECHANISM_END and theirs != ours:
        raise WrongMechanism(theirs.rstrip(b"\0").decode("ascii", "replace"))


def property_of(name: bytes, value: bytes) -> bytes:
    """One property of a READY."""
    return bytes([len(name)]) + name + len(value).to_bytes(4, "big") + value


def command(name: bytes, data: bytes) -> bytes:
    """A command as a frame."""
    return frame(bytes([len(name)]) + name + data, COMMAND)


def head(size: int, flags: int) -> bytes:
    """What stands before the content of a frame."""
    return bytes((flags | LONG, *size.to_bytes(8, "big"))) if size > 255 else bytes((flags, size))


_SHORT_HEADS: Final = [head(size, flags) for flags in (0, MORE) for size in range(256)]
"""The heads of short frames: the last ones of their messages, then the others."""


def first_head(size: int, flags: int) -> bytes:
    """The same in ZMTP 1, where the flags are counted with the content."""
    return bytes((255, *(size + 1).to_bytes(8, "big"), flags)) if size > 253 else bytes((size + 1, flags))


def frame(content: bytes, flags: int = 0) -> bytes:
    """A whole frame."""
    return head(len(content), flags) + content


def properties(kind: bytes) -> bytes:
    """What a socket of that kind says of itself."""
    return property_of(b"Socket-Type", kind) + property_of(b"Identity", b"")


def ready(kind: bytes) -> bytes:
    """What ends the handshake of a socket of that kind."""
    return command(b"READY", properties(kind))


def error(reason: bytes) -> bytes:
    """What ends a handshake that does not end well."""
    return command(b"ERROR", bytes([len(reason)]) + reason)


def reason_in(data: bytes) -> str:
    """The reason in the data of an ERROR; it may hold anything, and no line of a log but its own."""
    return repr(data[1:].decode("utf-8", "replace"))[1:-1][:_MAX_REASON]


def greeting(mechanism: "Mechanism") -> bytes:
    """The greeting from the minor version on, and what follows it."""
    return b"".join(_greeting(mechanism)) + mechanism.begin()


def _greeting(mechanism: "Mechanism") -> tuple[bytes, bytes]:
    """The greeting from the minor version on, and its last byte."""
    return bytes((MINOR,)) + mechanism.name + bytes((mechanism.as_server,)) + bytes(30), bytes(1)


_head: Final = head


def encode(frames: Sequence[bytes], head: Callable[[int, int], bytes] = head) -> list[bytes]:
    """A message in pieces to be sent one after the other; a short one is a single piece, a large frame its own."""
    pieces, small = [], b""
    last, heads = len(frames) - 1, _SHORT_HEADS if head is _head else ()
    for index, content in enumerate(frames):
        size, flags = len(content), MORE if index < last else 0
        small += heads[size + 256 * flags] if size < 256 and heads else head(size, flags)
        if size < LARGE:
            small += content
        else:
            pieces += [small, content]
            small = b""
    return [*pieces, small] if small else pieces


class Sealing(Protocol):
    """What a mechanism that encrypts has for the frames behind the handshake."""

    def encode(self, frames: Sequence[bytes]) -> list[bytes]:
        """As ``encode``."""

    def command(self, name: bytes, data: bytes) -> bytes:
        """As ``command``."""

    def open(self, body: bytes) -> tuple[int, bytes]:
        """The flags and the content of a frame; raises MalformedMessage."""


class Mechanism(Protocol):
    """What happens between the greetings and the messages, on one side of one connection.

    Attributes:
        name: as the greeting has it.
        as_server: likewise.
        done: True once messages may come.
        cipher: what they are sealed with then; None for nothing.
        peer: who the other side has proved to be; None where nobody asks.
    """

    @property
    def name(self) -> bytes: ...
    @property
    def as_server(self) -> bool: ...
    @property
    def done(self) -> bool: ...
    @property
    def cipher(self) -> Sealing | None: ...
    @property
    def peer(self) -> str | None: ...

    def begin(self) -> bytes:
        """What to send behind the greeting."""

    def receive(self, flags: int, body: bytes) -> bytes:
        """Takes a frame; what to send now. Raises MalformedMessage or Refused."""


class Null:
    """The mechanism that asks for no keys: each side says what it is.

    Args:
        kind: of our socket.
        peers: kinds that the other may be of.
        peer: who the other side is, where another way tells that.
    """

    name: Final = NULL
    as_server: Final = False
    cipher: Final = None

    def __init__(self, kind: bytes, peers: Sequence[bytes], peer: str | None = None) -> None:
        self.done = False
        self.peer = peer
        self._kind, self._peers = kind, peers

    def begin(self) -> bytes:
        """What to send behind the greeting: READY."""
        return ready(self._kind)

    def receive(self, flags: int, body: bytes) -> bytes:
        """Takes the other side's READY; there is nothing to send.

        Raises:
            MalformedMessage: it is none.
            Refused: see there.
        """
        if not flags & COMMAND:
            raise MalformedMessage("a message came before the handshake was over")
        check_ready(body, self._peers)
        self.done = True
        return b""


class Handshake:
    """How a connection begins, seen from a DEALER.

    It opens with the signature and says no more until the peer's revision is known: to an old peer (libzmq before 4,
    as old servers have) what follows would be messages, and one bad message could kill its worker. The last byte of
    the greeting comes when the peer's mechanism is known: one that has another ends the connection with that byte, and
    libzmq does so before it has named its own.

    Args:
        mechanism: NULL if None.

    Attributes:
        opening: what to send first.
        done: True once messages may be sent.
        rest: what came behind the handshake.
    """

    opening: Final = SIGNATURE

    def __init__(self, mechanism: Mechanism | None = None) -> None:
        self.done = False
        self.rest = b""
        self._mechanism = mechanism or Null(b"DEALER", SERVERS)
        self._head, self._read_head = head, read_head
        self._old_at: int | None = None  # where the identity of an older peer begins
        self._minor = 0
        self._data = b""
        self._greeted = self._agreed = False

    def receive(self, data: bytes) -> bytes:
        """Takes what came in; what to send now.

        Raises:
            Refused: see there.
            MalformedMessage: the peer began as ZMTP 3 does, and then wrote something else.
            LimitExceeded: its properties are too long.
        """
        self._data += data
        if self._data[:1] not in (b"", b"\xff") or (len(self._data) >= 10 and not self._data[9] & 1):
            self._refuse_without_keys()
            self._head, self._read_head, self._greeted = first_head, read_first_head, True
            self._old_at = 0
        reply = b"" if self._greeted or len(self._data) < 11 else self._greet(self._data[10])
        if self._old_at is not None:
            self._end(self._old_at)
            return reply
        if self._greeted and not self._agreed and len(self._data) >= _MECHANISM_END:
            reply += self._agree()
        if self._agreed and len(self._data) > GREETING:
            reply += self._go_on()
        return reply

    def _greet(self, revision: int) -> bytes:
        self._greeted = True
        if revision < REVISION:
            self._refuse_without_keys()
            if revision != _OLD_REVISION:
                raise Refused(f"revision {revision}")
            self._old_at = 12
            return bytes((REVISION, _OLD_DEALER)) + frame(b"")
        head, _ = _greeting(self._mechanism)
        return bytes((REVISION,)) + head

    def _agree(self) -> bytes:
        check_mechanism(self._data, self._mechanism.name)
        self._agreed, self._minor = True, self._data[11]
        _, end = _greeting(self._mechanism)
        return end + self._mechanism.begin()

    def _refuse_without_keys(self) -> None:
        """Refuses a peer of an older protocol: a mechanism with keys must not be left for one without."""
        if self._mechanism.name != NULL:
            raise WrongMechanism("NULL")

    def _end(self, at: int) -> None:
        """Reads the identity of an older peer, which ends its handshake; it has no flags."""
        found = self._read_head(self._data, at, _MAX_IDENTITY)
        if found is not None and found[0]:
            raise MalformedMessage("it does not begin as ZeroMQ does")
        if found is not None and found[2] <= len(self._data):
            self.done, self.rest = True, self._data[found[2] :]

    def _go_on(self) -> bytes:
        """Hands the frames that have come to the mechanism; what it has to say."""
        mechanism, at, said = self._mechanism, GREETING, b""
        while not mechanism.done and (found := read_frame(self._data, at, MAX_COMMAND)) is not None:
            flags, start, at = found
            said += mechanism.receive(flags, self._data[start:at])
        self._data = self._data[:GREETING] + self._data[at:]
        if mechanism.done:
            self.done, self.rest = True, self._data[GREETING:]
        return said

    def outgoing(self) -> Callable[[Sequence[bytes]], list[bytes]]:
        """What writes messages from now on."""
        if self._mechanism.cipher is not None:
            return self._mechanism.cipher.encode
        return encode if self._head is head else partial(encode, head=self._head)

    def pinging(self, ttl: float) -> Callable[[], bytes] | None:
        """What makes a PING; None if the peer does not understand it (before ZMTP 3.1).

        Args:
            ttl: seconds of silence after which the peer may end the connection.
        """
        make = command if self._mechanism.cipher is None else self._mechanism.cipher.command
        data = min(ceil(ttl / _TTL_SECONDS), _MAX_TTL).to_bytes(2, "big")
        return (lambda: make(b"PING", data)) if self._minor >= MINOR else None

    def incoming(self, limit: int = MAX_MESSAGE) -> "Decoder":
        """What reads messages from now on."""
        cipher = self._mechanism.cipher
        return Decoder(limit, self._read_head) if cipher is None else SealedDecoder(cipher, limit)


def read_frame(data: bytes, at: int, limit: int) -> tuple[int, int, int] | None:
    """The flags of the frame at ``at``, and where its content starts and stops; None if its end has not come yet.

    Raises:
        MalformedMessage, LimitExceeded: it is none, or longer than ``limit`` bytes.
    """
    found = read_head(data, at, limit)
    return None if found is None or found[2] > len(data) else found


def read_head(data: bytes, at: int, limit: int) -> tuple[int, int, int] | None:
    """Like ``read_frame``, where the end of the frame need not have come."""
    if len(data) - at < 2:
        return None
    flags, size, start = data[at], data[at + 1], at + 2
    if flags > 6 or flags == COMMAND | MORE:
        raise MalformedMessage(f"a frame has the flags {flags:#04x}")
    if flags & LONG:
        start = at + 9
        if len(data) < start:
            return None
        size = int.from_bytes(data[at + 1 : start], "big")
    if size > limit:
        raise LimitExceeded(f"a message of more than {limit} bytes")
    return flags, start, start + size


def read_first_head(data: bytes, at: int, limit: int) -> tuple[int, int, int] | None:
    """The same in ZMTP 1."""
    long = data[at : at + 1] == b"\xff"
    start = at + (10 if long else 2)
    if len(data) < start:
        return None
    size = int.from_bytes(data[at + 1 : at + 9], "big") if long else data[at]
    if not size:
        raise MalformedMessage("a frame has no flags")
    if data[start - 1] > MORE:
        raise MalformedMessage(f"a frame has the flags {data[start - 1]:#04x}")
    if size - 1 > limit:
        raise LimitExceeded(f"a message of more than {limit} bytes")
    return data[start - 1], start, start + size - 1


def check_ready(body: bytes, peers: Sequence[bytes]) -> None:
    """Refuses a handshake that does not end well: its last command, and the types of sockets that may send it."""
    name, data = read_command(body)
    if name == b"ERROR":
        raise Refused(reason_in(data))
    if name != b"READY":
        raise MalformedMessage(f"the handshake ended with {name!r:.40}")
    check_properties(data, peers)


def check_properties(data: bytes, peers: Sequence[bytes]) -> None:
    """Refuses a socket of another type than those."""
    peer = dict(_properties(data)).get(b"socket-type", b"")
    if peer not in peers:
        raise Refused(f"a socket of type {peer!r:.40}")


def read_command(body: bytes) -> tuple[bytes, bytes]:
    """The name of a command and what follows it.

    Raises:
        MalformedMessage: it has no name.
    """
    length = body[0] if body else 0
    if not length or len(body) <= length:
        raise MalformedMessage("a command without a name")
    return body[1 : 1 + length], body[1 + length :]


def _properties(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at < len(data):
        name = at + 1 + data[at]
        value = name + 4 + int.from_bytes(data[name : name + 4], "big")
        if value > len(data):
            raise MalformedMessage("a property of the handshake is cut short")
        yield data[at + 1 : name].lower(), data[name + 4 : value]
        at = value


class Decoder:
    """Bytes to messages, after the handshake.

    Args:
        limit: bytes of a message, of which each frame counts 64 more.
        read_head: reads what stands before each frame.
        most: messages that are read ahead; for what stands behind them, ``feed`` wants to be called again.

    Attributes:
        messages: those that are complete, for the caller to take out.
        behind: whether there is something behind the last of them that has not been looked at.
        pongs: what to send because the peer asked whether we live.
        ttl: seconds of silence after which the peer that asked last wants to be given up; 0 for no end.
        wanted: how many bytes to take next.
    """

    def __init__(self, limit: int = MAX_MESSAGE, read_head: ReadHead = read_head, most: float = inf) -> None:
        self._read_head = read_head
        self._command = command
        self._most = most
        self.behind = False
        self.messages: deque[list[bytes]] = deque()
        self.pongs = b""
        self.ttl = 0.0
        self.wanted = LARGE
        self._limit = limit
        self._left = limit  # of the message that has begun
        self._frames: list[bytes] = []
        self._rest = b""
        self._chunks: list[bytes] = []  # of a large frame
        self._flags = 0
        self._missing = 0
        self._weight = 0  # of the chunks

    @property
    def unfinished(self) -> int:
        """Bytes of memory, about, that the message takes whose end has not come."""
        return self._limit - self._left + self._weight + len(self._rest)

    @property
    def expected(self) -> int:
        """Bytes of memory, about, that it will take once the frame has come that has begun."""
        return self.unfinished + self._missing

    def feed(self, data: bytes) -> None:
        """Takes what came in.

        Raises:
            MalformedMessage, LimitExceeded: nothing that follows can be read.
        """
        if self._missing:
            data = self._fill(data)
        if self._rest:
            data = self._rest + data
        self._rest = data[self._read(data) :]

    def _fill(self, data: bytes) -> bytes:
        """Adds to a large frame; what is left then."""
        self._chunks.append(data[: self._missing])
        self._weight += len(data) + _FRAME
        if len(data) < self._missing:
            self._expect(self._missing - len(data))
            return b""
        data = data[self._missing :]
        content, self._chunks, self._weight = b"".join(self._chunks), [], 0
        self._expect(0)
        self._take(self._flags, content)
        return data

    def _expect(self, missing: int) -> None:
        self._missing = missing
        self.wanted = max(LARGE, min(missing, 16 * LARGE))

    def _read(self, data: bytes) -> int:
        """Takes the frames of ``data``; where the first begins that is not complete."""
        at, end = 0, len(data)
        self.behind = False
        while at < end and (found := self._read_head(data, at, self._left)) is not None:
            if len(self.messages) >= self._most:
                self.behind = True
                break
            flags, start, stop = found
            if stop <= end:
                self._take(flags, data[start:stop])
                at = stop
            elif stop - start < LARGE:
                break
            else:
                self._flags, self._chunks, self._weight = flags, [data[start:]], end - start + _FRAME
                self._expect(stop - end)
                return end
        return at

    def _take(self, flags: int, content: bytes) -> None:
        if flags & COMMAND:
            self._obey(content)
            return
        self._frames.append(content)
        if flags & MORE:
            self._left -= len(content) + _FRAME
            if self._left < 0:
                raise LimitExceeded(f"a message of more than {self._limit} bytes")
        else:
            self.messages.append(self._frames)
            self._frames, self._left = [], self._limit

    def _obey(self, body: bytes) -> None:
        """A PING is answered, with its context and without its time to live; other commands ask for nothing."""
        name, data = read_command(body)
        if name != b"PING":
            return
        self.ttl = int.from_bytes(data[:2], "big") * _TTL_SECONDS
        if len(self.pongs) < _MAX_PONGS:
            self.pongs += self._command(b"PONG", data[2 : 2 + _MAX_CONTEXT])


class SealedDecoder(Decoder):
    """A decoder of encrypted frames.

    Args:
        cipher: opens them.
        limit, most: as of a Decoder.
    """

    def __init__(self, cipher: Sealing, limit: int = MAX_MESSAGE, most: float = inf) -> None:
        super().__init__(limit, most=most)
        self._open, self._command = cipher.open, cipher.command

    def _take(self, _: int, content: bytes) -> None:
        super()._take(*self._open(content))
