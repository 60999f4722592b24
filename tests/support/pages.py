"""The programs of docs/ and examples/, as modules and as processes."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

from support.optional import unwrap
from support.programs import WAIT_TIMEOUT

ROOT = Path(__file__).parents[2]

SLOW = re.compile(r" took [0-9.]+ ms \(")
"""The slow log's line about a request: on a loaded machine any is slow."""


def load(path):
    """The program at ``path`` (from the root of the repository) as a module."""
    spec = unwrap(importlib.util.spec_from_file_location(Path(path).stem + "_program", ROOT / path))
    module = importlib.util.module_from_spec(spec)
    unwrap(spec.loader).exec_module(module)
    return module


def output(path, *args, cwd=None):
    """What the program prints, as a process of its own; a warning or something on stderr is a failure."""
    command = [sys.executable, "-X", "dev", "-W", "error", str(ROOT / path), *map(str, args)]
    environment = {name: value for name, value in os.environ.items() if name != "ELEVATOR_URL"}
    ran = subprocess.run(
        command, capture_output=True, text=True, timeout=WAIT_TIMEOUT, cwd=cwd, env=environment, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert [line for line in ran.stderr.splitlines() if not SLOW.search(line)] == []
    return ran.stdout
