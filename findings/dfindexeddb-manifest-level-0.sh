#!/usr/bin/env bash
# dfindexeddb, asked to follow the manifest, loses all tables of level 0 but one.
#
# Version: dfindexeddb 20260210; the database is written by plyvel 1.5.1.
# Behaviour: FolderReader.GetRecords(use_manifest=True) keeps the records of one table of level 0 at a time, so each table
#   takes the place of the one before it, and all of them count as read. Several tables at level 0 are what a database has after it
#   was opened a few times, or while it is written to. Without the manifest all records are there.
# Seen: of two pairs in two tables of level 0, which LevelDB reads, one is missing.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check plyvel==1.5.1 dfindexeddb==20260210
cd "$folder"
"$folder/venv/bin/python" - <<'PROGRAM'
import pathlib

import plyvel
from dfindexeddb.leveldb import record

for key in (b"first", b"second"):
    with plyvel.DB("pairs", create_if_missing=True) as database:
        database.put(b"shared", key)  # an overlap keeps the next table at level 0
        database.put(key, b"value")
plyvel.DB("pairs").close()


def keys(use_manifest):
    found = record.FolderReader(pathlib.Path("pairs")).GetRecords(use_manifest=use_manifest)
    return sorted({row.record.key for row in found})


with plyvel.DB("pairs") as database:
    print("tables at level 0:", database.get_property(b"leveldb.num-files-at-level0").decode())
    print("LevelDB:", list(database.iterator(include_value=False)))
print("without the manifest:", keys(False))
print("with the manifest:", keys(True))
assert keys(False) == [b"first", b"second", b"shared"]
assert len(keys(True)) < 3, "all tables of level 0 are read now"
PROGRAM
