#!/usr/bin/env bash
# Two readers of LevelDB directories do not know the state of the empty key once it is in a table.
#
# Versions: rleveldb 1.0.0, chromium-reader 0.1.1; the database is written by plyvel 1.5.1.
# Behaviour: a table's keys end with eight bytes, the sequence number and the type. The empty key of a user is these eight
#   bytes alone, and both readers look at the type only where a key is longer than eight. What reads live records with
#   them loses the value, and what looks for deleted ones does not see the deletion. In the log both are right.
# Seen: the record of the empty key is LIVE in the log, and UNKNOWN after a compaction; its neighbour is LIVE in both.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check plyvel==1.5.1 rleveldb==1.0.0 chromium-reader==0.1.1
cd "$folder"
"$folder/venv/bin/python" - <<'PROGRAM'
import chromium_reader.leveldb
import plyvel
import rleveldb


def states(reader, name):
    """The newest state of each key, as the reader has it."""
    with reader(name) as files:
        records = sorted(files.iterate_records_raw(), key=lambda record: record.seq)
        return {bytes(record.user_key): str(record.state).rpartition(".")[2].upper() for record in records}


with plyvel.DB("pairs", create_if_missing=True) as database:
    database.put(b"", b"value of the empty key")
    database.put(b"other", b"value")
READERS = {"rleveldb": rleveldb.RawLevelDb, "chromium-reader": chromium_reader.leveldb.RawLevelDb}
in_log = {name: states(reader, "pairs") for name, reader in READERS.items()}
with plyvel.DB("pairs") as database:
    database.compact_range()
    assert database.get(b"") == b"value of the empty key"
for name, reader in READERS.items():
    in_table = states(reader, "pairs")
    print(f"{name}: in the log {in_log[name]}, in a table {in_table}")
    assert in_log[name] == {b"": "LIVE", b"other": "LIVE"}
    assert in_table == {b"": "UNKNOWN", b"other": "LIVE"}, "the empty key is read now"
PROGRAM
