"""What a process may do, whichever user runs the tests."""

import ctypes
import threading

_CAPBSET_DROP = 24
_OVERRIDES = (1, 2)
"""CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH (capabilities(7)): what lets root write and read everywhere."""


def without_overrides(start):
    """What ``start`` gives, whose processes are bound by the modes of files even if root runs the tests.

    The thread gives the rights up, and what it starts inherits that.
    """
    results = []

    def drop_and_start():
        for capability in _OVERRIDES:
            ctypes.CDLL(None).prctl(_CAPBSET_DROP, capability, 0, 0, 0)
        results.append(start())

    thread = threading.Thread(target=drop_and_start)
    thread.start()
    thread.join()
    return results[0]
