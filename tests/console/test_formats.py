"""Values as people read and edit them: every format gives back the bytes that it was made of."""

import re

import msgpack
import pytest
from hypothesis import given, strategies as st

from pyelevator.codec.msgpack_text import msgpack_to_text, text_to_msgpack
from pyelevator.console.escapes import escape, unescape
from pyelevator.console.formats import FORMATS, best_format, parse, render
from pyelevator.errors import ProtocolError, UsageError

SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.binary() | st.text()
)
TIMES = st.builds(msgpack.Timestamp, st.integers(0, 2**40), st.integers(0, 10**9 - 1))
EXTENSIONS = st.builds(msgpack.ExtType, st.integers(0, 127), st.binary())
KEYS = st.text() | st.binary() | st.integers(-9, 9) | st.just("$bin")
VALUES = st.recursive(
    SCALARS | TIMES | EXTENSIONS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(st.binary())
def test_escapes_give_back_any_bytes(data):
    text = escape(data)
    assert text.isprintable()
    assert unescape(text) == data


@given(st.binary() | st.text().map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_every_format_gives_back_the_bytes(data):
    texts = render(data)
    assert {"escaped", "hex"} <= texts.keys()
    assert best_format(data, texts) in texts
    for name in texts.keys() - {"msgpack"}:  # whose numbers may have been written in more bytes than they need
        assert parse(name, texts[name], data) == data, name


@given(VALUES)
def test_msgpack_text_gives_back_any_value(value):
    data = msgpack.packb(value)
    assert text_to_msgpack(msgpack_to_text(data)) == data


@pytest.mark.parametrize(
    "data", [b"", b"\xc1", b"\x92\x01", b"\x01\x02", b"\xdd\xff\xff\xff\xff", b"\x91" * 5000 + b"\x90"]
)
def test_what_is_no_msgpack_value_is_not_shown_as_one(data):
    with pytest.raises(ProtocolError):
        msgpack_to_text(data)
    assert "msgpack" not in render(data)


@pytest.mark.parametrize(("text", "error"), [
    ("{", "not a msgpack value as JSON: Expecting property name"),
    ("NaN", 'NaN is no JSON; write {"$float": "nan"}'),
    ("-Infinity", 'write {"$float": "-inf"}'),
    ('{"$bin": "0"}', "not a msgpack value as JSON"),
    ('{"$bin": 1}', "not a msgpack value as JSON"),
    ('{"$ext": [200, ""]}', "not a msgpack value as JSON"),
    ('{"$other": 1}', "$other is not one of $bin, $str, $float, $ext, $map"),
    ("1" + "0" * 30, "not a msgpack value as JSON"),
    ("[" * 100_000, "not a msgpack value as JSON"),
])  # fmt: skip
def test_a_mistake_in_msgpack_text_is_said(text, error):
    with pytest.raises(UsageError, match=re.escape(error)):
        text_to_msgpack(text)


@pytest.mark.parametrize(("name", "text", "error"), [
    ("json", "{'a': 1}", "not JSON: Expecting property name"),
    ("json", "[NaN]", "NaN is no JSON value"),
    ("json", "[" * 100_000, "not JSON: "),
    ("hex", "0", "not pairs of hexadecimal digits"),
    ("hex", "zz", "not pairs of hexadecimal digits"),
    ("escaped", "\\y", "is no escape"),
    ("text", "\ud800", "half of a surrogate pair"),
    ("escaped", "\ud800", "half of a surrogate pair"),
    ("yaml", "a: 1", "there is no format 'yaml'; choose one of text, json, msgpack, escaped, hex"),
])  # fmt: skip
def test_a_mistake_in_an_edited_text_is_said(name, text, error):
    with pytest.raises(UsageError, match=error):
        parse(name, text)


@pytest.mark.parametrize(("original", "stored"), [
    (b'{"a":1,"b":[]}', b'{"a":2,"b":[]}'),
    (b'{"a": 1, "b": []}', b'{"a": 2, "b": []}'),
    (b'{\n  "a": 1,\n  "b": []\n}', b'{\n  "a": 2,\n  "b": []\n}'),
    (b'{"a":1,  "b":[]}', b'{\n  "a": 2,\n  "b": []\n}'),
    (b"no JSON", b'{\n  "a": 2,\n  "b": []\n}'),
    (None, b'{\n  "a": 2,\n  "b": []\n}'),
])  # fmt: skip
def test_json_keeps_the_layout_that_it_was_stored_in(original, stored):
    assert parse("json", '{\n  "a": 2,\n  "b": []\n}', original) == stored


def test_json_keeps_digits_duplicates_and_order():
    data = b'{"b":1.10,"a":12345678901234567890123,"a":1e400,"s":"a : b, [c] \\" {}"}'
    shown = render(data)["json"]
    assert shown == ('{\n  "b": 1.10,\n  "a": 12345678901234567890123,\n  "a": 1e400,\n  "s": "a : b, [c] \\" {}"\n}')
    assert FORMATS["json"].parse(shown) == shown.encode()
    assert parse("json", shown, data) == data


@pytest.mark.parametrize(("levels", "lines"), [(30, 64), (40, 1)])
def test_what_is_nested_deeply_is_not_indented(levels, lines):
    """A megabyte of it would become a gigabyte of spaces."""
    value = b"[" * levels + b"[1,2]" + b"]" * levels
    shown = render(value)["json"]
    assert len(shown.splitlines()) == lines
    assert parse("json", shown, value) == value
