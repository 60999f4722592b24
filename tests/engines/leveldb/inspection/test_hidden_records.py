"""What LevelDB passes over in a log or a manifest without a word is seen before it is opened."""

import os
import shutil
from contextlib import closing

import pytest

from pyelevator.application import Catalog
from pyelevator.commands import PUT
from pyelevator.engines.base import Bounds, EngineDamaged
from pyelevator.engines.leveldb import LevelDbStorage
from pyelevator.engines.leveldb.format.log_records import BLOCK_SIZE, HEADER, read_records
from pyelevator.engines.leveldb.inspection import inspect, inspector
from pyelevator.engines.leveldb.inspection.hidden_records import correct_lengths, find_hidden_records

ROWS = [(b"k%03d" % i, b"v%03d" % i * 4) for i in range(60)]


@pytest.fixture(scope="module")
def alive(tmp_path_factory):
    """A database as it is while it is open: a manifest of many records, four tables, and 20 records in the log."""
    path, copy = tmp_path_factory.mktemp("db") / "db", tmp_path_factory.mktemp("copy") / "db"
    with LevelDbStorage().open(str(path), {"compression": False}) as engine:
        for first in range(0, 40, 10):
            engine.write([(PUT, *row) for row in ROWS[first : first + 10]])
            engine.compact()
        for row in ROWS[40:]:
            engine.write([(PUT, *row)])
        shutil.copytree(path, copy)
    return copy


def content(folder, pattern):
    (file,) = folder.glob(pattern)
    return file, file.read_bytes()


def hidden(tmp_path, data):
    file = tmp_path / "file"
    file.write_bytes(data)
    descriptor = os.open(file, os.O_RDONLY)
    try:
        return find_hidden_records(descriptor)
    finally:
        os.close(descriptor)


def headers(data):
    """Where each record of a log begins."""
    at = 0
    while at < len(data):
        yield at
        at += HEADER.size + HEADER.unpack_from(data, at)[1]


@pytest.mark.parametrize("pattern", ["*.log", "MANIFEST-*"])
def test_a_sound_or_truncated_file_hides_nothing(alive, tmp_path, pattern):
    _, data = content(alive, pattern)
    assert hidden(tmp_path, data) is None
    for end in range(0, len(data), 3):
        assert hidden(tmp_path, data[:end]) is None
        assert hidden(tmp_path, data[:end] + b"\0" * 50) is None


