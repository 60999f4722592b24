"""Names, paths, uids and verbs of a megabyte: errors do not repeat them, and looking them up takes no time."""

import msgpack
import pytest

from pyelevator.application import Application
from pyelevator.arguments import MAX_NAME
from pyelevator.auth.authorizing_application import AuthorizingApplication
from pyelevator.auth.permissions import Grant, Permissions
from pyelevator.commands import Access, DbConnect, DbCreate, Get, Unknown
from pyelevator.errors import ErrorCode, UsageError
from pyelevator.messages import CallContext, Request, Response
from pyelevator.protocol import RequestDecoder

MB = 1 << 20
NAMES = {"a name": "x" * MB, "a path": "/a" * (MB // 2), "slashes": "/" * MB, "dots": "../" * (MB // 3)}
NAMING = ("DBCONNECT", "DBCREATE", "DBDROP", "DBMOUNT", "DBUMOUNT", "DBFORGET")
LONGEST_TEXT = 2_100
ALICE = CallContext("alice")


@pytest.fixture(params=["without keys", "with some rights"])
def application(request, tmp_path):
    application = Application.on_leveldb(str(tmp_path))
    grants = (Grant(Access.ADMIN, "data*"), Grant(Access.READ, "*x"))
    yield (
        application
        if request.param == "without keys"
        else AuthorizingApplication(application, lambda: {"alice": Permissions(grants)})
    )
    application.close()


def text_of(application, frame):
    """The text of the failure that answers a frame, in either dialect; the rest of the answer is short."""
    frames = RequestDecoder().read([frame], "alice").answer(application)
    assert sum(map(len, frames)) < LONGEST_TEXT + 200
    first = msgpack.unpackb(frames[0], raw=True)
    return first[b"err_msg"] if isinstance(first, dict) else first[2]


def frames_of(verb, args, uid):
    """A request in both dialects."""
    yield msgpack.packb({"meta": {"id": 7}, "uid": uid, "cmd": verb, "args": args}, use_bin_type=False)
    yield msgpack.packb([uid or "", verb, *args], use_bin_type=False)


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_long_names_and_paths_are_refused_before_they_are_looked_up(application, name):
    requests = [(verb, [name], None) for verb in NAMING]
    requests += [("BACKUP", ["default", name], None), ("BACKUP", [name, "copy"], None)]
    for verb, args, uid in requests:
        for frame in frames_of(verb, args, uid):
            assert text_of(application, frame).endswith(b" is over the limit of 4,096")


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_errors_do_not_repeat_long_uids_verbs_and_keys(application, name):
    for verb, args, uid in (("GET", ["k"], name), ("GET", [name], None), (name, [], None), ("DBREPAIR", [], name)):
        for frame in frames_of(verb, args, uid):
            assert 0 < len(text_of(application, frame)) < LONGEST_TEXT


def test_a_long_message_is_cut_in_its_middle():
    message = Response.failure(ErrorCode.RUNTIME, f"Database {'x' * MB} does not exist; create it").message
    assert message.startswith("Database xxx")
    assert message.endswith("xxx does not exist; create it")
    assert "... (1,046,611 characters left out) ..." in message


def test_names_of_the_longest_paths_are_taken():
    assert DbConnect("/" + "a" * (MAX_NAME - 1)).name == "/" + "a" * (MAX_NAME - 1)
    with pytest.raises(UsageError, match=r"a name of 4,097 characters is over the limit of 4,096"):
        DbCreate("a" * (MAX_NAME + 1))


def test_the_slow_log_keeps_the_beginning_of_long_names():
    application = Application.in_memory()
    for command in (Unknown("v" * MB), DbConnect("n" * MAX_NAME), Get(b"k" * MB)):
        entry = application.slow_log.describe(Request(command), 1.0, getattr(command, "name", None))
        assert len(repr(entry)) < 1_000


def test_long_paths_are_looked_up_by_workers(application):
    short, long = "/a" * 20, "/a" * (MAX_NAME // 2)
    assert application.try_handle(Request(DbConnect(short), None, 1, context=ALICE)).code is not None
    assert application.try_handle(Request(DbConnect(long), None, 1, context=ALICE)) is None
    assert application(Request(DbConnect(long), None, 1, context=ALICE)).code is not None
