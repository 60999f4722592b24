import logging

import pytest

from pyelevator.engines.base import OptionTypeError, OptionValueError
from pyelevator.engines.options import check_options


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


def test_what_the_catalog_decides_and_what_is_not_given_is_left_out():
    assert check_options({"create_if_missing": False, "error_if_exists": True, "block_size": None}) == {}


def test_minus_one_open_files_is_taken_as_the_old_server_did():
    assert check_options({"max_open_files": -1}) == {"max_open_files": -1}


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
    [{"block_size": -1}, {"lru_cache_size": 1 << 64}, {"max_open_files": 1 << 31}, {"compression": "zstd"}],
)
def test_a_wrong_value_is_refused(options):
    with pytest.raises(OptionValueError, match=next(iter(options))):
        check_options(options)
