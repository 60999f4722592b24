"""The settings of a proxy and their file."""

import pytest
from click.testing import CliRunner

from pyelevator.cli.main import elevator
from pyelevator.config import read_proxy_config
from pyelevator.proxy import Upstream


def test_a_config_file_says_it_all(tmp_path):
    path = tmp_path / "proxy.toml"
    path.write_text(
        """
        listen = ["tcp://127.0.0.1:0"]
        timeout = 2

        [[upstream]]
        name = "west"
        url = "tcp://west.example"
        databases = ["west-*"]
        max_connections = 1

        [[upstream]]
        url = "ipc:///run/old.sock?dialect=flat"
        max_serial_connections = 2
        """
    )
    assert read_proxy_config(path) == {
        "listen": ("tcp://127.0.0.1:0",),
        "upstreams": (
            Upstream("tcp://west.example", ("west-*",), "west", max_connections=1),
            Upstream("ipc:///run/old.sock?dialect=flat", max_serial_connections=2),
        ),
        "timeout": 2.0,
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("lisen = []", "there is no key 'lisen' here; there are listen, upstream, timeout, curve_keys"),
        ("timeout = 'soon'", "timeout = 'soon': must be a number of seconds above 0"),
        ("[[upstream]]\nname = 'x'", "each [[upstream]] needs a url"),
        (
            "[[upstream]]\nurl = 'tcp://h'\nspeed = 9",
            "[[upstream]]: there is no key 'speed' here; there are url, name, ",
        ),
        (
            "[[upstream]]\nurl = 'tcp://h'\nmax_connections = 0",
            "[[upstream]]: max_connections = 0: must be an integer from 1",
        ),
        (
            "[[upstream]]\nurl = 'tcp://h'\nmax_connections = 'few'",
            "[[upstream]]: max_connections = 'few': must be an integer from 1",
        ),
        ("[[upstream]]\nurl = 'http://h'", "'http://h'"),
        ("[[upstream]]\nurl = 'tcp://h'\ncurve_key = 'x'", "needs both curve_key and server_key"),
        ("not toml", "proxy.toml"),
    ],
)
def test_a_config_file_that_is_not_understood_is_named_with_the_reason(tmp_path, text, says):
    path = tmp_path / "proxy.toml"
    path.write_text(text)
    ran = CliRunner().invoke(elevator, ["proxy", "--config", str(path)])
    assert ran.exit_code == 2
    assert str(path) in ran.stderr
    assert says in ran.stderr


def test_the_upstream_of_a_file_may_be_a_url(tmp_path):
    (tmp_path / "proxy.toml").write_text('upstream = "tcp://127.0.0.1:4141"')
    assert read_proxy_config(tmp_path / "proxy.toml") == {"upstreams": (Upstream("tcp://127.0.0.1:4141"),)}
