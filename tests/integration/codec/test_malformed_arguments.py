"""Requests that are made wrong on purpose, argument by argument: our codecs name what is wrong, by its code."""

import msgpack
import pytest

from pyelevator.codec import ClassicCodec, FlatCodec
from pyelevator.codec.base import Codec
from pyelevator.errors import ErrorCode, MalformedMessage

KEY, FLAG, COUNT, NAME = "key", "flag", "count", "name"

SIGNATURES = {
    "GET": (KEY,),
    "PUT": (KEY, KEY),
    "DELETE": (KEY,),
    "EXISTS": (KEY,),
    "MGET": ("keys",),
    "RANGE": ("bound", "bound", FLAG, FLAG),
    "SLICE": ("bound", COUNT, FLAG, FLAG),
    "BATCH": ("ops",),
    "DBCONNECT": (NAME,),
    "DBMOUNT": (NAME,),
    "DBUMOUNT": (NAME,),
    "DBCREATE": (NAME, "options"),
    "DBDROP": (NAME,),
}
REQUIRED = {"RANGE": 2, "SLICE": 2, "DBCREATE": 1}
FLAT_SIGNATURES = {
    **{verb: SIGNATURES[verb] for verb in ("GET", "PUT", "DELETE", "DBCONNECT", "DBMOUNT", "DBUMOUNT", "DBDROP")},
    "RANGE": ("bound", "bound"),
    "SLICE": ("bound",),
}
FLAT_REST = {"SLICE": (b"1",)}
"""What follows the arguments that are tried here."""

SOUND = {
    KEY: b"k",
    "bound": b"k",
    "keys": [b"k"],
    "ops": [[1, b"k", b"v"]],
    FLAG: True,
    COUNT: 1,
    NAME: "d",
    "options": {},
}
VALUES = {"nil": None, "bool": True, "int": 5, "float": 1.5, "list": [b"k"], "map": {"k": b"v"}, "bytes": b"k"}
TAKEN = {
    KEY: {"bytes"},
    "bound": {"bytes", "nil"},
    "keys": {"list"},
    "ops": set(),
    FLAG: {"bool", "nil"},
    COUNT: {"int", "nil", "bool", "float"},
    NAME: {"bytes"},
    "options": {"map", "nil"},
}


def wrong_types(signatures):
    """One case for each argument of each verb and each type that it does not take."""
    return [
        pytest.param(verb, i, VALUES[kind], id=f"{verb}-{i}-{kind}")
        for verb, kinds in signatures.items()
        for i, wanted in enumerate(kinds)
        for kind in sorted(VALUES.keys() - TAKEN[wanted])
    ]


def refusal(codec: Codec, message):
    with pytest.raises(MalformedMessage) as refused:
        codec.decode_request([msgpack.packb(message, use_bin_type=False)])
    return refused.value.code


def classic(verb, args):
    return {"cmd": verb, "meta": {"compression": False}, "uid": "u", "args": args}


def sound(signature):
    return [SOUND[kind] for kind in signature]


@pytest.mark.parametrize("verb", SIGNATURES)
def test_sound_classic_arguments_are_taken(verb):
    frame = msgpack.packb(classic(verb, sound(SIGNATURES[verb])), use_bin_type=False)
    assert ClassicCodec().decode_request([frame]).command.verb == verb


@pytest.mark.parametrize(("verb", "index", "value"), wrong_types(SIGNATURES))
def test_a_classic_argument_of_a_wrong_type_is_named_as_such(verb, index, value):
    args = sound(SIGNATURES[verb])
    args[index] = value
    assert refusal(ClassicCodec(), classic(verb, args)) in {ErrorCode.TYPE, ErrorCode.SIGNAL}


@pytest.mark.parametrize(
    ("verb", "count"),
    [(verb, n) for verb, kinds in SIGNATURES.items() for n in range(REQUIRED.get(verb, len(kinds)))],
)
def test_too_few_classic_arguments_are_a_value_error(verb, count):
    assert refusal(ClassicCodec(), classic(verb, sound(SIGNATURES[verb])[:count])) is ErrorCode.VALUE


@pytest.mark.parametrize("verb", sorted(SIGNATURES.keys() - {"BATCH", "RANGE"}))
def test_too_many_classic_arguments_are_a_value_error(verb):
    args = [*sound(SIGNATURES[verb]), b"x", b"y"]
    assert refusal(ClassicCodec(), classic(verb, args)) is ErrorCode.VALUE


@pytest.mark.parametrize(("verb", "index", "value"), wrong_types(FLAT_SIGNATURES))
def test_a_flat_argument_of_a_wrong_type_is_named_as_such(verb, index, value):
    args = sound(FLAT_SIGNATURES[verb])
    args[index] = value
    assert refusal(FlatCodec(), ["u", verb, *args, *FLAT_REST.get(verb, ())]) is ErrorCode.TYPE


@pytest.mark.parametrize("count", [5, 1.5, True, [b"1"], {b"1": b"1"}, b"", b"x", b"1.5", b"0x1"])
def test_a_flat_count_that_is_no_decimal_is_a_value_error(count):
    assert refusal(FlatCodec(), ["u", "SLICE", b"k", count]) is ErrorCode.VALUE


@pytest.mark.parametrize(("verb", "count"), [(v, n) for v, kinds in FLAT_SIGNATURES.items() for n in range(len(kinds))])
def test_too_few_flat_arguments_are_a_value_error(verb, count):
    assert refusal(FlatCodec(), ["u", verb, *sound(FLAT_SIGNATURES[verb])[:count]]) is ErrorCode.VALUE


@pytest.mark.parametrize("codec", [ClassicCodec(), FlatCodec()], ids=["classic", "flat"])
@pytest.mark.parametrize("value", [None, 5, b"text", [], ["u"], {}, 1.5, True])
def test_what_is_no_request_at_all_is_refused_as_one(codec, value):
    assert refusal(codec, value) is ErrorCode.REQUEST


@pytest.mark.parametrize("codec", [ClassicCodec(), FlatCodec()], ids=["classic", "flat"])
@pytest.mark.parametrize("frames", [[], [b""], [b"\xc1"], [b"\x80", b"\x80"], [b"", b"\x80"]])
def test_frames_that_hold_no_request_are_refused(codec, frames):
    with pytest.raises(MalformedMessage) as refused:
        codec.decode_request(frames)
    assert refused.value.code is ErrorCode.REQUEST
