import pytest

from pyelevator.errors import UsageError
from pyelevator.transports import parse_url


@pytest.mark.parametrize(
    ("url", "connects_to", "options"),
    [
        ("tcp://127.0.0.1:4141", "tcp://127.0.0.1:4141", {}),
        ("tcp://db.example", "tcp://db.example:4141", {}),
        ("tcp://[::1]:5", "tcp://[::1]:5", {}),
        ("tcp://h:1/testdb?timeout=5", "tcp://h:1", {"db_name": "testdb", "timeout": 5.0}),
        ("tcp://h:1//srv/leveldb", "tcp://h:1", {"db_name": "/srv/leveldb"}),
        (
            "tcp://h:1/a%20b?dialect=flat&encoding=none",
            "tcp://h:1",
            {"db_name": "a b", "dialect": "flat", "encoding": None},
        ),
        ("ipc:///run/e.sock", "ipc:///run/e.sock", {}),
        ("ipc:///run/e.sock?db=x&auto_connect=no", "ipc:///run/e.sock", {"db_name": "x", "auto_connect": False}),
        ("ipc://relative.sock", "ipc://relative.sock", {}),
        ("ipc:///e.sock?db=x&create=true", "ipc:///e.sock", {"db_name": "x", "create": True}),
        ("fake://", "fake://", {}),
        ("fake://shop", "fake://shop", {}),
        ("fake://shop/testdb", "fake://shop", {"db_name": "testdb"}),
    ],
)
def test_a_url_says_where_and_how(url, connects_to, options):
    target = parse_url(url)
    assert target.url == connects_to
    assert target.options == options


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://h", "starts with one of tcp://, ipc:// and fake://"),
        ("localhost:4141", "starts with one of"),
        ("tcp://", "names no host"),
        ("tcp://h:99999", "port"),
        ("tcp://h:x", "port"),
        ("ipc://", "names no socket file"),
        ("tcp://h?speed=9", "there is no option 'speed'"),
        ("tcp://h?timeout=soon", "what stands there is no value for timeout"),
        ("tcp://h?auto_connect=perhaps", "no value for auto_connect"),
    ],
)
def test_a_url_that_is_not_understood_says_why(url, says):
    with pytest.raises(UsageError, match=says):
        parse_url(url)
