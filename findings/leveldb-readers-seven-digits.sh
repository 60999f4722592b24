#!/usr/bin/env bash
# Readers of LevelDB directories find nothing in a database whose file numbers have seven digits.
#
# Versions: rleveldb 1.0.0, chromium-reader 0.1.1, dfindexeddb 20260210; the database is written by plyvel 1.5.1.
# Behaviour: LevelDB pads file numbers to six digits and goes on with seven from 1,000,000 on (tables of 2 MiB:
#   when 2 TB were written or moved by compactions). rleveldb and chromium-reader take names of exactly six digits and pass over
#   all others without a word; dfindexeddb reads the files, but with use_manifest=True it does not take the name in CURRENT.
# Seen: LevelDB itself reads two pairs from 1000000.ldb and 1000003.log; rleveldb and chromium-reader read no record,
#   dfindexeddb two, and a ParserError with the manifest.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check plyvel==1.5.1 rleveldb==1.0.0 chromium-reader==0.1.1 dfindexeddb==20260210
cd "$folder"
"$folder/venv/bin/python" - <<'PROGRAM'
import glob
import os
import pathlib

import chromium_reader.leveldb
import plyvel
import rleveldb
from dfindexeddb import errors
from dfindexeddb.leveldb import record

with plyvel.DB("pairs", create_if_missing=True) as database:
    database.put(b"first", b"1")
plyvel.DB("pairs").close()  # moves the log into a table
(table,) = glob.glob("pairs/*.ldb")
os.rename(table, "pairs/1000000.ldb")  # stands for a million tables; LevelDB's own repair makes the database of it
plyvel.repair_db("pairs")
with plyvel.DB("pairs") as database:
    database.put(b"second", b"2")
print(sorted(name for name in os.listdir("pairs") if name[0].isdigit() or name.startswith("MANIFEST")))


def raw(reader):
    with reader("pairs") as files:
        return sorted(bytes(row.user_key) for row in files.iterate_records_raw())


def folder(use_manifest):
    try:
        found = record.FolderReader(pathlib.Path("pairs")).GetRecords(use_manifest=use_manifest)
        return sorted(row.record.key for row in found)
    except errors.ParserError:
        return "ParserError"


seen = {
    "rleveldb": raw(rleveldb.RawLevelDb),
    "chromium-reader": raw(chromium_reader.leveldb.RawLevelDb),
    "dfindexeddb": folder(False),
    "dfindexeddb, manifest": folder(True),
}
with plyvel.DB("pairs") as database:
    print("LevelDB:", dict(database))
    assert dict(database) == {b"first": b"1", b"second": b"2"}
print(seen)
assert seen == {
    "rleveldb": [],
    "chromium-reader": [],
    "dfindexeddb": [b"first", b"second"],
    "dfindexeddb, manifest": "ParserError",
}, "seven digits are read now"
PROGRAM
