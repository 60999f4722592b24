"""Browsing another program's LevelDB: copy it, adopt the copy, read it, forget it."""

import shutil
import tempfile
from pathlib import Path

from pyelevator import DatabaseError, Elevator
from pyelevator.application import Application
from pyelevator.commands import PUT
from pyelevator.engines.leveldb import LevelDbStorage
from pyelevator.server import Server


def use_another_program(path: Path) -> None:
    """Play the other program: open its LevelDB, write, and close it."""
    with LevelDbStorage().open(str(path), {}) as database:
        database.write([(PUT, b"user:ann", b"Ann"), (PUT, b"user:bob", b"Bob"), (PUT, b"version", b"3")])


def content(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.iterdir()}


def browse(url: str, copy: str) -> None:
    with Elevator.from_url(url) as E:
        E.createdb(copy, {"create_if_missing": False})  # a misspelt path creates nothing
        E.connect(copy)
        for key, value in E.RangeIter(prefix="user:"):
            print(key, value)
        try:
            E.dropdb(copy)
        except DatabaseError as error:
            print(str(error).partition("; ")[2])
        E.forgetdb(copy)
        print(E.listdb())


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        theirs, copy = Path(folder, "theirs"), Path(folder, "copy")
        use_another_program(theirs)
        before = content(theirs)
        shutil.copytree(theirs, copy)  # while that program is not running
        application = Application.on_leveldb(str(Path(folder, "data")))
        with Server(application, ["tcp://127.0.0.1:0"]) as server:
            browse(server.urls[0], str(copy))
        print("the original is as it was:", content(theirs) == before)


if __name__ == "__main__":
    main()
