"""Peak memory of a long RangeIter, on both sides."""

import json
import resource
import subprocess
import sys
from pathlib import Path


def resident(pid: int, what: str) -> int:
    """Bytes of VmRSS or VmHWM (the peak)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(what):
            return int(line.split()[1]) * 1024
    raise LookupError(what)


CLIENT = """
import json, resource, sys
from pyelevator import Elevator
with Elevator.from_url(sys.argv[1]) as E:
    E.timeout = 60
    E.Slice(None, 100)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    count = sum(1 for _ in E.RangeIter())
    print(json.dumps([count, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024]))
"""


def range_iter_growth(url: str, server_pid: int) -> tuple[int, int, int]:
    """How many pairs one client iterated over, and by how many bytes its and the server's peak memory grew."""
    before = resident(server_pid, "VmRSS")
    ran = subprocess.run([sys.executable, "-c", CLIENT, url], capture_output=True, check=True, text=True)
    pairs, client = json.loads(ran.stdout)
    return pairs, client, max(0, resident(server_pid, "VmHWM") - before)


def own_peak() -> int:
    """Bytes of this process at its largest."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
