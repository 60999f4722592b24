"""Rows that are packed as they are read: the bytes of the list that they stand for, and what is asked of them."""

import pytest

from pyelevator.application import Application, InterceptedApplication
from pyelevator.codec import ClassicCodec
from pyelevator.codec.classic.row_packer import PagePacker, RowPacker
from pyelevator.commands import PUT, Batch, Range, Slice
from pyelevator.messages import Request
from pyelevator.protocol import RequestDecoder

DATAS = b"\x81\xa5datas"


def packed(*chunks):
    rows = RowPacker()
    for chunk in chunks:
        rows.extend(chunk)
    return rows


@pytest.mark.parametrize(
    ("chunks", "content"),
    [
        ((), DATAS + b"\x90"),
        (([],), DATAS + b"\x90"),
        (([(b"a", b"1")],), DATAS + b"\x91\x92\xa1a\xa11"),
        (([(b"a", b"1")], [], [(b"b", b"2")]), DATAS + b"\x92\x92\xa1a\xa11\x92\xa1b\xa12"),
        (([b"a"], [None]), DATAS + b"\x92\xa1a\xc0"),
        (([b"a"] * 15, [b"a"]), DATAS + b"\xdc\x00\x10" + b"\xa1a" * 16),
        (([b"a"] * 20, [b"a"] * 65_516), DATAS + b"\xdd\x00\x01\x00\x00" + b"\xa1a" * 65_536),
    ],
)
def test_pieces_become_one_array(chunks, content):
    assert packed(*chunks).finish() == content


@pytest.mark.parametrize(
    ("chunks", "content"),
    [
        ((), DATAS + b"\x90"),
        (([(b"a", b"1")],), DATAS + b"\x92\xa1a\xa11"),
        (([(b"a", b"1")], [], [(b"b", b"2")]), DATAS + b"\x94\xa1a\xa11\xa1b\xa12"),
        (([(b"a", b"1")] * 7, [(b"a", b"1")]), DATAS + b"\xdc\x00\x10" + b"\xa1a\xa11" * 8),
        (([(b"a", b"1")] * 16, [(b"a", b"1")] * 32_752), DATAS + b"\xdd\x00\x01\x00\x00" + b"\xa1a\xa11" * 32_768),
        (([(b"a", b"v" * 40)],), DATAS + b"\x92\xa1a\xda\x00\x28" + b"v" * 40),
    ],
)
def test_pieces_of_pairs_become_one_flat_array(chunks, content):
    page = PagePacker()
    for chunk in chunks:
        page.extend(chunk)
    assert page.finish() == content


def test_a_length_and_the_last_row_are_at_hand_and_no_other_row():
    rows = packed([(b"a", b"1"), (b"b", b"2")], [(b"c", b"3")], [])
    assert (len(rows), rows[-1], bool(packed())) == (3, (b"c", b"3"), False)
    for none in (lambda: rows[0], lambda: packed()[-1]):
        with pytest.raises(IndexError):
            none()


@pytest.fixture
def application():
    application = Application.in_memory()
    ops = [(PUT, b"%03d" % i, b"v" * i) for i in range(600)]
    application(Request(Batch(ops), application.catalog.uid_of("default")))
    return application


COMMANDS = [
    Range(),
    Range(b"100", b"400", reverse=True),
    Range(include_key=False),
    Range(include_value=False),
    Range(include_key=False, include_value=False),
    Range(b"zzz"),
    Range(max_bytes=5_000, cursor=True),
    Slice(b"100", 300),
    Slice(None, 300, max_bytes=5_000),
]


@pytest.mark.parametrize("compression", [False, True])
@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_an_answer_with_packed_rows_says_what_one_with_a_list_says(application, command, compression):
    request = Request(command, application.catalog.uid_of("default"), 7, compression)
    codec, incoming = ClassicCodec(), RequestDecoder().read(ClassicCodec().encode_request(request))
    from_list = application(request)
    assert isinstance(application(incoming.request).payload, RowPacker)
    answer = codec.decode_response(incoming.answer(application), request)
    assert (answer.payload, answer.more) == (
        [list(row) if type(row) is tuple else row for row in from_list.payload],
        from_list.more,
    )


def test_interceptors_see_a_list_and_change_it(application):
    def without_the_first(request, forward):
        response = yield from forward(request)
        assert isinstance(response.payload, list)
        del response.payload[:590]
        return response

    request = Request(Range(include_value=False), application.catalog.uid_of("default"), 7)
    incoming = RequestDecoder().read(ClassicCodec().encode_request(request))
    frames = incoming.answer(InterceptedApplication(application, [without_the_first]))
    assert ClassicCodec().decode_response(frames, request).payload == [b"%03d" % i for i in range(590, 600)]
