"""The two formats: what is written, that it is read, and what is said of files that are damaged."""

import io
import json
import zlib
from typing import Any

import msgpack
import pytest
from hypothesis import given, strategies as st

from pyelevator.dumps import (
    COMPRESSIONS,
    BinaryReader,
    BinaryWriter,
    DumpError,
    DumpTotals,
    JsonLinesReader,
    JsonLinesWriter,
    check_dump,
    open_dump,
)
from pyelevator.dumps.records import DatabaseEnd, DatabaseStart, DumpEnd, DumpStart, Pairs

WRITERS = {
    **{name: (lambda file, name=name: BinaryWriter(file, name)) for name in COMPRESSIONS},
    "jsonl": JsonLinesWriter,
}
DATABASES = {"default": [(b"a", b"1"), (b"b\xff", b"\x00\xfe")], "empty": [], "caf\udce9": [(b"", b"")]}


def written(make, databases):
    file = io.BytesIO()
    writer = make(file)
    writer.write(DumpStart("00ff"))
    for name, pairs in databases.items():
        writer.write(DatabaseStart(name))
        if pairs:
            writer.write(Pairs.of(pairs))
        writer.write(DatabaseEnd(len(pairs)))
    writer.write(DumpEnd(len(databases)))
    return file.getvalue()


def read(data):
    found: dict[str, Any] = {}
    for record in open_dump(io.BytesIO(data)):
        if isinstance(record, DatabaseStart):
            here = found.setdefault(record.name, [])
        elif isinstance(record, Pairs):
            here += map(tuple, record.read())
    return found


@pytest.mark.parametrize("name", WRITERS)
def test_what_is_written_is_read(name):
    assert read(written(WRITERS[name], DATABASES)) == DATABASES


@pytest.mark.parametrize("name", WRITERS)
@given(pairs=st.lists(st.tuples(st.binary(), st.binary()), max_size=20))
def test_any_bytes_survive(name, pairs):
    assert read(written(WRITERS[name], {"d": pairs})) == {"d": pairs}


def test_a_binary_dump_is_msgpack_with_running_checksums():
    data = written(WRITERS["none"], {"d": [(b"k", b"v")]})
    records = list(msgpack.Unpacker(io.BytesIO(data), raw=False))
    bodies = [msgpack.unpackb(body, raw=False) for _, body, _ in records]
    assert [[kind, *body] for (kind, _, _), body in zip(records, bodies, strict=True)] == [
        ["elevator-dump", 1, "00ff", "none"],
        ["database", "d"],
        ["pairs", 1, msgpack.packb([b"k", b"v"])],
        ["database-end", 1],
        ["dump-end", 1],
    ]
    checksum = 0
    for _, body, reported in records:
        checksum = zlib.crc32(body, checksum)
        assert reported == checksum


def test_json_lines_are_text_where_they_can_be():
    lines = written(WRITERS["jsonl"], {"d": [(b"caf\xc3\xa9", b"1"), (b"\xff", b"")]}).decode().splitlines()
    assert lines[2] == '{"key": "café", "value": "1"}'
    assert list(map(json.loads, lines)) == [
        {"dump": "00ff"},
        {"database": "d"},
        {"key": "café", "value": "1"},
        {"key_base64": "/w==", "value": ""},
        {"database_end": 2},
        {"dump_end": 1},
    ]


def test_lines_of_pairs_alone_are_the_database_default():
    data = b'{"key": "a", "value": "1"}\n\n{"key": "b", "value_base64": "/w=="}\n'
    assert read(data) == {"default": [(b"a", b"1"), (b"b", b"\xff")]}
    assert check_dump(open_dump(io.BytesIO(data))) == DumpTotals(1, 2)


