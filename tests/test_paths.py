"""Where the system cannot tell whether something is there, that is an error and not a no."""

import os

import pytest

from pyelevator.engines.base import EngineError
from pyelevator.engines.leveldb import LevelDbStorage
from pyelevator.paths import exists, is_directory, is_file


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
