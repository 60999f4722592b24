"""Record and replay of a bug: a journal of what went over the wire makes it happen again, without a server.

The application keeps an index beside its records. A bug report says that a renamed user is found under the old name
still. The journal of that one session is enough to see it again, as often as it takes, and to know when it is gone.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

from pyelevator import Elevator
from pyelevator.interceptors import Recorder, Replayer, ReplayMismatch
from pyelevator.testing.servers import ServerProcess

Rename = Callable[[Elevator[str], str, str], None]


def rename(db: Elevator[str], user: str, name: str) -> None:
    """The bug: the index still has the old name."""
    with db.WriteBatch() as batch:
        batch.Put(f"user/{user}", name)
        batch.Put(f"name/{name}", user)


def rename_mended(db: Elevator[str], user: str, name: str) -> None:
    before = db.Get(f"user/{user}")
    with db.WriteBatch() as batch:
        batch.Put(f"user/{user}", name)
        batch.Delete(f"name/{before}")
        batch.Put(f"name/{name}", user)


def found(db: Elevator[str], name: str) -> list[str]:
    return [user for user in db.MGet([f"name/{name}"]) if user is not None]


def session(db: Elevator[str], rename: Rename) -> str:
    """What the user did."""
    db.Put("user/1", "Ann")
    db.Put("name/Ann", "1")
    rename(db, "1", "Anna")
    return f"Ann is {found(db, 'Ann')}, Anna is {found(db, 'Anna')}"


def record(endpoint: str, journal: Path) -> str:
    """Where it happens: at a real server, with the journal switched on. A journal holds keys and values."""
    with journal.open("w", encoding="utf-8") as file:
        with Elevator(endpoint=endpoint, interceptors=[Recorder(file)]) as db:
            return session(db, rename)


def replay(journal: Path, rename: Rename) -> str:
    """At home: the journal answers, and nothing is forwarded to anywhere."""
    with Elevator(transport="fake", interceptors=[Replayer.from_file(journal)]) as db:
        return session(db, rename)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        journal = Path(folder, "bug.jsonl")
        with ServerProcess(data=Path(folder, "data")) as server:
            print("at the server: ", record(server.urls[0].removeprefix("tcp://"), journal))
        print("in the journal:", len(journal.read_text().splitlines()), "lines")
        print("replayed:      ", replay(journal, rename))
        try:
            replay(journal, rename_mended)
        except ReplayMismatch as mismatch:
            print("mended:        ", str(mismatch).partition(":")[0], "is where the mended program differs")
        with Elevator(transport="fake") as db:
            print("mended:        ", session(db, rename_mended))


if __name__ == "__main__":
    main()
