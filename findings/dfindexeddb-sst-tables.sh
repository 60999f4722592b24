#!/usr/bin/env bash
# dfindexeddb finds nothing in tables that are called .sst, as those of every LevelDB before 1.14 are.
#
# Versions: dfindexeddb 20260210; the database is written and read by plyvel 1.5.1, and read by rleveldb 1.0.0 and chromium-reader 0.1.1.
# Behaviour: LevelDB names new tables NUMBER.ldb since version 1.14 (2013), and reads NUMBER.sst still; a database of an older LevelDB
#   keeps such tables until a compaction rewrites them. dfindexeddb's reader of folders takes .ldb only: it writes "Unsupported file type"
#   to the log for the table and gives what is left, here no record, with and without use_manifest=True. No error is raised.
# Seen: LevelDB, rleveldb and chromium-reader read two pairs; dfindexeddb none.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check plyvel==1.5.1 rleveldb==1.0.0 chromium-reader==0.1.1 dfindexeddb==20260210
cd "$folder"
"$folder/venv/bin/python" - <<'PROGRAM'
import os
import pathlib

import chromium_reader.leveldb
import plyvel
import rleveldb
from dfindexeddb.leveldb import record

with plyvel.DB("pairs", create_if_missing=True) as database:
    database.put(b"first", b"1")
    database.put(b"second", b"2")
plyvel.DB("pairs").close()  # moves the log into a table
for table in pathlib.Path("pairs").glob("*.ldb"):
    table.rename(table.with_suffix(".sst"))  # the name that an old LevelDB would have given it; the bytes are the same


def raw(reader):
    with reader("pairs") as files:
        return sorted(bytes(row.user_key) for row in files.iterate_records_raw())


def folder(use_manifest):
    rows = record.FolderReader(pathlib.Path("pairs")).GetRecords(use_manifest=use_manifest)
    return sorted(row.record.key for row in rows)


seen = {
    "rleveldb": raw(rleveldb.RawLevelDb),
    "chromium-reader": raw(chromium_reader.leveldb.RawLevelDb),
    "dfindexeddb": folder(False),
    "dfindexeddb, manifest": folder(True),
}
print(seen)
with plyvel.DB("pairs") as database:
    print("LevelDB:", dict(database), sorted(name for name in os.listdir("pairs") if name.endswith((".sst", ".ldb"))))
    assert dict(database) == {b"first": b"1", b"second": b"2"}
both = [b"first", b"second"]
assert seen == {"rleveldb": both, "chromium-reader": both, "dfindexeddb": [], "dfindexeddb, manifest": []}, seen
PROGRAM
