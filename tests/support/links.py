"""Names that are swapped at once."""

import ctypes
import os

_LIBC = ctypes.CDLL(None, use_errno=True)
_HERE = -100
_SWAP = 2


def swap_names(one, other):
    """Swaps two names, see renameat2(2): at no time is one of them missing.

    Raises:
        OSError: one of them does not exist, and so on.
    """
    if _LIBC.renameat2(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _SWAP) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), str(one), None, str(other))
