"""The documented session, as a transcript: against a real server on LevelDB over tcp and ipc, and against the fake.

Run it with ``make demo``, or ``python examples/session.py``. It exits with 1 if an answer is not the documented one.
"""

import contextlib
import doctest
import io
import sys
import tempfile
from pathlib import Path
from typing import Any

from pyelevator.engines.leveldb import LevelDbStorage
from pyelevator.testing.servers import ServerProcess
from pyelevator.transports import FakeTransport, IpcTransport, TcpTransport, Transport

# As documented, but for the report of a repair, which is new and would be shown.
SESSION = """
>>> E = Elevator()
>>> E.db_name
'default'
>>> E.listdb()
['default']
>>> E.createdb('testdb')
>>> E.listdb()
['default', 'testdb']
>>> E.connect('testdb')
>>> E.connect('dbthatdoesntexist')
DatabaseError: Database does not exist
>>> report = E.repairdb()
>>> E.dropdb('testdb')
>>> E.connect('default')
>>> E.Put('abc', '123')
>>> E.Put('easy as', 'do re mi')
>>> E.Get('abc')
'123'
>>> E.MGet(['abc', 'easy as', 'you and me'])
['123', 'do re mi', None]
>>> E.Delete('abc')
>>> for i in range(10): E.Put(str(i), str(i))
>>> E.Range('1', '9')
[['1', '1'], ['2', '2'], ['3', '3'], ['4', '4'], ['5', '5'], ['6', '6'], ['7', '7'], ['8', '8'], ['9', '9']]
>>> E.Slice('1', 2)
[['1', '1'], ['2', '2']]
>>> it = E.RangeIter('1', '2')
>>> list(it)
[['1', '1'], ['2', '2']]
>>> with Elevator() as e: e.Get('1')
'1'
>>> batch = WriteBatch()
>>> batch.Put('a', 'a')
>>> batch.Put('b', 'b')
>>> batch.Put('c', 'c')
>>> batch.Delete('c')
>>> batch.Write()
>>> E.Get('a')
'a'
>>> E.Get('b')
'b'
>>> E.Get('c')
KeyNotFound: Key not found
>>> with WriteBatch() as batch: batch.Put('or simple as...', 'do re mi')
>>> E.Get('or simple as...')
'do re mi'
>>> batch.disconnect()
>>> E.disconnect()
"""

# What the page shows of a LevelDB that was there before; the fake has no files, and so no such part.
REGISTERING = """
>>> E = Elevator()
>>> E.createdb(existing)
>>> E.listdb() == ['default', existing]
True
>>> E.connect(existing)
>>> E.Get('from before')
'still here'
>>> E.disconnect()
"""


def play(session: str, names: dict[str, Any]) -> int:
    """Runs a session line by line, prints it, and returns how many answers were not as written."""
    wrong = 0
    for example in doctest.DocTestParser().get_examples(session):
        print(f">>> {example.source.rstrip()}")
        answer = run(example.source, names)
        print(answer, end="")
        if answer != example.want:
            wrong += 1
            print(f"    !!! {example.want.rstrip()!r} was expected")
    return wrong


def run(source: str, names: dict[str, Any]) -> str:
    output = io.StringIO()
    try:
        with contextlib.redirect_stdout(output):
            exec(compile(source, "<session>", "single"), names)
    except Exception as error:
        return f"{type(error).__name__}: {error}\n"
    return output.getvalue()


def names_over(transport: Transport, existing: str) -> dict[str, Any]:
    """The names that a session uses, with clients that go over ``transport``."""
    import functools

    from pyelevator import Elevator, WriteBatch

    def over(kind: Any) -> Any:
        return functools.partial(kind, transport=transport)

    return {"Elevator": over(Elevator), "WriteBatch": over(WriteBatch), "existing": existing}


def title(text: str) -> None:
    print(f"\n{text}\n{'-' * len(text)}")


def main() -> int:
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="elevator-") as folder:
        existing = str(Path(folder, "existing"))
        with LevelDbStorage().open(existing, {}) as engine:
            engine.write([(1, b"from before", b"still here")])
        for scheme, connection in (("tcp", TcpTransport), ("ipc", IpcTransport)):
            bind = "tcp://127.0.0.1:0" if scheme == "tcp" else f"ipc://{folder}/elevator.sock"
            with ServerProcess(data=Path(folder, f"data-{scheme}"), binds=[bind]) as server:
                url = server.urls[0]
                title(f"Over {scheme}: {url}, on LevelDB")
                names = names_over(connection(url.partition("://")[2]), existing)
                wrong += play(SESSION, names) + play(REGISTERING, names)
    title("Over the fake: in this process, in memory")
    wrong += play(SESSION, names_over(FakeTransport(), ""))
    print(
        f"\n{'Every answer is the documented one.' if not wrong else f'{wrong} answers are not the documented ones.'}"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
