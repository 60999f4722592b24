"""The configuration files of three flavours, told apart by their content."""

import logging
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from pyelevator.config import ServerSettings, read_server_config
from pyelevator.errors import UsageError

CONFIGS = Path(__file__).parent / "configs"

EXPECTED: dict[str, dict[str, Any]] = {
    "classic.conf": {
        "data": Path("/var/lib/elevator"),
        "store": Path("/var/lib/elevator/store.json"),
        "binds": ("tcp://0.0.0.0:4242", "ipc:///tmp/elevator.sock"),
        "log_file": Path("/var/log/elevator.log"),
        "idle_unmount": 5.0,
        "ignored": (
            "daemonize",
            "pidfile",
            "default_db",
            "errors_log",
            "max_cache_size",
        ),
    },
    "classic-0.5d.conf": {
        "data": Path("/var/lib/elevator"),
        "store": Path("/var/lib/elevator/store.json"),
        "binds": ("ipc:///tmp/elevator.sock",),
        "workers": 8,
        "log_level": logging.DEBUG,
        "log_file": Path("/var/log/elevator/elevator.log"),
        "idle_unmount": 15.0,
        "ignored": ("daemonize", "pidfile", "default_db", "paranoid", "errors_log"),
    },
    "flat.conf": {
        "data": Path("/var/lib/elevator"),
        "store": Path("/var/lib/elevator/store"),
        "binds": ("tcp://127.0.0.1:4343",),
        "log_level": logging.DEBUG,
        "log_file": Path("/var/log/elevator.log"),
        "options": {
            "compression": "snappy",
            "block_size": 131072,
            "lru_cache_size": 536870912,
            "write_buffer_size": 33554432,
            "bloom_filter_bits": 100,
            "max_open_files": 150,
            "paranoid_checks": False,
        },
        "ignored": ("daemonize", "pidfile", "default_db"),
    },
    "ours.toml": {
        "data": Path("/var/lib/elevator"),
        "binds": ("tcp://127.0.0.1:4141", "ipc:///run/elevator.sock"),
        "engine": "leveldb",
        "store": Path("/var/lib/elevator/store.json"),
        "allow_paths": (Path("/srv/leveldb"), Path("/srv/more")),
        "log_level": logging.INFO,
        "log_file": Path("/var/log/elevator.log"),
        "workers": 8,
        "max_message": 1048576,
        "sync": True,
        "idle_unmount": 2.5,
        "idle_unmount_adopted": 0.5,
        "max_batch": 1000,
        "max_range": 2000,
        "max_range_bytes": 3000,
        "max_connections": 40,
        "max_open": 5,
        "max_cursors": 6,
        "cursor_idle": 7,
        "cursor_age": 8,
        "row_cache": 0,
        "write_buffers": 1048576,
        "options": {"block_size": 4096, "compression": "snappy"},
        "ignored": (),
    },
}


@pytest.fixture
def config(tmp_path):
    """Reads a configuration from its text."""

    def read(text):
        (tmp_path / "a.conf").write_text(text)
        return read_server_config(tmp_path / "a.conf")

    return read


@pytest.mark.parametrize("name", EXPECTED)
def test_a_file_of_each_format_has_its_settings(name):
    assert read_server_config(CONFIGS / name) == EXPECTED[name]


@pytest.mark.parametrize("name", EXPECTED)
def test_the_name_of_the_file_does_not_matter(name, config):
    assert config((CONFIGS / name).read_text()) == EXPECTED[name]


@pytest.mark.parametrize("name", EXPECTED)
def test_the_values_of_a_file_are_settings(name):
    changed = ServerSettings(**EXPECTED[name])
    assert changed.data == Path("/var/lib/elevator")
    assert changed.binds == EXPECTED[name]["binds"]


def test_an_empty_file_changes_nothing(config):
    assert config("") == {"ignored": ()}


@pytest.mark.parametrize(
    ("lines", "binds"),
    [
        ("port = 4141", ("tcp://127.0.0.1:4141",)),
        ("bind = 10.0.0.1", ("tcp://10.0.0.1:4141",)),
        ("unixsocket = /tmp/e.sock", ("tcp://127.0.0.1:4141", "ipc:///tmp/e.sock")),
        ("port = 0\nunixsocket = /tmp/e.sock", ("ipc:///tmp/e.sock",)),
        ("port = 0\nbind = 10.0.0.1\nunixsocket = ipc:///tmp/e.sock", ("ipc:///tmp/e.sock",)),
        ("transport = tcp", ("tcp://127.0.0.1:4141",)),
        ("transport = tcp\nport = 4242\nunixsocket = /tmp/e.sock", ("tcp://127.0.0.1:4242",)),
        ("transport = ipc\nport = 4242\nunixsocket = /tmp/e.sock", ("ipc:///tmp/e.sock",)),
    ],
)
def test_the_classic_port_host_and_socket_become_urls(config, lines, binds):
    assert config(f"[global]\n{lines}\n")["binds"] == binds


