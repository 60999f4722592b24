"""What a server answers that means no good: contents of answers of every type, and headers with something wrong."""

from collections.abc import Sequence
from typing import Any

import msgpack

from pyelevator.commands import DbRepair
from support.samples import SAMPLES


def nest(levels: int) -> Any:
    value: Any = b"v"
    for _ in range(levels):
        value = [value]
    return value


DATAS: dict[str, Any] = {
    "nil": None,
    "true": True,
    "int": 7,
    "negative int": -7,
    "huge int": 2**64 - 1,
    "float": 1.5,
    "nan": float("nan"),
    "text": b"text",
    "empty text": b"",
    "number": b"12",
    "negative number": b"-12",
    "long number": b"9" * 5000,
    "spaced number": b" 1_2 ",
    "json": b'{"size": 1}',
    "json of infinity": b'{"size": Infinity, "linked": 1e999, "uptime": 1e999}',
    "json of numbers": b'"12"',
    "json of far times": b'[{"at": 1e300, "seconds": -1e300}]',
    "json of lists": b"[[[]]]",
    "deep json": b"[" * 100_000,
    "[]": [],
    "[nil]": [None],
    "[true]": [True],
    "[int]": [7],
    "[float]": [1.5],
    "[text]": [b"text"],
    "[number]": [b"12"],
    "[[]]": [[]],
    "[pair]": [[b"k", b"v"]],
    "[triple]": [[b"k", b"v", b"w"]],
    "[int, text]": [1, b"v"],
    "[[int, text]]": [[1, b"v"]],
    "[[text, nil]]": [[b"k", None]],
    "seven texts": [b"text"] * 7,
    "seven pairs": [[b"k", b"v"]] * 7,
    "map": {b"k": b"v"},
    "[map]": [{b"k": b"v"}],
    "map of ints": {1: 2},
    "map of maps": {b"status": {b"status": 1}},
    "extension": msgpack.ExtType(5, b"x"),
    "[extension]": [msgpack.ExtType(5, b"x")],
    "[timestamp]": [msgpack.Timestamp(1 << 33)],
    "deep": nest(100),
}
"""The datas of an answer."""

TEXTS = {"text", "empty text", "number", "negative number", "long number", "spaced number"}
JSONS = {"json", "json of infinity", "json of numbers", "json of far times", "json of lists", "deep json"}
VALUES = TEXTS | JSONS
NUMBERS = {"number", "negative number"}

ACCEPTED: dict[str, set[str]] = {
    **dict.fromkeys(("GET", "GETANDDELETE", "PING", "DBCONNECT"), VALUES),
    "EXISTS": {"true"},
    "INCREMENT": NUMBERS,
    "COUNT": {"number"},
    "MGET": {"[nil]", "[text]", "[number]"},
    "RANGE": {"[]", "[pair]", "seven pairs"},
    "SLICE": {"[]", "[pair]"},
    "DELETERANGE": {"[number]"},
    "DBLIST": {"[]", "[text]", "[number]", "seven texts"},
    "STATS": {"json"},
    "DBREPAIR WITH REPORT": {"nil", "true", "empty text"},
    **{verb: set() for verb in ("BACKUP", "SIZES", "PROGRESS", "SLOWLOG")},
}
"""Verb -> the datas that answer it. What answers the other verbs is not looked at."""

WRAPPED = {"true": {"[true]"}, "text": {"[text]"}, "number": {"[number]"}, "nil": {"[nil]"}}
"""Scalars are answered in a list, too, except in pipelines."""

COMMANDS: dict[str, Any] = {verb: command for verb, (_, command) in SAMPLES.items() if verb != "PIPELINE"} | {
    "DBREPAIR WITH REPORT": DbRepair(report=True)
}


def answers(verb: str, name: str, *, nested: bool = False) -> bool:
    """Return whether those datas answer that verb, or may."""
    if verb not in ACCEPTED:
        return True
    accepted = ACCEPTED[verb]
    is_list = verb in {"MGET", "RANGE", "SLICE", "DELETERANGE", "DBLIST"}
    wrapped = set() if nested or is_list else {one for kind in accepted for one in WRAPPED.get(kind, ())}
    return name in accepted | wrapped


def each(name: str, values: Sequence[Any], **others: Any) -> dict[str, dict[str, Any]]:
    """A field of a header with each of the values, and others beside it."""
    return {f"{name} {value!r}": {name: value, **others} for value in values}


HEADERS: dict[str, dict[str, Any]] = {
    **each("status", (0, 3, 2**64 - 1, "1", 1.0, True, None, [1], {})),
    **each("id", ("7", 7.0, -7, True, [7], {}, msgpack.ExtType(1, b""))),
    **each("more", (1, "yes", [], -1)),
    **each("cursor", (1, True, [b"c"], {})),
    **each("features", ("id", 1, {"id": 1}, [1], [None], [["id"]])),
    "100,000 features": {"features": [f"feature {number}" for number in range(100_000)]},
    "a long feature": {"features": ["f" * 100_000]},
    **each("max_message", ("1", 1.5, [], True)),
    **each("err_code", ("1", 1.5, True, []), status=-1),
    **each("err_msg", (1, True, ["no"], {}), status=-1),
    "compressed": {"compression": True},
}
"""What is wrong in a header -> the fields that are."""
