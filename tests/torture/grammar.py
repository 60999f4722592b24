"""Messages that are nearly requests: skeletons of both dialects with wrong parts, and damaged recordings. Seeded.

A message may turn out to be a sound request; what it may do then is bounded by the few names, keys and values here.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any, Final, TypeAlias

import msgpack
from attrs import define, field

VECTORS: Final = Path(__file__).parents[1] / "vectors"
VERBS: Final = (
    *("GET", "PUT", "DELETE", "EXISTS", "MGET", "RANGE", "SLICE", "BATCH", "PING", "DBCONNECT", "DBMOUNT", "DBUMOUNT"),
    *("DBLIST", "GET", "PUT", "MGET", "SLICE", "BATCH", "FOO", "", "get", "GET\0", "G\xe9T", "DBCREATED"),
    *("CONDITIONALBATCH", "INCREMENT", "GETANDDELETE", "COUNT", "DELETERANGE"),
)
RARE_VERBS: Final = ("DBCREATE", "DBDROP", "DBFORGET", "DBREPAIR", "COMPACT", "SIZES", "PROGRESS")
"""Verbs that are sound too often for their cost: one message in a few hundred is theirs."""

NAMES: Final = ("default", "victim", "nope", "", "a/b", "../x", "/nonexistent/x", "\0", "x" * 300, "default/")
KEYS: Final = (b"", b"k", b"key", b"\xff\xff", b"\0", b"BPUT", b"BDEL", b"k" * 400, "\u00e9".encode())
NUMBERS: Final = (0, 1, 2, -1, 7, 255, 1 << 31, -(1 << 31), (1 << 63) - 1, (1 << 64) - 1, -(1 << 63), 0.5, -0.0)
ODD: Final[tuple[Any, ...]] = (
    None,
    True,
    False,
    float("nan"),
    float("inf"),
    -float("inf"),
    [],
    {},
    [[]],
    {"a": {}},
    b"\xc1",
)
FIRST_ID: Final = 1 << 40
"""No number from here to ``LAST_ID`` is among ``NUMBERS``."""

LAST_ID: Final = 1 << 41
WORDS: Final = ("cmd", "meta", "args", "uid", "compression", "id", "status", "err_code", "datas", "sync", "max_bytes")
CLAIMS: Final = (
    *(b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff"),
    *(b"\xdc\xff\xff", b"\xde\xff\xff", b"\xda\xff\xff", b"\xc9\xff\xff\xff\xff\x00", b"\xc1", b"\xd4\x01\x00"),
)
"""Openings of arrays, maps, strings and extensions that claim more than there is, and bytes that msgpack does not use."""

Frames: TypeAlias = Sequence[bytes]


def pack(value: Any, modern: bool) -> bytes:
    """msgpack, with str8 and bin if ``modern``."""
    return bytes(msgpack.packb(value, use_bin_type=modern, unicode_errors="surrogateescape"))


def recorded_requests() -> list[bytes]:
    """The first frame of every recorded request, but for those that create databases: damaged ones would create many."""
    rows = [json.loads(line) for path in sorted(VECTORS.glob("*.jsonl")) for line in path.read_text().splitlines()]
    frames = [bytes.fromhex(row["request"][0]) for row in rows if row["request"]]
    return [frame for frame in frames if frame and b"DBCREATE" not in frame]


@define
class Grammar:
    """An endless source of messages.

    Attributes:
        seed: the same seed and uids give the same messages.
        uids: of databases that exist, so that some messages get further.
        next_id: ids from ``FIRST_ID`` up to here are used, by one message each; other messages may hold others.
    """

    seed: int
    uids: Sequence[str]
    dice: Random = field(init=False)
    recordings: Sequence[bytes] = field(factory=recorded_requests)
    next_id: int = FIRST_ID

    @dice.default
    def _its_random(self) -> Random:
        return Random(self.seed)

    def __iter__(self) -> Iterator[Frames]:
        """Messages, for ever."""
        kinds, weights = list(PRODUCTIONS), list(PRODUCTIONS.values())
        while True:
            for kind in self.dice.choices(kinds, weights, k=100):
                yield kind(self)

    # Parts

    def value(self, depth: int = 0) -> Any:
        """Any value, of the right or of a wrong type."""
        draw = self.dice.random()
        if draw < 0.45:
            return self.dice.choice(KEYS)
        if draw < 0.60:
            return self.dice.choice(NUMBERS)
        if draw < 0.75:
            return self.dice.choice(ODD)
        if draw < 0.80:
            return msgpack.ExtType(self.dice.randrange(128), b"ext")
        if draw < 0.81:
            return self.dice.randbytes(self.dice.randrange(4000))
        return self.container(depth)

    def container(self, depth: int) -> Any:
        if depth > 3:
            return []
        values = [self.value(depth + 1) for _ in range(self.dice.randrange(4))]
        return values if self.dice.random() < 0.7 else dict(zip(self.dice.sample(WORDS, 3), values, strict=False))

    def verb(self) -> Any:
        draw = self.dice.random()
        if draw < 0.01:
            return self.dice.choice(RARE_VERBS)
        return self.dice.choice(VERBS) if draw < 0.95 else self.value()

    def uid(self) -> Any:
        draw = self.dice.random()
        if draw < 0.6:
            return self.dice.choice(self.uids)
        return self.dice.choice((None, "", "nope", *NAMES)) if draw < 0.9 else self.value()

    def args(self, verb: Any) -> list[Any]:
        """Arguments: often right, often of a wrong type or number."""
        draw = self.dice.random()
        if draw < 0.4:
            return list(self.dice.choice(SOUND.get(verb if isinstance(verb, str) else "", ((),))))
        if str(verb).startswith("DB") and draw < 0.7:
            return [self.dice.choice(NAMES)]
        return [self.value() for _ in range(self.dice.randrange(6))]

    def meta(self) -> Any:
        """Meta with an id that is used once, if it is one."""
        draw = self.dice.random()
        if draw < 0.6:
            self.next_id += 1
            return {"compression": draw < 0.1, "id": self.next_id - 1}
        if draw < 0.8:
            return {"compression": self.value(3), "id": self.dice.choice((None, -1, "7", 1.5, True, [7]))}
        return self.value()

    # Messages

    def classic(self) -> Frames:
        """A map like a classic request, with parts that are wrong, missing or too many."""
        verb = self.verb()
        message = {"cmd": verb, "meta": self.meta(), "uid": self.uid(), "args": self.args(verb)}
        draw = self.dice.random()
        if draw < 0.1:
            del message[self.dice.choice(("cmd", "uid", "args"))]
        elif draw < 0.2:
            message[self.dice.choice(WORDS[:1] + WORDS[2:4])] = self.value()
        elif draw < 0.3:
            message[str(self.value(3))] = self.value()
        return [pack(message, self.dice.random() < 0.3)]

    def flat(self) -> Frames:
        """An array like a flat request."""
        verb = self.verb()
        message = [self.uid(), verb, *self.args(verb)]
        return [pack(message[: self.dice.randrange(6)] if self.dice.random() < 0.1 else message, False)]

    def strange(self) -> Frames:
        """One value of any type; or a reply."""
        if self.dice.random() < 0.2:
            return [pack({"status": 1, "err_msg": None, "err_code": None}, False), pack({"datas": [b"x"]}, False)]
        return [pack(self.value(), self.dice.random() < 0.5)]

    def nested(self) -> Frames:
        """Arrays or maps within one another, deeper than any client needs; the end may be missing."""
        depth = self.dice.choice((5, 17, 100, 511, 512, 1024, 1025, 5000))
        opening = self.dice.choice((b"\x91", b"\x81\xa1a", b"\x92\x01", b"\xdd\0\0\0\1"))
        head = self.dice.choice((b"", b"\x84\xa3cmd\xa3GET\xa4meta\xc0\xa3uid\xc0\xa4args", b"\x93\xa1u\xa3GET"))
        return [head + opening * depth + self.dice.choice((b"", b"\xc0"))]

    def claim(self) -> Frames:
        """A header that claims more than there is, alone, repeated or within a request."""
        claim = self.dice.choice(CLAIMS)
        head = self.dice.choice((b"", b"\x84\xa3cmd\xa3PUT\xa4args", b"\x93\xa1u\xa4MGET", b"\x81\xa4meta"))
        return [head + claim * self.dice.choice((1, 1, 2, 300)) + self.dice.randbytes(self.dice.randrange(9))]

    def noise(self) -> Frames:
        """Random bytes, in no frame or many."""
        sizes = self.dice.choices((0, 1, 2, 9, 100), k=self.dice.choice((1, 1, 1, 2, 3, 9)))
        return [self.dice.randbytes(size) for size in sizes]

    def large(self) -> Frames:
        """Long strings and many elements."""
        size = self.dice.randrange(1 << 17)
        body: Any = self.dice.choice(([None] * size, b"x" * size, {str(i): i for i in range(size // 64)}))
        return [pack({"cmd": "MGET", "meta": {}, "uid": self.uid(), "args": [body]}, False)]

    def mutated(self) -> Frames:
        """A recorded request with some bytes changed, cut out, cut off or put in from another one."""
        frame = bytearray(self.dice.choice(self.recordings))
        for _ in range(self.dice.choice((1, 1, 2, 4))):
            at = self.dice.randrange(len(frame) + 1)
            draw = self.dice.randrange(5)
            if draw == 0:
                frame[at : at + 1] = self.dice.randbytes(1)
            elif draw == 1:
                del frame[at : at + self.dice.randrange(8)]
            elif draw == 2:
                del frame[at:]
            elif draw == 3:
                frame[at:at] = self.dice.randbytes(self.dice.randrange(4))
            else:
                frame[at:] = self.dice.choice(self.recordings)[at:]
        mutated = bytes(frame)
        return [mutated] if self.dice.random() < 0.95 else [mutated, mutated]


PRODUCTIONS: Final[Mapping[Callable[[Grammar], Frames], int]] = {
    Grammar.classic: 300,
    Grammar.flat: 200,
    Grammar.mutated: 300,
    Grammar.strange: 80,
    Grammar.noise: 80,
    Grammar.claim: 30,
    Grammar.nested: 9,
    Grammar.large: 1,
}
"""Production -> its share, in thousandths."""

SOUND: Final[Mapping[str, Sequence[Sequence[Any]]]] = {
    "GET": ([b"k"], [b"nope"]),
    "PUT": ([b"k", b"v"], [b"key", b"v" * 500]),
    "DELETE": ([b"k"],),
    "EXISTS": ([b"k"],),
    "MGET": ([[b"k", b"nope", b""]], [[]]),
    "RANGE": ([None, None, True, True], [b"a", b"z", True, False], [b"z", b"a"], [b"", b"", None, None, b"k"]),
    "SLICE": ([b"", 3, True, True], [None, -1], [b"k", 1 << 62, False, False], [b"", "3"]),
    "BATCH": ([[[1, b"k", b"v"], [0, b"key"]]], [[[1, b"k"]]], [[[9, b"k"]]], [[]], ["BPUT", b"k", b"v", "BDEL", b"k"]),
    "CONDITIONALBATCH": (
        [[[1, b"k", b"v"]], [[0, b"nope"]]],
        [[[1, b"k", b"v"], [0, b"key"]], [[1, b"k"], [2, b"k", b"v"]]],
        [[[0, b"k"]], [[2, b"k", b"w"]]],
        [[], []],
        [[[1, b"k"]], [[7, b"k"]]],
    ),
    "INCREMENT": ([b"n"], [b"n", 5, -1], [b"k", 1 << 62], [b"n", "1"]),
    "COUNT": ([], [b"a", b"z"], [None, None, b"k"], [1]),
    "GETANDDELETE": ([b"k"], [b"nope"]),
    "DELETERANGE": ([b"zz", b"zzz"], [None, b"a", b"k"], [1]),
    "DBCONNECT": (["default"], ["victim"]),
    "DBMOUNT": (["victim"],),
    "DBUMOUNT": (["victim"],),
    "DBCREATE": (["victim", {}], ["victim", {"block_size": "x"}]),
    "DBDROP": (["victim"],),
    "DBFORGET": (["victim"],),
    "COMPACT": ([], [b"a", None], [1]),
    "SIZES": ([[[b"a", b"b"], [None, None]]], [[b"a"]], [[[b"a"]]]),
}
"""Verb -> arguments that it takes, or nearly."""
