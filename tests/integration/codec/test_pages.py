"""Pages: a header that says enough to ask for the next page, and pairs that stay packed until they are read."""

import msgpack
import pytest

from pyelevator.codec import ClassicCodec
from pyelevator.commands import Range, Slice
from pyelevator.errors import MalformedMessage
from pyelevator.messages import LazyPage, Request, Response

PAIRS = [[b"a", b"1"], [b"\xff", b"\xc3\xa9"]]
HEADER = {"status": 1, "err_msg": None, "compression": False, "err_code": None, "id": 7, "more": True}
SEALED = Request(Range(max_bytes=1, cursor=True, lazy=True), "u", 7)
CONTENT = {"datas": [b"a", b"1", b"\xff", b"\xc3\xa9"]}


def reply(page, content=CONTENT):
    return [msgpack.packb(HEADER | {"page": page}), msgpack.packb(content, use_bin_type=False)]


def opened(page=(2, b"\xff"), content=CONTENT):
    response = ClassicCodec().decode_response(reply(page, content), SEALED)
    assert isinstance(response.payload, LazyPage)
    return response.payload


@pytest.mark.parametrize(
    ("command", "more", "page"),
    [
        (Range(max_bytes=9), True, [2, b"\xff"]),
        (Range(max_bytes=9), False, [2, b"\xff"]),
        (Range(), True, None),
        (Slice(None, 3, max_bytes=9), True, [2, b"\xff"]),
        (Slice(None, 2, max_bytes=9), False, [2, b"\xff"]),
        (Slice(None, 3, max_bytes=9), False, [2, b"\xff"]),
        (Slice(None, 2), False, None),
    ],
)
@pytest.mark.parametrize("compression", [False, True])
def test_the_header_tells_count_and_last_key_of_a_page(command, more, page, compression):
    request = Request(command, "u", 7, compression)
    header, _ = ClassicCodec().encode_response(Response(PAIRS, id=7, more=more), request)
    assert msgpack.unpackb(header, raw=True).get(b"page") == page


@pytest.mark.parametrize("command", [Range(max_bytes=9), Slice(None, 2, max_bytes=9)], ids=str)
def test_the_pairs_of_a_page_are_written_as_one_array(command):
    _, content = ClassicCodec().encode_response(Response(PAIRS, id=7), Request(command, "u", 7))
    assert content == b"\x81\xa5datas\x94\xa1a\xa11\xa1\xff\xa2\xc3\xa9"


@pytest.mark.parametrize("parts", [(True, False), (False, True), (False, False)])
def test_a_page_of_something_else_than_pairs_names_no_key(parts):
    include_key, include_value = parts
    command = Slice(None, 3, include_key, include_value, max_bytes=9)
    request = Request(command, "u", 7)
    header, _ = ClassicCodec().encode_response(
        Response([b"ab", b"cd"] if any(parts) else [None], id=7, more=True), request
    )
    assert b"page" not in msgpack.unpackb(header, raw=True)


def test_a_page_of_no_pairs_names_no_key():
    header, _ = ClassicCodec().encode_response(Response([], id=7, more=True), Request(Range(max_bytes=1), "u", 7))
    assert b"page" not in msgpack.unpackb(header, raw=True)


def test_a_page_stays_packed_on_demand_and_opens_as_bytes_or_str():
    page = opened()
    assert (len(page), page.last_key) == (2, b"\xff")
    assert page.decode_bytes() == [[b"a", b"1"], [b"\xff", b"\xc3\xa9"]]
    assert page.decode_str() == [["a", "1"], ["\udcff", "é"]]


def test_a_compressed_page_opens_as_well():
    request = Request(SEALED.command, "u", 7, True)
    frames = ClassicCodec().encode_response(Response(PAIRS, id=7, more=True), request)
    assert ClassicCodec().decode_response(frames, request).payload.decode_str() == [["a", "1"], ["\udcff", "é"]]


def test_who_does_not_want_it_packed_gets_pairs():
    request = Request(Range(max_bytes=1, cursor=True), "u", 7)
    assert ClassicCodec().decode_response(reply([2, b"\xff"]), request).payload == PAIRS


def test_a_page_of_a_server_that_names_no_key_has_an_array_for_each_pair():
    frames = [msgpack.packb(HEADER), msgpack.packb({"datas": PAIRS}, use_bin_type=False)]
    assert ClassicCodec().decode_response(frames, SEALED).payload == PAIRS


@pytest.mark.parametrize("page", [None, 1, [], [1], [1, b"a", 2], [b"a", 1], [True, b"a"], [0, b"a"], [-1, b"a"]])
def test_what_is_no_count_and_key_is_refused(page):
    with pytest.raises(MalformedMessage, match="the page of a reply is a count and a key, not"):
        ClassicCodec().decode_response(reply(page), SEALED)


@pytest.mark.parametrize(
    ("page", "content", "text"),
    [
        ([3, b"\xff"], CONTENT, "another page than its header says"),
        ([2, b"a"], CONTENT, "another page than its header says"),
        ([1, b"a"], {"datas": []}, "another page than its header says"),
        ([1, b"a"], {"datas": None}, "a list was expected"),
        ([1, b"a"], {"datas": [b"a"]}, "something else than pairs of strings"),
        ([1, b"a"], {"datas": [b"a", b"1", b"b"]}, "something else than pairs of strings"),
        ([1, b"a"], {"datas": [[b"a", b"1"]]}, "something else than pairs of strings"),
        ([1, b"a"], {"datas": [b"a", 1]}, "something else than pairs of strings"),
        ([1, b"a"], {"datas": [b"a", None]}, "something else than pairs of strings"),
        ([1, b"a"], [], "the content of a reply is a map"),
    ],
)
@pytest.mark.parametrize("form", ["decode_bytes", "decode_str"])
def test_a_page_that_differs_from_its_header_is_refused_when_it_is_opened(page, content, text, form):
    lazy = opened(page, content)
    with pytest.raises(MalformedMessage, match=text):
        getattr(lazy, form)()


@pytest.mark.parametrize("form", ["decode_bytes", "decode_str"])
def test_a_page_that_is_no_msgpack_is_refused_when_it_is_opened(form):
    frames = [reply([2, b"\xff"])[0], b"\xdd\xff\xff\xff\xff" + bytes(2000)]
    lazy = ClassicCodec().decode_response(frames, SEALED).payload
    with pytest.raises(MalformedMessage, match="not a msgpack value"):
        getattr(lazy, form)()
