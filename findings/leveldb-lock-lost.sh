#!/usr/bin/env bash
# A second opening of a LevelDB in the process that has it open is refused, and takes away the lock of the first.
#
# Version: plyvel 1.5.1 (its wheel for Linux x86_64, with the LevelDB that it brings).
# Behaviour: LevelDB opens the file LOCK before it looks into its own table of locked files, and closes it again when it
#   is there. A process loses its fcntl locks of a file when it closes any descriptor of that file.
# Seen: another process is refused; after plyvel.DB in the same process was refused ("already held by process"), another
#   process opens the database, which the first still has open.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check plyvel==1.5.1
cd "$folder"
"$folder/venv/bin/python" - <<'PROGRAM'
import subprocess
import sys

import plyvel

OPEN = "import plyvel; plyvel.DB('db').close()"


def opens_elsewhere():
    """Whether another process can open the database."""
    return subprocess.run([sys.executable, "-c", OPEN], stderr=subprocess.DEVNULL).returncode == 0


first = plyvel.DB("db", create_if_missing=True)
before = opens_elsewhere()
try:
    plyvel.DB("db")
except plyvel.IOError as error:
    assert b"already held by process" in error.args[0], error
else:
    raise AssertionError("plyvel opens a database twice")
after = opens_elsewhere()
print("another process can open it: before the refusal", before, "and after it", after)
assert (before, after) == (False, True), "the lock is kept now"
PROGRAM
