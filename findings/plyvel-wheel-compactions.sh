#!/usr/bin/env bash
# The LevelDB in plyvel's wheels takes about three times the processor time of Debian's for the same compaction.
#
# Version: plyvel 1.5.1, its wheel for Linux x86_64, beside the same release built against libleveldb-dev 1.23 of Debian 12.
# Behaviour: both give the same tables; what differs is how the library was compiled. A load of many random pairs waits
#   for compactions ("Too many L0 files" in LevelDB's log) with the wheel where it does not with the other.
# Seen: 1.00 s and 0.24 s to compact 600,000 pairs of 16 and 100 bytes, processor time. Fails below twice.
# Needs: g++ and libleveldb-dev.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
for build in wheel source; do
  python3 -m venv "$build"
done
wheel/bin/pip install -q --disable-pip-version-check --only-binary plyvel plyvel==1.5.1
source/bin/pip install -q --disable-pip-version-check --no-binary plyvel plyvel==1.5.1
cat > fill.py <<'PROGRAM'
import random
import plyvel

draw = random.Random(1)
with plyvel.DB("filled", create_if_missing=True) as database:
    for _ in range(6):
        with database.write_batch() as batch:
            for _ in range(100_000):
                batch.put(b"%016d" % draw.randrange(10**15), draw.randbytes(50) * 2)
    database.compact_range()
PROGRAM
cat > compact.py <<'PROGRAM'
import shutil
import time
import plyvel

shutil.rmtree("copy", ignore_errors=True)
shutil.copytree("filled", "copy")
with plyvel.DB("copy") as database:
    begin = time.process_time()
    database.compact_range()
    print(time.process_time() - begin)
PROGRAM
wheel/bin/python fill.py
least() { for _ in 1 2 3 4 5; do "$1/bin/python" compact.py; done | sort -g | head -1; }
wheel_seconds=$(least wheel)
source_seconds=$(least source)
echo "processor time of one compaction: wheel $wheel_seconds s, built against the system's LevelDB $source_seconds s"
awk -v wheel="$wheel_seconds" -v built="$source_seconds" 'BEGIN { exit !(wheel >= 2 * built) }'
