"""The page on the protocol says what the codecs do: its tables are compared with theirs, its sessions are run."""

import doctest
import math
import re

import pytest

from pyelevator import errors
from pyelevator.codec import ClassicCodec, FlatCodec, UnsupportedByDialect, dialect_of, flat
from pyelevator.codec.classic import arguments
from pyelevator.codec.packing import pack
from pyelevator.commands import COMMANDS, PIPELINED, Batch, Put, Range
from pyelevator.commands.features import FEATURES
from pyelevator.errors import SERVER_ERRORS, CheckFailed, CursorExpired, ErrorCode, MalformedMessage, PermissionDenied
from pyelevator.messages import Request, Response
from support.pages import ROOT

PAGE = (ROOT / "docs/protocol.md").read_text()
SESSIONS = re.findall(r"^```python\n(>>> .*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def table(heading):
    """The rows of the first table behind a line that begins so, each a list of cells."""
    _, found, rest = PAGE.partition(f"\n{heading}")
    assert found, heading
    lines = rest[rest.index("\n|") + 1 :].partition("\n\n")[0].splitlines()
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[2:]]


VERBS = {row[0]: row[1:] for row in table("### Verbs")}


def code(cell):
    return re.findall(r"`([^`]+)`", cell)


def test_the_page_is_in_the_site():
    assert "\nprotocol\n" in (ROOT / "docs/index.md").read_text()


def test_every_verb_is_described():
    assert list(VERBS) == list(arguments.ARGUMENTS)
    assert VERBS.keys() == COMMANDS.keys()


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_takes_as_many_arguments_as_the_page_says(verb):
    (shown,) = code(VERBS[verb][0])
    named = [argument for argument in shown.strip("[]").split(", ") if argument]
    needed = [argument for argument in named if not argument.endswith("?") and argument != "..."]
    spec = arguments.ARGUMENTS[verb]
    assert spec.min_args == len(needed)
    assert spec.max_args == (math.inf if "..." in named else len(named))


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_knows_the_keys_of_meta_that_the_page_says(verb):
    assert tuple(code(VERBS[verb][2])) == COMMANDS[verb].meta_fields


def test_each_key_of_meta_is_explained_once():
    explained = [code(row[0])[0] for row in table("In `meta`:")]
    assert sorted(explained) == sorted(
        {"id", "bin"} | {extra for kind in COMMANDS.values() for extra in kind.meta_fields}
    )


def test_verbs_without_a_uid_are_those_of_the_page():
    (holds,) = [row[1] for row in table("## Classic") if row[0] == "`uid`"]
    named = re.findall(r"[A-Z]{4,}", holds.partition("nil for ")[2].partition(".")[0])
    assert sorted(named) == sorted(verb for verb, kind in COMMANDS.items() if not kind.needs_uid)


def test_the_features_are_those_that_the_server_says():
    assert [code(row[0])[0] for row in table("The features of this server:")] == list(FEATURES)
    needed = {name for row in table("In `meta`:") for name in code(row[2])}
    assert needed <= set(FEATURES)


def test_codes_and_exceptions_are_those_of_the_page():
    rows = table("## Codes")
    assert [int(row[0]) for row in rows] == list(ErrorCode)
    for number, _, raised in rows:
        assert SERVER_ERRORS[ErrorCode(int(number))].__name__ in [*code(raised), "KeyNotFound"]
        for name in code(raised):
            assert getattr(errors, name)("text").code == int(number)


@pytest.mark.parametrize("kind", [CheckFailed, CursorExpired, PermissionDenied])
def test_texts_that_mark_a_failure_are_on_the_page(kind):
    assert f"`{kind.MESSAGE_PREFIX}`" in PAGE


@pytest.mark.parametrize("row", table("## Flat"), ids=lambda row: row[0])
def test_flat_verbs_are_written_and_read_as_the_page_says(row):
    verbs, written, read = row
    for verb in verbs.split(", "):
        spec = flat.ARGUMENTS[verb]
        assert (spec.encode is None) == written.startswith("never")
        assert (spec.decode is None) == (read == "never")