@pytest.mark.parametrize("pattern", ["*.log", "MANIFEST-*"])
def test_a_length_past_the_end_is_detected(alive, tmp_path, pattern):
    _, data = content(alive, pattern)
    for at in headers(data):
        for bit in range(16):
            damaged = bytearray(data)
            damaged[at + 4 + bit // 8] ^= 1 << bit % 8
            length = HEADER.unpack_from(damaged, at)[1]
            reason = hidden(tmp_path, bytes(damaged))
            if at + HEADER.size + length > len(data):
                assert reason == f"a record with a damaged length, at byte {at}"


RUBBISH = {"text": b"not a log at all, but notes\n" * 9, "noise": bytes(range(250, 0, -1)), "type 0": b"abcdef\0" * 9}


@pytest.mark.parametrize("kind", RUBBISH)
def test_a_log_of_something_else_is_no_unfinished_write(alive, tmp_path, kind):
    folder = shutil.copytree(alive, tmp_path / "db")
    log, data = content(folder, "*.log")
    for before in (b"", data):
        log.write_bytes(before + RUBBISH[kind])
        text = f"{log.name} has bytes that are no record, at byte {len(before)}"
        assert inspect(str(folder)).hidden == text
        with pytest.raises(EngineDamaged, match=text):
            LevelDbStorage().open(str(folder), {})
        assert log.read_bytes() == before + RUBBISH[kind]


def test_a_repair_keeps_the_records_before_garbage_and_the_log(alive, tmp_path):
    folder = shutil.copytree(alive, tmp_path / "db")
    log, data = content(folder, "*.log")
    log.write_bytes(data + RUBBISH["text"])
    storage = LevelDbStorage()
    assert storage.repair(str(folder), {}).set_aside == (f"lost/{log.name}",)
    with storage.open(str(folder), {}) as engine:
        assert list(engine.scan(Bounds())) == ROWS
    assert (folder / "lost" / log.name).read_bytes() == data + RUBBISH["text"]


def test_lengths_are_corrected_where_checksums_show_them(alive):
    _, data = content(alive, "*.log")
    damaged = bytearray(data)
    for at in list(headers(data))[::3]:
        damaged[at + 5] ^= 64
    assert correct_lengths(bytes(damaged)) == data
    for bit in range(16):
        damaged = bytearray(data)
        damaged[4 + bit // 8] ^= 1 << bit % 8
        assert correct_lengths(bytes(damaged)) == data
    for sound in (data, data[:-5], data + b"\0" * 50, data.ljust(BLOCK_SIZE, b"\0"), b""):
        assert correct_lengths(sound) == sound


def test_a_repair_recovers_what_follows_a_damaged_length(alive, tmp_path):
    copy = shutil.copytree(alive, tmp_path / "db")
    file, data = content(copy, "*.log")
    damaged = bytearray(data)
    damaged[list(headers(data))[3] + 5] ^= 64
    file.write_bytes(damaged)
    storage = LevelDbStorage()
    with pytest.raises(EngineDamaged, match="has a record with a damaged length"):
        storage.open(str(copy), {})
    report = storage.repair(str(copy), {})
    with storage.open(str(copy), {}) as engine:
        assert list(engine.scan(Bounds())) == ROWS
    assert f"lost/{file.name}" in report.set_aside
    assert (copy / "lost" / file.name).read_bytes() == damaged


def test_records_after_zeros_are_detected(alive, tmp_path):
    _, data = content(alive, "*.log")
    _, second, third, *_ = headers(data)
    damaged = data[:second] + b"\0" * (third - second) + data[third:]
    assert hidden(tmp_path, damaged) == f"records behind zeros, from byte {second} on"
    block = data.ljust(BLOCK_SIZE, b"\0")
    assert hidden(tmp_path, block) is None
    assert hidden(tmp_path, block + data) == f"records behind zeros, from byte {len(data)} on"
    assert hidden(tmp_path, block * 40) == f"records behind zeros, from byte {len(data)} on"
    assert hidden(tmp_path, block + b"\0" * 3_000_000) is None


def test_values_of_zeros_hide_nothing(tmp_path):
    path = tmp_path / "db"
    with LevelDbStorage().open(str(path), {}) as engine:
        for i in range(300):
            engine.write([(PUT, b"%d" % i, bytes(i * 13 % 1000))])
        engine.write([(PUT, b"long", bytes(100_000))])
        _, data = content(path, "*.log")
    assert len(data) > 5 * BLOCK_SIZE
    assert hidden(tmp_path, data) is None
    assert len(list(read_records(data))) == 301


@pytest.mark.parametrize("pattern", ["*.log", "MANIFEST-*"])
def test_the_inspection_names_the_file_and_the_place(alive, tmp_path, pattern):
    copy = shutil.copytree(alive, tmp_path / "db")
    file, data = content(copy, pattern)
    at = list(headers(data))[2]
    damaged = bytearray(data)
    damaged[at + 5] ^= 64
    file.write_bytes(damaged)
    seen = inspect(str(copy))
    assert (seen.damage or seen.hidden) == f"{file.name} has a record with a damaged length, at byte {at}"


def test_a_createdb_reads_a_log_from_end_to_end_once(alive, tmp_path, monkeypatch):
    folder = shutil.copytree(alive, tmp_path / "theirs")
    read = []

    def noting(descriptor):
        read.append(os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}")))
        return find_hidden_records(descriptor)

    with closing(Catalog(LevelDbStorage(), str(tmp_path / "data"))) as catalog:
        monkeypatch.setattr(inspector, "find_hidden_records", noting)
        catalog.create(str(folder))
    assert [name for name in read if name.endswith(".log")] == [content(alive, "*.log")[0].name]
