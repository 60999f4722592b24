"""Something happens at a given step of Python code: between any two instructions of ours, as signals and finalizers do."""

import sys
from pathlib import Path

import pyelevator

SOURCE = str(Path(pyelevator.__file__).parent)


class Interrupt(BaseException):
    """What a signal handler raises."""


def interrupt():
    """Raises it."""
    raise Interrupt


class Steps:
    """As a context: counts the steps of this thread in files of ours, and does something once at the given one.

    Args:
        files: names within the package, of files or folders.
        step: the number of that step, from 0.
        action: what to do there; what it raises is raised there.
        kind: ``opcode`` or ``line``.
    """

    def __init__(self, files, step, action=interrupt, kind="opcode"):
        self.files = tuple(f"{SOURCE}/{name}" for name in files)
        self.step, self.action, self.kind = step, action, kind
        self.count = 0
        self.came = False

    def _enter(self, frame, _event, _arg):
        if not frame.f_code.co_filename.startswith(self.files) or _is_finalizing(frame):
            return None
        frame.f_trace_opcodes = self.kind == "opcode"
        return self._trace

    def _trace(self, _frame, event, _arg):
        if event == self.kind and not self.came:
            self.count += 1
            if self.count > self.step:
                self.came = True
                sys.settrace(None)
                self.action()
        return self._trace

    def __enter__(self):
        self._before = sys.gettrace()
        sys._getframe().f_trace_opcodes = self.kind == "opcode"  # without it there Python 3.12 has no such events
        sys.settrace(self._enter)
        return self

    def __exit__(self, *_):
        sys.settrace(self._before)


def _is_finalizing(frame):
    """Whether it runs in a finalizer: what is raised there Python prints and drops."""
    while frame is not None and frame.f_code.co_name != "__del__":
        frame = frame.f_back
    return frame is not None


def each_step(files, work, action=interrupt, kind="opcode", first=0, stride=1):
    """Calls ``work`` with Steps for the first step, the next one, and so on until there are no more; how many."""
    step = first
    while True:
        steps = Steps(files, step, action, kind)
        work(steps)
        if not steps.came:
            return step
        step += stride
