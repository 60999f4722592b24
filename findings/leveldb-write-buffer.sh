#!/usr/bin/env bash
# LevelDB (through plyvel) takes a write buffer of 2 GiB or more for the smallest there is, 64 KiB.
#
# Version: plyvel 1.5.1 (its wheel for Linux x86_64, with the LevelDB that it brings).
# Behaviour: SanitizeOptions casts the size to int before it clips it to 64 KiB..1 GiB, so a size whose low 32 bits are a
#   negative int, or a small one, becomes 64 KiB, without a word. The same holds for max_file_size and block_size.
# Seen: 300 puts of 1,000 bytes leave no table with a buffer of 1 GiB, and some with 2 GiB and with 4 GiB.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check plyvel==1.5.1
cd "$folder"
"$folder/venv/bin/python" - <<'PROGRAM'
import glob
import plyvel


def tables(size):
    """How many tables 300 puts of 1,000 bytes leave."""
    name = f"buffer-{size}"
    with plyvel.DB(name, create_if_missing=True, write_buffer_size=size, compression=None) as database:
        for number in range(300):
            database.put(b"%d" % number, b"v" * 1000)
        return len(glob.glob(f"{name}/*.ldb"))


seen = {size: tables(size) for size in (1 << 16, 1 << 30, 1 << 31, 1 << 32)}
print("tables after 300 puts of 1,000 bytes, by write_buffer_size:", seen)
assert seen[1 << 30] == 0, "a buffer of 1 GiB is no longer one"
assert all(seen[size] > 0 for size in (1 << 16, 1 << 31, 1 << 32)), "a large buffer is large now"
PROGRAM
