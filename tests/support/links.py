"""Names that are swapped at once."""

import ctypes
import os

_HERE = -100
_EXCHANGE = 2


def exchange(one, other):
    """Swaps two names, see renameat2(2): at no time is one of them missing."""
    assert ctypes.CDLL(None).renameat2(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0