@pytest.mark.parametrize("name", WRITERS)
def test_a_dump_that_is_cut_off_anywhere_is_refused(name):
    data = written(WRITERS[name], DATABASES)
    ends = [len(data) - 1] if name == "jsonl" else []  # without its last newline it is complete
    for end in range(1, len(data)):
        if end not in ends:
            with pytest.raises(DumpError):
                check_dump(open_dump(io.BytesIO(data[:end])))


@pytest.mark.parametrize("name", COMPRESSIONS)
def test_a_bit_that_has_changed_anywhere_is_noticed(name):
    data = written(WRITERS[name], DATABASES)
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 0x10
        with pytest.raises(DumpError):
            read(bytes(changed))


def test_records_that_are_missing_doubled_or_swapped_are_noticed():
    data = written(WRITERS["none"], {"d": [(b"k", b"v")], "e": [(b"k", b"v")]})
    records = [msgpack.packb(record) for record in msgpack.Unpacker(io.BytesIO(data), raw=False)]
    for changed in (
        records[:2] + records[3:],
        records[:3] + records[2:],
        [*records[:2], records[5], records[2], *records[6:]],
    ):
        with pytest.raises(DumpError, match="damaged"):
            check_dump(BinaryReader(io.BytesIO(b"".join(changed))))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "this is no dump of `elevator dump`: it is empty"),
        (b"PK\x03\x04", "it begins with something else"),
        (b'{"key": "a"}\n', "line 1 of the dump holds neither a pair, key and value, nor a beginning or an end"),
        (b'{"key": "a", "value": 1}\n', "line 1 of the dump holds neither"),
        (b'{"key": "a", "value": "1"}\n{"key": "b"', "line 2 of the dump is not JSON"),
        (b'{"key": "a", "value": "1"}\n[]\n', "line 2 of the dump is not an object"),
        (b'{"key": "a", "value_base64": "?"}\n', "line 1 of the dump holds neither"),
        (b'{"dump": "00"}\n{"database": "d"}\n', "the dump is incomplete: its end is missing; make it again"),
    ],
)
def test_what_is_no_dump_is_named(data, message):
    with pytest.raises(DumpError, match=message):
        check_dump(open_dump(io.BytesIO(data)))


def test_a_later_version_of_the_format_is_named():
    body = msgpack.packb([2, "00", "none"])
    data = msgpack.packb(["elevator-dump", body, zlib.crc32(body)])
    with pytest.raises(DumpError, match="of version 2 of the format, which a later elevator has"):
        check_dump(open_dump(io.BytesIO(data)))


def test_a_compression_that_is_not_installed_names_its_extra(monkeypatch):
    from pyelevator.dumps import binary
    from pyelevator.errors import MissingExtra

    monkeypatch.setitem(__import__("sys").modules, "zstandard", None)
    binary._zstd.cache_clear()
    file = io.BytesIO()
    with pytest.raises(MissingExtra, match=r"pip install 'pyelevator\[zstd\]'"):
        BinaryWriter(file, "zstd").write(DumpStart("00"))
    assert file.getvalue() == b""


def test_values_added_by_later_versions_are_passed_over():
    bodies = [
        ("elevator-dump", [1, "00", "none", {"later": 1}]),
        ("database", ["d", {"later": 1}]),
        ("database-end", [0, 1]),
        ("dump-end", [1, 2]),
    ]
    data, checksum = b"", 0
    for kind, content in bodies:
        body = msgpack.packb(content)
        checksum = zlib.crc32(body, checksum)
        data += msgpack.packb([kind, body, checksum])
    records = list(BinaryReader(io.BytesIO(data)))
    assert records == [DumpStart("00"), DatabaseStart("d"), DatabaseEnd(0), DumpEnd(1)]


def test_lines_are_read_in_groups_and_not_all_at_once():
    data = b"".join(b'{"key": "%06d", "value": ""}\n' % number for number in range(2500))
    counts = [record.count for record in JsonLinesReader(io.BytesIO(data)) if isinstance(record, Pairs)]
    assert counts == [1000, 1000, 500]
