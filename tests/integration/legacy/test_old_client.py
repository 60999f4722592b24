"""py-elevator 0.5c and elevator-cli 0.5 on Python 2.7, at Elevator 0.5 and at our server: they see the same."""

import json

import pytest

from pyelevator.testing.servers import ServerProcess
from support import elevator05
from support.elevator05 import COMMAND_LINE, OldServerProcess, run2

pytestmark = [elevator05.needs_the_old_software, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Socket files of an old and a new server, both empty."""
    home = tmp_path_factory.mktemp("both")
    with OldServerProcess(home) as old, ServerProcess(home / "new", binds=[f"ipc://{home}/new.socket"]) as new:
        yield old.socket, new.urls[0].removeprefix("ipc://")
        assert old.errors == ""


PROGRAM = """
import json, sys
from pyelevator import Elevator, WriteBatch
from pyelevator.error import DatabaseError, TimeoutError

E = Elevator(transport='ipc', endpoint=sys.argv[1])
seen = []

def see(call, *args, **options):
    try:
        seen.append(call(*args, **options))
    except Exception as error:
        seen.append([type(error).__name__, str(error)])

{0}
print json.dumps(seen)
"""

SESSION = """
see(E.listdb)
see(E.createdb, 'testdb')
see(E.createdb, 'testdb')
see(lambda: sorted(E.listdb()))
see(E.connect, 'testdb')
see(lambda: E.db_name)
see(E.connect, 'nope')
see(E.Put, 'abc', '123')
see(E.Put, 'easy as', 'do re mi')
see(E.Put, 'n', 123)
see(E.Get, 'abc')
see(E.Get, 'nope')
see(E.Get, 'abc', compression=True)
see(E.Get, 'nope', compression=True)
see(E.Put, 'n', 123, compression=True)
see(E.connect, 'nope', compression=True)
see(E.MGet, ['abc', 'easy as', 'you and me'])
see(E.MGet, ['abc', 'easy as'], compression=True)
see(E.Delete, 'nope')
for i in range(10):
    see(E.Put, str(i), str(i) * 300)
see(E.Range, '0', '9')
see(E.Range, '0', '9', compression=True)
see(E.Range, '2', '5', include_key=False)
see(E.Range, '2', '5', include_value=False)
see(E.Range)
see(E.Range, 'x', 'y')
see(E.Slice, '1', 3)
see(E.Slice, '1', 3, include_value=False)
see(E.Slice, '1', 0)
see(lambda: list(E.RangeIter('1', '3')))
see(lambda: list(E.RangeIter('1', 3)))
it = E.RangeIter('1', '3')
see(lambda: [list(it), list(it)])
batch = E.WriteBatch()
batch.Put('b', '1')
batch.Delete('abc')
see(batch.Write)
see(E.Range, 'a', 'c')
with WriteBatch(transport='ipc', endpoint=sys.argv[1]) as other:
    other.connect('testdb')
    other.Put('c', '2')
see(E.Get, 'c')
see(E.Get, 'c', timeout=2)
see(E.createdb, 'options', {'block_size': 8192, 'nonsense': 1})
see(E.unmount, 'options')
see(E.mount, 'options')
see(E.dropdb, 'options')
see(E.dropdb, 'options')
see(E.connect)
see(E.dropdb, 'testdb')
see(E.listdb)
see(E.send, E.db_uid, 'FOO', [])
"""


DIFFERENT = [
    (
        ["TypeError", "Unsupported value type : <type 'int'>"],
        ["TypeError", "Unsupported value type : value must be str or bytes, not int"],
    ),
    # Elevator 0.5 never compresses a failure, and its client never asks whether it did.
    (["ValueError", "corrupt input at byte 2"], ["KeyError", "\"Key 'nope' does not exist\""]),
    (
        ["ValueError", "corrupt input at byte 2"],
        ["TypeError", "Unsupported value type : value must be str or bytes, not int"],
    ),
    (["ValueError", "corrupt input at byte 2"], ["DatabaseError", "Database nope doesn't exist"]),
]
"""What the old client sees at both servers where that is not the same."""


def seen_at(home, socket, calls):
    ran = run2(home, PROGRAM.replace("{0}", calls), socket, timeout=100)
    assert (ran.code, ran.err) == (0, "")
    return json.loads(ran.out)


def test_the_old_client_sees_the_same_at_both_servers(tmp_path, both):
    old, new = [seen_at(tmp_path, socket, SESSION) for socket in both]
    assert [pair for pair in zip(old, new, strict=True) if pair[0] != pair[1]] == DIFFERENT
    assert len(old) == 54


TYPED = """\
PUT k v
GET k
GET nope
PUT 1 one
PUT 2 two
MGET k 1 nope
RANGE 1 2
SLICE k 2
SLICE 1 3
DELETE 2
SLICE 1 2
PING
DBLIST
DBCREATE typed
DBCREATE typed
DBCONNECT typed
PUT a b
GET a
DBCONNECT nope
DBCONNECT default
DBDROP typed
DBDROP typed
FOO
"""


def test_the_old_command_line_shows_the_same_at_both_servers(tmp_path, both):
    # It reads until its input ends, and says so with a traceback.
    old, new = [run2(tmp_path, COMMAND_LINE, "-t", "ipc", "-b", socket, stdin=TYPED) for socket in both]
    assert new.out == old.out
    assert "@ Elevator.default => [['1', 'one'], ['2', 'two'], ['k', 'v']]\n" in old.out
    assert old.err.endswith("EOFError: EOF when reading a line\n")
    assert new.err == old.err
