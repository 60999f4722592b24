"""`python -m benchmarks.goals`: the rows with goals, without the extension in C++ and with it, one after the other.

Arguments are those of ``python -m benchmarks``: ``--quick``, ``--full``, and names of rows instead of all of these.
"""

import os
import subprocess
import sys
from typing import Final

GOALS: Final = (
    *("range", "rangeiter", "plain", "mget", "batch", "pipeline", "get", "put", "clients", "async", "fake", "import"),
    *("scans", "answer", "sustained", "busy"),
)
"""The rows, in the order of the issue that asks for them."""


def main() -> int:
    named = [word for word in sys.argv[1:] if not word.startswith("-")]
    words = [*sys.argv[1:], *(() if named else GOALS)]
    for wanted, name in (("0", "without the extension"), ("1", "with the extension")):
        print(f"\n## {name}\n", flush=True)
        command = [sys.executable, "-m", "benchmarks", *words]
        ran = subprocess.run(command, env={**os.environ, "PYELEVATOR_NATIVE": wanted}, check=False)
        if ran.returncode:
            return ran.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
