#!/usr/bin/env bash
# Two bindings of LevelDB in one process open the same database at the same time, each of them as its only user.
#
# Versions: plyvel 1.5.1 and amulet-leveldb 1.0.7 (their wheels for Linux x86_64, each with a LevelDB of its own).
# Behaviour: LOCK is held with fcntl, which never excludes the process that holds it, so each copy of LevelDB keeps a
#   table of the files that it has locked itself. The other copy has another table.
# Seen: while plyvel has a database open, another process is refused, and leveldb.LevelDB opens it and reads.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check plyvel==1.5.1 amulet-leveldb==1.0.7
cd "$folder"
"$folder/venv/bin/python" - <<'PROGRAM'
import subprocess
import sys

import leveldb
import plyvel

OPEN = "import plyvel; plyvel.DB('db').close()"


def opens_elsewhere():
    """Whether another process can open the database."""
    return subprocess.run([sys.executable, "-c", OPEN], stderr=subprocess.DEVNULL).returncode == 0


first = plyvel.DB("db", create_if_missing=True)
first.put(b"key", b"value")
assert not opens_elsewhere(), "another process opens a database that is in use"
second = leveldb.LevelDB("db")
read = second.get(b"key")
print("amulet-leveldb opens what plyvel has open, and reads", read)
assert read == b"value"
PROGRAM
