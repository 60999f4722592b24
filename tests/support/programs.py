"""Python programs in processes of their own."""

import os
import subprocess
import sys
import textwrap

from attrs import frozen

WAIT_TIMEOUT = 250.0
"""Seconds to wait for the end of a program, less than the suite lets a test run: a loaded machine takes long for any."""

STRICT = ("-X", "faulthandler", "-W", "error::ResourceWarning")


@frozen
class Ran:
    code: int
    out: str
    err: str


def start(program, *args, options=STRICT, measured=True):
    """Starts a program; its output is piped. One that is not measured is left out by coverage, which opens files."""
    environment = {name: value for name, value in os.environ.items() if measured or not name.startswith("COVERAGE_")}
    return subprocess.Popen(
        [sys.executable, *options, "-c", textwrap.dedent(program), *map(str, args)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def finish(process, timeout=WAIT_TIMEOUT):
    """Waits for its end, and gives what came of it."""
    with process:
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise AssertionError(f"the program did not end within {timeout} s:\n{out}\n{err}") from None
    return Ran(process.returncode, out, err)


def run(program, *args, options=STRICT, timeout=WAIT_TIMEOUT, measured=True):
    """Runs a program to its end."""
    return finish(start(program, *args, options=options, measured=measured), timeout)
