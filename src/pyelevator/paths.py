"""Questions about paths that are answered with no only if that is certain.

From Python 3.14 on the methods of ``Path`` also return False where the system cannot tell, as in a directory that may
not be searched. Here that is an error: what is wrongly taken for missing would be created anew, or be left behind.
"""

import os
import stat
from errno import EBADF, ELOOP, ENOENT, ENOTDIR
from pathlib import Path
from typing import Final, TypeAlias

_Path: TypeAlias = str | os.PathLike[str]

_MISSING: Final = {ENOENT, ENOTDIR, EBADF, ELOOP}


def exists(path: _Path) -> bool:
    """Return True if there is something at the path, or where a link there leads.

    Raises:
        OSError: the system cannot tell.
    """
    return _mode(path) is not None


def is_file(path: _Path) -> bool:
    """Return True if there is a regular file at the path, or where a link there leads.

    Raises:
        OSError: the system cannot tell.
    """
    return stat.S_ISREG(_mode(path) or 0)


def is_directory(path: _Path) -> bool:
    """Return True if there is a directory at the path, or where a link there leads.

    Raises:
        OSError: the system cannot tell.
    """
    return stat.S_ISDIR(_mode(path) or 0)


def _mode(path: _Path) -> int | None:
    try:
        return Path(path).stat().st_mode
    except ValueError:  # no path at all, as with a null byte
        return None
    except OSError as error:
        if error.errno in _MISSING:
            return None
        raise