def test_keys_without_a_value_are_not_set(config):
    assert config("[global]\nunixsocket =\ndefault_db =\n") == {"ignored": ()}


ERRORS = {
    "[global]\nprot = 4141": "there is no key 'prot' here; there are databases_storage_path, database_store, transport, ",
    "[core]\nport = 4141": "there is no key 'port' here; there are databases_storage_path, database_store, endpoint, ",
    "[core]\n[engine]\na = b": "there is no section [engine]; there are core, storage_engine",
    "prot = 4141": "there is no key 'prot' here; there are data, bind, engine, store, ",
    "[options]\nblocksize = 1": "there is no key 'blocksize' here; there are block_size, ",
    "[other]\na = 1": "there is no section [other]; there are options",
    "[global]\nport = http": "port = 'http': must be an integer from 0 to 65535",
    "[global]\nport = 70000": "port = '70000': must be an integer from 0 to 65535",
    "[global]\nport = 0": "port = 0 and no unixsocket leave nothing to listen on",
    "[global]\ntransport = udp": "transport = 'udp': must be tcp or ipc",
    "[global]\ntransport = tcp\nport = 0\nunixsocket = /a": "transport = tcp and port = 0 leave nothing to listen on",
    "[global]\ntransport = ipc\nport = 4141": "transport = ipc needs the path of the socket file: unixsocket = /",
    "[global]\nmajordome_interval = often": "majordome_interval = 'often': must be a number of minutes",
    "idle_unmount = -1": "idle_unmount = -1: must be a number of minutes, or 0 for never",
    "idle_unmount = nan": "idle_unmount = nan: must be a number of minutes, or 0 for never",
    "max_batch = 0": "max_batch = 0: must be an integer from 1",
    "sync = 2": "sync = 2: must be true or false",
    "[core]\nlog_level = LOUD": "log_level = 'LOUD': must be one of DEBUG, FINEST, FINE, TRACE, INFO, ",
    "[core]\nendpoint = here": "endpoint = 'here': 'here' is no URL of an Elevator server",
    "[storage_engine]\nverify_checksums = maybe": "verify_checksums = 'maybe': must be true or false",
    "[storage_engine]\nblock_size = -1": "block_size = '-1': must be an integer from 0",
    "[storage_engine]\nbloom_filter_bits = 9999": "option bloom_filter_bits must be from 0 to 1024, not 9999",
    'engine = "sql"': "engine = 'sql': must be one of leveldb, memory",
    "workers = 0": "workers = 0: must be an integer from 1",
    "workers = true": "workers = True: must be an integer from 1",
    "data = 3": "data = 3: must be text",
    'bind = ["fake://"]': "bind = ['fake://']: cannot listen on 'fake://'",
    '[options]\nblock_size = "big"': "block_size = 'big': option block_size must be an integer, not str",
    "data = ": "Invalid value",
    "[global]\nnonsense": "Source contains parsing errors",
    "[global]\nport = 1\nport = 2": "option 'port' in section 'global' already exists",
}


@pytest.mark.parametrize("text", ERRORS)
def test_an_error_names_file_key_and_value(config, tmp_path, text):
    with pytest.raises(UsageError) as caught:
        config(text)
    assert str(caught.value).startswith(f"{tmp_path}/a.conf: ")
    assert ERRORS[text] in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"cannot read .*/nowhere\.conf: No such file"):
        read_server_config(tmp_path / "nowhere.conf")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match=r"cannot read .*/binary: it is not text"):
        read_server_config(tmp_path / "binary")


@settings(max_examples=100, deadline=None)
@given(
    text=st.text(alphabet="abgloc[]=\"'\n #;12\t{}.,", max_size=40),
    header=st.sampled_from(["", "[global]\n", "[core]\n"]),
)
def test_any_text_is_settings_or_a_usage_error(tmp_path_factory, text, header):
    file = tmp_path_factory.getbasetemp() / "any.conf"
    file.write_text(header + text)
    with suppress(UsageError):
        assert "ignored" in read_server_config(file)