def test_every_verb_stands_in_the_table_of_flat():
    assert sorted(verb for row in table("## Flat") for verb in row[0].split(", ")) == sorted(flat.ARGUMENTS)


def test_flat_refuses_what_looks_like_an_operation():
    batch = Request(Batch([(1, b"BPUT", b"v")]), uid="u")
    with pytest.raises(UnsupportedByDialect, match="cannot be told from a signal"):
        FlatCodec().encode_request(batch)


def test_the_verbs_answered_twice_are_those_of_the_page():
    (named,) = re.findall(r"answers \*\*(.*) twice\*\*", PAGE)
    assert set(re.findall(r"[A-Z]+", named)) == FlatCodec.answered_twice


def test_the_first_byte_tells_the_dialect():
    arrays = [*range(0x90, 0xA0), 0xDC, 0xDD]
    assert "`0x90` to `0x9f`, `0xdc`, `0xdd`" in PAGE
    assert [byte for byte in range(256) if dialect_of([bytes([byte])]) == "flat"] == arrays


def test_a_pipeline_takes_the_verbs_of_the_page():
    (named,) = re.findall(r"A pipeline may have ((?:[A-Z]+,? )+and BATCH)\.", PAGE)
    assert sorted(re.findall(r"[A-Z]{3,}", named)) == sorted(kind.verb for kind in PIPELINED)


def test_ids_may_be_as_long_as_the_page_says():
    codec, text = ClassicCodec(), "text or bytes of up to 1,024 bytes"
    assert text in PAGE

    def asked(id):
        return codec.decode_request([pack({"cmd": "PING", "meta": {"id": id}, "uid": None, "args": []})]).id

    assert asked("x" * 1024) == "x" * 1024
    assert asked(2**64 - 1) == 2**64 - 1
    with pytest.raises(MalformedMessage, match="1,024 bytes at most"):
        asked("x" * 1025)


def test_the_header_of_a_page_is_a_count_and_the_last_key():
    codec, request = ClassicCodec(), Request(Range("a", "c", max_bytes=10, cursor=True), uid="u", id=1)
    pairs = [[b"a", b"1"], [b"b", b"2"]]
    header, content = codec.encode_response(Response(pairs, id=1, more=True, cursor=b"7"), request)
    assert header.endswith(pack("page") + pack([2, b"b"]))
    assert content == pack({"datas": [b"a", b"1", b"b", b"2"]})
    assert codec.decode_response([header, content], request).payload == pairs


def test_the_keys_of_the_header_are_those_that_the_codec_writes():
    shown = {name for heading in ("The header:", "In the header of a reply:") for name in header_keys(heading)}
    written = re.findall(r'header\["(\w+)"\] =', (ROOT / "src/pyelevator/codec/classic/full.py").read_text())
    assert shown == {*written, "status", "err_code", "err_msg", "compression"}


def header_keys(heading):
    _, _, rest = PAGE.partition(f"{heading}\n\n| key | value |\n")
    return [name for line in rest.partition("\n\n")[0].splitlines()[1:] for name in code(line.split("|")[1])]


def test_strings_are_written_in_the_old_family():
    (frame,) = ClassicCodec().encode_request(Request(Put("k", b"\xff" * 40), uid="u"))
    assert frame.endswith(b"\xda\x00\x28" + b"\xff" * 40)  # raw16: neither str8 (0xd9) nor bin (0xc4)


def test_the_sessions_print_what_they_show():
    names: dict[str, object] = {}
    for session in SESSIONS:
        example = doctest.DocTestParser().get_doctest(session, names, "protocol", "protocol.md", 0)
        runner = doctest.DocTestRunner()
        runner.run(example, clear_globs=False)
        assert runner.failures == 0
        names |= example.globs
    assert len(SESSIONS) == 6
