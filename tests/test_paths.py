"""Where the system cannot tell whether something is there, that is an error and not a no."""

import errno
import os
import stat
from typing import Any

import pytest

from pyelevator.engines.base import EngineError
from pyelevator.engines.leveldb import LevelDbStorage
from pyelevator.paths import exists, is_directory, is_file, replacing_file


@pytest.mark.parametrize(
    ("name", "answers"),
    [
        ("file", (True, True, False)),
        ("directory", (True, False, True)),
        ("link", (True, False, True)),
        ("dangling", (False, False, False)),
        ("loop", (False, False, False)),
        ("missing", (False, False, False)),
        ("missing/below", (False, False, False)),
        ("file/below", (False, False, False)),
        ("null\0byte", (False, False, False)),
    ],
)
def test_what_is_there_and_what_is_not(tmp_path, name, answers):
    (tmp_path / "file").write_text("")
    (tmp_path / "directory").mkdir()
    for link, target in (("link", "directory"), ("dangling", "nowhere"), ("loop", "loop")):
        (tmp_path / link).symlink_to(target)
    for path in (tmp_path / name, os.path.join(tmp_path, name)):
        assert tuple(ask(path) for ask in (exists, is_file, is_directory)) == answers


@pytest.mark.parametrize("ask", [exists, is_file, is_directory])
def test_what_cannot_be_told_is_an_error(tmp_path, ask):
    with pytest.raises(OSError, match="File name too long"):
        ask(tmp_path / ("x" * 300))


def test_a_database_that_cannot_be_looked_at_is_not_taken_for_destroyed(tmp_path):
    with pytest.raises(EngineError, match="File name too long"):
        LevelDbStorage().destroy(str(tmp_path / ("x" * 300)))


def failing_for_directories(monkeypatch, number):
    fsync = os.fsync

    def fail(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fail)


def test_a_file_is_replaced_as_a_whole_or_stays_as_it_was(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    parts: list[Any] = [b"half of", "it"]
    with pytest.raises(TypeError), replacing_file(path, ".new") as file:
        file.writelines(parts)
    assert (os.listdir(tmp_path), path.read_bytes()) == (["file"], b"old")
    with replacing_file(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert (os.listdir(tmp_path), path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (["file"], b"new", 0o600)


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.EACCES])
def test_where_a_directory_cannot_be_synced_a_file_is_replaced(tmp_path, monkeypatch, number):
    failing_for_directories(monkeypatch, number)
    with replacing_file(tmp_path / "file") as file:
        file.write(b"new")
    assert (tmp_path / "file").read_bytes() == b"new"


def test_a_disk_that_fails_to_sync_a_directory_is_an_error(tmp_path, monkeypatch):
    failing_for_directories(monkeypatch, errno.EIO)
    with pytest.raises(OSError, match="Input/output error"), replacing_file(tmp_path / "file") as file:
        file.write(b"new")
