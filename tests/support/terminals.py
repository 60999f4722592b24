"""A program on a pseudo-terminal, and what it shows there as text."""

import os
import re
import signal

import pexpect

_CODES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b[=>78]|\x1b\][^\x07]*\x07|\r")


class Terminal:
    """A program on a pseudo-terminal of 100 columns and 30 lines."""

    def __init__(self, program, *args, cwd=None, **environment):
        self._program = pexpect.spawn(
            program,
            [str(arg) for arg in args],
            env={**os.environ, "TERM": "xterm-256color", "PROMPT_TOOLKIT_NO_CPR": "1", **environment},
            encoding="utf-8",
            timeout=60,
            dimensions=(30, 100),
            cwd=cwd,
        )
        self._program.delaybeforesend = None

    def read_until(self, pattern):
        """What it shows until the pattern comes, without the codes that move the cursor and color the text."""
        self._program.expect(pattern)
        return plain(self._program.before + self._program.after)

    def send(self, text):
        self._program.send(text)

    def enter(self, line, pattern):
        self.send(line + "\r")
        return self.read_until(pattern)

    def wait(self):
        """Its exit code, and what it showed last."""
        self._program.expect(pexpect.EOF)
        self._program.close()
        return self._program.exitstatus, plain(self._program.before)

    def close(self):
        if self._program.isalive():
            self._program.kill(signal.SIGKILL)
            self._program.wait()
        self._program.close()


def plain(text):
    return _CODES.sub("", text)
