import logging

import pytest

from pyelevator.commands import PUT
from pyelevator.engines.base import OptionTypeError, OptionValueError
from pyelevator.engines.leveldb import LevelDbStorage
from pyelevator.engines.options import OPTION_NAMES, check_options, describe_unknown_option, parse_creation
from support.optional import unwrap


def test_old_names_become_the_present_ones():
    assert check_options({"block_cache_size": 1, "verify_checksums": True}) == {
        "lru_cache_size": 1,
        "paranoid_checks": True,
    }


@pytest.mark.parametrize(
    ("given", "kept"), [(True, "snappy"), (b"snappy", "snappy"), ("none", None), (False, None), (None, None)]
)
def test_compression_is_snappy_or_nothing(given, kept):
    assert check_options({"compression": given}) == {"compression": kept}


def test_creation_options_and_missing_ones_are_left_out():
    assert check_options({"create_if_missing": False, "error_if_exists": True, "block_size": None}) == {}


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"write_buffer_size": (1 << 31) - 1}, 1 << 30),
        ({"write_buffer_size": 1 << 31}, 1 << 30),  # LevelDB itself would take 64 KiB
        ({"write_buffer_size": (1 << 32) + 5}, 1 << 30),
        ({"write_buffer_size": (1 << 63) - 1}, 1 << 30),
        ({"write_buffer_size": 0}, 64 << 10),
        ({"write_buffer_size": 1 << 30}, 1 << 30),
        ({"write_buffer_size": 64 << 10}, 64 << 10),
        ({"max_file_size": 3 << 30}, 1 << 30),
        ({"max_file_size": 1}, 1 << 20),
        ({"block_size": 1 << 31}, 4 << 20),
        ({"block_size": 1}, 1 << 10),
        ({"max_open_files": -1}, 74),  # as the old server did
        ({"max_open_files": (1 << 31) - 1}, 50_000),
        ({"cache_size": 1 << 31}, 1 << 31),
        ({"cache_size": 0}, 0),
        ({"block_restart_interval": 1}, 1),
        ({"bloom_filter_bits": 0}, 0),
    ],
)
def test_what_leveldb_cannot_do_becomes_the_nearest_it_can(given, kept):
    assert list(check_options(given).values()) == [kept]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, None),
        (dict.fromkeys(OPTION_NAMES, 1), None),
        ({"cache_size": 1, "create_if_missing": True, "verify_checksums": True}, None),
        ({"blok_size": 3}, "there is no option 'blok_size'; did you mean block_size?"),
        ({"block_size": 1, "Block_Size": 1}, "there is no option 'Block_Size'; did you mean block_size?"),
        ({"block_size ": 1}, "there is no option 'block_size '; did you mean block_size?"),
        ({"": 1}, "there is no option ''; there are block_cache_size, block_restart_interval, block_size, "),
        ({"x" * 100: 1}, f"there is no option '{'x' * 40}'; there are "),
        ({"options": {}}, "there is no option 'options'; there are "),
    ],
)
def test_an_option_that_does_not_exist_is_named(options, text):
    found = describe_unknown_option(options)
    assert found is text or (text is not None and unwrap(found).startswith(text))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, (True, False)),
        ({"create_if_missing": None, "error_if_exists": None}, (True, False)),
        ({"create_if_missing": False}, (False, False)),
        ({"error_if_exists": True, "create_if_missing": True}, (True, True)),
    ],
)
def test_creation_options_hold_where_they_are_given(options, expected):
    assert tuple(parse_creation(options).values()) == expected


@pytest.mark.parametrize("name", ["create_if_missing", "error_if_exists"])
def test_creation_options_are_bools(name):
    with pytest.raises(OptionTypeError, match=f"option {name} must be a boolean, not int"):
        parse_creation({name: 1})


def test_unknown_options_are_ignored_with_one_line(caplog):
    with caplog.at_level(logging.WARNING, "pyelevator.engines"):
        assert check_options({"foo": 1, "bar": [2]}) == {}
    assert [record.getMessage() for record in caplog.records] == ["ignoring unknown database options: bar, foo"]


@pytest.mark.parametrize(
    "options",
    [{"block_size": "8192"}, {"block_size": True}, {"block_size": 1.5}, {"paranoid_checks": 1}, {"compression": 1}],
)
def test_a_wrong_type_is_refused(options):
    with pytest.raises(OptionTypeError, match=next(iter(options))):
        check_options(options)


@pytest.mark.parametrize(
    "options",
    [
        {"block_size": -1},
        {"block_size": 1 << 63},
        {"write_buffer_size": -1},
        {"max_file_size": -1},
        {"lru_cache_size": -1},
        {"lru_cache_size": 1 << 64},
        {"max_open_files": 1 << 31},
        {"block_restart_interval": 0},
        {"block_restart_interval": -1},
        {"block_restart_interval": 1 << 31},
        {"bloom_filter_bits": -1},
        {"bloom_filter_bits": 1025},
        {"compression": "zstd"},
    ],
)
def test_a_wrong_value_is_refused(options):
    with pytest.raises(OptionValueError, match=next(iter(options))):
        check_options(options)


@pytest.mark.parametrize("size", [1 << 30, 1 << 31, 1 << 32, (1 << 63) - 1])
def test_a_large_write_buffer_is_large_in_leveldb_too(tmp_path, size):
    with LevelDbStorage().open(str(tmp_path / "db"), {"write_buffer_size": size}) as engine:
        for number in range(300):
            engine.write([(PUT, b"%d" % number, b"v" * 1000)])
        assert [file.name for file in (tmp_path / "db").glob("*.ldb")] == []  # 64 KiB would have been 4 tables
